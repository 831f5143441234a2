import { Fault } from '#src/errors.ts'
import { addBlob, yieldElsewhere } from '#src/metadata/blob-records.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { insertVersion, type KeyState, readState, seenVector } from '#src/metadata/object-records.ts'
import { endReservation, isReserved } from '#src/metadata/reservations.ts'
import type { Restriction } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type Conditions, checkWrite } from '#src/model/conditions.ts'
import { expiryOf } from '#src/model/lifecycle.ts'
import type { ObjectName } from '#src/model/names.ts'
import { retentionOfNew } from '#src/model/object-lock.ts'
import { formatStamp, nextStamp, type Stamp } from '#src/model/stamp.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { Content, ObjectVersion, Part, Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { checkTakesWrites } from './bucket-places.ts'
import { checkByteQuota } from './byte-quota.ts'
import type { Foundation } from './foundation.ts'
import type { Ingested } from './ingest.ts'
import { journal } from './log-writing.ts'
import { type ContentKey, sealedBy } from './object-encryption.ts'
import { tellWritten } from './object-events.ts'
import { asReplicated } from './replication-asking.ts'
import type { PutObject, Written } from './services.ts'
import { passOn } from './shadow-asking.ts'

/** A key that is about to be changed: its bucket and its state, read in the transaction that changes it (C22). */
export interface Target {
  readonly bucket: Bucket
  readonly state: KeyState
  /** The next stamp of this key. */
  readonly stamp: Stamp
}

export async function readTarget(foundation: Foundation, from: Transaction, name: ObjectName): Promise<Target> {
  foundation.clock?.check()
  const bucket = await foundation.namespace.existingBucket(from, name.bucket)
  checkTakesWrites(foundation, bucket)
  const wasVersioned = bucket.versioning !== 'off' || foundation.hasPeers === true
  const state = await readState(from, { bucket: bucket.id, key: name.key }, wasVersioned)
  const stamp = nextStamp(foundation.world.nowMicroseconds(), state.largest, foundation.cell)
  return { bucket, state, stamp }
}

/** As S3 answers a write whose conditions do not hold: 404 where If-Match meets nothing, 412 otherwise. */
export function checkWriteConditions(conditions: Conditions, standing: ObjectVersion | undefined, key: string): void {
  const outcome = checkWrite(conditions, standing)
  if (outcome === 'missing') throw new Fault('NoSuchKey', { Key: key })
  if (outcome === 'failed') throw new Fault('PreconditionFailed', { Condition: failedCondition(conditions) })
}

const failedCondition = (conditions: Conditions): string =>
  conditions.ifMatch !== undefined
    ? 'If-Match'
    : conditions.ifNoneMatch !== undefined
      ? 'If-None-Match'
      : 'At-least one of the pre-conditions'

/** The id on the wire; undefined where the bucket was never versioned. */
export function versionIdOf(bucket: Bucket, version: Version): string | undefined {
  if (bucket.versioning === 'off') return undefined
  return version.isNull ? 'null' : formatStamp(version.stamp)
}

/** What was written, before it gets its place among the versions of a key. */
export interface Draft extends Pick<ObjectVersion, 'size' | 'etag' | 'content' | 'checksum'> {
  /** What its bytes are encrypted with; absent: they are not. */
  readonly contentKey?: ContentKey
  /** Of an encrypted object in parts. */
  readonly parts?: readonly Part[]
  /** Which regions are to keep its bytes; absent: all of the bucket may. */
  readonly restriction?: Restriction
}

export function draftOf({ size, etag, checksum, content, contentKey, restriction }: Ingested): Draft {
  const where: Content = content.kind === 'inline' ? { kind: 'inline' } : { kind: 'blob', blob: content.stored.id }
  return {
    size,
    etag,
    content: where,
    ...(checksum !== undefined && { checksum }),
    ...(contentKey !== undefined && { contentKey }),
    ...(restriction !== undefined && { restriction }),
  }
}

