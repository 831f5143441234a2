import { createHash } from 'node:crypto'
import type { BlobId, Restriction } from '#src/model/blob.ts'
import type { Conflict, Removal } from '#src/model/merge.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { ObjectVersion, Version } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { encodeBlob } from './blob-codec.ts'
import { type BlobNews, copyIn, decodePage, newsOf, readBlob, receiveBlob, type Sharing } from './blob-records.ts'
import { keys, under } from './keyspace.ts'
import type { Place } from './object-records.ts'
import { askFor, fetchBlob } from './outbox.ts'

/** What other cells may know of a blob: not where in a region it lies. */
export interface BlobNote extends BlobNews {
  readonly id: BlobId
}

/** What belongs to a version and lies in rows of its own. */
export type ReceivedContent =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'blob'; readonly blob: BlobNote }
  | {
      readonly kind: 'manifest'
      readonly id: BlobId
      readonly size: number
      readonly parts: number
      /** As they are kept. */
      readonly pages: readonly Uint8Array[]
      readonly blobs: readonly BlobNote[]
    }

/** A record of another cell. Absent content: it has none, or the sender had lost it. */
export type Received = Place &
  (
    | { readonly kind: 'version'; readonly version: Version; readonly content?: ReceivedContent | undefined }
    | { readonly kind: 'removal'; readonly slot: Stamp; readonly removal: Removal }
    | { readonly kind: 'conflict'; readonly conflict: Conflict; readonly content?: ReceivedContent | undefined }
  )

/** Parts read ahead at a time. */
const partsAhead = 500

/** What a version's content consists of besides its record, as another cell needs it. */
export async function readContentOf(
  from: Snapshot,
  { bucket, key }: Place,
  slot: Stamp,
  version: Version,
): Promise<ReceivedContent | undefined> {
  if (version.kind === 'marker') return undefined
  const { content } = version
  if (content.kind === 'inline') {
    const bytes = await from.get(keys.inline(bucket, key, slot))
    return bytes === undefined ? undefined : { kind: 'inline', bytes }
  }
  if (content.kind === 'blob') {
    const blob = await noteOf(from, content.blob)
    return blob === undefined ? undefined : { kind: 'blob', blob }
  }
  // What is elsewhere has nothing here that another cell could use.
  if (content.kind === 'remote') return undefined
  const record = await readBlob(from, content.blob)
  if (record?.kind !== 'manifest') return undefined
  const all = under('manifest', [Buffer.from(content.blob, 'hex')])
  const pages = (await from.range(all.from, all.to, { limit: 100 })).map(({ value }) => value)
  const parts = pages.flatMap(decodePage)
  const blobs: BlobNote[] = []
  for (let first = 0; first < parts.length; first += partsAhead) {
    const ahead = parts.slice(first, first + partsAhead)
    for (const note of await Promise.all(ahead.map(({ blob }) => noteOf(from, blob)))) {
      if (note !== undefined) blobs.push(note)
    }
  }
  return { kind: 'manifest', id: content.blob, size: record.size, parts: record.parts, pages, blobs }
}

async function noteOf(from: Snapshot, id: BlobId): Promise<BlobNote | undefined> {
  const record = await readBlob(from, id)
  return record?.kind === 'bytes' ? { id, ...newsOf(record) } : undefined
}

/** Where what comes is added, and since when: milliseconds since the epoch. */
export interface Adding {
  readonly here: Sharing
  readonly now: number
}

/** Makes what a received version refers to known here; what is known already only learns of more regions. */
export async function addContent(
  to: Transaction,
  content: Exclude<ReceivedContent, { readonly kind: 'inline' }>,
  adding: Adding,
  restriction: Restriction | undefined,
): Promise<void> {
  if (content.kind === 'blob') {
    await addNoted(to, content.blob, adding, restriction)
    return
  }
  const { id, size, parts, pages, blobs } = content
  if ((await readBlob(to, id)) !== undefined) return
  for (const blob of blobs) await addNoted(to, blob, adding, restriction)
  to.set(keys.blob(id), encodeBlob({ kind: 'manifest', size, parts }))
  for (const [page, bytes] of pages.entries()) to.set(keys.manifest(id, page), bytes)
}

/** What is to be in some regions is fetched by each of them. */
async function addNoted(
  to: Transaction,
  { id, ...news }: BlobNote,
  { here, now }: Adding,
  restriction: Restriction | undefined,
): Promise<void> {
  if (restriction === undefined) return await receiveBlob(to, id, news, here)
  await receiveBlob(to, id, { ...news, restriction }, here)
  const record = await readBlob(to, id)
  const isLacking = record?.kind === 'bytes' && copyIn(record, here.region) === undefined
  if (isLacking && restriction.regions.includes(here.region)) {
    askFor(to, { kind: fetchBlob, payload: { blob: id } }, now)
  }
}

/** Whether bytes are what a version's ETag says; undefined: it does not say. */
export function areBytesOf({ etag, encryption }: ObjectVersion, bytes: Uint8Array): boolean | undefined {
  if (encryption !== undefined || !/^[0-9a-f]{32}$/.test(etag)) return undefined
  return createHash('md5').update(bytes).digest('hex') === etag
}
