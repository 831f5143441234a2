import { permits } from './acl.ts'
import { type ActionRule, ruleOf } from './actions.ts'
import type { Bucket } from './bucket.ts'
import { ignoresAcls } from './ownership.ts'
import { evaluate, isPublic, type Verdict } from './policy.ts'
import type { Policy } from './policy-document.ts'
import type { Requester } from './policy-principals.ts'
import type { ConditionValues } from './policy-variables.ts'
import type { ObjectVersion } from './version.ts'

/**
 * Who may do what to a bucket and what is in it: policy, ACLs, ownership and public-access block, in one place.
 *
 * I9  what neither ownership nor a policy nor an ACL gives is refused; what a policy denies is refused to everyone, but for
 *     the owner's way back to the policy itself.
 */
export interface Question {
  readonly requester: Requester
  readonly rule: ActionRule
  readonly key: string | undefined
  readonly values: ConditionValues
}

/** A bucket with its policy read; `broken`: it has one that cannot be. */
export interface GuardedBucket {
  readonly bucket: Bucket
  readonly policy: Policy | 'broken' | undefined
  readonly hasPublicPolicy: boolean
}

/** Given what stands under the name (undefined: nothing): whether it may be done. */
export type Judgement = (version: ObjectVersion | undefined) => boolean

/** Whatever the object is: no. Told apart, since then nothing need be read. */
export const never: Judgement = () => false

export function guarded(bucket: Bucket, read: (policy: string, bucket: string) => Policy): GuardedBucket {
  if (bucket.policy === undefined) return { bucket, policy: undefined, hasPublicPolicy: false }
  try {
    const policy = read(bucket.policy, bucket.name)
    return { bucket, policy, hasPublicPolicy: isPublic(policy) }
  } catch {
    // It was checked when it was put. Whatever has become of it, nobody gets in by it, nor past what it may have denied.
    return { bucket, policy: 'broken', hasPublicPolicy: true }
  }
}

export function judge(guarded: GuardedBucket, question: Question): Judgement {
  const { bucket, policy } = guarded
  const { requester, rule } = question
  const isOwner = requester.accountId === bucket.owner
  const isRestricted = guarded.hasPublicPolicy && bucket.publicAccessBlock?.restrictPublicBuckets === true
  if (isRestricted && !isOwner) return never

  if (rule.isOfExisting && typeof policy === 'object' && policy.readsExistingTags) {
    return (version) => {
      const values = withTags(question.values, version)
      return permitsObject(guarded, question, verdictOf(guarded, { ...question, values }), version)
    }
  }
  const verdict = verdictOf(guarded, question)
  if (verdict === 'deny' && !(isOwner && rule.isOfPolicy)) return never
  const isAllowed = isOwner || verdict === 'allow'
  if (!rule.isOfExisting) return isAllowed || permitsByBucket(bucket, question) ? always : never
  // Only an object's own ACL may still give what the bucket does not, or the object's absence may be told.
  const hasNoSay = rule.grant?.on !== 'object' || (ignoresAcls(bucket) && !mayList(guarded, question))
  if (!isAllowed && hasNoSay) return never
  return (version) => permitsObject(guarded, question, verdict, version)
}

const always: Judgement = () => true

function permitsByBucket(bucket: Bucket, { requester, rule }: Question): boolean {
  if (rule.grant?.on !== 'bucket' || ignoresAcls(bucket)) return false
  return permits(bucket.acl, requester.accountId, rule.grant.permission, ignoring(bucket))
}

const ignoring = (bucket: Bucket) => ({ ignoresPublic: bucket.publicAccessBlock?.ignorePublicAcls === true })

function permitsObject(
  guarded: GuardedBucket,
  question: Question,
  verdict: Verdict,
  version: ObjectVersion | undefined,
): boolean {
  if (verdict === 'deny') return false
  const { bucket } = guarded
  const { requester, rule } = question
  const isOwner = requester.accountId === bucket.owner
  if (rule.grant?.on !== 'object') {
    return (isOwner || verdict === 'allow') && (version !== undefined || mayList(guarded, question))
  }
  if (version === undefined) return mayList(guarded, question)
  // The bucket's owner and policy have no say about the content of objects that others own.
  const isTheirs = !ignoresAcls(bucket) && version.owner !== bucket.owner
  if (!isTheirs && (isOwner || verdict === 'allow')) return true
  if (ignoresAcls(bucket)) return false
  const { permission } = rule.grant
  const isOfAcl = permission === 'READ_ACP' || permission === 'WRITE_ACP'
  if (isOfAcl && requester.accountId !== undefined && requester.accountId === version.owner) return true
  return permits(version.acl.value, requester.accountId, permission, ignoring(bucket))
}

/** Whether the caller may be told that a key is not there: if it may list what begins with it. */
function mayList(guarded: GuardedBucket, question: Question): boolean {
  const { key, values } = question
  const listing: ConditionValues = {
    get: (name) => (name === 's3:prefix' && key !== undefined ? [key] : values.get(name)),
  }
  return judge(guarded, { ...question, rule: ruleOf('s3:ListBucket'), key: undefined, values: listing })(undefined)
}

function verdictOf({ bucket, policy }: GuardedBucket, question: Question): Verdict {
  if (policy === undefined) return 'none'
  if (policy === 'broken') return 'deny'
  const { requester, rule, key, values } = question
  const resource = rule.scope === 'object' ? `arn:aws:s3:::${bucket.name}/${key ?? ''}` : `arn:aws:s3:::${bucket.name}`
  return evaluate({ resource: policy }, { requester, action: rule.name, resource, values })
}

const tagPrefix = 's3:existingobjecttag/'

function withTags(values: ConditionValues, version: ObjectVersion | undefined): ConditionValues {
  return {
    get: (name) => {
      if (!name.startsWith(tagPrefix)) return values.get(name)
      const tag = version?.tags?.value.get(name.slice(tagPrefix.length))
      return tag === undefined ? undefined : [tag]
    },
  }
}
