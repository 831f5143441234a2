import { Fault } from '#src/errors.ts'
import { insertAmong, type KeyState, readStamped, rewriteVersion, seenVector } from '#src/metadata/object-records.ts'
import type { Acl } from '#src/model/access.ts'
import { type GuardedBucket, guarded } from '#src/model/authorization.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import { retentionOfNew } from '#src/model/object-lock.ts'
import { ignoresAcls } from '#src/model/ownership.ts'
import { parseBucketPolicy } from '#src/model/policy-document.ts'
import type { ReplicationRule } from '#src/model/replication.ts'
import { admitsReplicas, type ReplicationAction } from '#src/model/replication-permission.ts'
import { nextStamp } from '#src/model/stamp.ts'
import type { DeleteMarker, ObjectVersion, Version } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { checkTakesWrites } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'

/** How a replica comes to be in its bucket, and what it says of itself. */

/** The destination, where it may be one. Faults say why it is none, and that trying again is of no use. */
export async function readDestination(
  foundation: Foundation,
  from: Snapshot,
  name: string,
  source: Bucket,
  need: { readonly action: ReplicationAction; readonly key: string },
): Promise<Bucket> {
  const target = await foundation.namespace.existingBucket(from, name)
  if (target.state === 'active') checkTakesWrites(foundation, target)
  if (target.versioning !== 'enabled' || target.state !== 'active' || target.id === source.id) {
    throw new Fault('InvalidRequest', { message: 'The destination does not keep versions.' })
  }
  if (!admitsReplicas(guardedOf(target), source, need.action, need.key)) throw new Fault('AccessDenied')
  return target
}

const guardedOf = (bucket: Bucket): GuardedBucket => guarded(bucket, parseBucketPolicy)

/** As the destination would encrypt a write that says nothing; what was encrypted does not become plain by that. */
export function wishOf(
  target: Bucket,
  { destination }: ReplicationRule,
  { encryption }: ObjectVersion,
): EncryptionWish | undefined {
  const { keyId } = destination
  if (encryption?.kind === 'SSE-KMS' && keyId !== undefined) return { kind: 'SSE-KMS', keyId, hasBucketKey: false }
  const usual = target.encryption
  if (usual === undefined) return encryption === undefined ? undefined : { kind: 'SSE-S3' }
  if (usual.algorithm === 'AES256') return { kind: 'SSE-S3' }
  const { keyId: own, hasBucketKey = false } = usual
  return { kind: 'SSE-KMS', hasBucketKey, ...(own !== undefined && { keyId: own }) }
}

/** The replica of a version, but for its content. */
export function replicaOf(
  { world, cell }: Foundation,
  version: ObjectVersion,
  target: Bucket,
  state: KeyState,
  { destination }: ReplicationRule,
): ObjectVersion {
  // Where the source is to be has nothing to do with where another bucket is.
  const { remote: _remote, restore: _restore, encryption: _encryption, regions: _regions, ...described } = version
  const { retention, hold, ...rest } = described
  if ((retention?.value !== undefined || hold?.value === true) && !target.hasObjectLock) {
    throw new Fault('InvalidRequest', { message: 'The destination has no object lock.' })
  }
  const { owner, acl } = ownershipIn(target, version, destination.isOwned === true)
  const usual = retention?.value === undefined ? retentionOfNew(target, world.now()) : undefined
  const kept = usual === undefined ? retention : { stamp: version.stamp, value: usual }
  return {
    ...rest,
    owner,
    acl: { stamp: version.acl.stamp, value: acl },
    storageClass: destination.storageClass ?? version.storageClass,
    vector: seenVector(state, cell, version.stamp),
    replication: 'REPLICA',
    ...(kept !== undefined && { retention: kept }),
    ...(hold !== undefined && { hold }),
  }
}

function ownershipIn(
  target: Bucket,
  { owner, acl }: ObjectVersion,
  isOwned: boolean,
): { readonly owner: string; readonly acl: Acl } {
  if (!isOwned && !ignoresAcls(target)) return { owner, acl: acl.value }
  const grantee = { kind: 'account', id: target.owner, displayName: '' } as const
  return { owner: target.owner, acl: { owner: target.owner, grants: [{ grantee, permission: 'FULL_CONTROL' }] } }
}

/** Whether a version's replica is there already; Fault where another version has its id. */
export function isThere(there: Version | undefined, version: Version): boolean {
  if (there === undefined) return false
  const isSame =
    there.kind === version.kind &&
    (there.kind === 'marker' ||
      version.kind === 'marker' ||
      (there.etag === version.etag && there.size === version.size))
  // Stamps are unique in their own bucket only.
  if (!isSame) throw new Fault('OperationAborted', { message: 'The destination has another version of this id.' })
  return true
}

export async function replicateMarkerTo(
  foundation: Foundation,
  to: Transaction,
  target: Bucket,
  key: string,
  marker: DeleteMarker,
): Promise<void> {
  const { state, row } = await readStamped(to, { bucket: target.id, key }, marker.stamp, true)
  const vector = seenVector(state, foundation.cell, marker.stamp)
  if (!isThere(row?.version, marker)) await insertAmong(to, state, { ...marker, vector })
}

/** Makes tags, ACL and locks of a replica what they are at the source; one that was deleted stays so. */
export async function replicateSlots(
  foundation: Foundation,
  to: Transaction,
  target: Bucket,
  key: string,
  version: ObjectVersion,
  { destination }: ReplicationRule,
): Promise<void> {
  const { state, row } = await readStamped(to, { bucket: target.id, key }, version.stamp, true)
  const replica = row?.version
  if (row === undefined || replica?.kind !== 'object' || replica.replication !== 'REPLICA') return
  const { tags: _tags, hold: _hold, ...rest } = replica
  const { tags, hold, retention } = version
  const seen = [replica.tags?.stamp, replica.acl.stamp, replica.hold?.stamp, replica.retention?.stamp, version.stamp]
  const largest = seen.reduce<bigint>((most, each) => (each !== undefined && each > most ? each : most), 0n)
  const stamp = nextStamp(foundation.world.nowMicroseconds(), largest, foundation.cell)
  foundation.clock?.check()
  const { acl } = ownershipIn(target, version, destination.isOwned === true)
  const isLockable = target.hasObjectLock
  // A replica may be kept longer than its source, by its own bucket's rules.
  const until = retention?.value?.until ?? 0
  const isRetained = isLockable && retention?.value !== undefined && until >= (replica.retention?.value?.until ?? 0)
  rewriteVersion(
    to,
    state,
    { version: replica, bytes: row.bytes },
    {
      ...rest,
      acl: { stamp, value: acl },
      ...(tags !== undefined && { tags: { stamp, value: tags.value } }),
      ...(hold !== undefined && isLockable && { hold: { stamp, value: hold.value } }),
      ...(isRetained && { retention: { stamp, value: retention.value } }),
    },
  )
}
