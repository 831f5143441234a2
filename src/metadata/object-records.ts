import { Fault } from '#src/errors.ts'
import { type Removal, sortedVector } from '#src/model/merge.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { blobOf, type ObjectVersion, type Vector, type Version } from '#src/model/version.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { addReference, dropReference } from './blob-records.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { entryBytes, moveEntry, setWithEntry } from './feed.ts'
import { keys, partitionOf, slotOf, under } from './keyspace.ts'
import { clearRestored, forgetRemote } from './remote-records.ts'
import { recountStored } from './usage-records.ts'
import { decodeVersion, encodeVersion, entryOffset } from './version-codec.ts'

/**
 * The versions of each key, in the transaction given. See keyspace.ts for which row lies where.
 *
 * O1  `current` holds the newest version, unless that is a delete marker; then, or without any version, it holds nothing.
 * O2  a change of a replicated record and its feed entry commit together (C14).
 * O3  a version's blob has a reference exactly as long as the version has a record (C18).
 * O4  what a key remembers includes the largest stamp it ever had (C7).
 */

/** Which key of which bucket. */
export interface Place {
  readonly bucket: number
  readonly key: string
}

/** A record, as it was read. */
export interface Row<Kind extends Version = Version> {
  readonly version: Kind
  readonly bytes: Uint8Array
}

export interface Tombstone extends Removal {
  readonly entry: Uint8Array
}

/** All that a write must know of its key. */
export interface KeyState extends Place {
  readonly current: Row<ObjectVersion> | undefined
  /** The newest row under `version`; not read for buckets that were never versioned, which have none. */
  readonly newest: Row | undefined
  /** The `null` version, where that lies under `version`. */
  readonly stowed: Row | undefined
  /** Of the `null` slot. */
  readonly tombstone: Tombstone | undefined
  /** No stamp of this key was ever larger. */
  readonly largest: Stamp
}

const format = 1
const writer = new RecordWriter()
export const entryOf = (bytes: Uint8Array): Uint8Array => bytes.subarray(entryOffset, entryOffset + entryBytes)
export const stampRow = (stamp: Stamp): Uint8Array => writer.byte(format).stamp(stamp).take()
export const readStampRow = (bytes: Uint8Array | undefined): Stamp | undefined =>
  bytes === undefined ? undefined : new RecordReader(bytes, 1).stamp()

export const rowOf = (bytes: Uint8Array): Row => ({ version: decodeVersion(bytes), bytes })

function isObjectRow(candidate: Row): candidate is Row<ObjectVersion> {
  return candidate.version.kind === 'object'
}

export async function readCurrent(from: Snapshot, { bucket, key }: Place): Promise<Row<ObjectVersion> | undefined> {
  const bytes = await from.get(keys.current(bucket, key))
  if (bytes === undefined) return undefined
  const found = rowOf(bytes)
  if (!isObjectRow(found)) throw new Error('a delete marker under current')
  return found
}

/** The rows under `version`, newest first. */
export async function readNewest(from: Snapshot, { bucket, key }: Place, limit: number): Promise<readonly Row[]> {
  const all = under('version', [bucket, key])
  const entries: readonly Entry[] = await from.range(all.from, all.to, { limit })
  return entries.map(({ value }) => rowOf(value))
}

/** The newest version, which may be a delete marker. */
export async function readLatest(from: Snapshot, place: Place): Promise<Row | undefined> {
  return (await readCurrent(from, place)) ?? (await readNewest(from, place, 1))[0]
}

/** The version that an id on the wire names: a stamp, or `null`. */
export async function readVersion(from: Snapshot, place: Place, id: Stamp | 'null'): Promise<Row | undefined> {
  const { bucket, key } = place
  if (id !== 'null') {
    const bytes = await from.get(keys.version(bucket, key, id))
    if (bytes === undefined) return undefined
    const found = rowOf(bytes)
    return found.version.isNull ? undefined : found
  }
  const current = await readCurrent(from, place)
  if (current?.version.isNull === true) return current
  const stamp = readStampRow(await from.get(keys.nullVersion(bucket, key)))
  if (stamp === undefined) return undefined
  const bytes = await from.get(keys.version(bucket, key, stamp))
  return bytes === undefined ? undefined : rowOf(bytes)
}

