import type { ObjectVersion } from '#src/model/version.ts'
import { blobOf } from '#src/model/version.ts'
import type { Entry, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { dropReference } from './blob-records.ts'
import { clearBucketCopy } from './bucket-copy.ts'
import { decodeConflict } from './conflict-records.ts'
import { keys, partitionOf, slotOf, under } from './keyspace.ts'
import { clearLogsTo } from './log-records.ts'
import { entryOf, type Place } from './object-records.ts'
import { clearRestored } from './remote-records.ts'
import { decodeVersion } from './version-codec.ts'

/**
 * Forgetting a bucket in a cell that is none of its cells any more; the others have all that is forgotten here.
 *
 * R4  its references go with its records (R1), and what they name is handed on to the bucket's cells before its bytes go: their
 *     jobs say of which bucket they were.
 */
const withEntries = ['conflict', 'version', 'tombstone', 'current'] as const
/** Rows that belong to others, and go when those are gone. */
const beside = ['nullVersion', 'memory', 'inline'] as const

function placeOf(row: Uint8Array): Place {
  const reader = new TupleReader(row, 1)
  return { bucket: reader.number(), key: reader.text() }
}

/** Forgets some of what is left, `limit` records at most; gives how many those were. 0: nothing is left. */
export async function forgetRecords(to: Transaction, bucket: number, limit: number): Promise<number> {
  for (const space of withEntries) {
    const all = under(space, [bucket])
    const rows = await to.range(all.from, all.to, { limit })
    for (const row of rows) await forgetRow(to, space, row)
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

async function forgetRow(to: Transaction, space: (typeof withEntries)[number], { key: row, value }: Entry): Promise<void> {
  const place = placeOf(row)
  to.clear(row)
  if (space === 'conflict') {
    const { conflict } = decodeConflict(value)
    if (!conflict.isSettled) await dropBlob(to, place, conflict.version, conflict.version.stamp)
  } else if (space !== 'tombstone') {
    const version = decodeVersion(value)
    // The newest lies under both, and is the other row's.
    if (space === 'current' && !version.isNull) return
    if (version.kind === 'object') {
      await dropBlob(to, place, version, slotOf(version))
      const { restore, stamp } = version
      if (restore?.kind === 'done') {
        clearRestored(to, { until: restore.until, bucketId: place.bucket, key: place.key, stamp })
      }
    }
  }
  to.clear(Buffer.concat([keys.feed(partitionOf(place.bucket, place.key)), entryOf(value)]))
}

async function dropBlob(to: Transaction, { bucket, key }: Place, version: ObjectVersion, slot: bigint): Promise<void> {
  const blob = blobOf(version.content)
  if (blob !== undefined) await dropReference(to, blob, { bucket, key, slot }, bucket)
}
