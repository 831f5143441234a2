import { Fault } from '#src/errors.ts'
import { type Account, realmOf } from '#src/model/identity.ts'
import type { Policy } from '#src/model/policy-document.ts'
import type { Principal } from '#src/model/principal.ts'
import { findManaged } from '#src/service/iam/bearers.ts'
import type { Entities } from '#src/service/iam/entities.ts'
import { compiled, type Principals } from '#src/service/iam/principals.ts'
import type { FoundKey } from '#src/service/services.ts'
import type { Snapshot } from '#src/store/store.ts'
import type { Session, SessionTokens } from './session-tokens.ts'

/** Policies of sessions that were compiled lately; one is brought with every request of its session. */
const keptMost = 1_000

/** Who acts by a token, as they stand now (I11): what the role lost since, the session has lost. */
export class Sessions {
  readonly #entities: Entities
  readonly #principals: Principals
  readonly #tokens: SessionTokens
  readonly #policies = new Map<string, Policy>()

  constructor(parts: { readonly entities: Entities; readonly principals: Principals; readonly tokens: SessionTokens }) {
    this.#entities = parts.entities
    this.#principals = parts.principals
    this.#tokens = parts.tokens
  }

  async find(from: Snapshot, accessKeyId: string, token: string): Promise<FoundKey> {
    const session = await this.#tokens.open(from, token, accessKeyId)
    const { accountId, issued } = session
    const account = await this.#entities.parts.namespace.account(from, accountId)
    const principal = account === undefined ? undefined : await this.#principalOf(from, account, session)
    if (account === undefined || principal === undefined) throw new Fault('InvalidToken')
    const bound = await this.#boundOf(from, realmOf(account), session)
    const key = { id: accessKeyId, secret: session.secret, accountId, isActive: true, created: issued }
    return {
      key,
      account,
      principal: { ...principal, issued, isTemporary: true, ...(bound !== undefined && { session: bound }) },
    }
  }

  /** Undefined: the user or role is no more, or another one has its name now. */
  async #principalOf(from: Snapshot, account: Account, session: Session): Promise<Principal | undefined> {
    const { user, role, tags = [] } = session
    if (role !== undefined) {
      const found = await this.#entities.records.find(from, realmOf(account), 'role', role.name)
      if (found === undefined || found.id !== role.id) return undefined
      return await this.#principals.ofRole(from, account, found, { name: role.session, tags })
    }
    if (user !== undefined) {
      const found = await this.#principals.ofUser(from, account, user.name)
      return found?.id === user.id ? found : undefined
    }
    return {
      kind: 'root',
      arn: `arn:aws:iam::${account.id}:root`,
      id: account.id,
      tags: new Map(),
      identity: [],
      isTemporary: true,
    }
  }

  async #boundOf(from: Snapshot, realm: string, session: Session): Promise<Policy | undefined> {
    const { policy, policyArns = [] } = session
    const policies: Policy[] = policy === undefined ? [] : [this.#compiled(policy)]
    for (const arn of policyArns) {
      const found = await findManaged(this.#entities, from, realm, arn)
      const version = found?.versions.find((each) => each.id === found.defaultVersion)
      if (version !== undefined) policies.push(this.#compiled(version.document))
    }
    if (policies.length === 0 && policyArns.length === 0) return undefined
    return {
      statements: policies.flatMap((each) => each.statements),
      readsExistingTags: policies.some((each) => each.readsExistingTags),
    }
  }

  #compiled(document: string): Policy {
    const known = this.#policies.get(document)
    if (known !== undefined) return known
    const fresh = compiled(document)
    if (this.#policies.size >= keptMost) this.#policies.clear()
    this.#policies.set(document, fresh)
    return fresh
  }
}
