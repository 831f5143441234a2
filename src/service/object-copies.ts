import { Fault } from '#src/errors.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { checkRead } from '#src/model/conditions.ts'
import { checkNewRetention } from '#src/model/retention.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { openingOf, readContent } from './content.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Ingested, ingest } from './ingest.ts'
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
import { checkIsHere, type FoundRow, findRow, readSource, type Source } from './object-reads.ts'
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

type Copied = Written & { readonly sourceVersionId: string | undefined }

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
const copyBytesMax = 5 * 2 ** 30

/**
 * Within a bucket a copy shares the blob, in one transaction that sees source and target (C18). Between buckets, or where
 * another checksum or encryption is asked for, the bytes are read and written again.
 */
export async function commitCopy(foundation: Foundation, request: CopyObject): Promise<Copied> {
  const found = await foundation.store.snapshot((snapshot) => findSource(foundation, snapshot, request.source))
  checkNewRetention(request.attributes(found.version).retention, foundation.world.now())
  if (found.version.size > copyBytesMax) {
    throw new Fault('InvalidRequest', {
      message: `The specified copy source is larger than the maximum allowable size for a copy source: ${copyBytesMax}`,
    })
  }
  const isShared = request.source.name.bucket === request.name.bucket && keepsContent(found.version, request)
  return isShared ? await share(foundation, request) : await rewrite(foundation, request)
}

function keepsContent({ checksum, encryption }: ObjectVersion, request: CopyObject): boolean {
  if (!isSameScheme(encryption, request.encryption)) return false
  return request.checksum === undefined || checksum?.algorithm === request.checksum
}

/** The source of a copy; every condition that does not hold is 412, also those that would be 304 for a read. */
export async function findSource(
  foundation: Foundation,
  from: Snapshot,
  source: CopyObject['source'],
): Promise<FoundRow> {
  const found = await findRow(foundation, from, source)
  if (checkRead(source.conditions, found.version) !== 'passed') {
    throw new Fault('PreconditionFailed', { Condition: 'x-amz-copy-source-If-*' })
  }
  checkIsHere(found.version, foundation.world.now())
  return found
}

async function readCopyTarget(foundation: Foundation, from: Transaction, request: CopyObject): Promise<Target> {
  const target = await readTarget(foundation, from, request.name)
  const standing = target.state.current?.version
  request.guard(standing, target.bucket)
  checkWriteConditions(request.conditions, standing, request.name.key)
  return target
}

async function share(foundation: Foundation, request: CopyObject): Promise<Copied> {
  foundation.space?.check()
  const { customerKey } = request.source
  return await withContentKey(foundation, customerKey, (known) =>
    foundation.store.transact((transaction) => shareOnce(foundation, transaction, request, known)),
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
  const contentKey = neededKey(known, bucket.id, encryption)
  const isNeeded = content.kind === 'inline' || (content.kind === 'manifest' && encryption !== undefined)
  const source = isNeeded ? await readSource(from, found, key) : undefined
  const draft = { size, etag, content, ...(checksum !== undefined && { checksum }) }
  if (contentKey === undefined || encryption === undefined) return { source, draft }
  const parts = source?.kind === 'manifest' ? { parts: source.parts } : {}
  checkSeal(contentKey, encryption, { ...version, key, ...parts })
  return { source, draft: { ...draft, contentKey, ...parts } }
}

async function rewrite(foundation: Foundation, request: CopyObject): Promise<Copied> {
  const { found, source, target } = await foundation.store.snapshot(async (snapshot) => {
    const row = await findSource(foundation, snapshot, request.source)
    return {
      found: row,
      source: await readSource(snapshot, row, request.source.name.key),
      target: await foundation.namespace.existingBucket(snapshot, request.name.bucket),
    }
  })
  const opening = await openingOf(foundation, found, source, request.source)
  const { size, checksum } = found.version
  const bytes = await readContent(foundation, source, { from: 0, to: size }, opening)
  const algorithm = request.checksum ?? checksum?.algorithm
  const digests = algorithm === undefined ? {} : { checksum: { algorithm, value: () => undefined } }
  const { encryption } = request
  const encrypting =
    encryption === undefined
      ? undefined
      : { contentKey: await makeContentKey(foundation, target.id, encryption), part: 0 }
  const ingested = await ingest(foundation, bodyOf(bytes, size), digests, foundation.inlineBytesMax, encrypting)
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
