import { Fault } from '#src/errors.ts'
import { awsPolicies } from '#src/model/aws-policies.ts'
import {
  arnOf,
  checkTags,
  folded,
  type ManagedPolicy,
  type PolicyVersion,
  quotas,
  sizeOf,
  type TagList,
  withoutTags,
  withTags,
} from '#src/model/iam.ts'
import { parseIdentityPolicy } from '#src/model/policy-document.ts'
import type { Snapshot } from '#src/store/store.ts'
import { type BearerKind, findManaged } from './bearers.ts'
import { conflict, type Entities, type EntityPage, type EntityQuery, exceeded } from './entities.ts'

export interface CreatePolicy {
  readonly name: string
  readonly path: string
  readonly document: string
  readonly description?: string | undefined
  readonly tags: TagList
}

export interface Users {
  /** Names, by kind. */
  readonly user: readonly string[]
  readonly group: readonly string[]
  readonly role: readonly string[]
  /** Of whom it is the boundary. */
  readonly boundaries: number
}

const bearerKinds: readonly BearerKind[] = ['user', 'group', 'role']

function checkDocument(document: string): void {
  if (sizeOf(document) > quotas.managed) throw exceeded(`Cannot exceed quota for PolicySize: ${quotas.managed}`)
  parseIdentityPolicy(document)
}

const noVersion = (id: string): Fault =>
  new Fault('NoSuchEntity', { message: `Policy version ${id} does not exist or is not attachable.` })

/** Policies that stand by themselves, in versions of which one is in force. */
export class IamManagedPolicies {
  readonly #entities: Entities

  constructor(entities: Entities) {
    this.#entities = entities
  }

  async create(realm: string, { name, path, document, description, tags }: CreatePolicy): Promise<ManagedPolicy> {
    checkDocument(document)
    const entities = this.#entities
    const now = entities.now()
    const policy: ManagedPolicy = {
      name,
      path,
      id: entities.newId('ANPA'),
      created: now,
      updated: now,
      versions: [{ id: 'v1', document, created: now }],
      defaultVersion: 'v1',
      versionsMade: 1,
      tags: checkTags(tags),
      ...(description !== undefined && { description }),
    }
    return await entities.add(realm, 'policy', policy, quotas.policies)
  }

  async get(realm: string, arn: string): Promise<ManagedPolicy> {
    return await this.#entities.read((snapshot) => this.#existing(snapshot, realm, arn))
  }

  async list(
    realm: string,
    scope: 'All' | 'AWS' | 'Local',
    query: EntityQuery,
  ): Promise<EntityPage<{ arn: string; policy: ManagedPolicy }>> {
    const own = await this.#entities.list(realm, 'policy', { ...query, limit: quotas.policies, marker: undefined })
    const local = own.items.map((policy) => ({ arn: arnOf(realm, 'policy', policy), policy }))
    const common = [...awsPolicies].map(([arn, policy]) => ({ arn, policy }))
    const all = [...(scope === 'Local' ? [] : common), ...(scope === 'AWS' ? [] : local)]
    const chosen = all.filter(
      ({ arn, policy }) =>
        policy.path.startsWith(query.pathPrefix) && (query.marker === undefined || arn > query.marker),
    )
    const sorted = chosen.sort((one, other) => (one.arn < other.arn ? -1 : 1))
    const items = sorted.slice(0, query.limit)
    const last = items.at(-1)
    return sorted.length > items.length && last !== undefined ? { items, marker: last.arn } : { items }
  }

