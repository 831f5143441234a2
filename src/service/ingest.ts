import { createHash, hash } from 'node:crypto'
import type { Body as BlobBody } from '#src/blobs/blobs.ts'
import { ContentCipher, sealedSize } from '#src/encryption/content-cipher.ts'
import { Fault } from '#src/errors.ts'
import { addDead } from '#src/metadata/blob-records.ts'
import { endReservation, type Reservation } from '#src/metadata/reservations.ts'
import type { BlobId, Restriction, StoredBlob } from '#src/model/blob.ts'
import type { Checksum, ExpectedDigests } from '#src/model/checksum.ts'
import { createDigest, type Digest, hexToBase64 } from '#src/model/digests.ts'
import type { Foundation } from './foundation.ts'
import { type ContentKey, etagOf } from './object-encryption.ts'
import type { Body } from './services.ts'

/** A body that was read to its end, found to be what the client said, and kept: in memory if small, else durably (I2). */
export interface Ingested {
  /** Of the body, whatever its bytes take where they are kept. */
  readonly size: number
  /** MD5 in hexadecimal, or what stands for it (etagOf): the ETag of an object of one part. */
  readonly etag: string
  readonly checksum?: Checksum
  readonly content:
    | { readonly kind: 'inline'; readonly bytes: Uint8Array }
    | { readonly kind: 'blob'; readonly stored: StoredBlob }
  /** What its bytes are encrypted with. */
  readonly contentKey?: ContentKey
  /** Its blob has a record already, which this keeps until a version names it. */
  readonly reservation?: Reservation
  /** Which regions are to keep its blob; absent: all of the bucket may. */
  readonly restriction?: Restriction
}

/** A data key, and the part of an object that it encrypts. */
export interface Encrypting {
  readonly contentKey: ContentKey
  /** 0: no part. */
  readonly part: number
}

/**
 * Bodies of a known length up to this are held whole while they are checked: an iteration over their pieces costs more than
 * the copy. No more than what a volume holds of a body on its way to the disk.
 */
const collectedBytesMax = 128 * 1024

/** `inlineBytesMax` 0 puts every body but the empty one on a volume. */
export async function ingest(
  foundation: Foundation,
  body: Body,
  digests: ExpectedDigests,
  inlineBytesMax: number,
  encrypting?: Encrypting,
): Promise<Ingested> {
  foundation.space?.check()
  if (body.length !== undefined && body.length <= Math.max(inlineBytesMax, collectedBytesMax)) {
    const pieces = await body.pieces(body.length)
    if (body.length <= inlineBytesMax) return ingestSmall(foundation, pieces, digests, encrypting)
    return await ingestCollected(foundation, pieces, body.length, digests, encrypting)
  }
  const source = body.stream()[Symbol.asyncIterator]()
  // A body of unknown length may still be small: it is known once it has ended, or has grown too large.
  const first: Uint8Array[] = []
  let size = 0
  while (body.length === undefined && size <= inlineBytesMax) {
    const next = await source.next()
    if (next.done === true) return ingestSmall(foundation, first, digests, encrypting)
    first.push(next.value)
    size += next.value.length
  }
  return await ingestLarge(foundation, chunks(first, source), body.length, digests, encrypting)
}

/** As `ingest`, of a whole object: what is for some regions only never lies beside its record, which goes to all (C17). */
export async function ingestObject(
  foundation: Foundation,
  body: Body,
  digests: ExpectedDigests,
  encrypting: Encrypting | undefined,
  restriction: Restriction | undefined,
): Promise<Ingested> {
  if (restriction === undefined) return await ingest(foundation, body, digests, foundation.inlineBytesMax, encrypting)
  return { ...(await ingest(foundation, body, digests, 0, encrypting)), restriction }
}

async function* chunks(first: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* first
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value
  } finally {
    await rest.return?.()
  }
}

function ingestSmall(
  foundation: Foundation,
  pieces: readonly Uint8Array[],
  digests: ExpectedDigests,
  encrypting: Encrypting | undefined,
): Ingested {
  const [first] = pieces
  const bytes = first !== undefined && pieces.length === 1 ? first : Buffer.concat(pieces)
  const checked = checkWhole([bytes], bytes.length, digests, encrypting)
  const kept = encrypting === undefined ? bytes : sealInline(foundation, bytes, encrypting)
  return { ...checked, content: { kind: 'inline', bytes: kept } }
}

async function ingestCollected(
  foundation: Foundation,
  pieces: readonly Uint8Array[],
  size: number,
  digests: ExpectedDigests,
  encrypting: Encrypting | undefined,
): Promise<Ingested> {
  const checked = checkWhole(pieces, size, digests, encrypting)
  const stored = await write(foundation, newBlobId(foundation), pieces, size, encrypting)
  return { ...checked, content: { kind: 'blob', stored } }
}

