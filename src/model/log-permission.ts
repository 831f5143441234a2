import { groups } from './access.ts'
import type { GuardedBucket } from './authorization.ts'
import type { Bucket } from './bucket.ts'
import { ignoresAcls } from './ownership.ts'
import { evaluate } from './policy.ts'

const requester = { accountId: undefined, arns: [], service: 'logging.s3.amazonaws.com' } as const

/**
 * Whether a bucket takes the logs of another: its policy lets the logging service put objects under the prefix, or its ACL, where
 * it counts, lets the log delivery group write.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html#grant-log-delivery-permissions-general
 */
export function admitsLogs({ bucket, policy }: GuardedBucket, source: Bucket, prefix: string): boolean {
  if (policy === 'broken') return false
  const values = new Map([
    ['aws:sourcearn', [`arn:aws:s3:::${source.name}`]],
    ['aws:sourceaccount', [source.owner]],
  ])
  const resource = `arn:aws:s3:::${bucket.name}/${prefix}`
  const verdict = evaluate({ resource: policy }, { requester, action: 's3:putobject', resource, values })
  if (verdict !== 'none') return verdict === 'allow'
  return !ignoresAcls(bucket) && isGranted(bucket)
}

const isGranted = ({ acl }: Bucket): boolean =>
  acl.grants.some(
    ({ grantee, permission }) =>
      grantee.kind === 'group' &&
      grantee.uri === groups.logDelivery &&
      (permission === 'WRITE' || permission === 'FULL_CONTROL'),
  )
