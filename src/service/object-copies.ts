import { isDeepStrictEqual } from 'node:util'
import { Fault } from '#src/errors.ts'
import { readManifest } from '#src/metadata/blob-records.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { checkRead } from '#src/model/conditions.ts'
import { checkNewRetention } from '#src/model/retention.ts'
import { type ObjectVersion, restrictionOf } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { openingOf, readContent } from './content.ts'
import { spreadOut } from './durability.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Ingested, ingestObject } from './ingest.ts'
import {
  type ContentKey,
  checkCustomerKey,
  checkSeal,
  isSameScheme,
  makeContentKey,
  neededKey,
  withContentKey,
} from './object-encryption.ts'
import { tellWritten } from './object-events.ts'
import { checkIsHere, type FoundRow, findRow, readSource } from './object-reads.ts'
import {
  checkWriteConditions,
  type Draft,
  journalWrite,
  readTarget,
  type Target,
  writeIngested,
  writeVersion,
} from './object-writes.ts'
import type { Body, CopyObject, Written } from './services.ts'
import type { Source } from './source.ts'
import type { Spread } from './spread.ts'

type Copied = Written & { readonly sourceVersionId: string | undefined }

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
const copyBytesMax = 5 * 2 ** 30

/**
 * Within a bucket a copy shares the blob, in one transaction that sees source and target (C18). Between buckets, or where
 * another checksum or encryption is asked for, the bytes are read and written again.
 */
export async function commitCopy(
  foundation: Foundation,
  request: CopyObject,
  spread: Spread | undefined,
): Promise<Copied> {
  const foreign = await findForeign(foundation, request.source)
  const found =
    foreign?.found ?? (await foundation.store.snapshot((snapshot) => findSource(foundation, snapshot, request.source)))
  checkNewRetention(request.attributes(found.version).retention, foundation.world.now())
  if (found.version.size > copyBytesMax) {
    throw new Fault('InvalidRequest', {
      message: `The specified copy source is larger than the maximum allowable size for a copy source: ${copyBytesMax}`,
    })
  }
  const isShared = request.source.name.bucket === request.name.bucket && keepsContent(found.version, request)
  if (!isShared) return await rewrite(foundation, request, spread, foreign)
  if (spread !== undefined) await spreadSource(foundation, spread, found.version)
  return await share(foundation, request, spread === undefined ? undefined : found.version)
}

/** What is to be shared becomes durable in other regions too. */
async function spreadSource(foundation: Foundation, spread: Spread, { content }: ObjectVersion): Promise<void> {
  // What a tier holds is in no region.
  if (content.kind === 'inline' || content.kind === 'remote') return
  if (content.kind === 'blob') return await spread.keep([content.blob])
  const parts = await foundation.store.snapshot((snapshot) => readManifest(snapshot, content.blob))
  const blobs = parts.map(({ blob }) => blob)
  await spread.keep(blobs, content.blob)
}

function keepsContent({ checksum, encryption, regions }: ObjectVersion, request: CopyObject): boolean {
  if (!isSameScheme(encryption, request.encryption)) return false
  // Where a blob is to be stays as it is.
  if (regions?.join() !== request.restriction?.regions.join()) return false
  return request.checksum === undefined || checksum?.algorithm === request.checksum
}

/** The source of a copy; every condition that does not hold is 412, also those that would be 304 for a read. */
export async function findSource(
  foundation: Foundation,
  from: Snapshot,
  source: CopyObject['source'],
): Promise<FoundRow> {
  const found = await findRow(foundation, from, source)
  checkSource(foundation, source, found.version)
  return found
}

function checkSource({ world }: Foundation, { conditions }: CopyObject['source'], version: ObjectVersion): void {
  if (checkRead(conditions, version) !== 'passed') {
    throw new Fault('PreconditionFailed', { Condition: 'x-amz-copy-source-If-*' })
  }
  checkIsHere(version, world.now())
}

/** A source, and where its bytes are read. */
export interface ReadableSource {
  readonly found: FoundRow
  readonly source: Source
  /** With what its bytes are read. */
  readonly reading: Foundation
}

/** The source of a copy in a bucket that is in other cells; undefined: it is in this one. */
async function findForeign(foundation: Foundation, source: CopyObject['source']): Promise<ReadableSource | undefined> {
  const { foreign, hasBucket, store, namespace } = foundation
  if (foreign === undefined || hasBucket === undefined) return undefined
  const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, source.name.bucket))
  if (hasBucket(bucket)) return undefined
  const {
    version,
    versionId,
    source: bytes,
  } = await foreign.find(bucket, source.name.key, source.versionId).catch((error: unknown) => {
    // Who may not know that it is not there is not told.
    if (error instanceof Fault && error.code !== 'ServiceUnavailable') source.guard(undefined, bucket)
    throw error
  })
  source.guard(version, bucket)
  checkSource(foundation, source, version)
  const found = { bucket, version, versionId, row: { version, bytes: nothing } }
  return { found, source: bytes, reading: { ...foundation, remote: foreign.blobs } }
}

const nothing = new Uint8Array(0)

/** The source of a copy that is read and written again, wherever it is. */
export async function findReadable(foundation: Foundation, source: CopyObject['source']): Promise<ReadableSource> {
  const foreign = await findForeign(foundation, source)
  if (foreign !== undefined) return foreign
  return await foundation.store.snapshot(async (snapshot) => {
    const found = await findSource(foundation, snapshot, source)
    return { found, source: await readSource(snapshot, found, source.name.key), reading: foundation }
  })
}