/** What is known of a body that is held whole; throws where it is not what the client said. */
function checkWhole(
  pieces: readonly Uint8Array[],
  size: number,
  { md5, checksum }: ExpectedDigests,
  encrypting: Encrypting | undefined,
): Omit<Ingested, 'content'> {
  const digits = md5Of(pieces)
  checkMd5(md5, digits)
  const checked = {
    size,
    etag: etagOf(encrypting?.contentKey, digits),
    ...(encrypting !== undefined && { contentKey: encrypting.contentKey }),
  }
  if (checksum === undefined) return checked
  const digest = createDigest(checksum.algorithm)
  for (const piece of pieces) digest.update(piece)
  return { ...checked, checksum: checkedChecksum(checksum, digest) }
}

function md5Of(pieces: readonly Uint8Array[]): string {
  const [first] = pieces
  if (first !== undefined && pieces.length === 1) return hash('md5', first, 'hex')
  const state = createHash('md5')
  for (const piece of pieces) state.update(piece)
  return state.digest('hex')
}

const newBlobId = ({ world }: Foundation): BlobId => Buffer.from(world.randomBytes(16)).toString('hex')

/** Encrypted bytes beside a record: the random id that their key is derived from, then one chunk. */
function sealInline(foundation: Foundation, bytes: Uint8Array, { contentKey, part }: Encrypting): Uint8Array {
  const id = Buffer.from(foundation.world.randomBytes(16))
  const cipher = new ContentCipher(contentKey.plain, { id: id.toString('hex'), part })
  return Buffer.concat([id, cipher.sealChunk(bytes, 0, true)])
}

async function ingestLarge(
  foundation: Foundation,
  body: AsyncIterable<Uint8Array>,
  length: number | undefined,
  { md5, checksum }: ExpectedDigests,
  encrypting: Encrypting | undefined,
): Promise<Ingested> {
  const state = createHash('md5')
  const digest = checksum === undefined ? undefined : createDigest(checksum.algorithm)
  let size = 0
  async function* digested(): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      size += chunk.length
      state.update(chunk)
      digest?.update(chunk)
      yield chunk
    }
    // Checked before the last byte is made durable: a body that is not what it should be costs no fsync.
    checkMd5(md5, state.copy().digest('hex'))
    if (checksum !== undefined && digest !== undefined) checkedChecksum(checksum, digest)
  }
  const stored = await write(foundation, newBlobId(foundation), digested(), length, encrypting)
  const content = { kind: 'blob', stored } as const
  const ingested: Ingested = {
    size,
    etag: etagOf(encrypting?.contentKey, state.digest('hex')),
    content,
    ...(encrypting !== undefined && { contentKey: encrypting.contentKey }),
  }
  if (checksum === undefined || digest === undefined) return ingested
  return { ...ingested, checksum: checkedChecksum(checksum, digest) }
}

async function write(
  { blobs }: Foundation,
  id: BlobId,
  body: BlobBody,
  length: number | undefined,
  encrypting: Encrypting | undefined,
): Promise<StoredBlob> {
  if (encrypting === undefined) return await blobs.write(id, body, length)
  const cipher = new ContentCipher(encrypting.contentKey.plain, { id, part: encrypting.part })
  return await blobs.write(id, cipher.seal(body), length === undefined ? undefined : sealedSize(length))
}

function checkMd5(expected: string | undefined, etag: string): void {
  if (expected === undefined) return
  const calculated = hexToBase64(etag)
  if (calculated !== expected) throw new Fault('BadDigest', { ExpectedDigest: expected, CalculatedDigest: calculated })
}

type ExpectedChecksum = NonNullable<ExpectedDigests['checksum']>

function checkedChecksum({ algorithm, value }: ExpectedChecksum, digest: Digest): Checksum {
  const calculated = digest.value()
  const expected = value()
  if (expected !== undefined && expected !== calculated) {
    throw new Fault('BadDigest', { message: `The ${algorithm} you specified did not match the calculated checksum.` })
  }
  return { algorithm, type: 'FULL_OBJECT', value: calculated }
}

/** Counts the bytes of a write that did not come to be as dead. Best effort: the sweep finds what this misses. */
export async function discard({ store }: Foundation, { content, reservation }: Ingested): Promise<void> {
  if (content.kind === 'inline') return
  await store
    .transact(async (transaction) => {
      if (reservation === undefined) addDead(transaction, content.stored.extents)
      else await endReservation(transaction, reservation)
    })
    .catch(() => undefined)
}
