import { BlobUnreadable } from '#src/blobs/blobs.ts'
import { ContentCipher } from '#src/encryption/content-cipher.ts'
import { Fault } from '#src/errors.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { ObjectName } from '#src/model/names.ts'
import type { Span } from '#src/model/range.ts'
import type { Part } from '#src/model/version.ts'
import { readHere } from './copy-here.ts'
import type { Foundation } from './foundation.ts'
import { checkSeal, openKeyOf } from './object-encryption.ts'
import type { FoundRow } from './object-reads.ts'
import type { Source } from './source.ts'

/** Records of parts' blobs that are read ahead in one snapshot. */
const partsAhead = 200

/**
 * The bytes [from, to) of an object, checked (I3): at once where they are small, otherwise as a stream whose first chunk is
 * already read, so that what cannot be read at all fails before anything was sent. A chunk is the reader's until it asks for
 * the next but one. `opening`: what an encrypted object needs.
 */
export async function readContent(
  foundation: Foundation,
  source: Source,
  { from, to }: Span,
  opening?: Opening,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  if (source.kind === 'inline') return inlineBytes(source.bytes, opening).subarray(from, to)
  if (from === to) return new Uint8Array(0)
  const stream =
    source.kind === 'blob'
      ? readWhole(foundation, source, { from, to }, opening)
      : readParts(foundation, source, { from, to }, opening)
  const first = await stream.next()
  if (first.done === true) return new Uint8Array(0)
  if (first.value.length === to - from) {
    await stream.return(undefined)
    return first.value
  }
  return resumed(first.value, stream)
}

/** The data key, and the size that the content has. */
export interface Opening {
  readonly dataKey: Uint8Array
  readonly size: number
}

/** What reading a version's bytes needs, once the version was found to be what was written. */
export async function openingOf(
  foundation: Foundation,
  { bucket, version }: FoundRow,
  source: Source,
  request: { readonly name: ObjectName; readonly customerKey?: Uint8Array },
): Promise<Opening | undefined> {
  const { encryption, size } = version
  const contentKey = await openKeyOf(foundation, bucket.id, encryption, request.customerKey)
  if (contentKey === undefined || encryption === undefined) return undefined
  const parts = source.kind === 'manifest' ? { parts: source.parts } : {}
  checkSeal(contentKey, encryption, { ...version, key: request.name.key, ...parts })
  return { dataKey: contentKey.plain, size }
}

/** 16 bytes: see sealInline. */
const idBytes = 16

function inlineBytes(bytes: Uint8Array, opening: Opening | undefined): Uint8Array {
  if (opening === undefined) return bytes
  const id = Buffer.from(bytes.subarray(0, idBytes)).toString('hex')
  return new ContentCipher(opening.dataKey, { id, part: 0 }).openChunk(bytes.subarray(idBytes), 0, true)
}

function readWhole(
  foundation: Foundation,
  { blob, record }: Extract<Source, { readonly kind: 'blob' }>,
  { from, to }: Span,
  opening: Opening | undefined,
): AsyncGenerator<Uint8Array> {
  if (opening === undefined) return readBlobBytes(foundation, blob, record, from, to)
  const cipher = new ContentCipher(opening.dataKey, { id: blob, part: 0 })
  const { size } = opening
  return cipher.open({ size, from, to }, (start, end) => readBlobBytes(foundation, blob, record, start, end))
}

async function* resumed(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first
    yield* rest
  } finally {
    await rest.return(undefined)
  }
}

function readBlobBytes(
  foundation: Foundation,
  blob: BlobId,
  record: BlobRecord,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  const isHere = copyIn(record, foundation.region) !== undefined
  if (isHere && foundation.remote === undefined) return readHere(foundation, blob, record, from, to, true)
  return readAnywhere(foundation, blob, record, from, to, isHere)
}

/** The copy here, and where that is none or ends (I3), another region's. */
async function* readAnywhere(
  foundation: Foundation,
  blob: BlobId,
  record: BlobRecord,
  from: number,
  to: number,
  isHere: boolean,
): AsyncGenerator<Uint8Array> {
  const { remote } = foundation
  if (remote === undefined) throw new Fault('ServiceUnavailable')
  let at = from
  if (isHere) {
    try {
      for await (const chunk of readHere(foundation, blob, record, from, to, true)) {
        at += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      if (!(error instanceof BlobUnreadable)) throw error
      if (error.reason !== 'away') remote.repair(blob)
    }
  }
  yield* remote.read(blob, record, at, to)
}

async function* readParts(
  foundation: Foundation,
  { parts, records: known }: Extract<Source, { readonly kind: 'manifest' }>,
  { from, to }: Span,
  opening: Opening | undefined,
): AsyncGenerator<Uint8Array> {
  let start = 0
  const touched: { readonly part: Part; readonly start: number }[] = []
  for (const part of parts) {
    if (start < to && start + part.size > from) touched.push({ part, start })
    start += part.size
  }
  for (let first = 0; first < touched.length; first += partsAhead) {
    const ahead = touched.slice(first, first + partsAhead)
    const records = await foundation.store.snapshot((snapshot) =>
      Promise.all(ahead.map(({ part }) => known?.get(part.blob) ?? readBlob(snapshot, part.blob))),
    )
    for (const [index, { part, start: partStart }] of ahead.entries()) {
      const record = records[index]
      if (record?.kind !== 'bytes') throw new Error('a part without the record of its blob')
      const partFrom = Math.max(0, from - partStart)
      const partTo = Math.min(part.size, to - partStart)
      if (opening === undefined) {
        yield* readBlobBytes(foundation, part.blob, record, partFrom, partTo)
        continue
      }
      const cipher = new ContentCipher(opening.dataKey, { id: part.blob, part: part.number })
      yield* cipher.open({ size: part.size, from: partFrom, to: partTo }, (start, end) =>
        readBlobBytes(foundation, part.blob, record, start, end),
      )
    }
  }
}
