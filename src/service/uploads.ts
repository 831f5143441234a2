import { hash } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import { addBlob, addManifest, freeBlob, yieldElsewhere } from '#src/metadata/blob-records.ts'
import { addJob } from '#src/metadata/jobs.ts'
import {
  clearParts,
  clearUpload,
  partsMax,
  readCompletion,
  readPart,
  readParts,
  readUpload,
  setCompletion,
  setPart,
  setUpload,
} from '#src/metadata/upload-records.ts'
import type { BlobId, Restriction } from '#src/model/blob.ts'
import type { ExpectedDigests } from '#src/model/checksum.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import { joinParts } from '#src/model/multipart.ts'
import { checkNewRetention } from '#src/model/retention.ts'
import type { Upload } from '#src/model/upload.ts'
import type { Part } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { checkTakesWrites } from './bucket-places.ts'
import { openingOf, readContent } from './content.ts'
import { durably } from './durability.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Encrypting, type Ingested, ingest } from './ingest.ts'
import { bodyOf, findReadable } from './object-copies.ts'
import {
  type ContentKey,
  checkCustomerKey,
  makeContentKey,
  neededKey,
  openKeyOf,
  withContentKey,
} from './object-encryption.ts'
import { tellWritten } from './object-events.ts'
import { checkWriteConditions, journalWrite, readTarget, writeVersion } from './object-writes.ts'
import type { UploadName, Uploads, Written } from './services.ts'
import type { Spread } from './spread.ts'

type Complete = Parameters<Uploads['complete']>[0]

interface FoundUpload {
  readonly upload: Upload
  /** Id. */
  readonly bucket: number
}

/** Parts are never inline: they are large, but for the last. */
const neverInline = -1
/** Blobs that one job frees: their ids fit one value. */
const blobsPerJob = 1000

/** Multipart uploads. https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html */
export class CellUploads implements Uploads {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  async create(request: Parameters<Uploads['create']>[0]): Promise<Upload> {
    const { world, cell, store, namespace, space, durability } = this.#foundation
    space?.check()
    checkNewRetention(request.attributes.retention, world.now())
    // Ids of one key sort as the uploads began: listings are in that order.
    const began = world.nowMicroseconds().toString(16).padStart(14, '0')
    const id = `${String(cell).padStart(3, '0')}${began}${Buffer.from(world.randomBytes(16)).toString('hex')}`
    const { encryption: wish, ...described } = request
    const contentKey = await this.#newKey(request.name.bucket, wish)
    return await store.transact(async (transaction) => {
      const bucket = await namespace.existingBucket(transaction, request.name.bucket)
      checkTakesWrites(this.#foundation, bucket)
      if ([contentKey, request.restriction].some((each) => each !== undefined && each.bucket !== bucket.id))
        throw new Fault('OperationAborted')
      // Not only when all of it has been sent.
      durability?.check(bucket, request.restriction)
      const encryption = contentKey === undefined ? {} : { encryption: contentKey.wrapped }
      const upload: Upload = { ...described, ...encryption, id, initiated: world.now() }
      setUpload(transaction, bucket.id, upload)
      return upload
    })
  }

