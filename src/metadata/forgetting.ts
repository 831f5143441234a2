import { type Stamp, timeOf } from '#src/model/stamp.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { keys, partitionOf, under } from './keyspace.ts'
import { decodeTombstone } from './object-records.ts'

/**
 * Forgetting what was deleted.
 *
 * T1  a tombstone goes only in a transaction that raises its partition's floor to its stamp: no later write of any key there
 *     gets a smaller stamp than what was forgotten (C10, C7).
 *
 * Here for a cell without peers, in which nothing older than a tombstone can still arrive from anywhere.
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

/** Forgets those of the rows that still are as they were read, and are from before `before` (milliseconds since the epoch). */
export async function forget(to: Transaction, rows: readonly Entry[], before: number): Promise<void> {
  const floors = new Map<number, Stamp>()
  for (const { key, value } of rows) {
    const stamp = stampOf(value)
    if (timeOf(stamp) >= before) continue
    const now = await to.get(key)
    if (now === undefined || Buffer.compare(now, value) !== 0) continue
    const partition = partitionOfRow(key)
    to.clear(key)
    if (isTombstone(value)) to.clear(Buffer.concat([keys.feed(partition), decodeTombstone(value).entry]))
    if (stamp > (floors.get(partition) ?? 0n)) floors.set(partition, stamp)
  }
  for (const [partition, stamp] of floors) {
    const row = await to.get(keys.floor(partition))
    const floor = row === undefined ? 0n : new RecordReader(row, 1).stamp()
    if (stamp > floor) to.set(keys.floor(partition), writer.byte(format).stamp(stamp).take())
  }
}

/** A remembered stamp is 9 bytes; a tombstone has its feed entry and its vector besides. */
const isTombstone = (value: Uint8Array): boolean => value.length > 9

const stampOf = (value: Uint8Array): Stamp =>
  isTombstone(value) ? decodeTombstone(value).stamp : new RecordReader(value, 1).stamp()

function partitionOfRow(key: Uint8Array): number {
  const reader = new TupleReader(key, 1)
  return partitionOf(reader.number(), reader.text())
}
