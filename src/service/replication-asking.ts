import { askToReplicate, type ReplicationWork } from '#src/metadata/replication-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type ReplicationRule, replicationOf, rulesOfMarker, rulesOfObject } from '#src/model/replication.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { ObjectVersion, Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'

/**
 * Asks for replicas, in the transaction of the change.
 *
 * Q4  what is asked for and what asks for it commit together; a bucket without replication costs no read and no write.
 */

/** A version that is about to be written, saying that it is still to be replicated, if it is. */
export async function asReplicated(
  foundation: Foundation,
  to: Transaction,
  bucket: Bucket,
  key: string,
  version: ObjectVersion,
): Promise<ObjectVersion> {
  const replication = enabled(bucket)
  if (replication === undefined || version.isNull) return version
  const rules = rulesOfObject(replication, key, version)
  if (rules.length === 0) return version
  await ask(foundation, to, 'version', bucket, key, version, rules)
  return { ...version, replication: 'PENDING' }
}

/** Of a delete marker; those of lifecycle rules are each bucket's own. */
export async function replicateMarker(
  foundation: Foundation,
  to: Transaction,
  bucket: Bucket,
  key: string,
  marker: Version,
): Promise<void> {
  const replication = enabled(bucket)
  if (replication === undefined || marker.isNull) return
  const rules = rulesOfMarker(replication, key)
  if (rules.length > 0) await ask(foundation, to, 'version', bucket, key, marker, rules)
}

/** A version whose tags, ACL or locks have changed, of which there are replicas. Replicas themselves change as they like. */
export async function withChangedSlots(
  foundation: Foundation,
  to: Transaction,
  bucket: Bucket,
  key: string,
  { before, after }: { readonly before: ObjectVersion; readonly after: ObjectVersion },
): Promise<ObjectVersion> {
  const replication = enabled(bucket)
  const status = before.replication
  if (replication === undefined || (status !== 'COMPLETED' && status !== 'PENDING')) return after
  // What it was made by: a tag that is gone now must go there too.
  const rules = rulesOfObject(replication, key, before)
  if (rules.length === 0) return after
  await ask(foundation, to, 'slots', bucket, key, after, rules)
  return { ...after, replication: 'PENDING' }
}

const enabled = (bucket: Bucket) => (bucket.versioning === 'enabled' ? replicationOf(bucket) : undefined)

async function ask(
  { world }: Foundation,
  to: Transaction,
  kind: ReplicationWork['kind'],
  { name, id }: Bucket,
  key: string,
  { stamp }: Version,
  rules: readonly ReplicationRule[],
): Promise<void> {
  const source = { bucket: name, bucketId: id, key, stamp: formatStamp(stamp) }
  const targets = rules.map(({ destination }) => destination.bucket)
  await askToReplicate(to, kind, source, targets, world.now())
}
