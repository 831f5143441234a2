import assert from 'node:assert/strict'
import { Fault } from '#src/errors.ts'
import type { BlobId, Extent, Restriction, StoredBlob } from '#src/model/blob.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Part } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { type BlobRecord, decodeBlob, encodeBlob, type Holder, type ManifestRecord } from './blob-codec.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { addBlobJob, addJob } from './jobs.ts'
import { keys, under } from './keyspace.ts'
import { decodePart, encodePart } from './part-codec.ts'

/**
 * What is known of blobs: where their bytes are, and which versions use them.
 *
 * R1  a blob's record exists exactly as long as a reference, an upload's part or a manifest names it (C18); in a cell that has
 *     peers also as long as its keeper has not let go of the copy here (C19).
 */

/** Which version uses a blob. */
export interface Reference {
  readonly bucket: number
  readonly key: string
  readonly slot: Stamp
}

const format = 1
/** References of reservations (R3) lie before those of any bucket. */
const firstBucket = 1
/** Some 130 bytes each, so a page stays below the limit of a value. */
const partsPerPage = 500
const writer = new RecordWriter()
const nothing = new Uint8Array(0)

/** Which blob a row under `blob` is of. */
export const blobOfRow = (key: Uint8Array): BlobId => Buffer.from(new TupleReader(key, 1).bytes()).toString('hex')

export async function readBlob(from: Snapshot, blob: BlobId): Promise<BlobRecord | ManifestRecord | undefined> {
  const bytes = await from.get(keys.blob(blob))
  return bytes === undefined ? undefined : decodeBlob(bytes)
}

/** The copy that a region holds, as its own cell knows it; undefined where it holds none, or is known by name only. */
export const copyIn = ({ size, holders }: BlobRecord, region: string): Holder | undefined =>
  holders.find((each) => each.region === region && (each.extents.length > 0 || size === 0))

/** Regions, but this one, of which this cell heard that they hold the blob. */
export const regionsBeside = ({ holders }: BlobRecord, region: string): readonly string[] =>
  holders.map((each) => each.region).filter((each) => each !== region)

/** What a cell tells others of a blob: all but where its bytes lie. */
export interface BlobNews {
  readonly size: number
  readonly digest: string
  readonly keeper: number
  /** Those that hold it. */
  readonly regions: readonly string[]
  /** Where it is to be, if not everywhere. */
  readonly restriction?: Restriction
}

/** Which cell a store is, once it shares its blobs with others. */
export interface Sharing {
  readonly region: string
  readonly cell: number
}

/** From now on other cells may name the blobs of this one: none is freed without asking them (C19). A repeat does nothing. */
export async function beginSharing(to: Transaction, { region, cell }: Sharing): Promise<void> {
  const bytes = writer.byte(format).text(region).integer(cell).take()
  const known = await to.get(keys.sharing())
  if (known === undefined || Buffer.compare(known, bytes) !== 0) to.set(keys.sharing(), bytes)
}

async function readSharing(from: Snapshot): Promise<Sharing | undefined> {
  const bytes = await from.get(keys.sharing())
  if (bytes === undefined) return undefined
  const reader = new RecordReader(bytes, 1)
  return { region: reader.text(), cell: reader.integer() }
}

export const newsOf = ({ size, digest, keeper, holders, restriction }: BlobRecord): BlobNews => ({
  size,
  digest,
  keeper,
  regions: holders.map(({ region }) => region),
  ...(restriction !== undefined && { restriction }),
})

/**
 * Notes a blob that a change from another cell names, for a reference that is added in the same transaction. What is known of
 * it already stays, and what this region holds, or who holds what this cell keeps, is known here best.
 */
export async function receiveBlob(to: Transaction, blob: BlobId, news: BlobNews, here: Sharing): Promise<void> {
  const { size, digest, keeper, regions, restriction } = news
  // Whoever was told that nothing here names it must not go by that (V1).
  to.clear(keys.vote(blob))
  const known = await readBlob(to, blob)
  if (known?.kind === 'manifest') throw new Error('a blob that is a manifest here')
  const holders = [...(known?.holders ?? [])]
  // Who keeps it may have changed since the other cell heard of it (K1).
  const others = (known?.keeper ?? keeper) === here.cell ? [] : regions.filter((each) => each !== here.region)
  for (const region of others) {
    if (!holders.some((each) => each.region === region)) holders.push({ region, extents: [] })
  }
  const isKnown = known !== undefined && known.isUnreferenced === undefined
  if (isKnown && holders.length === known.holders.length) return
  const fresh: Omit<BlobRecord, 'holders'> = {
    kind: 'bytes',
    size,
    digest,
    keeper,
    ...(restriction && { restriction }),
  }
  const { isUnreferenced: _, ...rest } = known ?? fresh
  to.set(keys.blob(blob), encodeBlob({ ...rest, holders }))
}

