import { createHash } from 'node:crypto'
import type { Stamp } from '#src/model/stamp.ts'
import type { Entry, Snapshot } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import type { Change } from './feed.ts'
import { type KeyRange, slotOf, under } from './keyspace.ts'
import { comparable, type ReplicatedSpace } from './replicated-rows.ts'
import { decodeSummary } from './version-codec.ts'

/** Keys of a bucket: those above `after`, up to `until` with it. Absent: without that bound. */
export interface Keys {
  readonly bucket: number
  readonly after?: string
  readonly until?: string
}

/**
 * What ranges are compared by: without tombstones, which each cell forgets in its own time, and without `nullVersion`, which
 * follows from the others.
 */
const compared = ['current', 'version', 'conflict', 'inline'] as const satisfies readonly ReplicatedSpace[]
/** Where records are. */
const recorded = ['current', 'version', 'tombstone', 'conflict'] as const satisfies readonly ReplicatedSpace[]
export type RecordSpace = (typeof recorded)[number]

const rowsPerRead = 1_000

function rangeOf(space: ReplicatedSpace, { bucket, after, until }: Keys): KeyRange {
  return {
    from: after === undefined ? under(space, [bucket]).from : under(space, [bucket, after]).to,
    to: until === undefined ? under(space, [bucket]).to : under(space, [bucket, until]).to,
  }
}

function keyOfRow(row: Uint8Array): string {
  const reader = new TupleReader(row, 1)
  reader.number()
  return reader.text()
}

/** A digest over all that cells have alike of some keys, in hexadecimal. */
export async function digestOf(from: Snapshot, keys: Keys): Promise<string> {
  const hash = createHash('sha256')
  const sizes = Buffer.alloc(8)
  for (const space of compared) {
    let { from: start, to } = rangeOf(space, keys)
    for (;;) {
      const rows = await from.range(start, to, { limit: rowsPerRead })
      for (const row of rows) {
        const { key, value } = comparable(space, row)
        sizes.writeUInt32LE(key.length, 0)
        sizes.writeUInt32LE(value.length, 4)
        hash.update(sizes).update(key).update(value)
      }
      const last = rows.at(-1)
      if (last === undefined || rows.length < rowsPerRead) break
      start = afterKey(last.key)
    }
  }
  return hash.digest('hex')
}

/** The end of a piece of the range that has about so many rows; undefined: all of it has. */
export async function splitAfter(from: Snapshot, keys: Keys, rows: number): Promise<string | undefined> {
  const ends: string[] = []
  for (const space of recorded) {
    let { from: start, to } = rangeOf(space, keys)
    let last: Entry | undefined
    for (let left = rows; left > 0; ) {
      const limit = Math.min(left, rowsPerRead)
      const read = await from.range(start, to, { limit })
      left -= read.length
      last = left === 0 ? read.at(-1) : undefined
      const next = read.at(-1)
      if (next === undefined || read.length < limit) break
      start = afterKey(next.key)
    }
    if (last !== undefined) ends.push(keyOfRow(last.key))
  }
  const [first, ...others] = ends
  if (first === undefined) return undefined
  const least = others.reduce(
    (end, each) => (Buffer.compare(Buffer.from(each), Buffer.from(end)) < 0 ? each : end),
    first,
  )
  return least === keys.until ? undefined : least
}

/** Where a walk over the records of a range is. */
export interface Walk {
  readonly space: RecordSpace
  /** The row that it stands behind. */
  readonly row?: Uint8Array
}

export const walkStart: Walk = { space: recorded[0] }

/** The next records of a range, space by space; `next` is absent at the end. */
export async function walk(
  from: Snapshot,
  keys: Keys,
  { space, row }: Walk,
  limit: number,
): Promise<{ readonly changes: readonly Change[]; readonly next?: Walk }> {
  const range = rangeOf(space, keys)
  const rows = await from.range(row === undefined ? range.from : afterKey(row), range.to, { limit })
  const changes = rows.flatMap((each) => changeOf(keys.bucket, space, each) ?? [])
  const last = rows.at(-1)
  if (last !== undefined && rows.length === limit) return { changes, next: { space, row: last.key } }
  const following = recorded[recorded.indexOf(space) + 1]
  return following === undefined ? { changes } : { changes, next: { space: following } }
}

/** As an entry of the feed would name it; undefined: it is named from another space. */
function changeOf(bucket: number, space: RecordSpace, { key: row, value }: Entry): Change | undefined {
  const reader = new TupleReader(row, 1)
  reader.number()
  const key = reader.text()
  if (space === 'conflict') {
    const stamp = reader.bigint()
    return { bucket, key, slot: stamp, stamp, isConflict: true }
  }
  if (space === 'tombstone') {
    const slot: Stamp = reader.bigint()
    return { bucket, key, slot, stamp: slot }
  }
  const summary = decodeSummary(value)
  if (space === 'current' && !summary.isNull) return undefined
  return { bucket, key, slot: slotOf(summary), stamp: summary.stamp }
}
