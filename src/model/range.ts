import { Fault } from '#src/errors.ts'

/** Which bytes of an object a client wants. */
export type WantedBytes =
  | { readonly kind: 'range'; readonly from: number; readonly to?: number }
  | { readonly kind: 'suffix'; readonly bytes: number }

export interface Span {
  readonly from: number
  /** Exclusive. */
  readonly to: number
}

/** RFC 9110 §14.1.2 for an object of `size` bytes; `to` of a wanted range is inclusive, as on the wire. Fault `InvalidRange`. */
export function resolveSpan(wanted: WantedBytes, size: number): Span {
  if (wanted.kind === 'suffix') {
    if (wanted.bytes === 0 || size === 0) throw unsatisfiable(wanted, size)
    return { from: Math.max(0, size - wanted.bytes), to: size }
  }
  if (wanted.from >= size) throw unsatisfiable(wanted, size)
  return { from: wanted.from, to: wanted.to === undefined ? size : Math.min(size, wanted.to + 1) }
}

function unsatisfiable(wanted: WantedBytes, size: number): Fault {
  const text = wanted.kind === 'suffix' ? `-${wanted.bytes}` : `${wanted.from}-${wanted.to ?? ''}`
  return new Fault('InvalidRange', { RangeRequested: `bytes=${text}`, ActualObjectSize: size })
}