/** `wasVersioned`: whether the bucket is or was; others have nothing but `current`. */
export async function readState(from: Snapshot, place: Place, wasVersioned: boolean): Promise<KeyState> {
  const { bucket, key } = place
  const [current, tombstoneBytes, floor] = await Promise.all([
    readCurrent(from, place),
    from.get(keys.tombstone(bucket, key, 0n)),
    from.get(keys.floor(partitionOf(bucket, key))),
  ])
  const tombstone = tombstoneBytes === undefined ? undefined : decodeTombstone(tombstoneBytes)
  const known = [current?.version.stamp, tombstone?.stamp, readStampRow(floor)]
  if (!wasVersioned) {
    return { bucket, key, current, newest: undefined, stowed: undefined, tombstone, largest: largest(known) }
  }
  const [versions, nullBytes, memory] = await Promise.all([
    readNewest(from, place, 1),
    from.get(keys.nullVersion(bucket, key)),
    from.get(keys.memory(bucket, key)),
  ])
  const newest = versions[0]
  known.push(newest?.version.stamp, readStampRow(memory))
  const nullStamp = readStampRow(nullBytes)
  const stowed = nullStamp === undefined ? undefined : await from.get(keys.version(bucket, key, nullStamp))
  const stowedRow = stowed === undefined ? undefined : rowOf(stowed)
  return { bucket, key, current, newest, stowed: stowedRow, tombstone, largest: largest(known) }
}

const largest = (stamps: readonly (Stamp | undefined)[]): Stamp =>
  stamps.reduce<Stamp>((most, stamp) => (stamp !== undefined && stamp > most ? stamp : most), 0n)

/** What is in the `null` slot, wherever it lies. */
const nullRow = ({ current, stowed }: KeyState) => (current?.version.isNull === true ? current : stowed)

/**
 * What a write has seen that was made with this state before it (C12): of what filled the `null` slot only, since only there
 * can a write take the place of one that it has not seen.
 */
export function seenVector(state: KeyState, cell: number, stamp: Stamp): Vector {
  const before = nullRow(state)?.version ?? state.tombstone
  const seen = new Map(before?.vector)
  seen.set(cell, stamp)
  return sortedVector(seen)
}

/** Makes a version the newest of its key: it displaces what was current, and replaces the `null` version if it is one. */
export async function insertVersion(to: Transaction, state: KeyState, version: Version): Promise<void> {
  const { bucket, key, current } = state
  const replaced = version.isNull ? await takeNull(to, state, version) : undefined
  if (!version.isNull && current?.version.isNull === true) stowNull(to, state, current)
  if (version.kind === 'marker' && current !== undefined) to.clear(keys.current(bucket, key))
  const before = replaced ?? (version.isNull ? state.tombstone?.entry : undefined)
  if (version.isNull && state.tombstone !== undefined) to.clear(keys.tombstone(bucket, key, 0n))
  const order = moveEntry(to, { bucket, key, slot: slotOf(version), stamp: version.stamp }, before)
  const bytes = encodeVersion(version)
  if (bytes.length > recordBytesMax) throw new Fault('MetadataTooLarge')
  recountStored(to, bucket, version.isNull ? nullRow(state)?.version : undefined, version)
  if (version.kind === 'object') {
    setWithEntry(to, keys.current(bucket, key), Buffer.from(bytes), order, entryOffset)
    const blob = blobOf(version.content)
    if (blob !== undefined) addReference(to, blob, { bucket, key, slot: slotOf(version) })
  }
  if (version.kind === 'marker' || !version.isNull) {
    setWithEntry(to, keys.version(bucket, key, version.stamp), bytes, order, entryOffset)
  }
  if (version.kind === 'marker' && version.isNull) to.set(keys.nullVersion(bucket, key), stampRow(version.stamp))
}

/** Puts a version that is not `null`, and that may be older than others, at its place among those of its key. */
export async function insertAmong(to: Transaction, state: KeyState, version: Version): Promise<void> {
  const newest = (state.current ?? state.newest)?.version
  if (version.isNull || newest === undefined || newest.stamp < version.stamp) {
    await insertVersion(to, state, version)
    return
  }
  const { bucket, key } = state
  const slot = slotOf(version)
  const bytes = encodeVersion(version)
  if (bytes.length > recordBytesMax) throw new Fault('MetadataTooLarge')
  const order = moveEntry(to, { bucket, key, slot, stamp: version.stamp }, undefined)
  setWithEntry(to, keys.version(bucket, key, version.stamp), bytes, order, entryOffset)
  recountStored(to, bucket, undefined, version)
  const blob = version.kind === 'object' ? blobOf(version.content) : undefined
  if (blob !== undefined) addReference(to, blob, { bucket, key, slot })
}

