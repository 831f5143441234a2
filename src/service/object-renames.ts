import { Fault } from '#src/errors.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { insertVersion, removeVersion, seenVector } from '#src/metadata/object-records.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import { draftOfVersion, findSource } from './object-copies.ts'
import { journalDelete } from './object-deletes.ts'
import { type ContentKey, checkCustomerKey, withContentKey } from './object-encryption.ts'
import { tell, tellWritten } from './object-events.ts'
import { checkWriteConditions, journalWrite, readTarget, writeVersion } from './object-writes.ts'
import { replicateMarker } from './replication-asking.ts'
import type { Objects, Written } from './services.ts'
import { passOn } from './shadow-asking.ts'

/** Moves an object to another key of its bucket, in one transaction and without touching its bytes. */
export async function commitRename(
  foundation: Foundation,
  request: Parameters<Objects['rename']>[0],
): Promise<Written> {
  const { source, target, customerKey } = request
  if (source.bucket !== target.bucket)
    throw new Fault('InvalidRequest', { message: 'A rename stays within its bucket.' })
  if (source.key === target.key) throw new Fault('InvalidRequest', { message: 'Source and target are the same key.' })
  return await withContentKey(foundation, customerKey, (known) =>
    foundation.store.transact((transaction) => renameOnce(foundation, transaction, request, known)),
  )
}

async function renameOnce(
  foundation: Foundation,
  transaction: Transaction,
  {
    source,
    target,
    conditions,
    sourceConditions,
    guard,
    sourceGuard,
    customerKey,
    cause,
  }: Parameters<Objects['rename']>[0],
  known: ContentKey | undefined,
): Promise<Written> {
  const found = await findSource(foundation, transaction, {
    name: source,
    guard: sourceGuard,
    conditions: sourceConditions,
  })
  const place = await readTarget(foundation, transaction, target)
  guard(place.state.current?.version, place.bucket)
  checkWriteConditions(conditions, place.state.current?.version, target.key)
  const { version } = found
  // Its copy at the endpoint has the name that it had.
  if (version.remote !== undefined) throw new Fault('InvalidObjectState', { StorageClass: version.storageClass })
  checkCustomerKey(version.encryption, customerKey)
  const { source: bytes, draft } = await draftOfVersion(transaction, found, source.key, known)
  const written = await writeVersion(foundation, transaction, place, draft, attributesOf(version))
  if (bytes?.kind === 'inline') {
    transaction.set(keys.inline(place.bucket.id, target.key, slotOf(written.version)), bytes.bytes)
  }
  tellWritten(foundation, transaction, { bucket: place.bucket, key: target.key }, written, 'ObjectCreated:Copy', cause)
  const from = await readTarget(foundation, transaction, source)
  const { bucket, stamp } = from
  const vector = seenVector(from.state, foundation.cell, from.stamp)
  const gone = { bucket, key: source.key, stamp, cause }
  if (bucket.versioning === 'off') {
    await removeVersion(transaction, from.state, found.row, stamp, vector)
    tell(foundation, transaction, { ...gone, event: 'ObjectRemoved:Delete', versionId: undefined })
  } else {
    const isNull = bucket.versioning === 'suspended'
    const { owner } = version
    const modified = foundation.world.now()
    const marker = { kind: 'marker', stamp, isNull, modified, owner, vector } as const
    await insertVersion(transaction, from.state, marker)
    await replicateMarker(foundation, transaction, bucket, source.key, marker)
    const versionId = isNull ? 'null' : formatStamp(stamp)
    tell(foundation, transaction, { ...gone, event: 'ObjectRemoved:DeleteMarkerCreated', versionId })
  }
  await passOn(foundation, transaction, bucket, source.key)
  await journalWrite(foundation, transaction, place, 'REST.PUT.OBJECT', written)
  await journalDelete(foundation, transaction, from, 'REST.DELETE.OBJECT', undefined)
  return written
}

/** All that was said of an object when it was written, and since. */
function attributesOf({
  owner,
  headers,
  metadata,
  storageClass,
  acl,
  tags,
  hold,
  retention,
}: ObjectVersion): ObjectAttributes {
  return {
    owner,
    headers,
    metadata,
    storageClass,
    acl: acl.value,
    ...(tags !== undefined && { tags: tags.value }),
    ...(hold !== undefined && { hold: hold.value }),
    ...(retention?.value !== undefined && { retention: retention.value }),
  }
}
