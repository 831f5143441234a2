import assert from 'node:assert/strict'
import type { ObjectName } from '#src/model/names.ts'
import type { Upload } from '#src/model/upload.ts'
import type { Part, Version } from '#src/model/version.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { addJob } from './jobs.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'
import { decodePart, encodePart } from './part-codec.ts'
import { decodeVersion, encodeVersion } from './version-codec.ts'

/** Multipart uploads in progress, their parts, and what became of those that ended. */

const format = 1
const writer = new RecordWriter()

/** S3's own limit of parts in an upload. */
export const partsMax = 10_000

/** As JSON: an upload is written once and read as often as it has parts. */
export function encodeUpload({
  attributes,
  initiated,
  initiator,
  checksum,
  encryption,
  restriction,
}: Upload): Uint8Array {
  const { metadata, tags, ...rest } = attributes
  const stored: StoredUpload = {
    initiated,
    initiator,
    ...(checksum !== undefined && { checksum }),
    ...(encryption !== undefined && { encryption }),
    ...(restriction !== undefined && { restriction }),
    attributes: { ...rest, metadata: [...metadata], ...(tags !== undefined && { tags: [...tags] }) },
  }
  return encodeJson(format, stored)
}

type Pairs = readonly (readonly [string, string])[]

interface StoredUpload extends Omit<Upload, 'id' | 'name' | 'attributes'> {
  readonly attributes: Omit<Upload['attributes'], 'metadata' | 'tags'> & {
    readonly metadata: Pairs
    readonly tags?: Pairs
  }
}

export function decodeUpload(id: string, name: ObjectName, bytes: Uint8Array): Upload {
  const stored = decodeJson<StoredUpload>(format, bytes)
  const { metadata, tags, ...rest } = stored.attributes
  const attributes = { ...rest, metadata: new Map(metadata), ...(tags !== undefined && { tags: new Map(tags) }) }
  return { ...stored, id, name, attributes }
}

/** The key and the id of an upload, from the key of its row. */
export function uploadOfRow(key: Uint8Array): { readonly key: string; readonly id: string } {
  const reader = new TupleReader(key, 1)
  reader.integer()
  return { key: reader.text(), id: reader.text() }
}

export async function readUpload(
  from: Snapshot,
  bucket: number,
  name: ObjectName,
  id: string,
): Promise<Upload | undefined> {
  const bytes = await from.get(keys.upload(bucket, name.key, id))
  return bytes === undefined ? undefined : decodeUpload(id, name, bytes)
}

export function setUpload(to: Transaction, bucket: number, upload: Upload): void {
  to.set(keys.upload(bucket, upload.name.key, upload.id), encodeUpload(upload))
}

export function clearUpload(to: Transaction, bucket: number, upload: Upload): void {
  to.clear(keys.upload(bucket, upload.name.key, upload.id))
}

/** Ends up to `limit` uploads of a bucket, as if each were aborted, and says whether that was all. */
export async function abortUploads(to: Transaction, bucket: number, limit: number): Promise<boolean> {
  const all = under('upload', [bucket])
  const uploads = await to.range(all.from, all.to, { limit: limit + 1 })
  for (const { key } of uploads.slice(0, limit)) {
    to.clear(key)
    addJob(to, { kind: 'parts', upload: uploadOfRow(key).id })
  }
  return uploads.length <= limit
}

export async function hasUploadsBeyond(from: Snapshot, bucket: number, limit: number): Promise<boolean> {
  const all = under('upload', [bucket])
  return (await from.range(all.from, all.to, { limit: limit + 1 })).length > limit
}

export async function readPart(from: Snapshot, upload: string, number: number): Promise<Part | undefined> {
  const bytes = await from.get(keys.part(upload, number))
  return bytes === undefined ? undefined : decodePart(new RecordReader(bytes, 1))
}

/** Parts with numbers above `after`, in order. */
export async function readParts(from: Snapshot, upload: string, after: number, limit: number): Promise<Part[]> {
  const { to } = under('part', [upload])
  const entries: readonly Entry[] = await from.range(keys.part(upload, after + 1), to, { limit })
  return entries.map(({ value }) => decodePart(new RecordReader(value, 1)))
}

export function setPart(to: Transaction, upload: string, part: Part): void {
  encodePart(writer.byte(format), part)
  to.set(keys.part(upload, part.number), writer.take())
}

export function clearPart(to: Transaction, upload: string, number: number): void {
  to.clear(keys.part(upload, number))
}

export function clearParts(to: Transaction, upload: string): void {
  const { from, to: end } = under('part', [upload])
  to.clearRange(from, end)
}

/** What CompleteMultipartUpload answered, for those who ask again (C26). */
export interface Completion {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly bucket: number
  readonly versionId: string | undefined
  readonly version: Version
}

export function setCompletion(to: Transaction, upload: string, { at, bucket, versionId, version }: Completion): void {
  const record = encodeVersion(version)
  writer
    .byte(format)
    .integer(at)
    .integer(bucket)
    .text(versionId ?? '')
    .raw(record)
  to.set(keys.completed(upload), writer.take())
}

export function decodeCompletion(bytes: Uint8Array): Completion {
  assert.equal(bytes[0], format, 'a known format of a completion')
  const from = new RecordReader(bytes, 1)
  const at = from.integer()
  const bucket = from.integer()
  const versionId = from.text()
  return { at, bucket, versionId: versionId || undefined, version: decodeVersion(from.rest()) }
}

export async function readCompletion(from: Snapshot, upload: string): Promise<Completion | undefined> {
  const bytes = await from.get(keys.completed(upload))
  return bytes === undefined ? undefined : decodeCompletion(bytes)
}
