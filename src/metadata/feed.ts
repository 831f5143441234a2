import type { Stamp } from '#src/model/stamp.ts'
import type { Transaction } from '#src/store/store.ts'
import { versionstampBytes } from '#src/store/store.ts'
import { pack, unpack } from '#src/store/tuple.ts'
import { keys, partitionOf } from './keyspace.ts'

/**
 * The ordered change log of this cell, which other cells follow.
 *
 * F1  each replicated record has one entry: a change clears the old entry and appends a new one in the same transaction,
 *     so the feed never needs trimming, and a new cell starts at zero (C14).
 * F9  an entry of a record that is here just as another cell's feed brought it says so: that cell, unless it is another incarnation by
 *     now (C15), is not told what it has told (decision 114).
 */

/** A versionstamp and the 2 bytes of order within a transaction: where a record's entry is in its partition. */
export const entryBytes = versionstampBytes + 2

/** A cell as it was when it told something. */
export interface Teller {
  readonly cell: number
  readonly incarnation: string
}

/** What an entry names: a version (`slot` 0 is `null`) or the tombstone of one, under the stamp it has there. */
export interface Change {
  readonly bucket: number
  readonly key: string
  readonly slot: Stamp
  readonly stamp: Stamp
  /** Names the conflict record of that stamp. */
  readonly isConflict?: boolean
  /** Whose feed brought the record as it is. */
  readonly teller?: Teller
}

/** Moves a record's entry to the end; gives the order that its new entry has in this transaction. */
export function moveEntry(to: Transaction, change: Change, before: Uint8Array | undefined): number {
  const partition = keys.feed(partitionOf(change.bucket, change.key))
  if (before !== undefined) to.clear(Buffer.concat([partition, before]))
  return to.append(partition, encodeChange(change))
}

function encodeChange({ bucket, key, slot, stamp, isConflict = false, teller }: Change): Uint8Array {
  const named = [bucket, key, slot, stamp] as const
  if (teller !== undefined) return pack([...named, isConflict ? 1 : 0, teller.cell, teller.incarnation])
  return pack(isConflict ? [...named, 1] : named)
}

export function decodeChange(value: Uint8Array): Change {
  const [bucket, key, slot, stamp, conflict, cell, incarnation] = unpack(value)
  if (typeof bucket !== 'number' || typeof key !== 'string') throw new Error('a feed entry that cannot be read')
  return {
    ...{ bucket, key, slot: BigInt(slot as bigint), stamp: BigInt(stamp as bigint) },
    ...(conflict === 1 && { isConflict: true }),
    ...(typeof cell === 'number' && typeof incarnation === 'string' && { teller: { cell, incarnation } }),
  }
}

/** Sets a record whose entry's order is known, and whose versionstamp comes with the commit. */
export function setWithEntry(
  to: Transaction,
  key: Uint8Array,
  record: Uint8Array,
  order: number,
  offset: number,
): void {
  const at = offset + versionstampBytes
  record[at] = order >> 8
  record[at + 1] = order & 0xff
  to.setStamped(key, record, offset)
}
