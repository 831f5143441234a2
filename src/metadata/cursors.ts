import type { Snapshot, Transaction } from '#src/store/store.ts'
import { entryBytes } from './feed.ts'
import { keys } from './keyspace.ts'

/**
 * How far the feeds of other cells have been applied here.
 *
 * F2  a cursor moves in the transaction that applies what it moves over, and only on from where it is (C10).
 * F3  it belongs to one incarnation of its cell: with another it starts at zero (C15).
 */
export interface Feed {
  readonly cell: number
  readonly incarnation: string
  readonly partition: number
}

/** Behind no entry. */
export const feedStart: Uint8Array = new Uint8Array(entryBytes)

export async function readCursor(from: Snapshot, { cell, incarnation, partition }: Feed): Promise<Uint8Array> {
  return (await from.get(keys.cursor(cell, incarnation, partition))) ?? feedStart
}

export async function isAtCursor(from: Snapshot, feed: Feed, position: Uint8Array): Promise<boolean> {
  return Buffer.compare(await readCursor(from, feed), position) === 0
}

export function setCursor(to: Transaction, { cell, incarnation, partition }: Feed, position: Uint8Array): void {
  to.set(keys.cursor(cell, incarnation, partition), position)
}

/** False, and nothing was written, where the cursor is not at `from`. */
export async function moveCursor(to: Transaction, feed: Feed, from: Uint8Array, until: Uint8Array): Promise<boolean> {
  if (!(await isAtCursor(to, feed, from))) return false
  if (Buffer.compare(from, until) !== 0) setCursor(to, feed, until)
  return true
}
