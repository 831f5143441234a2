import { Fault } from '#src/errors.ts'
import { type ActionRule, ruleOf } from '#src/model/actions.ts'
import { type GuardedBucket, guarded, judge, never, type Question } from '#src/model/authorization.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Guard } from '#src/model/guard.ts'
import { type Account, type Caller, realmOf } from '#src/model/identity.ts'
import { evaluate, type PolicyRequest, resourceVerdict, withinLimits } from '#src/model/policy.ts'
import { type Policy, parseBucketPolicy } from '#src/model/policy-document.ts'
import type { Requester } from '#src/model/policy-principals.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import { isOfAccount, type Principal } from '#src/model/principal.ts'
import { payerOf } from '#src/model/request-payment.ts'
import type { ObjectVersion, Tags } from '#src/model/version.ts'
import type { Moment, World } from '#src/world.ts'
import type { Buckets, Identity } from './services.ts'

export interface AccessRequest {
  readonly caller: Caller
  /** As IAM names it: `s3:GetObject`. */
  readonly action: string
  readonly bucket?: string
  readonly key?: string
  readonly versionId?: string
  /** Whether it is about an object, or a bucket, that is yet to be made: then the answer is whole, and the guard adds nothing. */
  readonly isNew?: boolean
  /** The tags that the request gives, where not in a header. */
  readonly requestTags?: Tags
  /** What the request says of itself; who asks, and when, is added here. */
  readonly values: ConditionValues
  /** When the request began: no older state is looked at. Absent: that of now. */
  readonly since?: Moment | undefined
  /** The bucket, where this very request has read it already. */
  readonly known?: Bucket
  /** Is shown the bucket, once it was read. */
  readonly seen?: (bucket: Bucket) => void
}

/** A call of the query APIs: what it would do to what the ARN names. */
export interface QueryQuestion {
  readonly caller: Caller
  readonly action: string
  readonly resource: string
  readonly values: ConditionValues
  readonly resourcePolicy?: { readonly policy: Policy; readonly realm: string }
}

/** Whether somebody may take on a role: a caller, or one whom an identity provider vouches for. */
export interface TrustQuestion {
  readonly caller: Caller
  /** The provider's ARN. */
  readonly federated?: string
  readonly trust: Policy
  /** The role's. */
  readonly realm: string
  readonly action: string
  readonly resource: string
  readonly values: ConditionValues
}

export interface QueryAccess {
  authorizeQuery(question: QueryQuestion): void
  authorizeTrust(question: TrustQuestion): void
}

/**
 * Says who may, before anything is done, and again in the transaction that does it.
 *
 * I9  default deny: what no rule knows is an error, what nothing gives is AccessDenied.
 */
export class AccessControl implements QueryAccess {
  readonly #buckets: Pick<Buckets, 'get'>
  readonly #accounts: Pick<Identity, 'findAccount'> | undefined
  readonly #world: World
  /** Rows that are unchanged decode to the same object, so a policy is parsed once. */
  readonly #guarded = new WeakMap<Bucket, GuardedBucket>()

  /** `accounts`: who owns buckets; absent: tenants are not known of. */
  constructor(parts: { buckets: Pick<Buckets, 'get'>; accounts?: Pick<Identity, 'findAccount'>; world: World }) {
    this.#accounts = parts.accounts
    this.#buckets = parts.buckets
    this.#world = parts.world
  }