async function readCopyTarget(foundation: Foundation, from: Transaction, request: CopyObject): Promise<Target> {
  const target = await readTarget(foundation, from, request.name)
  const standing = target.state.current?.version
  request.guard(standing, target.bucket)
  checkWriteConditions(request.conditions, standing, request.name.key)
  return target
}

/** `expected`: other content than that version's is not to be shared. */
async function share(
  foundation: Foundation,
  request: CopyObject,
  expected: ObjectVersion | undefined,
): Promise<Copied> {
  foundation.space?.check()
  const { customerKey } = request.source
  return await withContentKey(foundation, customerKey, (known) =>
    foundation.store.transact(async (transaction) => {
      const copied = await shareOnce(foundation, transaction, request, known)
      if (expected !== undefined && !isDeepStrictEqual(copied.version.content, expected.content)) {
        throw new Fault('OperationAborted')
      }
      return copied
    }),
  )
}

async function shareOnce(
  foundation: Foundation,
  transaction: Transaction,
  request: CopyObject,
  known: ContentKey | undefined,
): Promise<Copied> {
  const { name, customerKey } = request.source
  const found = await findSource(foundation, transaction, request.source)
  checkCustomerKey(found.version.encryption, customerKey)
  const target = await readCopyTarget(foundation, transaction, request)
  const { source, draft } = await draftOfVersion(transaction, found, name.key, known)
  const attributes = request.attributes(found.version)
  const written = await writeVersion(foundation, transaction, target, draft, attributes)
  if (source?.kind === 'inline') {
    const { bucket, key } = target.state
    transaction.set(keys.inline(bucket, key, slotOf(written.version)), source.bytes)
  }
  await journalWrite(foundation, transaction, target, 'REST.PUT.OBJECT', written)
  tellCopied(foundation, transaction, target, written, request)
  return { ...written, sourceVersionId: found.versionId }
}

/** What a version says of its bytes, for another version that has them too; sealed ones are found to be what they were. */
export async function draftOfVersion(
  from: Snapshot,
  found: FoundRow,
  key: string,
  known: ContentKey | undefined,
): Promise<{ readonly source: Source | undefined; readonly draft: Draft }> {
  const { version, bucket } = found
  const { size, etag, content, checksum, encryption } = version
  const restriction = restrictionOf(bucket.id, version)
  const contentKey = neededKey(known, bucket.id, encryption)
  const isNeeded = content.kind === 'inline' || (content.kind === 'manifest' && encryption !== undefined)
  const source = isNeeded ? await readSource(from, found, key) : undefined
  const draft = {
    size,
    etag,
    content,
    ...(checksum !== undefined && { checksum }),
    ...(restriction !== undefined && { restriction }),
  }
  if (contentKey === undefined || encryption === undefined) return { source, draft }
  const parts = source?.kind === 'manifest' ? { parts: source.parts } : {}
  checkSeal(contentKey, encryption, { ...version, key, ...parts })
  return { source, draft: { ...draft, contentKey, ...parts } }
}

async function rewrite(
  foundation: Foundation,
  request: CopyObject,
  spread: Spread | undefined,
  foreign: ReadableSource | undefined,
): Promise<Copied> {
  const { store, namespace } = foundation
  const { found, source, reading } = foreign ?? (await findReadable(foundation, request.source))
  const target = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, request.name.bucket))
  const opening = await openingOf(foundation, found, source, request.source)
  const { size, checksum } = found.version
  const bytes = await readContent(reading, source, { from: 0, to: size }, opening)
  const algorithm = request.checksum ?? checksum?.algorithm
  const digests = algorithm === undefined ? {} : { checksum: { algorithm, value: () => undefined } }
  const { encryption } = request
  const encrypting =
    encryption === undefined
      ? undefined
      : { contentKey: await makeContentKey(foundation, target.id, encryption), part: 0 }
  const here = await ingestObject(foundation, bodyOf(bytes, size), digests, encrypting, request.restriction)
  const ingested = await spreadOut(foundation, spread, here)
  try {
    return await commitRewrite(foundation, request, found, ingested)
  } catch (error) {
    await discard(foundation, ingested)
    throw error
  }
}

async function commitRewrite(
  foundation: Foundation,
  request: CopyObject,
  found: FoundRow,
  ingested: Ingested,
): Promise<Copied> {
  return await foundation.store.transact(async (transaction) => {
    const target = await readCopyTarget(foundation, transaction, request)
    const attributes = request.attributes(found.version)
    const written = await writeIngested(foundation, transaction, target, ingested, attributes)
    await journalWrite(foundation, transaction, target, 'REST.PUT.OBJECT', written)
    tellCopied(foundation, transaction, target, written, request)
    return { ...written, sourceVersionId: found.versionId }
  })
}

function tellCopied(
  foundation: Foundation,
  to: Transaction,
  { bucket }: Target,
  written: Written,
  { name: { key }, cause }: CopyObject,
): void {
  tellWritten(foundation, to, { bucket, key }, written, 'ObjectCreated:Copy', cause)
}

/** Bytes of an object that was read, as a body to be written. */
export function bodyOf(bytes: Uint8Array | AsyncIterable<Uint8Array>, size: number): Body {
  return {
    length: size,
    async *stream() {
      if (bytes instanceof Uint8Array) yield bytes
      else yield* bytes
    },
    async pieces() {
      if (bytes instanceof Uint8Array) return [bytes]
      const found: Uint8Array[] = []
      for await (const piece of bytes) found.push(Buffer.from(piece))
      return found
    },
  }
}