  async delete(realm: string, arn: string): Promise<void> {
    await this.#entities.write(async (transaction) => {
      const policy = await this.#own(transaction, realm, arn)
      const users = await this.#usersOf(transaction, realm, arn)
      if (bearerKinds.some((kind) => users[kind].length > 0) || users.boundaries > 0) {
        throw conflict('detach the policy from all entities')
      }
      if (policy.versions.length > 1) throw conflict('delete the policy versions that are not the default one')
      this.#entities.records.remove(transaction, realm, 'policy', folded(policy.name))
    })
  }

  async createVersion(
    realm: string,
    arn: string,
    document: string,
    isDefault: boolean,
  ): Promise<PolicyVersion & { readonly isDefault: boolean }> {
    checkDocument(document)
    const created = this.#entities.now()
    const changed = await this.#change(realm, arn, (policy) => {
      if (policy.versions.length >= quotas.versions) {
        throw exceeded(
          `A managed policy can have up to ${quotas.versions} versions. Before you create a new version, you must delete an existing version.`,
        )
      }
      const versionsMade = policy.versionsMade + 1
      const version = { id: `v${versionsMade}`, document, created }
      const defaultVersion = isDefault ? version.id : policy.defaultVersion
      return { ...policy, versions: [...policy.versions, version], versionsMade, defaultVersion, updated: created }
    })
    const id = `v${changed.versionsMade}`
    return { id, document, created, isDefault }
  }

  async deleteVersion(realm: string, arn: string, id: string): Promise<void> {
    await this.#change(realm, arn, (policy) => {
      if (!policy.versions.some((each) => each.id === id)) throw noVersion(id)
      if (policy.defaultVersion === id) {
        throw new Fault('DeleteConflict', { message: 'Cannot delete the default version of a policy.' })
      }
      return { ...policy, versions: policy.versions.filter((each) => each.id !== id) }
    })
  }

  async setDefault(realm: string, arn: string, id: string): Promise<void> {
    const updated = this.#entities.now()
    await this.#change(realm, arn, (policy) => {
      if (!policy.versions.some((each) => each.id === id)) throw noVersion(id)
      return { ...policy, defaultVersion: id, updated }
    })
  }

  async version(realm: string, arn: string, id: string): Promise<PolicyVersion & { readonly isDefault: boolean }> {
    const policy = await this.get(realm, arn)
    const version = policy.versions.find((each) => each.id === id)
    if (version === undefined) throw noVersion(id)
    return { ...version, isDefault: policy.defaultVersion === id }
  }

  async tag(realm: string, arn: string, tags: TagList): Promise<void> {
    await this.#change(realm, arn, (policy) => ({ ...policy, tags: withTags(policy.tags, tags) }))
  }

  async untag(realm: string, arn: string, keys: readonly string[]): Promise<void> {
    await this.#change(realm, arn, (policy) => ({ ...policy, tags: withoutTags(policy.tags, keys) }))
  }

  /** To whom it is attached. Reads all users, groups and roles: who asks is an administrator, and seldom. */
  async usersOf(realm: string, arn: string): Promise<Users> {
    return await this.#entities.read(async (snapshot) => {
      await this.#existing(snapshot, realm, arn)
      return await this.#usersOf(snapshot, realm, arn)
    })
  }

  async #usersOf(from: Snapshot, realm: string, arn: string): Promise<Users> {
    const names: Record<BearerKind, string[]> = { user: [], group: [], role: [] }
    let boundaries = 0
    for (const kind of bearerKinds) {
      for (const [, bearer] of await this.#entities.records.all(from, realm, kind)) {
        if (bearer.attached.includes(arn)) names[kind].push(bearer.name)
        if ('boundary' in bearer && bearer.boundary === arn) boundaries++
      }
    }
    return { ...names, boundaries }
  }

  async #existing(from: Snapshot, realm: string, arn: string): Promise<ManagedPolicy> {
    const policy = await findManaged(this.#entities, from, realm, arn)
    if (policy === undefined) throw new Fault('NoSuchEntity', { message: `Policy ${arn} was not found.` })
    return policy
  }

  async #own(from: Snapshot, realm: string, arn: string): Promise<ManagedPolicy> {
    if (awsPolicies.has(arn))
      throw new Fault('AccessDenied', { message: 'Cannot perform this operation on AWS managed policies.' })
    return await this.#existing(from, realm, arn)
  }

  async #change(realm: string, arn: string, change: (policy: ManagedPolicy) => ManagedPolicy): Promise<ManagedPolicy> {
    return await this.#entities.write(async (transaction) => {
      const changed = change(await this.#own(transaction, realm, arn))
      this.#entities.records.put(transaction, realm, 'policy', folded(changed.name), changed)
      return changed
    })
  }
}
