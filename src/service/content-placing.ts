import { Fault } from '#src/errors.ts'
import { addBlob, addDead, addManifest, yieldElsewhere } from '#src/metadata/blob-records.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { clearParts, partsMax, readParts, setPart } from '#src/metadata/upload-records.ts'
import type { Restriction } from '#src/model/blob.ts'
import type { Content, ObjectVersion, Part } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import { type Ingested, ingest, ingestObject } from './ingest.ts'
import { bodyOf } from './object-copies.ts'
import type { ContentKey } from './object-encryption.ts'
import { randomId } from './random-words.ts'

/** Never inline, as parts are. */
const neverInline = -1

/** What is to be written of a version that was, anywhere. */
export interface ContentToWrite {
  readonly size: number
  /** Of an object in parts: it gets the same ones. */
  readonly parts: readonly Part[] | undefined
  readonly contentKey: ContentKey | undefined
  /** Under which upload its parts are kept until all are there: who begins anew frees those of the one before. */
  readonly staging: string
  /** Which regions are to keep it; absent: all of the bucket may. */
  readonly restriction: Restriction | undefined
}

/** Durable bytes that no version has yet. */
export type WrittenContent =
  | { readonly kind: 'whole'; readonly ingested: Ingested }
  | { readonly kind: 'parts'; readonly staging: string; readonly restriction: Restriction | undefined }

/** Writes the bytes; they are read to their end, and what is thrown there counts. `isMine`: whether the staging still is this one's. */
export async function writeContent(
  foundation: Foundation,
  plain: AsyncGenerator<Uint8Array>,
  { size, parts, contentKey, staging, restriction }: ContentToWrite,
  isMine: (from: Snapshot) => Promise<boolean>,
): Promise<WrittenContent> {
  if (parts !== undefined) {
    await writeParts(foundation, plain, { parts, contentKey, staging, restriction }, isMine)
    return { kind: 'parts', staging, restriction }
  }
  const encrypting = contentKey === undefined ? undefined : { contentKey, part: 0 }
  const body = bodyOf(plain, size)
  return { kind: 'whole', ingested: await ingestObject(foundation, body, {}, encrypting, restriction) }
}

async function writeParts(
  foundation: Foundation,
  plain: AsyncGenerator<Uint8Array>,
  { parts, contentKey, staging, restriction }: Omit<ContentToWrite, 'size'> & { readonly parts: readonly Part[] },
  isMine: (from: Snapshot) => Promise<boolean>,
): Promise<void> {
  const { store, region, cell } = foundation
  const rest = new Remainder(plain)
  try {
    for (const part of parts) {
      const encrypting = contentKey === undefined ? undefined : { contentKey, part: part.number }
      const body = bodyOf(rest.take(part.size), part.size)
      const { content } = await ingest(foundation, body, {}, neverInline, encrypting)
      if (content.kind === 'inline') throw new Error('a part that was not written to a volume')
      const { stored } = content
      await store.transact(async (transaction) => {
        if (!(await isMine(transaction))) throw new Error('another one has taken this over')
        await addBlob(transaction, stored, region, cell, restriction)
        setPart(transaction, staging, { ...part, blob: stored.id })
      })
    }
    await rest.end()
  } finally {
    await plain.return(undefined)
  }
}

export interface PlacedContent {
  readonly content: Content
  readonly parts: readonly Part[] | undefined
}

/** Records what was written, for a version to have. Small bytes are set beside it by `setInline`, once it has its place. */
export async function placeContent(
  foundation: Foundation,
  to: Transaction,
  written: WrittenContent,
): Promise<PlacedContent> {
  if (written.kind === 'whole') {
    const { content, restriction } = written.ingested
    if (content.kind === 'inline') return { content: { kind: 'inline' }, parts: undefined }
    await addBlob(to, content.stored, foundation.region, foundation.cell, restriction)
    yieldElsewhere(to, content.stored.id, restriction, foundation.region)
    return { content: { kind: 'blob', blob: content.stored.id }, parts: undefined }
  }
  const parts = await readParts(to, written.staging, 0, partsMax)
  clearParts(to, written.staging)
  const blob = randomId(foundation.world)
  addManifest(to, blob, parts)
  for (const part of parts) yieldElsewhere(to, part.blob, written.restriction, foundation.region)
  return { content: { kind: 'manifest', blob, parts: parts.length }, parts }
}

export function setInline(
  to: Transaction,
  { bucket, key }: { readonly bucket: number; readonly key: string },
  version: ObjectVersion,
  written: WrittenContent,
): void {
  if (written.kind !== 'whole' || written.ingested.content.kind !== 'inline') return
  to.set(keys.inline(bucket, key, slotOf(version)), written.ingested.content.bytes)
}

/** Of what no version is to have. Parts are freed by a job of their upload. */
export function throwAway(to: Transaction, written: WrittenContent): void {
  if (written.kind === 'whole' && written.ingested.content.kind === 'blob') {
    addDead(to, written.ingested.content.stored.extents)
  }
}

/** Takes pieces of exact sizes off the front of a stream. */
class Remainder {
  readonly #from: AsyncIterator<Uint8Array>
  #held: Uint8Array = new Uint8Array(0)

  constructor(from: AsyncIterator<Uint8Array>) {
    this.#from = from
  }

  async *take(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      if (this.#held.length === 0) {
        const next = await this.#from.next()
        if (next.done === true) throw new Fault('IncompleteBody')
        this.#held = next.value
        continue
      }
      const piece = this.#held.subarray(0, left)
      this.#held = this.#held.subarray(piece.length)
      left -= piece.length
      yield piece
    }
  }

  async end(): Promise<void> {
    const next = await this.#from.next()
    if (this.#held.length > 0 || next.done !== true) throw new Error('more bytes than the object has')
  }
}
