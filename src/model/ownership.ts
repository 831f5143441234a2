import { Fault } from '#src/errors.ts'
import type { Acl } from './access.ts'
import type { AclWish } from './acl.ts'
import type { Bucket, Ownership } from './bucket.ts'

/**
 * Whose an object is, and what ACLs a bucket takes.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
 */
export const ownershipOf = (bucket: Pick<Bucket, 'ownership'>): Ownership => bucket.ownership ?? 'ObjectWriter'

/** Whether ACLs count for nothing in the bucket, and everything in it is its owner's. */
export const ignoresAcls = (bucket: Pick<Bucket, 'ownership'>): boolean => bucket.ownership === 'BucketOwnerEnforced'

/** Whether a new object is the bucket owner's rather than its writer's. */
export function isBucketOwners(bucket: Bucket, writer: string | undefined, wish: AclWish | undefined): boolean {
  // Nobody could ever read, or pay for, what an anonymous writer owned.
  if (writer === undefined || writer === bucket.owner || ignoresAcls(bucket)) return true
  return ownershipOf(bucket) === 'BucketOwnerPreferred' && wish?.canned === 'bucket-owner-full-control'
}

/** Fault where ACLs are off and something else is asked for than what holds anyway. */
export function checkAclWish(bucket: Pick<Bucket, 'ownership'>, wish: AclWish | undefined): void {
  if (wish === undefined || !ignoresAcls(bucket)) return
  if (wish.canned !== 'bucket-owner-full-control') throw new Fault('AccessControlListNotSupported')
}

/** Of a bucket's ACL before ownership is enforced: nobody but its owner may be in it. */
export function checkEnforceable(acl: Acl): void {
  const isOwn = acl.grants.every(({ grantee }) => grantee.kind === 'account' && grantee.id === acl.owner)
  if (!isOwn) throw new Fault('InvalidBucketAclWithObjectOwnership')
}
