import { Fault } from '#src/errors.ts'
import type { Acl } from './access.ts'
import { isPublicAcl } from './acl.ts'
import type { Bucket } from './bucket.ts'
import { isPublic } from './policy.ts'
import { type Policy, parseBucketPolicy } from './policy-document.ts'

type Blocked = Pick<Bucket, 'publicAccessBlock'>

/** BlockPublicAcls: a public ACL is not taken. */
export function checkPublicAcl(bucket: Blocked, acl: Acl): void {
  if (bucket.publicAccessBlock?.blockPublicAcls === true && isPublicAcl(acl)) {
    throw new Fault('AccessDenied', { message: 'Public ACLs are blocked for this bucket.' })
  }
}

/** BlockPublicPolicy: a public policy is not taken. */
export function checkPublicPolicy(bucket: Blocked, policy: Policy): void {
  if (bucket.publicAccessBlock?.blockPublicPolicy === true && isPublic(policy)) {
    throw new Fault('AccessDenied', { message: 'Public policies are blocked for this bucket.' })
  }
}

/** For GetBucketPolicyStatus: ceph's test suite, unlike AWS, wants the ACL to count too, and so does whoever looks. */
export function isPublicBucket(bucket: Bucket): boolean {
  if (isPublicAcl(bucket.acl)) return true
  return bucket.policy !== undefined && isPublic(parseBucketPolicy(bucket.policy, bucket.name))
}
