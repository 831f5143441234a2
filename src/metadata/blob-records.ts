import assert from 'node:assert/strict'
import { Fault } from '#src/errors.ts'
import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Part } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { addJob } from './jobs.ts'
import { keys, under } from './keyspace.ts'
import { decodePart, encodePart } from './part-codec.ts'

/**
 * What is known of blobs: where their bytes are, and which versions use them.
 *
 * R1  a blob's record exists exactly as long as a reference, an upload's part or a manifest names it (C18).
 */

/** One blob of bytes. */
export interface BlobRecord {
  readonly kind: 'bytes'
  readonly size: number
  readonly digest: string
  /** Number of the cell that decides when a copy may go (C19). */
  readonly keeper: number
  readonly holders: readonly Holder[]
}

/** A durable copy. Of another region's only the name is known, and is a hint: its extents are empty here. */
export interface Holder {
  readonly region: string
  readonly extents: readonly Extent[]
}

/** Stands for the parts that its manifest lists. */
export interface ManifestRecord {
  readonly kind: 'manifest'
  readonly size: number
  readonly parts: number
}

/** Which version uses a blob. */
export interface Reference {
  readonly bucket: number
  readonly key: string
  readonly slot: Stamp
}

const format = 1
const kinds = { bytes: 0, manifest: 1 } as const
/** Some 130 bytes each, so a page stays below the limit of a value. */
const partsPerPage = 500
const writer = new RecordWriter()
const nothing = new Uint8Array(0)

export function encodeBlob(record: BlobRecord | ManifestRecord): Uint8Array {
  writer.byte(format).byte(kinds[record.kind]).integer(record.size)
  if (record.kind === 'manifest') return writer.integer(record.parts).take()
  writer.hex(record.digest).integer(record.keeper).integer(record.holders.length)
  for (const { region, extents } of record.holders) {
    writer.text(region).integer(extents.length)
    for (const { volume, segment, generation, offset, size } of extents) {
      writer.text(volume).integer(segment).integer(generation).integer(offset).integer(size)
    }
  }
  return writer.take()
}

export function decodeBlob(bytes: Uint8Array): BlobRecord | ManifestRecord {
  assert.equal(bytes[0], format, 'a known format of a blob record')
  const from = new RecordReader(bytes, 1)
  const kind = from.byte()
  const size = from.integer()
  if (kind === kinds.manifest) return { kind: 'manifest', size, parts: from.integer() }
  const digest = from.hex(32)
  const keeper = from.integer()
  const holders = from.list(() => ({ region: from.text(), extents: from.list(() => readExtent(from)) }))
  return { kind: 'bytes', size, digest, keeper, holders }
}

function readExtent(from: RecordReader): Extent {
  return {
    volume: from.text(),
    segment: from.integer(),
    generation: from.integer(),
    offset: from.integer(),
    size: from.integer(),
  }
}

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
}

export const newsOf = ({ size, digest, keeper, holders }: BlobRecord): BlobNews => ({
  size,
  digest,
  keeper,
  regions: holders.map(({ region }) => region),
})

/**
 * Notes a blob that a change from another cell names. What is known of it already stays, so a repeat changes nothing; and
 * what `here`, this region, holds is known here.
 */
export async function receiveBlob(to: Transaction, blob: BlobId, news: BlobNews, here: string): Promise<void> {
  const { size, digest, keeper, regions } = news
  const known = await readBlob(to, blob)
  if (known?.kind === 'manifest') throw new Error('a blob that is a manifest here')
  const holders = [...(known?.holders ?? [])]
  for (const region of regions) {
    if (region !== here && !holders.some((each) => each.region === region)) holders.push({ region, extents: [] })
  }
  if (known !== undefined && holders.length === known.holders.length) return
  to.set(keys.blob(blob), encodeBlob({ kind: 'bytes', size, digest, keeper, holders }))
}

/** Records bytes that are durable here (I2). */
export async function addBlob(to: Transaction, stored: StoredBlob, region: string, keeper: number): Promise<void> {
  const { id, size, digest, extents } = stored
  await checkGenerations(to, extents)
  to.set(keys.blob(id), encodeBlob({ kind: 'bytes', size, digest, keeper, holders: [{ region, extents }] }))
}

/**
 * Names a copy that is durable here, in the place of the one there was before, which is dead from then on. False, and nothing
 * is changed, where the blob was freed meanwhile, or another copy came first.
 */
export async function replaceCopy(
  to: Transaction,
  { id, extents }: StoredBlob,
  region: string,
  before: readonly Extent[] | undefined,
): Promise<boolean> {
  const record = await readBlob(to, id)
  if (record?.kind !== 'bytes') return false
  const now = copyIn(record, region)?.extents
  if (JSON.stringify(now) !== JSON.stringify(before)) return false
  await checkGenerations(to, extents)
  if (before !== undefined) addDead(to, before)
  const others = record.holders.filter((each) => each.region !== region)
  to.set(keys.blob(id), encodeBlob({ ...record, holders: [{ region, extents }, ...others] }))
  return true
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

/** Takes a reference away, and frees the blob if that was the last. */
export async function dropReference(to: Transaction, blob: BlobId, { bucket, key, slot }: Reference): Promise<void> {
  to.clear(keys.reference(blob, bucket, key, slot))
  const all = under('reference', [Buffer.from(blob, 'hex')])
  const others = await to.range(all.from, all.to, { limit: 1 })
  if (others.length === 0) await freeBlob(to, blob)
}

/** Forgets a blob that nothing names any more; its bytes are dead from then on. A repeat does nothing. */
export async function freeBlob(to: Transaction, blob: BlobId): Promise<void> {
  const record = await readBlob(to, blob)
  if (record === undefined) return
  to.clear(keys.blob(blob))
  if (record.kind === 'manifest') addJob(to, { kind: 'manifest', blob })
  else for (const { extents } of record.holders) addDead(to, extents)
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
