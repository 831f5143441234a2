import { folded, type Group, quotas, type User } from '#src/model/iam.ts'
import { conflict, type Entities, exceeded, taken } from './entities.ts'

/** Groups of users (N5). */
export class IamGroups {
  readonly #entities: Entities

  constructor(entities: Entities) {
    this.#entities = entities
  }

  async create(realm: string, { name, path }: { readonly name: string; readonly path: string }): Promise<Group> {
    const entities = this.#entities
    const fresh = { name, path, id: entities.newId('AGPA'), created: entities.now(), policies: {}, attached: [] }
    return await entities.add(realm, 'group', fresh, quotas.groups)
  }

  get(realm: string, name: string): Promise<Group> {
    return this.#entities.get(realm, 'group', name)
  }

  async users(realm: string, name: string): Promise<{ readonly group: Group; readonly users: readonly User[] }> {
    const { records } = this.#entities
    return await this.#entities.read(async (snapshot) => {
      const group = await this.#entities.existing(snapshot, realm, 'group', name)
      const names = await records.members(snapshot, realm, folded(name))
      const users = await Promise.all(names.map((each) => records.find(snapshot, realm, 'user', each)))
      return { group, users: users.filter((each) => each !== undefined) }
    })
  }

  async ofUser(realm: string, name: string): Promise<readonly Group[]> {
    const { records } = this.#entities
    return await this.#entities.read(async (snapshot) => {
      const user = await this.#entities.existing(snapshot, realm, 'user', name)
      const groups = await Promise.all(user.groups.map((each) => records.find(snapshot, realm, 'group', each)))
      return groups.filter((each) => each !== undefined)
    })
  }

  async update(
    realm: string,
    name: string,
    { newName, newPath }: { newName?: string; newPath?: string },
  ): Promise<void> {
    const { records } = this.#entities
    await this.#entities.write(async (transaction) => {
      const group = await this.#entities.existing(transaction, realm, 'group', name)
      const [before, after] = [folded(group.name), folded(newName ?? group.name)]
      if (before !== after) {
        if ((await records.find(transaction, realm, 'group', after)) !== undefined) throw taken('group', newName ?? '')
        records.remove(transaction, realm, 'group', before)
        for (const member of await records.members(transaction, realm, before)) {
          const user = await this.#entities.existing(transaction, realm, 'user', member)
          const groups = user.groups.map((each) => (each === before ? after : each))
          records.put(transaction, realm, 'user', member, { ...user, groups })
          records.removeMember(transaction, realm, before, member)
          records.addMember(transaction, realm, after, member)
        }
      }
      const changed = { ...group, name: newName ?? group.name, path: newPath ?? group.path }
      records.put(transaction, realm, 'group', after, changed)
    })
  }

  async delete(realm: string, name: string): Promise<void> {
    const { records } = this.#entities
    await this.#entities.write(async (transaction) => {
      const group = await this.#entities.existing(transaction, realm, 'group', name)
      if ((await records.members(transaction, realm, folded(name))).length > 0)
        throw conflict('remove users from group')
      if (group.attached.length > 0) throw conflict('detach all policies')
      if (Object.keys(group.policies).length > 0) throw conflict('delete policies')
      records.remove(transaction, realm, 'group', folded(name))
    })
  }

  async add(realm: string, name: string, userName: string): Promise<void> {
    const { records } = this.#entities
    await this.#entities.write(async (transaction) => {
      await this.#entities.existing(transaction, realm, 'group', name)
      const user = await this.#entities.existing(transaction, realm, 'user', userName)
      if (user.groups.includes(folded(name))) return
      if (user.groups.length >= quotas.groupsOfUser)
        throw exceeded(`Cannot exceed quota for GroupsPerUser: ${quotas.groupsOfUser}`)
      records.put(transaction, realm, 'user', folded(userName), { ...user, groups: [...user.groups, folded(name)] })
      records.addMember(transaction, realm, folded(name), folded(userName))
    })
  }

  async remove(realm: string, name: string, userName: string): Promise<void> {
    const { records } = this.#entities
    await this.#entities.write(async (transaction) => {
      await this.#entities.existing(transaction, realm, 'group', name)
      const user = await this.#entities.existing(transaction, realm, 'user', userName)
      const groups = user.groups.filter((each) => each !== folded(name))
      records.put(transaction, realm, 'user', folded(userName), { ...user, groups })
      records.removeMember(transaction, realm, folded(name), folded(userName))
    })
  }
}
