import type { FaultCode, FaultDetails } from '#src/errors.ts'
import type { SelectRequest, Stats } from './request.ts'

/** What a query's process is told. */
export type ToProcess =
  | { readonly kind: 'start'; readonly request: SelectRequest; readonly size: number }
  /** The answer to `read`; without bytes: they could not be read. */
  | { readonly kind: 'bytes'; readonly id: number; readonly bytes?: Uint8Array }
  /** The client took the last records. */
  | { readonly kind: 'taken' }

/** What a query's process says. */
export type FromProcess = { readonly stats: Readonly<Stats> } & (
  | { readonly kind: 'read'; readonly id: number; readonly from: number; readonly to: number }
  | { readonly kind: 'records'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  | { readonly kind: 'fault'; readonly code: FaultCode; readonly details: FaultDetails }
  | { readonly kind: 'bug'; readonly error: unknown }
)

type WithoutStats<Message> = Message extends unknown ? Omit<Message, 'stats'> : never
export type Said = WithoutStats<FromProcess>
