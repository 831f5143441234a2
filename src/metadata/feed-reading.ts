import type { Stamp } from '#src/model/stamp.ts'
import type { Entry, Snapshot } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { decodeConflict } from './conflict-records.ts'
import { feedStart } from './cursors.ts'
import { type Change, decodeChange, entryBytes } from './feed.ts'
import { keys, under } from './keyspace.ts'
import { decodeTombstone, type Place, readVersion } from './object-records.ts'
import { type Received, readContentOf } from './received.ts'

/** An entry of this cell's feed: where it is in its partition, and which record it names. */
export interface FeedEntry {
  readonly position: Uint8Array
  readonly change: Change
}

const positionOf = ({ key }: Entry): Uint8Array => key.subarray(key.length - entryBytes)

/** The first entries behind a position, in order. */
export async function readEntries(
  from: Snapshot,
  partition: number,
  after: Uint8Array,
  limit: number,
): Promise<readonly FeedEntry[]> {
  const start = afterKey(Buffer.concat([keys.feed(partition), after]))
  const rows = await from.range(start, under('feed', [partition]).to, { limit })
  return rows.map((row) => ({ position: positionOf(row), change: decodeChange(row.value) }))
}

/** Where the last entry of a partition is. */
export async function readHead(from: Snapshot, partition: number): Promise<Uint8Array> {
  const all = under('feed', [partition])
  const [last] = await from.range(all.from, all.to, { limit: 1, reverse: true })
  return last === undefined ? feedStart : positionOf(last)
}

/** The record that an entry names, as it is now, with what belongs to it. Undefined: there is none any more. */
export async function readChanged(from: Snapshot, change: Change): Promise<Received | undefined> {
  const { bucket, key, slot } = change
  const place: Place = { bucket, key }
  if (change.isConflict === true) {
    const bytes = await from.get(keys.conflict(bucket, key, slot))
    if (bytes === undefined) return undefined
    const { conflict } = decodeConflict(bytes)
    const content = conflict.isSettled ? undefined : await readContentOf(from, place, slot, conflict.version)
    return { ...place, kind: 'conflict', conflict, content }
  }
  return (await readStanding(from, place, slot)) ?? (await readRemoval(from, place, slot))
}

async function readStanding(from: Snapshot, place: Place, slot: Stamp): Promise<Received | undefined> {
  const row = await readVersion(from, place, slot === 0n ? 'null' : slot)
  if (row === undefined) return undefined
  const { version } = row
  return { ...place, kind: 'version', version, content: await readContentOf(from, place, slot, version) }
}

async function readRemoval(from: Snapshot, place: Place, slot: Stamp): Promise<Received | undefined> {
  const bytes = await from.get(keys.tombstone(place.bucket, place.key, slot))
  if (bytes === undefined) return undefined
  const { stamp, vector } = decodeTombstone(bytes)
  return { ...place, kind: 'removal', slot, removal: { kind: 'removal', stamp, vector } }
}