  /** Fault AccessDenied where nothing can allow it, NoSuchBucket; otherwise what is to be shown the object. */
  async authorize(request: AccessRequest): Promise<Guard> {
    const known = ruleOf(request.action)
    const rule = request.isNew === true ? { ...known, isOfExisting: false } : known
    const { caller } = request
    if (isAdministrator(caller)) return pass
    const values = new RequestValues(request, this.#world)
    if (rule.scope === 'service' || (rule.scope === 'bucket' && request.isNew === true)) {
      // In general, or about a bucket that is yet to be made.
      mayInAccount(caller, { action: rule.name, resource: `arn:aws:s3:::${request.bucket || '*'}`, values })
      return pass
    }
    const bucket = request.known ?? (await this.#buckets.get(request.bucket ?? '', request.since))
    request.seen?.(bucket)
    checkPayer(bucket, request)
    const tenant = caller.kind === 'account' && caller.account.id !== bucket.owner ? caller.account.tenant : undefined
    // Most callers have no tenant, and wait for nothing here.
    const mate = tenant === undefined ? undefined : await this.#mateOf(tenant, bucket)
    const question = this.#question(request, rule, bucket, mate)
    const judgement = judge(this.#guardedBucket(bucket), question)
    if (judgement === never) throw new Fault('AccessDenied')
    return (version, current) => {
      const isSame = current === bucket
      const judged = isSame ? judgement : judge(this.#guardedBucket(current), question)
      if (!judged(version)) throw new Fault('AccessDenied')
    }
  }

  /** Of the query APIs: whether the caller's own policies, or the resource's, allow it. Fault AccessDenied otherwise. */
  authorizeQuery({ caller, action, resource, values, resourcePolicy }: QueryQuestion): void {
    if (isAdministrator(caller)) return
    const all = new RequestValues({ caller, values }, this.#world)
    const question = { action: action.toLowerCase(), resource, values: all }
    if (resourcePolicy === undefined) mayInAccount(caller, { ...question, named: action })
    else mayByEither(caller, { ...question, named: action }, resourcePolicy)
  }

  /** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html */
  authorizeTrust({ caller, federated, trust, realm, action, resource, values }: TrustQuestion): void {
    const all = new RequestValues({ caller, values }, this.#world)
    const asked = { action: action.toLowerCase(), resource, values: all, named: action }
    if (federated === undefined) {
      mayTakeOn(caller, asked, { policy: trust, realm })
      return
    }
    const requester = { accountId: undefined, arns: [], federated }
    if (resourceVerdict(trust, { ...asked, requester }) !== 'exactly') throw refused(asked, caller)
  }

  /** The bucket's owner, where it is another account of the caller's tenant. */
  async #mateOf(tenant: string, bucket: Bucket): Promise<string | undefined> {
    const owner = await this.#accounts?.findAccount(bucket.owner)
    return owner?.tenant === tenant ? bucket.owner : undefined
  }

  /** Whether nothing but an ACL allowed what was allowed: access logs tell. */
  isByAcl(request: AccessRequest, bucket: Bucket, version: ObjectVersion | undefined): boolean {
    const rule = ruleOf(request.action)
    if (isAdministrator(request.caller) || rule.scope === 'service') return false
    const withoutAcls = guarded({ ...bucket, ownership: 'BucketOwnerEnforced' }, parseBucketPolicy)
    return !judge(withoutAcls, this.#question(request, rule, bucket, undefined))(version)
  }

  #question(request: AccessRequest, rule: ActionRule, bucket: Bucket, mate: string | undefined): Question {
    const { caller, key } = request
    return {
      requester: requesterOf(caller),
      rule,
      key,
      values: withBucketTags(new RequestValues(request, this.#world), bucket),
      principal: caller.kind === 'account' ? caller.principal : undefined,
      mate,
    }
  }

  #guardedBucket(bucket: Bucket): GuardedBucket {
    const known = this.#guarded.get(bucket)
    if (known !== undefined) return known
    const fresh = guarded(bucket, parseBucketPolicy)
    this.#guarded.set(bucket, fresh)
    return fresh
  }
}

/** Of a bucket whose requesters pay: nobody's requests, and those of other accounts that do not say that they do, are refused. */
function checkPayer(bucket: Bucket, { caller, values }: AccessRequest): void {
  if (payerOf(bucket) === 'BucketOwner') return
  if (caller.kind === 'account' && caller.account.id === bucket.owner) return
  const isPaid = caller.kind === 'account' && values.get('s3:x-amz-request-payer')?.[0]?.toLowerCase() === 'requester'
  if (!isPaid) throw new Fault('AccessDenied')
}

const pass: Guard = () => undefined
const anonymous: Requester = { accountId: undefined, arns: [] }

/** An administrator's own key, not that of a user or role of the account: those may do what their policies say. */
export const isAdministrator = (caller: Caller): boolean =>
  caller.kind === 'account' && caller.account.isAdministrator && isOfAccount(caller.principal)

export function requesterOf(caller: Caller): Requester {
  if (caller.kind === 'anonymous') return anonymous
  const { account, principal } = caller
  if (principal === undefined || principal.kind === 'root') return { accountId: account.id, arns: [] }
  const { arn, roleArn } = principal
  return { accountId: account.id, arns: roleArn === undefined ? [arn] : [arn, roleArn] }
}

/** Topics are an account's own: not those of its tenant, though its users' names are. */
export const topicRealm = ({ owner }: { readonly owner: string }, caller: Caller): string =>
  caller.kind === 'account' && caller.account.id === owner ? realmOf(caller.account) : owner

type Asked = Pick<PolicyRequest, 'action' | 'resource' | 'values'> & { readonly named?: string }

function refused({ named, resource }: Asked, caller: Caller): Fault {
  const who = caller.kind === 'anonymous' ? 'Anonymous' : (caller.principal?.arn ?? caller.account.id)
  if (named === undefined) return new Fault('AccessDenied')
  return new Fault('AccessDenied', {
    message: `User: ${who} is not authorized to perform: ${named} on resource: ${resource}`,
  })
}

/** About what no bucket says anything of: the account may, and its users and roles what their policies allow. */
function mayInAccount(caller: Caller, asked: Asked): void {
  if (caller.kind === 'anonymous') throw refused(asked, caller)
  const { principal } = caller
  if (principal === undefined) return
  const verdict = evaluate(principal, { ...asked, requester: requesterOf(caller) })
  // Accounts of a tenant make and list buckets and topics of their own, and have no say about the names that they share.
  const isOwnAffair = principal.kind === 'root' || (principal.kind === 'member' && /^(s3|sns):/.test(asked.action))
  if (verdict === 'deny' || (verdict === 'none' && !isOwnAffair)) throw refused(asked, caller)
}

type ResourcePolicy = NonNullable<QueryQuestion['resourcePolicy']>

/** What the resource's policy gives, and what the caller's own do. Throws where either denies. */
function weigh(caller: Caller, asked: Asked, { policy, realm }: ResourcePolicy) {
  const principal = caller.kind === 'account' ? caller.principal : undefined
  const request = { ...asked, requester: requesterOf(caller) }
  const given = resourceVerdict(policy, request)
  const own = principal === undefined ? 'none' : evaluate(principal, request)
  if (given === 'deny' || own === 'deny') throw refused(asked, caller)
  const isWithin = (given === 'role' || given === 'everyone') && withinLimits(principal ?? {}, request)
  return {
    principal,
    isInside: caller.kind === 'account' && realmOf(caller.account) === realm,
    isGiven: given !== undefined,
    isGivenToJustThem: given === 'exactly' || isWithin,
    may: own === 'allow',
  }
}

/** As for buckets (I10): within one account either policy will do, across accounts both must. */
function mayByEither(caller: Caller, asked: Asked, resource: ResourcePolicy): void {
  const { principal, isInside, isGiven, isGivenToJustThem, may } = weigh(caller, asked, resource)
  const isAllowed = isOfAccount(principal) ? isInside || isGiven : isInside ? may || isGivenToJustThem : may && isGiven
  if (!isAllowed) throw refused(asked, caller)
}

/** As for other resources, but that nobody takes on a role that does not trust them, and no account itself does. */
function mayTakeOn(caller: Caller, asked: Asked, trust: ResourcePolicy): void {
  const { principal, isInside, isGiven, isGivenToJustThem, may } = weigh(caller, asked, trust)
  if (principal === undefined || principal.kind === 'root') {
    throw new Fault('AccessDenied', { message: 'Roles may not be assumed by root accounts.' })
  }
  const isTrusted = isInside && (isGivenToJustThem || principal.kind === 'member')
  if (!isGiven || !(isTrusted || may)) throw refused(asked, caller)
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html */
function withBucketTags(values: ConditionValues, { tags }: Bucket): ConditionValues {
  if (tags === undefined || tags.size === 0) return values
  return {
    get: (name) => {
      const slash = name.indexOf('/')
      if (slash < 0 || !bucketTagNames.has(name.slice(0, slash))) return values.get(name)
      const tag = tags.get(name.slice(slash + 1))
      return tag === undefined ? undefined : [tag]
    },
  }
}

const bucketTagNames = new Set(['aws:resourcetag', 's3:buckettag', 's3:resourcetag'])

/** The request's values and, of who asks and when, what AWS's global names stand for. */
class RequestValues implements ConditionValues {
  readonly #request: Pick<AccessRequest, 'caller' | 'values' | 'versionId' | 'requestTags'>
  readonly #world: World

  constructor(request: Pick<AccessRequest, 'caller' | 'values' | 'versionId' | 'requestTags'>, world: World) {
    this.#request = request
    this.#world = world
  }

  get(name: string): readonly string[] | undefined {
    const { caller, values, versionId, requestTags } = this.#request
    if (requestTags !== undefined && name.startsWith('s3:requestobjecttag')) return tagValues(requestTags, name)
    switch (name) {
      case 's3:versionid':
        return versionId === undefined ? undefined : [versionId]
      case 'aws:currenttime':
        return [new Date(this.#world.now()).toISOString()]
      case 'aws:epochtime':
        return [String(Math.floor(this.#world.now() / 1000))]
      case 'aws:principaltype':
        return [caller.kind === 'anonymous' ? 'Anonymous' : typeOf(caller.principal)]
      default:
        if (!isOfPrincipal(name)) return values.get(name)
        return caller.kind === 'anonymous' ? undefined : principalValue(name, caller.account, caller.principal)
    }
  }
}

const isOfPrincipal = (name: string): boolean => name.startsWith('aws:principal') || ofCallers.has(name)

const ofCallers = new Set([
  'aws:userid',
  'aws:username',
  'aws:tokenissuetime',
  'aws:multifactorauthpresent',
  'sts:authentication',
])

function typeOf(principal: Principal | undefined): string {
  if (principal?.kind === 'role') return 'AssumedRole'
  return principal?.kind === 'user' ? 'User' : 'Account'
}

const one = (value: string | undefined): readonly string[] | undefined => (value === undefined ? undefined : [value])

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html */
function principalValue(
  name: string,
  account: Account,
  principal: Principal | undefined,
): readonly string[] | undefined {
  const isOwn = principal === undefined || principal.kind === 'root'
  switch (name) {
    case 'aws:principalaccount':
      return [realmOf(account)]
    case 'aws:userid':
      return [isOwn ? account.id : principal.id]
    case 'aws:username':
      return isOwn ? [account.id] : one(principal.name)
    case 'aws:principalarn':
      return [isOwn ? `arn:aws:iam::${account.id}:root` : (principal.roleArn ?? principal.arn)]
    case 'aws:tokenissuetime':
      return principal?.issued === undefined ? undefined : [new Date(principal.issued).toISOString()]
    case 'aws:multifactorauthpresent':
    case 'sts:authentication':
      // Of temporary credentials alone, as AWS has it; ceph calls it so, and nobody has a second factor here.
      return principal?.isTemporary === true ? [String(name === 'sts:authentication')] : undefined
    default:
      return name.startsWith('aws:principaltag/')
        ? one(principal?.tags.get(name.slice('aws:principaltag/'.length)))
        : undefined
  }
}

function tagValues(tags: Tags, name: string): readonly string[] | undefined {
  if (name === 's3:requestobjecttagkeys') return [...tags.keys()]
  const value = tags.get(name.slice('s3:requestobjecttag/'.length))
  return value === undefined ? undefined : [value]
}
