import { Fault } from '#src/errors.ts'
import {
  addBlob,
  addManifest,
  dissolveManifest,
  isForTaking,
  readManifest,
  surrenderBlob,
  yieldElsewhere,
} from '#src/metadata/blob-records.ts'
import { slotOf } from '#src/metadata/keyspace.ts'
import { type KeyState, type Row, readCurrent } from '#src/metadata/object-records.ts'
import { endReservation, isReserved } from '#src/metadata/reservations.ts'
import { appendedChecksum, checkAppend, checkOffset, digestsOf } from '#src/model/append.ts'
import type { Restriction } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { multipartEtag } from '#src/model/digests.ts'
import { type Content, type ObjectVersion, type Part, restrictionOf } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { checkIsHere } from './bucket-places.ts'
import { openingOf, readContent } from './content.ts'
import { spreadOut, spreadParts } from './durability.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Encrypting, type Ingested, ingest, ingestObject } from './ingest.ts'
import { bodyOf } from './object-copies.ts'
import { type ContentKey, isSameScheme, makeContentKey, openKeyOf } from './object-encryption.ts'
import { tellWritten } from './object-events.ts'
import { type FoundRow, readSource } from './object-reads.ts'
import {
  checkWriteConditions,
  journalWrite,
  readTarget,
  type Target,
  versionIdOf,
  writeIngested,
  writeVersion,
} from './object-writes.ts'
import type { AppendObject, Written } from './services.ts'
import type { Spread } from './spread.ts'

/**
 * Writes behind the end of an object: what was there and what comes are the parts of a new manifest, and no bytes are moved.
 *
 * W3  of appends at one offset, one succeeds.
 * W4  blobs are never changed, and a manifest neither: an append makes another, and takes the parts over from the one before
 *     where nothing else refers to that, and no other cell may; otherwise, or where they are not blobs that can be parts, it writes the bytes again.
 */
export async function commitAppend(
  foundation: Foundation,
  request: AppendObject,
  spread: Spread | undefined,
): Promise<Written> {
  if (request.body.length === 0) throw emptyBody()
  const found = await foundation.store.snapshot((snapshot) => findStanding(foundation, snapshot, request))
  const { row } = found
  if (row === undefined || row.version.size === 0) return await begin(foundation, request, found, spread)
  const { version } = row
  if (request.attributes.metadata.size > 0) {
    throw new Fault('InvalidRequest', {
      message: 'Cannot specify both a write offset value and user-defined object metadata for existing objects.',
    })
  }
  const contentKey = await keyOf(foundation, request, found, version)
  const known = { bucket: found.bucket, row, version, versionId: versionIdOf(found.bucket, version) }
  const base = await baseOf(foundation, request, known, contentKey)
  const restriction = restrictionOf(found.bucket.id, version)
  return await add(foundation, request, { ...base, version, contentKey, restriction }, spread)
}

/** Which regions are to keep what is appended, where that has to be known before: those of the object. */
export async function restrictionOfAppend(
  { durability, store, namespace }: Foundation,
  { name, restriction }: AppendObject,
): Promise<Restriction | undefined> {
  if (durability === undefined) return undefined
  return await store.snapshot(async (snapshot) => {
    const bucket = await namespace.existingBucket(snapshot, name.bucket)
    const row = await readCurrent(snapshot, { bucket: bucket.id, key: name.key })
    return row === undefined ? restriction : restrictionOf(bucket.id, row.version)
  })
}

const emptyBody = (): Fault =>
  new Fault('InvalidRequest', { message: "Request body cannot be empty when 'write offset' is specified." })

/** Parts are never inline. */
const neverInline = -1

interface Standing {
  readonly bucket: Bucket
  readonly row: Row<ObjectVersion> | undefined
}

/** What stands before the body is read; the commit decides. */
async function findStanding(foundation: Foundation, from: Snapshot, request: AppendObject): Promise<Standing> {
  const { name, guard, conditions, offset } = request
  const bucket = await foundation.namespace.existingBucket(from, name.bucket)
  checkIsHere(foundation, bucket)
  checkKeepsOne(bucket)
  const row = await readCurrent(from, { bucket: bucket.id, key: name.key })
  guard(row?.version, bucket)
  checkNotElsewhere(row?.version)
  checkWriteConditions(conditions, row?.version, name.key)
  checkOffset(offset, row?.version)
  return { bucket, row }
}

/** What is in a cloud tier has its copy there, restored or not. */
function checkNotElsewhere(version: ObjectVersion | undefined): void {
  if (version?.remote === undefined) return
  throw new Fault('InvalidObjectState', { StorageClass: version.storageClass })
}

/** Versions would have to share their parts, or have them copied with every append; S3's own buckets for it have none. */
function checkKeepsOne({ versioning }: Bucket): void {
  if (versioning === 'off') return
  throw new Fault('InvalidBucketState', { message: 'A bucket that keeps versions takes no appends.' })
}

