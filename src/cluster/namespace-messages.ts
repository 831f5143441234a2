import type { NamespaceChange } from '#src/metadata/namespace-feed.ts'
import type { NamespacePlace } from '#src/metadata/namespace-replica.ts'
import type { Entry } from '#src/store/store.ts'
import { bytesOf, textOf } from './messages.ts'

/** What a replica asks the root for. */
export interface FollowRequest {
  /** Of the root that it follows. */
  readonly incarnation: string
  /** Behind what it has applied: what it asks for next is what it confirms. */
  readonly position: string
  /** How long the root may wait for a change, in milliseconds. */
  readonly wait: number
}

export type FollowAnswer =
  /** Positions of that incarnation mean nothing here: copy anew. */
  | { readonly kind: 'other' }
  | {
      readonly kind: 'page'
      readonly position: string
      readonly end: string
      readonly hasMore: boolean
      readonly changes: readonly WrittenChange[]
    }

export interface CopyRequest {
  /** The last key that the replica has; absent: none. */
  readonly after?: string
}

export interface CopyAnswer {
  readonly incarnation: string
  /** Behind the last change that these rows surely show. */
  readonly head: string
  readonly rows: readonly WrittenRow[]
  readonly hasMore: boolean
}

type WrittenRow = readonly [key: string, value: string]
interface WrittenChange {
  readonly from: string
  readonly to?: string
  readonly rows: readonly WrittenRow[]
}

export const writeRows = (rows: readonly Entry[]): readonly WrittenRow[] =>
  rows.map(({ key, value }) => [textOf(key), textOf(value)])

export const readRows = (rows: readonly WrittenRow[]): readonly Entry[] =>
  rows.map(([key, value]) => ({ key: bytesOf(key), value: bytesOf(value) }))

export const writeChange = ({ from, to, rows }: NamespaceChange): WrittenChange => ({
  from: textOf(from),
  ...(to !== undefined && { to: textOf(to) }),
  rows: writeRows(rows),
})

export const readChange = ({ from, to, rows }: WrittenChange): NamespaceChange => ({
  from: bytesOf(from),
  ...(to !== undefined && { to: bytesOf(to) }),
  rows: readRows(rows),
})

/** As a header of an answer has it. */
export const writePlace = ({ incarnation, position }: NamespacePlace): string =>
  `${Buffer.from(position).toString('hex')} ${incarnation}`

/** One without a root is of a release before this one: no replica is known to have come so far. */
export function readPlace(text: string): NamespacePlace {
  const [position = '', incarnation = ''] = text.split(' ')
  return { incarnation, position: Buffer.from(position, 'hex') }
}