/** Of a record under `current` or `version` (C6). */
export const recordBytesMax = 16_384

/** Clears the `null` version, wherever it lies, for another to take its place; gives the feed entry that it had. */
async function takeNull(to: Transaction, state: KeyState, next: Version): Promise<Uint8Array | undefined> {
  const { bucket, key, current, stowed } = state
  if (current?.version.isNull === true) {
    if (!keepsContent(current.version, next)) await releaseContent(to, state, current.version)
    await releaseRemote(to, state, current.version)
    return entryOf(current.bytes)
  }
  if (stowed === undefined) return undefined
  to.clear(keys.version(bucket, key, stowed.version.stamp))
  to.clear(keys.nullVersion(bucket, key))
  if (stowed.version.kind === 'object') {
    if (!keepsContent(stowed.version, next)) await releaseContent(to, state, stowed.version)
    await releaseRemote(to, state, stowed.version)
  }
  return entryOf(stowed.bytes)
}

/**
 * Whether the content of a `null` version stays where it is for the one that takes its place: a copy of an object onto itself
 * goes on using its blob, under the reference that is there; and bytes beside the record are overwritten by the next ones.
 */
export function keepsContent({ content }: ObjectVersion, next: Version): boolean {
  if (next.kind === 'marker') return false
  if (content.kind === 'inline' || next.content.kind === 'inline') return content.kind === next.content.kind
  const blob = blobOf(content)
  return blob !== undefined && blob === blobOf(next.content)
}

/** The `null` version is no longer the current one: it goes to the others, unchanged. */
function stowNull(to: Transaction, { bucket, key }: Place, current: Row<ObjectVersion>): void {
  to.set(keys.version(bucket, key, current.version.stamp), current.bytes)
  to.set(keys.nullVersion(bucket, key), stampRow(current.version.stamp))
}

/** Removes one version for good and leaves a tombstone with `stamp`; the next newest becomes current (O1). */
export async function removeVersion(
  to: Transaction,
  state: KeyState,
  target: Row,
  stamp: Stamp,
  vector: Vector,
): Promise<void> {
  const { bucket, key, current } = state
  const { version } = target
  if (version.isNull && current?.version.stamp === version.stamp) to.clear(keys.current(bucket, key))
  else to.clear(keys.version(bucket, key, version.stamp))
  if (version.isNull && state.stowed !== undefined) to.clear(keys.nullVersion(bucket, key))
  if (version.kind === 'object') {
    recountStored(to, bucket, version, undefined)
    await releaseContent(to, state, version)
    await releaseRemote(to, state, version)
  }
  const slot = slotOf(version)
  const order = moveEntry(to, { bucket, key, slot, stamp }, entryOf(target.bytes))
  setWithEntry(to, keys.tombstone(bucket, key, slot), encodeTombstone({ stamp, vector }), order, entryOffset)
  if (slot !== 0n) to.set(keys.memory(bucket, key), stampRow(stamp))
  const wasNewest = (current ?? state.newest)?.version.stamp === version.stamp
  if (wasNewest && state.newest !== undefined) await promote(to, state)
}

/** Leaves a tombstone where nothing was: in a bucket with a shadow, which would be asked otherwise (C21). */
export function entomb(to: Transaction, state: KeyState, stamp: Stamp, vector: Vector): void {
  const { bucket, key } = state
  const order = moveEntry(to, { bucket, key, slot: 0n, stamp }, state.tombstone?.entry)
  setWithEntry(to, keys.tombstone(bucket, key, 0n), encodeTombstone({ stamp, vector }), order, entryOffset)
}

/** Whether anything tells of a key, be it that something was removed (C21). */
export async function isKnown(from: Snapshot, { bucket, key }: Place): Promise<boolean> {
  if ((await from.get(keys.current(bucket, key))) !== undefined) return true
  for (const space of ['version', 'tombstone'] as const) {
    const all = under(space, [bucket, key])
    if ((await from.range(all.from, all.to, { limit: 1 })).length > 0) return true
  }
  return false
}