/** Records bytes that are durable here (I2). `restriction`: where they are to be; absent: anywhere. */
export async function addBlob(
  to: Transaction,
  stored: StoredBlob,
  region: string,
  keeper: number,
  restriction?: Restriction,
): Promise<void> {
  const { id, size, digest, extents } = stored
  await checkGenerations(to, extents)
  const record = { kind: 'bytes', size, digest, keeper, holders: [{ region, extents }] } as const
  to.set(keys.blob(id), encodeBlob(restriction === undefined ? record : { ...record, restriction }))
}

/** What is named here, and held or kept, and is to be in other regions, goes there, some time later. */
export function yieldElsewhere(
  to: Transaction,
  blob: BlobId,
  restriction: Restriction | undefined,
  region: string,
): void {
  if (restriction?.regions.includes(region) === false) addBlobJob(to, { kind: 'yield', blob })
}

/**
 * Names a copy that is durable here, in the place of the one there was before, which is dead from then on; and asks for it to be
 * told to the blob's keeper. False, and nothing is changed, where the blob was freed meanwhile, or another copy came first.
 */
export async function replaceCopy(
  to: Transaction,
  { id, extents }: StoredBlob,
  { region, copy }: { readonly region: string; readonly copy: number },
  before: readonly Extent[] | undefined,
): Promise<boolean> {
  const record = await readBlob(to, id)
  if (record?.kind !== 'bytes') return false
  const now = copyIn(record, region)
  if (JSON.stringify(now?.extents) !== JSON.stringify(before)) return false
  await checkGenerations(to, extents)
  if (before !== undefined) addDead(to, before)
  setCopy(to, id, record, { region, extents, copy })
  addBlobJob(to, { kind: 'hold', blob: id })
  yieldElsewhere(to, id, record.restriction, region)
  return true
}

/** A number for a region's next copy; `now` in milliseconds since the epoch, for where the last one was forgotten. */
export function nextCopy(now: number, { holders }: BlobRecord, region: string): number {
  const last = holders.find((each) => each.region === region)?.copy ?? 0
  return Math.max(now, last + 1)
}

/** Puts a region's copy in the place of what was known of it. */
export function setCopy(to: Transaction, blob: BlobId, record: BlobRecord, holder: Holder): void {
  const others = record.holders.filter((each) => each.region !== holder.region)
  to.set(keys.blob(blob), encodeBlob({ ...record, holders: [holder, ...others] }))
}

/** Rejects with SlowDown where a sweep took a segment since bytes were written to it (R2). */
export async function checkGenerations(to: Transaction, extents: readonly Extent[]): Promise<void> {
  for (const { volume, segment, generation } of extents) {
    if (generationOf(await to.get(keys.segment(volume, segment))) === generation) continue
    throw new Fault('SlowDown', { message: 'The upload took too long. Please try again.' })
  }
}

/** Generations start at 1, and have a row only once they were raised. */
const generationOf = (bytes: Uint8Array | undefined): number =>
  bytes === undefined ? 1 : new RecordReader(bytes, 1).integer()

export function addReference(to: Transaction, blob: BlobId, { bucket, key, slot }: Reference): void {
  to.set(keys.reference(blob, bucket, key, slot), nothing)
}

/** The bucket of a version that names a blob; undefined: none does, as of the parts of an object, and of what is only reserved. */
export async function bucketOf(from: Snapshot, blob: BlobId): Promise<number | undefined> {
  const all = under('reference', [Buffer.from(blob, 'hex')])
  // Reservations lie before all versions (R3), and tell of no bucket.
  const [row] = await from.range(keys.reference(blob, firstBucket, '', 0n), all.to, { limit: 1 })
  if (row === undefined) return undefined
  const reader = new TupleReader(row.key, 1)
  reader.bytes()
  return reader.number()
}

