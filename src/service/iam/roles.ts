import { checkTags, folded, quotas, type Role, sizeOf, type TagList, withoutTags, withTags } from '#src/model/iam.ts'
import { parseTrustPolicy } from '#src/model/policy-document.ts'
import { conflict, type Entities, exceeded } from './entities.ts'

export interface CreateRole {
  readonly name: string
  readonly path: string
  readonly trust: string
  readonly tags: TagList
  readonly description?: string | undefined
  readonly boundary?: string | undefined
  readonly sessionSecondsMax: number
  readonly accountId: string
}

export type RoleChange = Partial<Pick<Role, 'description' | 'sessionSecondsMax' | 'trust'>>

function checkTrust(document: string): void {
  if (sizeOf(document) > quotas.trust) throw exceeded(`Cannot exceed quota for ACLSizePerRole: ${quotas.trust}`)
  parseTrustPolicy(document)
}

export class IamRoles {
  readonly #entities: Entities

  constructor(entities: Entities) {
    this.#entities = entities
  }

  async create(realm: string, request: CreateRole): Promise<Role> {
    const { description, boundary, tags, ...rest } = request
    checkTrust(request.trust)
    const entities = this.#entities
    const role: Role = {
      ...rest,
      id: entities.newId('AROA'),
      created: entities.now(),
      policies: {},
      attached: [],
      tags: checkTags(tags),
      ...(description !== undefined && { description }),
      ...(boundary !== undefined && { boundary }),
    }
    return await entities.add(realm, 'role', role, quotas.roles)
  }

  get(realm: string, name: string): Promise<Role> {
    return this.#entities.get(realm, 'role', name)
  }

  async update(realm: string, name: string, change: RoleChange): Promise<Role> {
    if (change.trust !== undefined) checkTrust(change.trust)
    return await this.#entities.change(realm, 'role', name, (role) => ({ ...role, ...change }))
  }

  /** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html */
  async delete(realm: string, name: string): Promise<void> {
    await this.#entities.write(async (transaction) => {
      const role = await this.#entities.existing(transaction, realm, 'role', name)
      if (role.attached.length > 0) throw conflict('detach all policies')
      if (Object.keys(role.policies).length > 0) throw conflict('delete policies')
      this.#entities.records.remove(transaction, realm, 'role', folded(name))
    })
  }

  async tag(realm: string, name: string, tags: TagList): Promise<void> {
    await this.#entities.change(realm, 'role', name, (role) => ({ ...role, tags: withTags(role.tags, tags) }))
  }

  async untag(realm: string, name: string, keys: readonly string[]): Promise<void> {
    await this.#entities.change(realm, 'role', name, (role) => ({ ...role, tags: withoutTags(role.tags, keys) }))
  }
}