/** Makes the draft the newest version of the target's key. */
export async function writeVersion(
  foundation: Foundation,
  to: Transaction,
  { bucket, state, stamp }: Target,
  { contentKey, parts, restriction, ...draft }: Draft,
  attributes: ObjectAttributes,
): Promise<Written> {
  const { owner, headers, metadata, storageClass, tags, acl, hold } = attributes
  const now = foundation.world.now()
  const retention = attributes.retention ?? retentionOfNew(bucket, now)
  // Made anew under the same name meanwhile: the data key is bound to the bucket that was, and so is where bytes are to be.
  if (contentKey !== undefined && contentKey.bucket !== bucket.id) throw new Fault('OperationAborted')
  if (restriction !== undefined && restriction.bucket !== bucket.id) throw new Fault('OperationAborted')
  const made: ObjectVersion = {
    kind: 'object',
    stamp,
    isNull: bucket.versioning !== 'enabled',
    modified: now,
    owner,
    vector: seenVector(state, foundation.cell, stamp),
    ...draft,
    headers,
    metadata,
    storageClass,
    acl: { stamp, value: acl },
    ...(tags !== undefined && tags.size > 0 && { tags: { stamp, value: tags } }),
    ...(hold !== undefined && { hold: { stamp, value: hold } }),
    ...(retention !== undefined && { retention: { stamp, value: retention } }),
    ...(restriction !== undefined && { regions: restriction.regions }),
    ...(contentKey !== undefined && {
      encryption: sealedBy(contentKey, { ...draft, stamp, key: state.key, ...(parts !== undefined && { parts }) }),
    }),
  }
  await checkByteQuota(foundation, to, { bucket, state, size: draft.size })
  const version = await asReplicated(foundation, to, bucket, state.key, made)
  await insertVersion(to, state, version)
  await passOn(foundation, to, bucket, state.key)
  // A write tells no id where it filled the `null` slot; a read of the same version does.
  const versionId = version.isNull ? undefined : versionIdOf(bucket, version)
  const expiry = expiryOf(bucket, state.key, version)
  return expiry === undefined ? { version, versionId } : { version, versionId, expiry }
}

/** Writes what a body left: its bytes are durable already, or lie beside the record and become so with it. */
export async function writeIngested(
  foundation: Foundation,
  to: Transaction,
  target: Target,
  ingested: Ingested,
  attributes: ObjectAttributes,
): Promise<Written> {
  const { content, reservation, restriction } = ingested
  if (content.kind === 'blob') {
    const { region, cell } = foundation
    if (reservation === undefined) await addBlob(to, content.stored, region, cell, restriction)
    // Its time was over, and it may be gone: whoever waited so long waits for nothing.
    else if (!(await isReserved(to, reservation))) throw new Fault('ServiceUnavailable')
  }
  const written = await writeVersion(foundation, to, target, draftOf(ingested), attributes)
  if (content.kind === 'blob') yieldElsewhere(to, content.stored.id, restriction, foundation.region)
  if (reservation !== undefined) await endReservation(to, reservation)
  if (content.kind === 'inline') {
    const { bucket, key } = target.state
    to.set(keys.inline(bucket, key, slotOf(written.version)), content.bytes)
  }
  return written
}

/** Where the bucket keeps a journal, what was written gets its line, in the same transaction (H1). */
export async function journalWrite(
  foundation: Foundation,
  to: Transaction,
  { bucket, state }: Target,
  operation: string,
  { version, versionId }: Pick<Written, 'version' | 'versionId'>,
): Promise<void> {
  if (bucket.logging === undefined) return
  const { size, etag } = version
  await journal(foundation, to, bucket, { operation, key: state.key, size, versionId, etag })
}

/** The transaction of a PutObject, after its body. */
export async function commitPut(foundation: Foundation, request: PutObject, ingested: Ingested): Promise<Written> {
  const { name, attributes, conditions, guard } = request
  return await foundation.store.transact(async (transaction) => {
    const target = await readTarget(foundation, transaction, name)
    const standing = target.state.current?.version
    guard(standing, target.bucket)
    checkWriteConditions(conditions, standing, name.key)
    const written = await writeIngested(foundation, transaction, target, ingested, attributes)
    await journalWrite(foundation, transaction, target, 'REST.PUT.OBJECT', written)
    const event = request.isForm === true ? 'ObjectCreated:Post' : 'ObjectCreated:Put'
    tellWritten(foundation, transaction, { bucket: target.bucket, key: name.key }, written, event, request.cause)
    return written
  }, request.since)
}