/** The key that the object is encrypted with, for what is added too. */
async function keyOf(
  foundation: Foundation,
  { encryption, asksEncryption }: AppendObject,
  { bucket }: Standing,
  version: ObjectVersion,
): Promise<ContentKey | undefined> {
  const isCustomers = encryption?.kind === 'SSE-C'
  const isSame = isCustomers ? version.encryption?.kind === 'SSE-C' : isSameScheme(version.encryption, encryption)
  if (asksEncryption && !isSame) throw new Fault('EncryptionTypeMismatch')
  const customerKey = isCustomers && asksEncryption ? encryption.key : undefined
  return await openKeyOf(foundation, bucket.id, version.encryption, customerKey)
}

/** Nothing is there, or nothing in it: what is appended is the object, with the attributes of what is there. */
async function begin(
  foundation: Foundation,
  request: AppendObject,
  { bucket, row }: Standing,
  spread: Spread | undefined,
): Promise<Written> {
  const { body, digests, encryption } = request
  const contentKey =
    row === undefined
      ? encryption && (await makeContentKey(foundation, bucket.id, encryption))
      : await keyOf(foundation, request, { bucket, row }, row.version)
  const encrypting = contentKey === undefined ? undefined : { contentKey, part: 0 }
  const expected = digestsOf(row?.version.checksum, digests)
  const restriction = row === undefined ? request.restriction : restrictionOf(bucket.id, row.version)
  const here = await ingestObject(foundation, body, expected, encrypting, restriction)
  const ingested = await spreadOut(foundation, spread, here)
  return await committed(foundation, request, [ingested], async (transaction, target) => {
    const standing = target.state.current?.version
    if (standing?.stamp !== row?.version.stamp) throw new Fault('OperationAborted')
    const attributes = standing === undefined ? request.attributes : attributesOf(standing)
    return await writeIngested(foundation, transaction, target, ingested, attributes)
  })
}

const attributesOf = ({ owner, acl, headers, metadata, storageClass, tags }: ObjectVersion) => ({
  owner,
  acl: acl.value,
  headers,
  metadata,
  storageClass,
  ...(tags !== undefined && { tags: tags.value }),
})

/** What stands, as parts. */
interface Base {
  readonly parts: readonly Part[]
  /** Whose blobs the new manifest takes over; absent: the bytes were written again. */
  readonly taken?: Extract<Content, { readonly kind: 'blob' | 'manifest' }>
  readonly rewritten?: Ingested
}

interface Known extends Base {
  readonly version: ObjectVersion
  readonly contentKey: ContentKey | undefined
  /** Which regions are to keep it; undefined: all of the bucket may. */
  readonly restriction: Restriction | undefined
}

async function baseOf(
  foundation: Foundation,
  request: AppendObject,
  found: FoundRow,
  contentKey: ContentKey | undefined,
): Promise<Base> {
  const { content, size, etag, modified, checksum } = found.version
  const taken = await foundation.store.snapshot(async (snapshot): Promise<Base | undefined> => {
    if (content.kind === 'inline' || content.kind === 'remote') return undefined
    if (!(await isForTaking(snapshot, content.blob))) return undefined
    if (content.kind === 'manifest') return { parts: await readManifest(snapshot, content.blob), taken: content }
    // Its bytes are sealed as those of no part.
    if (contentKey !== undefined) return undefined
    const part = { number: 1, size, etag, blob: content.blob, modified, ...(checksum !== undefined && { checksum }) }
    return { parts: [part], taken: content }
  })
  return taken ?? (await rewrite(foundation, request, found, contentKey))
}

async function rewrite(
  foundation: Foundation,
  request: AppendObject,
  found: FoundRow,
  contentKey: ContentKey | undefined,
): Promise<Base> {
  const { name, encryption } = request
  const { size, checksum } = found.version
  const source = await foundation.store.snapshot((snapshot) => readSource(snapshot, found, name.key))
  const customerKey = found.version.encryption?.kind === 'SSE-C' && encryption?.kind === 'SSE-C' && encryption.key
  const opening = await openingOf(foundation, found, source, { name, ...(customerKey && { customerKey }) })
  const bytes = await readContent(foundation, source, { from: 0, to: size }, opening)
  const encrypting = contentKey === undefined ? undefined : { contentKey, part: 1 }
  const expected = digestsOf(checksum, {})
  const rewritten = await ingest(foundation, bodyOf(bytes, size), expected, neverInline, encrypting)
  return { parts: [partOf(foundation, rewritten, 1)], rewritten }
}

function partOf({ world }: Foundation, ingested: Ingested, number: number): Part {
  const { content, size, etag, checksum } = ingested
  if (content.kind === 'inline') throw new Error('a part that was not written to a volume')
  const blob = content.stored.id
  return { number, size, etag, blob, modified: world.now(), ...(checksum !== undefined && { checksum }) }
}

