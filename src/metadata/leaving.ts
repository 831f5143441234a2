import type { Stamp } from '#src/model/stamp.ts'
import { blobOf, type ObjectVersion } from '#src/model/version.ts'
import type { Entry, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { dropReference } from './blob-records.ts'
import { clearBucketCopy } from './bucket-copy.ts'
import { decodeConflict } from './conflict-records.ts'
import { raiseFloors } from './forgetting.ts'
import { keys, partitionOf, slotOf, under } from './keyspace.ts'
import { clearLogsTo } from './log-records.ts'
import { decodeTombstone, entryOf, type Place, readStampRow } from './object-records.ts'
import { clearRestored } from './remote-records.ts'
import { recountStored } from './usage-records.ts'
import { decodeVersion } from './version-codec.ts'

/**
 * Forgetting a bucket in a cell that is none of its cells any more; the others have all that is forgotten here.
 *
 * R4  its references go with its records (R1), and what they name is handed on to the bucket's cells before its bytes go: their
 *     jobs say of which bucket they were.
 */
const withStamps = ['conflict', 'version', 'tombstone', 'memory', 'current'] as const
/** Rows that belong to others, and go when those are gone. */
const beside = ['nullVersion', 'inline'] as const

function placeOf(row: Uint8Array): Place {
  const reader = new TupleReader(row, 1)
  return { bucket: reader.number(), key: reader.text() }
}

/** Forgets some of what is left, `limit` records at most; gives how many those were. 0: nothing is left. */
export async function forgetRecords(to: Transaction, bucket: number, limit: number): Promise<number> {
  for (const space of withStamps) {
    const all = under(space, [bucket])
    const rows = await to.range(all.from, all.to, { limit })
    const floors = new Map<number, Stamp>()
    for (const row of rows) {
      const { partition, stamp } = await forgetRow(to, space, row)
      if (stamp > (floors.get(partition) ?? 0n)) floors.set(partition, stamp)
    }
    await raiseFloors(to, floors)
    if (rows.length > 0) return rows.length
  }
  for (const space of beside) {
    const all = under(space, [bucket])
    to.clearRange(all.from, all.to)
  }
  clearLogsTo(to, bucket)
  clearBucketCopy(to, bucket)
  return 0
}

async function forgetRow(
  to: Transaction,
  space: (typeof withStamps)[number],
  { key: row, value }: Entry,
): Promise<{ readonly partition: number; readonly stamp: Stamp }> {
  const place = placeOf(row)
  const partition = partitionOf(place.bucket, place.key)
  to.clear(row)
  const { version, stamp, slot } = readRow(space, value)
  // The newest lies under two rows, and is the other one's.
  if (space === 'current' && slot !== 0n) return { partition, stamp }
  if (version !== undefined) {
    // What lost is not counted.
    if (space !== 'conflict') recountStored(to, place.bucket, version, undefined)
    await dropBlob(to, place, version, slot)
    const { restore } = version
    if (space !== 'conflict' && restore?.kind === 'done') {
      clearRestored(to, { until: restore.until, bucketId: place.bucket, key: place.key, stamp })
    }
  }
  if (space !== 'memory') to.clear(Buffer.concat([keys.feed(partition), entryOf(value)]))
  return { partition, stamp }
}

/** `version`: where it has content. */
function readRow(
  space: (typeof withStamps)[number],
  value: Uint8Array,
): { readonly version?: ObjectVersion; readonly stamp: Stamp; readonly slot: Stamp } {
  if (space === 'tombstone') return { stamp: decodeTombstone(value).stamp, slot: 0n }
  if (space === 'memory') return { stamp: readStampRow(value) ?? 0n, slot: 0n }
  if (space === 'conflict') {
    const { version, isSettled } = decodeConflict(value).conflict
    return { stamp: version.stamp, slot: version.stamp, ...(!isSettled && { version }) }
  }
  const version = decodeVersion(value)
  const found = { stamp: version.stamp, slot: slotOf(version) }
  return version.kind === 'object' ? { ...found, version } : found
}

async function dropBlob(to: Transaction, { bucket, key }: Place, version: ObjectVersion, slot: Stamp): Promise<void> {
  const blob = blobOf(version.content)
  if (blob !== undefined) await dropReference(to, blob, { bucket, key, slot }, bucket)
}
