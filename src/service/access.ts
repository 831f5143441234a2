import { Fault } from '#src/errors.ts'
import type { Guard } from '#src/model/access.ts'
import { type ActionRule, ruleOf } from '#src/model/actions.ts'
import { type GuardedBucket, guarded, judge, never, type Question } from '#src/model/authorization.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Caller } from '#src/model/identity.ts'
import { parseBucketPolicy } from '#src/model/policy-document.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import type { ObjectVersion, Tags } from '#src/model/version.ts'
import type { World } from '#src/world.ts'
import type { Buckets } from './services.ts'

export interface AccessRequest {
  readonly caller: Caller
  /** As IAM names it: `s3:GetObject`. */
  readonly action: string
  readonly bucket?: string
  readonly key?: string
  readonly versionId?: string
  /** Whether it is about an object that is yet to be made: then the answer is whole, and the guard adds nothing. */
  readonly isNew?: boolean
  /** The tags that the request gives, where not in a header. */
  readonly requestTags?: Tags
  /** What the request says of itself; who asks, and when, is added here. */
  readonly values: ConditionValues
  /** Is shown the bucket, once it was read. */
  readonly seen?: (bucket: Bucket) => void
}

/**
 * Says who may, before anything is done, and again in the transaction that does it.
 *
 * I9  default deny: what no rule knows is an error, what nothing gives is AccessDenied.
 */
export class AccessControl {
  readonly #buckets: Pick<Buckets, 'get'>
  readonly #world: World
  /** Rows that are unchanged decode to the same object, so a policy is parsed once. */
  readonly #guarded = new WeakMap<Bucket, GuardedBucket>()

  constructor(parts: { buckets: Pick<Buckets, 'get'>; world: World }) {
    this.#buckets = parts.buckets
    this.#world = parts.world
  }

  /** Fault AccessDenied where nothing can allow it, NoSuchBucket; otherwise what is to be shown the object. */
  async authorize(request: AccessRequest): Promise<Guard> {
    const known = ruleOf(request.action)
    const rule = request.isNew === true ? { ...known, isOfExisting: false } : known
    const { caller } = request
    if (caller.kind === 'account' && caller.account.isAdministrator) return pass
    if (rule.scope === 'service') {
      if (caller.kind === 'anonymous') throw new Fault('AccessDenied')
      return pass
    }
    const bucket = await this.#buckets.get(request.bucket ?? '')
    request.seen?.(bucket)
    const question = this.#question(request, rule)
    const judgement = judge(this.#guardedBucket(bucket), question)
    if (judgement === never) throw new Fault('AccessDenied')
    return (version, current) => {
      const isSame = current === bucket
      const judged = isSame ? judgement : judge(this.#guardedBucket(current), question)
      if (!judged(version)) throw new Fault('AccessDenied')
    }
  }

  /** Whether nothing but an ACL allowed what was allowed: access logs tell. */
  isByAcl(request: AccessRequest, bucket: Bucket, version: ObjectVersion | undefined): boolean {
    const rule = ruleOf(request.action)
    const isAdministrator = request.caller.kind === 'account' && request.caller.account.isAdministrator
    if (isAdministrator || rule.scope === 'service') return false
    const withoutAcls = guarded({ ...bucket, ownership: 'BucketOwnerEnforced' }, parseBucketPolicy)
    return !judge(withoutAcls, this.#question(request, rule))(version)
  }

  #question(request: AccessRequest, rule: ActionRule): Question {
    const { caller, key } = request
    return {
      requester: caller.kind === 'anonymous' ? anonymous : { accountId: caller.account.id, arns: [] },
      rule,
      key,
      values: new RequestValues(request, this.#world),
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

const pass: Guard = () => undefined
const anonymous = { accountId: undefined, arns: [] } as const

/** The request's values and, of who asks and when, what AWS's global names stand for. */
class RequestValues implements ConditionValues {
  readonly #request: AccessRequest
  readonly #world: World

  constructor(request: AccessRequest, world: World) {
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
        return [caller.kind === 'anonymous' ? 'Anonymous' : 'Account']
      case 'aws:principalaccount':
      case 'aws:userid':
      case 'aws:username':
        return caller.kind === 'anonymous' ? undefined : [caller.account.id]
      case 'aws:principalarn':
        return caller.kind === 'anonymous' ? undefined : [`arn:aws:iam::${caller.account.id}:root`]
      default:
        return values.get(name)
    }
  }
}

function tagValues(tags: Tags, name: string): readonly string[] | undefined {
  if (name === 's3:requestobjecttagkeys') return [...tags.keys()]
  const value = tags.get(name.slice('s3:requestobjecttag/'.length))
  return value === undefined ? undefined : [value]
}
