import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys } from './keyspace.ts'

/**
 * That a cell leaves its cluster in order.
 *
 * L2  once this row is there, no record of the cell changes any more: each transaction that would reads it.
 */
export async function hasLeft(from: Snapshot): Promise<boolean> {
  return (await from.get(keys.left)) !== undefined
}

export function setLeft(to: Transaction): void {
  to.set(keys.left, new Uint8Array(0))
}

/** What a cell that leaves still has to do. Counts end where they are large. */
export interface Departure {
  /** When this was so, in milliseconds since the epoch. */
  readonly at: number
  /** When it began to leave. */
  readonly since: number
  /** Uploads that clients have begun here. */
  readonly uploads: number
  /** Logs and notifications that are to be delivered from here, and tasks. */
  readonly deliveries: number
  /** Blobs, and their bytes, of which too few copies are elsewhere. */
  readonly blobs: number
  readonly bytes: number
  /** Regions that have not heard all that was written here. */
  readonly behind: readonly string[]
  /** Those of them that do not answer. */
  readonly away: readonly string[]
  /** Nothing is written here any more. */
  readonly isFenced: boolean
}

const format = 1

/** `cell`: of whom this tells; the root knows it of others too. */
export async function readDeparture(from: Snapshot, cell: number): Promise<Departure | undefined> {
  const bytes = await from.get(keys.departure(cell))
  return bytes === undefined ? undefined : decodeJson<Departure>(format, bytes)
}

export function setDeparture(to: Transaction, cell: number, departure: Departure): void {
  to.set(keys.departure(cell), encodeJson(format, departure))
}
