import type { GuardedBucket } from './authorization.ts'
import type { Bucket } from './bucket.ts'
import { resourceVerdict } from './policy.ts'

export type ReplicationAction = 's3:ReplicateObject' | 's3:ReplicateDelete' | 's3:ReplicateTags'

/**
 * Whether a bucket takes replicas from another: its owner's own unless the policy denies it, those of another account where the
 * policy allows it to that account. AWS asks it about the role of the configuration, which acts for that account.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
 */
export function admitsReplicas(
  { bucket, policy }: GuardedBucket,
  source: Bucket,
  action: ReplicationAction,
  key: string,
): boolean {
  if (policy === 'broken') return false
  const verdict = resourceVerdict(policy, {
    requester: { accountId: source.owner, arns: [] },
    action: action.toLowerCase(),
    resource: `arn:aws:s3:::${bucket.name}/${key}`,
    values: new Map(),
  })
  if (verdict === 'deny') return false
  return verdict !== undefined || source.owner === bucket.owner
}