  async #newKey(name: string, wish: EncryptionWish | undefined): Promise<ContentKey | undefined> {
    if (wish === undefined) return undefined
    const { store, namespace } = this.#foundation
    const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, name))
    return await makeContentKey(this.#foundation, bucket.id, wish)
  }

  async get(upload: UploadName): Promise<Upload> {
    return (await this.#findNow(upload)).upload
  }

  async #findNow(upload: UploadName): Promise<FoundUpload> {
    return await this.#foundation.store.snapshot((snapshot) => this.#find(snapshot, upload))
  }

  async #find(from: Snapshot, { name, uploadId }: UploadName): Promise<FoundUpload> {
    const bucket = await this.#foundation.namespace.existingBucket(from, name.bucket)
    const upload = await readUpload(from, bucket.id, name, uploadId)
    if (upload === undefined) throw new Fault('NoSuchUpload', { UploadId: uploadId })
    return { upload, bucket: bucket.id }
  }

  async #encrypting(
    { upload, bucket }: FoundUpload,
    part: number,
    customerKey: Uint8Array | undefined,
  ): Promise<Encrypting | undefined> {
    const contentKey = await openKeyOf(this.#foundation, bucket, upload.encryption, customerKey)
    return contentKey === undefined ? undefined : { contentKey, part }
  }

  async putPart(request: Parameters<Uploads['putPart']>[0]): Promise<Part> {
    const found = await this.#findNow(request)
    const encrypting = await this.#encrypting(found, request.number, request.customerKey)
    const digests = partDigests(found.upload, request.digests)
    const ingested = await ingest(this.#foundation, request.body, digests, neverInline, encrypting)
    return await this.#keepPart(request, request.number, ingested)
  }

  async copyPart(request: Parameters<Uploads['copyPart']>[0]): ReturnType<Uploads['copyPart']> {
    const target = await this.#findNow(request)
    const encrypting = await this.#encrypting(target, request.number, request.customerKey)
    const { found, source, reading } = await findReadable(this.#foundation, request.source)
    const { size } = found.version
    const { from, to } = request.range === undefined ? { from: 0, to: size } : request.range
    if (to > size)
      throw new Fault('InvalidRange', { ActualObjectSize: size, RangeRequested: `bytes=${from}-${to - 1}` })
    const opening = await openingOf(this.#foundation, found, source, request.source)
    const bytes = await readContent(reading, source, { from, to }, opening)
    const body = bodyOf(bytes, to - from)
    const ingested = await ingest(this.#foundation, body, partDigests(target.upload, {}), neverInline, encrypting)
    const part = await this.#keepPart(request, request.number, ingested)
    return { part, sourceVersionId: found.versionId }
  }

  async #keepPart(name: UploadName, number: number, ingested: Ingested): Promise<Part> {
    try {
      return await this.#foundation.store.transact((transaction) =>
        this.#commitPart(transaction, name, number, ingested),
      )
    } catch (error) {
      await discard(this.#foundation, ingested)
      throw error
    }
  }

  async #commitPart(to: Transaction, name: UploadName, number: number, ingested: Ingested): Promise<Part> {
    const { region, cell, world } = this.#foundation
    const { content, size, etag, checksum } = ingested
    if (content.kind === 'inline') throw new Error('a part that was not written to a volume')
    const { upload } = await this.#find(to, name)
    const before = await readPart(to, name.uploadId, number)
    if (before !== undefined) await freeBlob(to, before.blob)
    await addBlob(to, content.stored, region, cell, upload.restriction)
    const blob = content.stored.id
    const part = { number, size, etag, blob, modified: world.now(), ...(checksum !== undefined && { checksum }) }
    setPart(to, name.uploadId, part)
    return part
  }

  async complete(request: Complete): Promise<Written> {
    const write = async (spread: Spread | undefined): Promise<Written> => {
      const kept = spread === undefined ? undefined : await this.#spreadParts(request, spread)
      return await withContentKey(this.#foundation, request.customerKey, (known) =>
        this.#foundation.store.transact((transaction) => this.#completeOnce(transaction, request, known, kept)),
      )
    }
    return await durably(this.#foundation, request.name.bucket, write, {
      restriction: await this.#restriction(request),
    })
  }

  /** Where the parts are to be, where that is of account; of an upload that is completed already it is not. */
  async #restriction({ name, uploadId }: Complete): Promise<Restriction | undefined> {
    const { durability, store, namespace } = this.#foundation
    if (durability === undefined) return undefined
    return await store.snapshot(async (snapshot) => {
      const bucket = await namespace.existingBucket(snapshot, name.bucket)
      return (await readUpload(snapshot, bucket.id, name, uploadId))?.restriction
    })
  }

  /** The parts become durable in other regions; gives which. */
  async #spreadParts(request: Complete, spread: Spread): Promise<ReadonlySet<BlobId>> {
    const { store, namespace } = this.#foundation
    const blobs = await store.snapshot(async (snapshot) => {
      const bucket = await namespace.existingBucket(snapshot, request.name.bucket)
      const upload = await readUpload(snapshot, bucket.id, request.name, request.uploadId)
      if (upload === undefined) return []
      const { parts } = joinParts(upload, await readParts(snapshot, upload.id, 0, partsMax), request)
      return parts.map(({ blob }) => blob)
    })
    await spread.keep(blobs, manifestOf(request.uploadId))
    return new Set(blobs)
  }

  /** `kept`: the parts that other regions hold too, where that is asked for. */
  async #completeOnce(
    transaction: Transaction,
    request: Complete,
    known: ContentKey | undefined,
    kept: ReadonlySet<BlobId> | undefined,
  ): Promise<Written> {
    const target = await readTarget(this.#foundation, transaction, request.name)
    const standing = target.state.current?.version
    request.guard(standing, target.bucket)
    const upload = await readUpload(transaction, target.bucket.id, request.name, request.uploadId)
    if (upload === undefined) return await this.#completedBefore(transaction, request, target.bucket.id)
    checkCustomerKey(upload.encryption, request.customerKey)
    checkWriteConditions(request.conditions, standing, request.name.key)
    const uploaded = await readParts(transaction, upload.id, 0, partsMax)
    const { parts, ...joined } = joinParts(upload, uploaded, request, this.#foundation.partBytesMin)
    if (kept !== undefined && parts.some((part) => !kept.has(part.blob))) throw new Fault('OperationAborted')
    const blob = manifestOf(upload.id)
    addManifest(transaction, blob, parts)
    const contentKey = neededKey(known, target.bucket.id, upload.encryption)
    const content = { kind: 'manifest', blob, parts: parts.length } as const
    const { restriction } = upload
    const draft = {
      ...joined,
      content,
      ...(contentKey !== undefined && { contentKey, parts }),
      ...(restriction !== undefined && { restriction }),
    }
    const written = await writeVersion(this.#foundation, transaction, target, draft, upload.attributes)
    for (const part of parts) yieldElsewhere(transaction, part.blob, restriction, this.#foundation.region)
    clearUpload(transaction, target.bucket.id, upload)
    clearParts(transaction, upload.id)
    freeUnused(transaction, uploaded, parts)
    const made = { bucket: target.bucket, key: request.name.key }
    tellWritten(this.#foundation, transaction, made, written, 'ObjectCreated:CompleteMultipartUpload', request.cause)
    const { version, versionId } = written
    const at = this.#foundation.world.now()
    setCompletion(transaction, upload.id, { version, versionId, at, bucket: target.bucket.id })
    await journalWrite(this.#foundation, transaction, target, 'REST.POST.UPLOAD', written)
    return written
  }

  /** A client that did not hear the answer asks again, and hears the same. */
  async #completedBefore(from: Transaction, { uploadId }: Complete, bucket: number): Promise<Written> {
    const completion = await readCompletion(from, uploadId)
    const version = completion?.version
    if (completion === undefined || completion.bucket !== bucket || version?.kind !== 'object') {
      throw new Fault('NoSuchUpload', { UploadId: uploadId })
    }
    return { version, versionId: completion.versionId }
  }

  async abort(request: UploadName & { readonly ifInitiated?: number }): Promise<void> {
    await this.#foundation.store.transact(async (transaction) => {
      const bucket = await this.#foundation.namespace.existingBucket(transaction, request.name.bucket)
      const { upload } = await this.#find(transaction, request)
      const seconds = Math.floor(upload.initiated / 1000)
      if (request.ifInitiated !== undefined && Math.floor(request.ifInitiated / 1000) !== seconds) {
        throw new Fault('PreconditionFailed', { Condition: 'x-amz-if-match-initiated-time' })
      }
      clearUpload(transaction, bucket.id, upload)
      addJob(transaction, { kind: 'parts', upload: upload.id })
    })
  }

  async listParts(request: Parameters<Uploads['listParts']>[0]): ReturnType<Uploads['listParts']> {
    return await this.#foundation.store.snapshot(async (snapshot) => {
      const { upload } = await this.#find(snapshot, request)
      const parts = await readParts(snapshot, upload.id, request.after, request.limit + 1)
      return { upload, parts: parts.slice(0, request.limit), isTruncated: parts.length > request.limit }
    })
  }
}