/** Puts what is now the newest version under `current`, if it is an object. */
async function promote(to: Transaction, place: Place): Promise<void> {
  const { bucket, key } = place
  const next = (await readNewest(to, place, 1))[0]
  if (next === undefined || next.version.kind === 'marker') {
    to.clear(keys.current(bucket, key))
    return
  }
  to.set(keys.current(bucket, key), next.bytes)
  if (!next.version.isNull) return
  to.clear(keys.version(bucket, key, next.version.stamp))
  to.clear(keys.nullVersion(bucket, key))
}

/** Writes a version again with other slots; its content, and its place among the others, stay. */
export function rewriteVersion(
  to: Transaction,
  state: KeyState,
  target: Row<ObjectVersion>,
  version: ObjectVersion,
): void {
  const { bucket, key, current } = state
  const slot = slotOf(version)
  const order = moveEntry(to, { bucket, key, slot, stamp: version.stamp }, entryOf(target.bytes))
  const bytes = encodeVersion(version)
  if (bytes.length > recordBytesMax) throw new Fault('MetadataTooLarge')
  recountStored(to, bucket, target.version, version)
  const isCurrent = current?.version.stamp === version.stamp
  if (isCurrent) setWithEntry(to, keys.current(bucket, key), Buffer.from(bytes), order, entryOffset)
  if (!isCurrent || !version.isNull) {
    setWithEntry(to, keys.version(bucket, key, version.stamp), bytes, order, entryOffset)
  }
}

/** As `rewriteVersion`, where the bytes are elsewhere too: what they were is released, and what they are gets its reference (O3). */
export async function moveContent(
  to: Transaction,
  state: KeyState,
  target: Row<ObjectVersion>,
  version: ObjectVersion,
): Promise<void> {
  const { bucket, key } = state
  await releaseContent(to, state, target.version)
  const blob = blobOf(version.content)
  if (blob !== undefined) addReference(to, blob, { bucket, key, slot: slotOf(version) })
  rewriteVersion(to, state, target, version)
}

export async function releaseContent(
  to: Transaction,
  { bucket, key }: Place,
  version: ObjectVersion,
  slot = slotOf(version),
): Promise<void> {
  if (version.content.kind === 'inline') to.clear(keys.inline(bucket, key, slot))
  const blob = blobOf(version.content)
  if (blob !== undefined) await dropReference(to, blob, { bucket, key, slot })
}

/** The copy at another endpoint goes with its version. */
export async function releaseRemote(to: Transaction, { bucket, key }: Place, version: ObjectVersion): Promise<void> {
  const { remote, restore, stamp } = version
  if (remote !== undefined) await forgetRemote(to, remote)
  if (restore?.kind === 'done') clearRestored(to, { until: restore.until, bucketId: bucket, key, stamp })
}

/** The version that a stamp names, `null` or not, and the state of its key. */
export async function readStamped(
  from: Snapshot,
  place: Place,
  stamp: Stamp,
  wasVersioned: boolean,
): Promise<{ readonly state: KeyState; readonly row: Row | undefined }> {
  const state = await readState(from, place, wasVersioned)
  const latest = state.current ?? state.newest
  if (latest?.version.stamp === stamp) return { state, row: latest }
  const bytes = wasVersioned ? await from.get(keys.version(place.bucket, place.key, stamp)) : undefined
  return { state, row: bytes === undefined ? undefined : rowOf(bytes) }
}

export function encodeTombstone({ stamp, vector }: Pick<Removal, 'stamp' | 'vector'>): Uint8Array {
  writer.byte(format).raw(new Uint8Array(entryBytes)).stamp(stamp).integer(vector.length)
  for (const [cell, last] of vector) writer.integer(cell).stamp(last)
  return writer.take()
}

export function decodeTombstone(bytes: Uint8Array): Tombstone {
  const from = new RecordReader(bytes, entryOffset + entryBytes)
  const stamp = from.stamp()
  return {
    kind: 'removal',
    stamp,
    vector: from.list(() => [from.integer(), from.stamp()] as const),
    entry: entryOf(bytes),
  }
}

/** Whether no object, version or marker of a bucket is left. Uploads in progress do not count: S3 aborts them with it. */
export async function bucketIsEmpty(from: Snapshot, bucket: number): Promise<boolean> {
  for (const space of ['current', 'version'] as const) {
    const all = under(space, [bucket])
    if ((await from.range(all.from, all.to, { limit: 1 })).length > 0) return false
  }
  return true
}