/** Takes a reference away, and frees the blob if that was the last. `left`: as for `freeBlob`. */
export async function dropReference(
  to: Transaction,
  blob: BlobId,
  { bucket, key, slot }: Reference,
  left?: number,
): Promise<void> {
  const own = keys.reference(blob, bucket, key, slot)
  const all = under('reference', [Buffer.from(blob, 'hex')])
  // Writes to a bucket that is not here any more come to nothing here; and their end does not tell of which bucket the blob was.
  if (left !== undefined) to.clearRange(all.from, keys.reference(blob, firstBucket, '', 0n))
  // Two tell whether there is another one; and before the own one is cleared they are found by one look, not by one more past it.
  const references = await to.range(all.from, all.to, { limit: 2 })
  to.clear(own)
  if (references.every((each) => Buffer.compare(each.key, own) === 0)) await freeBlob(to, blob, left)
}

/**
 * Whether just one version uses a blob, or a manifest, so that a manifest may take it, or its parts, over. Never where other cells
 * may name it: they free the parts of what was replaced when they hear of that, and would free those of the new manifest (C19).
 */
export async function isForTaking(from: Snapshot, blob: BlobId): Promise<boolean> {
  if ((await readSharing(from)) !== undefined) return false
  const all = under('reference', [Buffer.from(blob, 'hex')])
  return (await from.range(all.from, all.to, { limit: 2 })).length === 1
}

/** Takes a blob from the one version that uses it, for a manifest to name it (R1). */
export function surrenderBlob(to: Transaction, blob: BlobId, { bucket, key, slot }: Reference): void {
  to.clear(keys.reference(blob, bucket, key, slot))
}

/** Ends a manifest that one version uses, for another manifest to name its parts (R1). */
export function dissolveManifest(to: Transaction, blob: BlobId, reference: Reference): void {
  surrenderBlob(to, blob, reference)
  to.clear(keys.blob(blob))
  const pages = under('manifest', [Buffer.from(blob, 'hex')])
  to.clearRange(pages.from, pages.to)
}

/**
 * Forgets a blob that nothing names any more; its bytes are dead from then on. A repeat does nothing. Where other cells may name
 * it, and its bytes are here, or it is kept here, it stays until its keeper has let go. `left`: the bucket that named it, where
 * other cells go on with that and this one does not.
 */
export async function freeBlob(to: Transaction, blob: BlobId, left?: number): Promise<void> {
  const record = await readBlob(to, blob)
  if (record === undefined) return
  const ofBucket = left === undefined ? {} : { bucket: left }
  if (record.kind === 'manifest') {
    to.clear(keys.blob(blob))
    addJob(to, { kind: 'manifest', blob, ...ofBucket })
    return
  }
  const sharing = await readSharing(to)
  if (sharing === undefined) forgetBlob(to, blob, record)
  else if (record.keeper !== sharing.cell && copyIn(record, sharing.region) === undefined) forgetBlob(to, blob, record)
  else if (record.isUnreferenced === undefined) {
    to.set(keys.blob(blob), encodeBlob({ ...record, isUnreferenced: true }))
    addBlobJob(to, { kind: 'leave', blob, ...ofBucket })
  }
}

/** For good. */
export function forgetBlob(to: Transaction, blob: BlobId, { holders }: BlobRecord): void {
  to.clear(keys.blob(blob))
  for (const { extents } of holders) addDead(to, extents)
}

/** Counts bytes that no record names (any more), so that compaction finds their segments. */
export function addDead(to: Transaction, extents: readonly Extent[]): void {
  for (const { volume, segment, size } of extents) to.add(keys.dead(volume, segment), BigInt(size))
}

export function addManifest(to: Transaction, blob: BlobId, parts: readonly Part[]): void {
  const size = parts.reduce((sum, part) => sum + part.size, 0)
  to.set(keys.blob(blob), encodeBlob({ kind: 'manifest', size, parts: parts.length }))
  for (let first = 0, page = 0; first < parts.length; first += partsPerPage, page++) {
    const on = parts.slice(first, first + partsPerPage)
    writer.byte(format).integer(on.length)
    for (const part of on) encodePart(writer, part)
    to.set(keys.manifest(blob, page), writer.take())
  }
}

export function decodePage(bytes: Uint8Array): Part[] {
  assert.equal(bytes[0], format, 'a known format of a manifest')
  const from = new RecordReader(bytes, 1)
  return from.list(() => decodePart(from))
}

/** All parts of a manifest, in order; at most 10,000, in some twenty pages. */
export async function readManifest(from: Snapshot, blob: BlobId): Promise<Part[]> {
  const all = under('manifest', [Buffer.from(blob, 'hex')])
  const pages = await from.range(all.from, all.to, { limit: 100 })
  return pages.flatMap(({ value }) => decodePage(value))
}