async function add(
  foundation: Foundation,
  request: AppendObject,
  known: Known,
  spread: Spread | undefined,
): Promise<Written> {
  const { parts: before, version: standing, contentKey, restriction } = known
  const number = (before.at(-1)?.number ?? 0) + 1
  const ingested = await ingestNext(foundation, request, known, number)
  const blob = Buffer.from(foundation.world.randomBytes(16)).toString('hex')
  const fresh = [known.rewritten, ingested].filter((each) => each !== undefined)
  const kept = await spreadParts(foundation, spread, { parts: fresh, whole: blob, restriction })
  return await committed(foundation, request, kept, async (transaction, target) => {
    const { current } = target.state
    if (ingested.size === 0) throw emptyBody()
    checkAppend(before, standing.size, ingested.size)
    // Written again meanwhile, with as many bytes.
    if (current?.version.stamp !== standing.stamp) throw new Fault('OperationAborted')
    const parts = [...before, partOf(foundation, ingested, number)]
    addManifest(transaction, blob, parts)
    for (const each of kept) await placePart(foundation, transaction, each, restriction)
    const content = { kind: 'manifest', blob, parts: parts.length } as const
    const state = await takeOver(transaction, target.state, known.taken, content)
    const checksum = appendedChecksum(standing, parts)
    const draft = {
      size: standing.size + ingested.size,
      etag: multipartEtag(parts.map((part) => part.etag)),
      content,
      ...(checksum !== undefined && { checksum }),
      ...(contentKey !== undefined && { contentKey, parts }),
      ...(restriction !== undefined && { restriction }),
    }
    return await writeVersion(foundation, transaction, { ...target, state }, draft, attributesOf(current.version))
  })
}

/** What comes, as a part with a number. */
async function ingestNext(
  foundation: Foundation,
  request: AppendObject,
  known: Known,
  part: number,
): Promise<Ingested> {
  const { parts, version, contentKey, rewritten } = known
  const encrypting: Encrypting | undefined = contentKey === undefined ? undefined : { contentKey, part }
  try {
    checkAppend(parts, version.size, request.body.length ?? 0)
    const digests = digestsOf(version.checksum, request.digests)
    return await ingest(foundation, request.body, digests, neverInline, encrypting)
  } catch (error) {
    if (rewritten !== undefined) await discard(foundation, rewritten)
    throw error
  }
}

/** In the transaction that has the manifest. */
async function placePart(
  { region, cell }: Foundation,
  to: Transaction,
  { content, reservation }: Ingested,
  restriction: Restriction | undefined,
): Promise<void> {
  if (content.kind !== 'blob') return
  if (reservation === undefined) await addBlob(to, content.stored, region, cell, restriction)
  // Its time was over, and it may be gone.
  else if (!(await isReserved(to, reservation))) throw new Fault('ServiceUnavailable')
  else await endReservation(to, reservation)
  yieldElsewhere(to, content.stored.id, restriction, region)
}

/**
 * Takes the blobs of what stands from it, so that they stay when it is replaced. What the key's state then says of it is that
 * its content is already where the next version's will be.
 */
async function takeOver(to: Transaction, state: KeyState, taken: Base['taken'], content: Content): Promise<KeyState> {
  const { current, bucket, key } = state
  if (taken === undefined || current === undefined) return state
  // A copy that was made meanwhile shares them.
  if (!(await isForTaking(to, taken.blob))) throw new Fault('OperationAborted')
  const reference = { bucket, key, slot: slotOf(current.version) }
  if (taken.kind === 'manifest') dissolveManifest(to, taken.blob, reference)
  else surrenderBlob(to, taken.blob, reference)
  return { ...state, current: { ...current, version: { ...current.version, content } } }
}

/** The transaction after the body; `write` finds the target as it was asked for. */
async function committed(
  foundation: Foundation,
  request: AppendObject,
  ingested: readonly Ingested[],
  write: (transaction: Transaction, target: Target) => Promise<Written>,
): Promise<Written> {
  const { name, guard, conditions, offset, cause } = request
  try {
    return await foundation.store.transact(async (transaction) => {
      const target = await readTarget(foundation, transaction, name)
      const standing = target.state.current?.version
      guard(standing, target.bucket)
      checkKeepsOne(target.bucket)
      checkNotElsewhere(standing)
      checkWriteConditions(conditions, standing, name.key)
      checkOffset(offset, standing)
      const written = await write(transaction, target)
      await journalWrite(foundation, transaction, target, 'REST.PUT.OBJECT', written)
      const made = { bucket: target.bucket, key: name.key }
      tellWritten(foundation, transaction, made, written, 'ObjectCreated:Put', cause)
      return written
    })
  } catch (error) {
    for (const each of ingested) await discard(foundation, each)
    throw error
  }
}
