import { Fault } from '#src/errors.ts'
import { readState, rewriteVersion } from '#src/metadata/object-records.ts'
import { askForVersion } from '#src/metadata/remote-records.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { Transaction } from '#src/store/store.ts'
import { checkTakesWrites } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'
import { tell } from './object-events.ts'
import { findRow } from './object-reads.ts'
import type { Objects } from './services.ts'
import { keepUntil, restoredVersion } from './tier-restores.ts'

type RestoreRequest = Parameters<Objects['restore']>[0]

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html */
export async function commitRestore(
  foundation: Foundation,
  request: RestoreRequest,
): Promise<{ readonly isHere: boolean }> {
  return await foundation.store.transact((transaction) => restoreOnce(foundation, transaction, request))
}

async function restoreOnce(
  foundation: Foundation,
  to: Transaction,
  request: RestoreRequest,
): Promise<{ readonly isHere: boolean }> {
  const { days, cause } = request
  const found = await findRow(foundation, to, request)
  const { bucket, row } = found
  checkTakesWrites(foundation, bucket)
  const { version } = row
  const { key } = request.name
  const { remote, restore, storageClass, content, stamp, isNull } = version
  if (remote === undefined) {
    const message = "Restore is not allowed for the object's current storage class"
    throw new Fault('InvalidObjectState', { message, StorageClass: storageClass })
  }
  if (restore?.kind === 'ongoing') throw new Fault('RestoreAlreadyInProgress')
  const state = await readState(to, { bucket: bucket.id, key }, bucket.versioning !== 'off')
  if (content.kind !== 'remote') {
    const again = restoredVersion(version, days, foundation)
    rewriteVersion(to, state, row, again)
    await keepUntil(to, { bucket, key, row }, again)
    return { isHere: true }
  }
  foundation.space?.check()
  const asked = { ...version, restore: { kind: 'ongoing', ...(days !== undefined && { days }) } } as const
  rewriteVersion(to, state, row, asked)
  const named = { bucket: bucket.name, bucketId: bucket.id, key, stamp: formatStamp(stamp) }
  await askForVersion(to, remote.tier, 'restore', named, foundation.world.now())
  const versionId = isNull ? undefined : formatStamp(stamp)
  tell(foundation, to, { event: 'ObjectRestore:Post', bucket, key, stamp, versionId, object: version, cause })
  return { isHere: false }
}
