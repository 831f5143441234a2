import { permits } from './acl.ts'
import { type ActionRule, ruleOf } from './actions.ts'
import type { Bucket } from './bucket.ts'
import { ignoresAcls } from './ownership.ts'
import { evaluate, isPublic, type PolicyRequest, resourceVerdict, withinLimits } from './policy.ts'
import type { Policy } from './policy-document.ts'
import type { Requester } from './policy-principals.ts'
import type { ConditionValues } from './policy-variables.ts'
import { isOfAccount, type Principal } from './principal.ts'
import type { ObjectVersion } from './version.ts'

/**
 * Who may do what to a bucket and what is in it: policy, ACLs, ownership and public-access block, in one place.
 *
 * I9  what neither ownership nor a policy nor an ACL gives is refused; what a policy denies is refused to everyone, but for
 *     the owner's way back to the policy itself.
 * I10 within an account, a user or role may do what its own policies allow, or what the bucket's policy gives to just it; of
 *     another account, only what both that account's policies and the bucket give.
 */
export interface Question {
  readonly requester: Requester
  readonly rule: ActionRule
  readonly key: string | undefined
  readonly values: ConditionValues
  /** Who acts in the account, where it is not the account itself. */
  readonly principal?: Principal | undefined
  /** An account of the same tenant: what policies allow is allowed on its buckets too. */
  readonly mate?: string | undefined
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

/** What one who asks may, before any ACL is looked at. */
interface Standing {
  readonly isDenied: boolean
  /** As the bucket's owner may. */
  readonly owns: boolean
  /** By the bucket's policy. */
  readonly isAllowed: boolean
  /** Whether what grants give to the account is theirs too. */
  readonly hasGrants: boolean
}

const denied: Standing = { isDenied: true, owns: false, isAllowed: false, hasGrants: false }

function standingOf({ bucket, policy }: GuardedBucket, question: Question): Standing {
  const { requester, rule, key, values, principal } = question
  const isOwner = requester.accountId === bucket.owner
  const resource = rule.scope === 'object' ? `arn:aws:s3:::${bucket.name}/${key ?? ''}` : `arn:aws:s3:::${bucket.name}`
  const request: PolicyRequest = { requester, action: rule.name, resource, values }
  const verdict = policy === 'broken' ? 'deny' : policy === undefined ? undefined : resourceVerdict(policy, request)
  // The owner's account must not lock itself out of its own policy; its users may be.
  if (verdict === 'deny' && !(isOwner && rule.isOfPolicy && isOfAccount(principal))) return denied
  const given = verdict === 'deny' ? undefined : verdict
  if (principal === undefined)
    return { isDenied: false, owns: isOwner, isAllowed: given !== undefined, hasGrants: true }

  const own = evaluate(principal, request)
  if (own === 'deny') return denied
  const may = own === 'allow'
  const isWithin = isOwner || bucket.owner === question.mate
  if (isOfAccount(principal)) {
    return { isDenied: false, owns: isOwner || (isWithin && may), isAllowed: given !== undefined, hasGrants: true }
  }
  if (!isWithin) return { isDenied: false, owns: false, isAllowed: given !== undefined && may, hasGrants: may }
  const isGiven =
    given === 'exactly' || ((given === 'role' || given === 'everyone') && withinLimits(principal, request))
  return { isDenied: false, owns: may, isAllowed: isGiven, hasGrants: may }
}

/** Whether any of the policies asks for the tags of the object that stands there. */
function readsTags(policy: GuardedBucket['policy'], principal: Principal | undefined): boolean {
  const policies = [policy, ...(principal?.identity ?? []), principal?.boundary, principal?.session]
  return policies.some((each) => typeof each === 'object' && each.readsExistingTags)
}

export function judge(guarded: GuardedBucket, question: Question): Judgement {
  const { bucket, policy } = guarded
  const { requester, rule, principal } = question
  const isInside =
    requester.accountId === bucket.owner || (question.mate !== undefined && bucket.owner === question.mate)
  const isRestricted = guarded.hasPublicPolicy && bucket.publicAccessBlock?.restrictPublicBuckets === true
  if (isRestricted && !isInside) return never

  if (rule.isOfExisting && readsTags(policy, principal)) {
    return (version) => {
      const values = withTags(question.values, version)
      return permitsObject(guarded, question, standingOf(guarded, { ...question, values }), version)
    }
  }
  const standing = standingOf(guarded, question)
  if (standing.isDenied) return never
  const isAllowed = standing.owns || standing.isAllowed
  if (!rule.isOfExisting) return isAllowed || permitsByBucket(bucket, question, standing) ? always : never
  // Only an object's own ACL may still give what the bucket does not, or the object's absence may be told.
  const hasNoSay = rule.grant?.on !== 'object' || (ignoresAcls(bucket) && !mayList(guarded, question))
  if (!isAllowed && hasNoSay) return never
  return (version) => permitsObject(guarded, question, standing, version)
}

const always: Judgement = () => true

/** Whose grants count for the one who asks; those for everyone always do. */
const granted = ({ requester }: Question, { hasGrants }: Standing): string | undefined =>
  hasGrants ? requester.accountId : undefined

function permitsByBucket(bucket: Bucket, question: Question, standing: Standing): boolean {
  const { rule } = question
  if (rule.grant?.on !== 'bucket' || ignoresAcls(bucket)) return false
  return permits(bucket.acl, granted(question, standing), rule.grant.permission, ignoring(bucket))
}

const ignoring = (bucket: Bucket) => ({ ignoresPublic: bucket.publicAccessBlock?.ignorePublicAcls === true })

function permitsObject(
  guarded: GuardedBucket,
  question: Question,
  standing: Standing,
  version: ObjectVersion | undefined,
): boolean {
  if (standing.isDenied) return false
  const { bucket } = guarded
  const { rule } = question
  const isAllowed = standing.owns || standing.isAllowed
  if (rule.grant?.on !== 'object') return isAllowed && (version !== undefined || mayList(guarded, question))
  if (version === undefined) return mayList(guarded, question)
  // The bucket's owner and policy have no say about the content of objects that others own.
  const isTheirs = !ignoresAcls(bucket) && version.owner !== bucket.owner
  if (!isTheirs && isAllowed) return true
  if (ignoresAcls(bucket)) return false
  const { permission } = rule.grant
  const isOfAcl = permission === 'READ_ACP' || permission === 'WRITE_ACP'
  const account = granted(question, standing)
  if (isOfAcl && account !== undefined && account === version.owner) return true
  return permits(version.acl.value, account, permission, ignoring(bucket))
}

/** Whether the caller may be told that a key is not there: if it may list what begins with it. */
function mayList(guarded: GuardedBucket, question: Question): boolean {
  const { key, values } = question
  const listing: ConditionValues = {
    get: (name) => (name === 's3:prefix' && key !== undefined ? [key] : values.get(name)),
  }
  return judge(guarded, { ...question, rule: ruleOf('s3:ListBucket'), key: undefined, values: listing })(undefined)
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
