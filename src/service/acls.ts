import { Fault } from '#src/errors.ts'
import { type Acl, type Grant, type Grantee, groups } from '#src/model/access.ts'
import { type AclWish, accountGrantee, cannedAcl, groupGrantee, type NamedGrant, type Person } from '#src/model/acl.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Caller } from '#src/model/identity.ts'
import { checkAclWish, checkEnforceable, ignoresAcls, isBucketOwners } from '#src/model/ownership.ts'
import { checkPublicAcl } from '#src/model/public-access.ts'
import type { Identity } from './services.ts'

type People = Pick<Identity, 'findAccount' | 'findAccountByEmail'>

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html: an ACL has up to 100 grants. */
const grantsMax = 100

/**
 * What ACL a request makes, of what it asks for and what the bucket takes. Throws AccessControlListNotSupported, AccessDenied
 * (public ACLs are blocked), InvalidBucketAclWithObjectOwnership, InvalidArgument, UnresolvableGrantByEmailAddress.
 */
export class Acls {
  readonly #people: People

  constructor(people: People) {
    this.#people = people
  }

  /** Of an object that the caller writes; whose it is goes with it. */
  async ofNewObject(bucket: Bucket, caller: Caller, wish: AclWish | undefined): Promise<{ owner: string; acl: Acl }> {
    checkAclWish(bucket, wish)
    const writer = caller.kind === 'account' ? caller.account : undefined
    const isOurs = writer === undefined || isBucketOwners(bucket, writer.id, wish)
    if (isOurs && wish === undefined && writer?.id === bucket.owner) {
      return { owner: writer.id, acl: cannedAcl('private', writer) }
    }
    const bucketOwner = await this.#person(bucket.owner)
    const owner = isOurs ? bucketOwner : writer
    const acl = await this.#asked(wish, owner, bucketOwner)
    checkPublicAcl(bucket, acl)
    return { owner: owner.id, acl }
  }

  /** Of an object that is there, whose owner stays. */
  async ofObject(bucket: Bucket, owner: string, wish: AclWish): Promise<Acl> {
    checkAclWish(bucket, wish)
    const acl = await this.#asked(wish, await this.#person(owner), await this.#person(bucket.owner))
    checkPublicAcl(bucket, acl)
    return acl
  }

  /** Of a bucket that is there. Where ACLs are off, none is taken, not even the one it has. */
  async ofBucket(bucket: Bucket, wish: AclWish): Promise<Acl> {
    if (bucket.ownership === 'BucketOwnerEnforced') throw new Fault('AccessControlListNotSupported')
    const acl = await this.#asked(wish, await this.#person(bucket.owner), undefined)
    checkPublicAcl(bucket, acl)
    return acl
  }

  async ofNewBucket(owner: Person, ownership: Bucket['ownership'], wish: AclWish | undefined): Promise<Acl> {
    const acl = await this.#asked(wish, owner, undefined)
    if (ownership === 'BucketOwnerEnforced') checkEnforceable(acl)
    return acl
  }

  /** Of the log objects in a bucket. https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html */
  async ofLogs(target: Bucket | undefined, named: readonly NamedGrant[]): Promise<readonly Grant[]> {
    if (target !== undefined && named.length > 0 && ignoresAcls(target)) {
      throw new Fault('AccessControlListNotSupported')
    }
    return await this.#grants(named)
  }

  async #asked(wish: AclWish | undefined, owner: Person, bucketOwner: Person | undefined): Promise<Acl> {
    if (wish?.grants === undefined) return cannedAcl(wish?.canned ?? 'private', owner, bucketOwner)
    return { owner: owner.id, grants: await this.#grants(wish.grants) }
  }

  /** Looks up whom the grants name. */
  async #grants(named: readonly NamedGrant[]): Promise<readonly Grant[]> {
    if (named.length > grantsMax) throw new Fault('InvalidRequest', { message: 'An ACL has at most 100 grants.' })
    const grants: Grant[] = []
    for (const { grantee, permission } of named) grants.push({ grantee: await this.#grantee(grantee), permission })
    // Groups first, as in canned ACLs, and for the same reason.
    return grants.toSorted((one, other) => rank(one) - rank(other))
  }

  async #grantee({ kind, name }: NamedGrant['grantee']): Promise<Grantee> {
    if (kind === 'uri') {
      if (!knownGroups.has(name))
        throw new Fault('InvalidArgument', { message: 'Invalid group uri', ArgumentValue: name })
      return groupGrantee(name)
    }
    if (kind === 'email') {
      const account = await this.#people.findAccountByEmail(name)
      if (account === undefined) throw new Fault('UnresolvableGrantByEmailAddress')
      return accountGrantee(account)
    }
    const account = await this.#people.findAccount(name)
    if (account === undefined) throw new Fault('InvalidArgument', { message: 'Invalid id', ArgumentValue: name })
    return accountGrantee(account)
  }

  async #person(id: string): Promise<Person> {
    return (await this.#people.findAccount(id)) ?? { id, displayName: '' }
  }
}

const rank = ({ grantee }: Grant): number => (grantee.kind === 'group' ? 0 : 1)

const knownGroups = new Set<string>(Object.values(groups))