/** An upload has one manifest, however often its completion is tried, so that other cells may be told of it before it is there. */
const manifestOf = (uploadId: string): BlobId => hash('sha256', uploadId, 'hex').slice(0, 32)

/** A part gets the checksum that its upload was started with, whether the client sends one or not. */
function partDigests({ checksum }: Upload, digests: ExpectedDigests): ExpectedDigests {
  if (checksum === undefined) return digests
  if (digests.checksum === undefined) {
    return { ...digests, checksum: { algorithm: checksum.algorithm, value: () => undefined } }
  }
  if (digests.checksum.algorithm === checksum.algorithm) return digests
  const [expected, actual] = [checksum.algorithm, digests.checksum.algorithm].map((each) => each.toLowerCase())
  throw new Fault('InvalidRequest', {
    message: `Checksum Type mismatch occurred, expected checksum Type: ${expected}, actual checksum Type: ${actual}`,
  })
}

/** Parts that were uploaded but not named by the completion. */
function freeUnused(to: Transaction, uploaded: readonly Part[], used: readonly Part[]): void {
  const kept = new Set(used.map((part) => part.blob))
  const blobs = uploaded.map((part) => part.blob).filter((blob) => !kept.has(blob))
  for (let first = 0; first < blobs.length; first += blobsPerJob) {
    addJob(to, { kind: 'blobs', blobs: blobs.slice(first, first + blobsPerJob) })
  }
}
