import type { Context, S3Request } from '#gateway/operations/operation.ts'
import { decodeContentHeaders } from '#gateway/wire/content-headers.ts'
import { decodeMetadata } from '#gateway/wire/metadata-headers.ts'
import { decodeObjectLock, type ObjectLock } from '#gateway/wire/object-lock-headers.ts'
import { decodeStorageClass } from '#gateway/wire/storage-class.ts'
import { parseTaggingHeader } from '#gateway/wire/tagging-header.ts'
import { Fault } from '#src/errors.ts'
import { type AclWish, aclWish } from '#src/model/acl.ts'
import type { Restriction } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { EncryptionWish } from '#src/model/encryption.ts'
import type { Caller } from '#src/model/identity.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import type { Tags } from '#src/model/version.ts'
import { Acls } from '#src/service/acls.ts'
import { encryptionOf } from './encryption.ts'

/** What the headers of a write say of the object to come: PutObject, CopyObject, CreateMultipartUpload. */
export interface RequestedAttributes extends Pick<ObjectAttributes, 'headers' | 'metadata' | 'storageClass'> {
  readonly tags?: Tags
  readonly lock: ObjectLock
  readonly wish?: AclWish
  /** Regions that are to keep the bytes, as on the wire. */
  readonly regions?: string
}

export function decodeAttributes(headers: S3Request['headers']): RequestedAttributes {
  const { 'x-amz-tagging': tagging, 'x-tigris-regions': regions } = headers
  const wish = aclWish((name) => headers[name])
  return {
    headers: decodeContentHeaders(headers),
    metadata: decodeMetadata(headers),
    storageClass: decodeStorageClass(headers['x-amz-storage-class']),
    lock: decodeObjectLock(headers),
    ...(tagging !== undefined && { tags: parseTaggingHeader(tagging) }),
    ...(wish !== undefined && { wish }),
    ...(regions !== undefined && { regions }),
  }
}

/** What a new object is to be, but for its bytes. */
export interface NewObject {
  readonly attributes: ObjectAttributes
  readonly encryption?: EncryptionWish
  readonly restriction?: Restriction
}

/** What is asked, joined with what the bucket has a say in: whose the object is, its ACL, its lock, its encryption, its regions. */
export async function resolveNewObject(requested: RequestedAttributes, context: Context): Promise<NewObject> {
  const { services, request, caller } = context
  const bucket = await services.buckets.get(request.bucket, request.since)
  await authorizeExtras(requested, bucket, context)
  const { headers, metadata, storageClass, tags, lock, wish } = requested
  if ((lock.retention !== undefined || lock.hold !== undefined) && !bucket.hasObjectLock) {
    throw new Fault('InvalidRequest', { message: 'Bucket is missing Object Lock Configuration' })
  }
  const { owner, acl } = await new Acls(services.identity).ofNewObject(bucket, caller, wish)
  const attributes = { owner, acl, headers, metadata, storageClass, ...lock, ...(tags !== undefined && { tags }) }
  const encryption = encryptionOf(request, bucket)
  // A node without others has no choice.
  const regions = requested.regions === undefined ? undefined : services.regions?.keeping(bucket, requested.regions)
  return {
    attributes,
    ...(encryption !== undefined && { encryption }),
    ...(regions !== undefined && { restriction: { bucket: bucket.id, regions } }),
  }
}

/**
 * What a write does beside writing has actions of its own. Not so the ACL of a writer from another account: the object will be
 * the writer's, who may set its ACL in the next request anyway.
 */
async function authorizeExtras(
  { tags, lock, wish }: RequestedAttributes,
  bucket: Bucket,
  context: Context,
): Promise<void> {
  const { authorize, request, caller } = context
  const resource = { bucket: request.bucket, key: request.key, isNew: true }
  const isOwner = caller.kind === 'account' && caller.account.id === bucket.owner
  if (tags !== undefined) await authorize('s3:PutObjectTagging', resource)
  if (wish !== undefined && isOwner) await authorize('s3:PutObjectAcl', resource)
  if (lock.retention !== undefined) await authorize('s3:PutObjectRetention', resource)
  if (lock.hold !== undefined) await authorize('s3:PutObjectLegalHold', resource)
}

/** AWS's canonical id of nobody. */
const anonymousId = '65a011a29cdf8ec533ec3d1ccaae921c'

/** Who a delete marker or an upload is said to be of. */
export const ownerOf = (caller: Caller): string => (caller.kind === 'account' ? caller.account.id : anonymousId)
