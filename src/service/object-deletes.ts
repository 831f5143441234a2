import { Fault } from '#src/errors.ts'
import {
  entomb,
  insertVersion,
  type Row,
  readVersion,
  removeVersion,
  seenVector,
} from '#src/metadata/object-records.ts'
import { type Conditions, checkWrite } from '#src/model/conditions.ts'
import { isLocked } from '#src/model/retention.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { DeleteMarker, Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Cause } from './cause.ts'
import type { Foundation } from './foundation.ts'
import { journal } from './log-writing.ts'
import { tell } from './object-events.ts'
import { parseVersionId } from './object-reads.ts'
import { readTarget, type Target } from './object-writes.ts'
import { replicateMarker } from './replication-asking.ts'
import type { Deleted, FindObject } from './services.ts'
import { passOn } from './shadow-asking.ts'

export interface DeleteRequest extends FindObject {
  readonly conditions: Conditions
  readonly bypassGovernance: boolean
  readonly caller: string
  readonly isOfMany?: boolean
  readonly cause?: Cause
  /** Whether a rule of the bucket asks for it. */
  readonly isExpired?: boolean
}

export async function commitDelete(foundation: Foundation, request: DeleteRequest): Promise<Deleted> {
  const operation = request.isOfMany === true ? 'REST.POST.DELETE_MULTI_OBJECT' : 'REST.DELETE.OBJECT'
  return await foundation.store.transact(async (transaction) => {
    const target = await readTarget(foundation, transaction, request.name)
    const deleted = await deleteFrom(foundation, transaction, target, request)
    await journalDelete(foundation, transaction, target, operation, deleted.versionId)
    return deleted
  }, request.since)
}

/** Where the bucket keeps a journal, what was removed gets its line, in the same transaction (H1). */
export async function journalDelete(
  foundation: Foundation,
  to: Transaction,
  { bucket, state }: Target,
  operation: string,
  versionId: string | undefined,
): Promise<void> {
  if (bucket.logging === undefined) return
  await journal(foundation, to, bucket, { operation, key: state.key, size: undefined, versionId, etag: undefined })
}

/** In a transaction that does more. */
export async function deleteWithin(foundation: Foundation, to: Transaction, request: DeleteRequest): Promise<Deleted> {
  const target = await readTarget(foundation, to, request.name)
  return await deleteFrom(foundation, to, target, request)
}

async function deleteFrom(
  foundation: Foundation,
  to: Transaction,
  target: Target,
  request: DeleteRequest,
): Promise<Deleted> {
  if (request.versionId !== undefined) return await deleteVersion(foundation, to, target, request, request.versionId)
  return await deleteCurrent(foundation, to, target, request)
}

/** Removes the object, or hides it under a delete marker where the bucket keeps versions. */
async function deleteCurrent(
  foundation: Foundation,
  to: Transaction,
  target: Target,
  request: DeleteRequest,
): Promise<Deleted> {
  const { bucket, state, stamp } = target
  const latest = state.current ?? state.newest
  request.guard(state.current?.version, bucket)
  checkDeleteConditions(request.conditions, latest?.version)
  // A delete of what the client expects to be there hides nothing where nothing is.
  if (latest === undefined && Object.keys(request.conditions).length > 0)
    return { isMarker: false, versionId: undefined }
  // Versions may have come from a cell that knows already that the bucket keeps them: nothing of theirs is lost to a plain delete.
  if (bucket.versioning === 'off' && state.newest === undefined) {
    const { current } = state
    if (current !== undefined) {
      await removeVersion(to, state, current, stamp, seenVector(state, foundation.cell, stamp))
      tellRemoved(foundation, to, target, request, 'Delete', undefined)
    } else if (bucket.shadow !== undefined) {
      entomb(to, state, stamp, seenVector(state, foundation.cell, stamp))
    }
    await passOn(foundation, to, bucket, state.key)
    return { isMarker: false, versionId: undefined }
  }
  const marker: DeleteMarker = {
    kind: 'marker',
    stamp,
    isNull: bucket.versioning !== 'enabled',
    modified: foundation.world.now(),
    owner: request.caller,
    vector: seenVector(state, foundation.cell, stamp),
  }
  await insertVersion(to, state, marker)
  await passOn(foundation, to, bucket, state.key)
  if (request.isExpired !== true) await replicateMarker(foundation, to, bucket, state.key, marker)
  const versionId = marker.isNull ? 'null' : formatStamp(stamp)
  tellRemoved(foundation, to, target, request, 'DeleteMarkerCreated', versionId)
  return { isMarker: true, versionId }
}

function tellRemoved(
  foundation: Foundation,
  to: Transaction,
  { bucket, stamp }: Target,
  { name: { key }, cause, isExpired }: DeleteRequest,
  how: 'Delete' | 'DeleteMarkerCreated',
  versionId: string | undefined,
): void {
  const group = isExpired === true ? 'LifecycleExpiration' : 'ObjectRemoved'
  tell(foundation, to, { event: `${group}:${how}`, bucket, key, stamp, versionId, cause })
}

/** Removes one version for good. */
async function deleteVersion(
  foundation: Foundation,
  to: Transaction,
  target: Target,
  request: DeleteRequest,
  versionId: string,
): Promise<Deleted> {
  const { state, stamp } = target
  const found: Row | undefined = await readVersion(to, state, parseVersionId(versionId))
  request.guard(found?.version.kind === 'object' ? found.version : undefined, target.bucket)
  if (found === undefined) return { isMarker: false, versionId }
  const { version } = found
  checkDeleteConditions(request.conditions, version)
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
  if (isLocked(version, foundation.world.now(), request.bypassGovernance)) {
    throw new Fault('AccessDenied', { message: 'Access Denied because object protected by object lock.' })
  }
  await removeVersion(to, state, found, stamp, seenVector(state, foundation.cell, stamp))
  await passOn(foundation, to, target.bucket, state.key)
  tellRemoved(foundation, to, target, request, 'Delete', versionId)
  return { isMarker: version.kind === 'marker', versionId }
}

/** Of a delete: what is not there cannot fail a condition; a delete marker stands for an empty object without ETag. */
function checkDeleteConditions(conditions: Conditions, standing: Version | undefined): void {
  if (standing === undefined) return
  const subject = standing.kind === 'object' ? standing : { etag: '', size: 0, modified: standing.modified }
  if (checkWrite(conditions, subject) !== 'passed') throw new Fault('PreconditionFailed', { Condition: 'If-Match' })
}
