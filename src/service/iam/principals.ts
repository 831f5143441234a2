import type { Bearer, ManagedPolicy, Role, TagList, User } from '#src/model/iam.ts'
import { arnOf, folded } from '#src/model/iam.ts'
import { type AccessKey, type Account, realmOf } from '#src/model/identity.ts'
import { type Policy, parseIdentityPolicy } from '#src/model/policy-document.ts'
import type { Principal } from '#src/model/principal.ts'
import type { Snapshot } from '#src/store/store.ts'
import { findManaged } from './bearers.ts'
import type { Entities } from './entities.ts'

/** It was checked when it was put. Whatever has become of it, it must not let pass what it may have denied. */
const denial = parseIdentityPolicy(
  JSON.stringify({ Version: '2012-10-17', Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }] }),
)

export function compiled(document: string): Policy {
  try {
    return parseIdentityPolicy(document)
  } catch {
    return denial
  }
}

/**
 * Users and roles with their policies, as they stand now: read with the key in one snapshot, so that no answer is given by
 * policies that were never in force together. Rows that are unchanged decode to the same object, so each is compiled once.
 *
 * I11 what a user or a role loses, it loses from the answer on, in every process and in sessions that were given before.
 */
export class Principals {
  readonly #entities: Entities
  readonly #inline = new WeakMap<Bearer, readonly Policy[]>()
  readonly #managed = new WeakMap<ManagedPolicy, Policy>()

  constructor(entities: Entities) {
    this.#entities = entities
  }

  /** Undefined: the account itself. `gone`: a key whose user is no more. */
  async ofKey(from: Snapshot, account: Account, key: AccessKey): Promise<Principal | 'gone' | undefined> {
    if (key.user === undefined && account.tenant === undefined) return undefined
    const found = await this.ofUser(from, account, key.user ?? folded(account.id))
    // An account's own key is never that of a user who merely has its name.
    return found === undefined || (found.kind === 'member') !== (key.user === undefined) ? 'gone' : found
  }

  /** By the name in lower case; of the account's own name in its tenant it is the account as a member. */
  async ofUser(from: Snapshot, account: Account, name: string): Promise<Principal | undefined> {
    const realm = realmOf(account)
    const user = await this.#entities.records.find(from, realm, 'user', name)
    if (user === undefined) return undefined
    return {
      kind: user.accountId !== undefined && user.accountId === account.id ? 'member' : 'user',
      arn: arnOf(realm, 'user', user),
      id: user.id,
      name: user.name,
      tags: new Map(user.tags),
      isTemporary: false,
      ...(await this.#policiesOf(from, realm, user)),
    }
  }

  /** A session of the role; `tags` are the session's, and go before the role's own. */
  async ofRole(
    from: Snapshot,
    account: Account,
    role: Role,
    session: { readonly name: string; readonly tags: TagList },
  ): Promise<Principal> {
    const realm = realmOf(account)
    const tags = [
      ...role.tags.filter(([key]) => !session.tags.some(([each]) => folded(each) === folded(key))),
      ...session.tags,
    ]
    return {
      kind: 'role',
      arn: `arn:aws:sts::${realm}:assumed-role/${role.name}/${session.name}`,
      roleArn: arnOf(realm, 'role', role),
      id: `${role.id}:${session.name}`,
      tags: new Map(tags),
      isTemporary: true,
      ...(await this.#policiesOf(from, realm, { ...role, groups: [] }, role)),
    }
  }

  async #policiesOf(
    from: Snapshot,
    realm: string,
    bearer: Pick<User, 'attached' | 'groups' | 'boundary' | keyof Bearer>,
    row: Bearer = bearer,
  ): Promise<Pick<Principal, 'identity' | 'boundary'>> {
    const identity = [...this.#inlineOf(row), ...(await this.#attachedTo(from, realm, bearer))]
    for (const name of bearer.groups) {
      const group = await this.#entities.records.find(from, realm, 'group', name)
      if (group !== undefined) identity.push(...this.#inlineOf(group), ...(await this.#attachedTo(from, realm, group)))
    }
    if (bearer.boundary === undefined) return { identity }
    const boundary = await findManaged(this.#entities, from, realm, bearer.boundary)
    return { identity, boundary: boundary === undefined ? denial : this.#compiled(boundary) }
  }

  async #attachedTo(from: Snapshot, realm: string, { attached }: Bearer): Promise<readonly Policy[]> {
    const policies: Policy[] = []
    for (const arn of attached) {
      const policy = await findManaged(this.#entities, from, realm, arn)
      if (policy !== undefined) policies.push(this.#compiled(policy))
    }
    return policies
  }

  #inlineOf(bearer: Bearer): readonly Policy[] {
    const known = this.#inline.get(bearer)
    if (known !== undefined) return known
    const fresh = Object.values(bearer.policies).map(compiled)
    this.#inline.set(bearer, fresh)
    return fresh
  }

  #compiled(policy: ManagedPolicy): Policy {
    const known = this.#managed.get(policy)
    if (known !== undefined) return known
    const version = policy.versions.find((each) => each.id === policy.defaultVersion)
    const fresh = version === undefined ? denial : compiled(version.document)
    this.#managed.set(policy, fresh)
    return fresh
  }
}
