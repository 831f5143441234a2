import { Fault } from '#src/errors.ts'
import type { KeyState } from '#src/metadata/object-records.ts'
import { readQuota } from '#src/metadata/organization-records.ts'
import { readStored } from '#src/metadata/usage-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'

/** An account owns no more buckets than this, whatever it is told. */
const bucketsMost = 10_000

const sizeOf = (version: Version | undefined): number =>
  version?.kind === 'object' && version.isNull ? version.size : 0

/**
 * Whether the organisation that owns a bucket may store an object of that size.
 *
 * U7  an organisation with a limit of bytes never stores more in a cell, however many write at once: the write reads what all of its
 *     buckets store in its own transaction, and adds to that.
 */
export async function checkByteQuota(
  { namespace }: Pick<Foundation, 'namespace'>,
  to: Transaction,
  { bucket, state, size }: { readonly bucket: Bucket; readonly state: KeyState; readonly size: number },
): Promise<void> {
  // All other buckets are read no row more for it.
  if (bucket.isLimited !== true) return
  const most = (await readQuota(to, bucket.owner))?.bytes
  if (most === undefined) return
  const freed = bucket.versioning === 'enabled' ? 0 : sizeOf(state.current?.version) + sizeOf(state.stowed?.version)
  let total = BigInt(size - freed)
  for (const { id } of await namespace.bucketsOf(to, bucket.owner, { limit: bucketsMost })) {
    for (const { bytes } of (await readStored(to, id)).values()) total += bytes
  }
  if (size > freed && total > BigInt(most)) throw new Fault('QuotaExceeded')
}
