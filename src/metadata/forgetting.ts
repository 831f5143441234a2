import type { Stamp } from '#src/model/stamp.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { keys, partitionOf, partitions, under } from './keyspace.ts'
import type { Namespace } from './namespace.ts'
import { decodeTombstone, readStampRow } from './object-records.ts'

/**
 * Forgetting what was deleted.
 *
 * T1  a tombstone goes only in a transaction that raises its partition's floor to its stamp: no later write of any key there
 *     gets a smaller stamp than what was forgotten (C10, C7).
 * T7  a cell that copies a bucket takes over the floors of whom it copies from: what was forgotten there before, it never hears of.
 *
 * Which tombstones may go is the caller's to say: in a cell without peers nothing older can still arrive from anywhere; with
 * peers, see cluster/forgetter.ts.
 */
const format = 1
const writer = new RecordWriter()

/** A page of rows from `from` on: tombstones, or what keys remember of removed versions. */
export function readForgettable(
  from: Snapshot,
  space: 'tombstone' | 'memory',
  start: Uint8Array,
  limit: number,
): Promise<readonly Entry[]> {
  return from.range(start, under(space, []).to, { limit })
}

/** What may be forgotten: a tombstone has its entry in the partition of its key, what a key remembers has none. */
export interface Forgettable {
  readonly bucket: number
  readonly stamp: Stamp
  readonly partition: number
  readonly entry: Uint8Array | undefined
}

/** Forgets those of the rows that still are as they were read, and that the caller lets go. */
export async function forget(
  to: Transaction,
  rows: readonly Entry[],
  may: (row: Forgettable) => boolean,
): Promise<void> {
  const floors = new Map<number, Stamp>()
  for (const { key, value } of rows) {
    const { stamp, entry } = contentOf(value)
    const { bucket, partition } = placeOfRow(key)
    if (!may({ bucket, stamp, partition, entry })) continue
    const now = await to.get(key)
    if (now === undefined || Buffer.compare(now, value) !== 0) continue
    to.clear(key)
    if (entry !== undefined) to.clear(Buffer.concat([keys.feed(partition), entry]))
    if (stamp > (floors.get(partition) ?? 0n)) floors.set(partition, stamp)
  }
  await raiseFloors(to, floors)
}

/** By partition; absent where nothing was forgotten. */
export async function readFloors(from: Snapshot): Promise<ReadonlyMap<number, Stamp>> {
  const floors = new Map<number, Stamp>()
  for (let partition = 0; partition < partitions; partition++) {
    const floor = readStampRow(await from.get(keys.floor(partition)))
    if (floor !== undefined) floors.set(partition, floor)
  }
  return floors
}

/** From now on no stamp is drawn in these partitions that is not above (C7). */
export async function raiseFloors(to: Transaction, floors: ReadonlyMap<number, Stamp>): Promise<void> {
  for (const [partition, stamp] of floors) {
    const floor = readStampRow(await to.get(keys.floor(partition))) ?? 0n
    if (stamp > floor) to.set(keys.floor(partition), writer.byte(format).stamp(stamp).take())
  }
}

/** A remembered stamp is 9 bytes; a tombstone has its feed entry and its vector besides. */
const isTombstone = (value: Uint8Array): boolean => value.length > 9

function contentOf(value: Uint8Array): Pick<Forgettable, 'stamp' | 'entry'> {
  return isTombstone(value) ? decodeTombstone(value) : { stamp: new RecordReader(value, 1).stamp(), entry: undefined }
}

function placeOfRow(row: Uint8Array): Pick<Forgettable, 'bucket' | 'partition'> {
  const reader = new TupleReader(row, 1)
  const bucket = reader.number()
  return { bucket, partition: partitionOf(bucket, reader.text()) }
}

/** Buckets of which nothing is forgotten: their shadows would be asked for what was deleted (C10). */
export async function shadowed(from: Snapshot, namespace: Namespace): Promise<ReadonlySet<number>> {
  const buckets = await namespace.buckets(from)
  return new Set(buckets.filter(({ shadow }) => shadow !== undefined).map(({ id }) => id))
}
