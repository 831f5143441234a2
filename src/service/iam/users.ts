import { Fault } from '#src/errors.ts'
import { checkTags, folded, quotas, type TagList, type User, withoutTags, withTags } from '#src/model/iam.ts'
import type { AccessKey, Account } from '#src/model/identity.ts'
import { realmOf } from '#src/model/identity.ts'
import { alphanumeric, randomWord, upperCase } from '#src/service/random-words.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { conflict, type Entities, exceeded, taken } from './entities.ts'

export interface CreateUser {
  readonly name: string
  readonly path: string
  readonly tags: TagList
  readonly boundary?: string | undefined
}

const noKey = (id: string): Fault =>
  new Fault('NoSuchEntity', { message: `The Access Key with id ${id} cannot be found.` })

/** Who asks for keys: an account itself, or somebody who acts in it. */
export interface KeyAsker {
  readonly account: Account
  readonly isAccount: boolean
}

/** Users of a realm, and the keys by which they, or the account itself, ask. */
export class IamUsers {
  readonly #entities: Entities

  constructor(entities: Entities) {
    this.#entities = entities
  }

  async create(realm: string, { name, path, tags, boundary }: CreateUser): Promise<User> {
    const entities = this.#entities
    const user: User = {
      name,
      path,
      id: entities.newId('AIDA'),
      created: entities.now(),
      policies: {},
      attached: [],
      tags: checkTags(tags),
      groups: [],
      keys: [],
      ...(boundary !== undefined && { boundary }),
    }
    return await entities.add(realm, 'user', user, quotas.users)
  }

  get(realm: string, name: string): Promise<User> {
    return this.#entities.get(realm, 'user', name)
  }

  async update(
    realm: string,
    name: string,
    { newName, newPath }: { newName?: string; newPath?: string },
  ): Promise<void> {
    const { records } = this.#entities
    await this.#entities.write(async (transaction) => {
      const user = await this.#entities.existing(transaction, realm, 'user', name)
      const [before, after] = [folded(user.name), folded(newName ?? user.name)]
      const changed: User = { ...user, name: newName ?? user.name, path: newPath ?? user.path }
      if (before !== after) {
        if (user.accountId !== undefined) throw unchangeable()
        if ((await records.find(transaction, realm, 'user', after)) !== undefined) throw taken('user', newName ?? '')
        records.remove(transaction, realm, 'user', before)
        for (const group of user.groups) {
          records.removeMember(transaction, realm, group, before)
          records.addMember(transaction, realm, group, after)
        }
        for (const key of await this.#keysOf(transaction, user)) this.#setKey(transaction, { ...key, user: after })
      }
      records.put(transaction, realm, 'user', after, changed)
    })
  }

  /** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html */
  async delete(realm: string, name: string): Promise<void> {
    const { records } = this.#entities
    await this.#entities.write(async (transaction) => {
      const user = await this.#entities.existing(transaction, realm, 'user', name)
      if (user.accountId !== undefined) throw unchangeable()
      if (user.keys.length > 0) throw conflict('delete access keys')
      if (user.attached.length > 0) throw conflict('detach all policies')
      if (Object.keys(user.policies).length > 0) throw conflict('delete policies')
      if (user.groups.length > 0) throw conflict('remove users from group')
      records.remove(transaction, realm, 'user', folded(name))
    })
  }

  async tag(realm: string, name: string, tags: TagList): Promise<void> {
    await this.#entities.change(realm, 'user', name, (user) => ({ ...user, tags: withTags(user.tags, tags) }))
  }

  async untag(realm: string, name: string, keys: readonly string[]): Promise<void> {
    await this.#entities.change(realm, 'user', name, (user) => ({ ...user, tags: withoutTags(user.tags, keys) }))
  }

  /** Of the user, or without a name of the account itself. */
  async createKey(asker: KeyAsker, name: string | undefined): Promise<AccessKey> {
    const { world } = this.#entities.parts
    const { account } = asker
    const fresh: AccessKey = {
      id: `MERI${randomWord(world, upperCase, 16)}`,
      secret: randomWord(world, alphanumeric, 40),
      accountId: account.id,
      isActive: true,
      created: this.#entities.now(),
    }
    return await this.#entities.write(async (transaction) => {
      const user = await this.#user(transaction, asker, name)
      const standing = await this.#keys(transaction, account, user)
      // An account's own keys come from the command line too, and so may be more.
      if (name !== undefined && standing.length >= quotas.keys) {
        throw exceeded(`Cannot exceed quota for AccessKeysPerUser: ${quotas.keys}`)
      }
      const own = keyed(user)
      const key = {
        ...fresh,
        ...(own !== undefined && { user: folded(own.name) }),
        accountId: user?.accountId ?? account.id,
      }
      this.#setKey(transaction, key)
      if (own !== undefined) this.#setKeysOf(transaction, account, own, [...own.keys, key.id])
      return key
    })
  }

  async listKeys(asker: KeyAsker, name: string | undefined): Promise<readonly AccessKey[]> {
    return await this.#entities.read(async (snapshot) => {
      const user = await this.#user(snapshot, asker, name)
      return await this.#keys(snapshot, asker.account, user)
    })
  }

  async updateKey(asker: KeyAsker, name: string | undefined, id: string, isActive: boolean): Promise<void> {
    await this.#entities.write(async (transaction) => {
      const { key } = await this.#existingKey(transaction, asker, name, id)
      this.#setKey(transaction, { ...key, isActive })
    })
  }

  async deleteKey(asker: KeyAsker, name: string | undefined, id: string): Promise<void> {
    await this.#entities.write(async (transaction) => {
      const { key, user } = await this.#existingKey(transaction, asker, name, id)
      this.#entities.parts.namespace.removeAccessKey(transaction, key)
      const own = keyed(user)
      if (own !== undefined)
        this.#setKeysOf(
          transaction,
          asker.account,
          own,
          own.keys.filter((each) => each !== id),
        )
    })
  }

  /** Whose key it is; undefined: no key of this realm. */
  async findKey(account: Account, id: string): Promise<{ readonly key: AccessKey; readonly name: string | undefined }> {
    return await this.#entities.read(async (snapshot) => {
      const key = await this.#entities.parts.namespace.accessKey(snapshot, id)
      if (key === undefined || key.accountId !== account.id) throw noKey(id)
      if (key.user === undefined) return { key, name: undefined }
      const user = await this.#entities.records.find(snapshot, realmOf(account), 'user', key.user)
      return { key, name: user?.name ?? key.user }
    })
  }

  /** Keys of an account are its own affair: whoever may manage users must not come to be the account by them. */
  async #user(from: Snapshot, { account, isAccount }: KeyAsker, name: string | undefined): Promise<User | undefined> {
    const user = name === undefined ? undefined : await this.#entities.existing(from, realmOf(account), 'user', name)
    const of = name === undefined ? account.id : user?.accountId
    if (of !== undefined && !(isAccount && of === account.id)) throw unchangeable()
    return user
  }

  async #keys(from: Snapshot, account: Account, user: User | undefined): Promise<readonly AccessKey[]> {
    const own = keyed(user)
    if (own !== undefined) return await this.#keysOf(from, own)
    const keys = await this.#entities.parts.namespace.accessKeysOf(from, user?.accountId ?? account.id)
    return keys.filter((each) => each.user === undefined)
  }

  async #keysOf(from: Snapshot, user: User): Promise<readonly AccessKey[]> {
    const keys = await Promise.all(user.keys.map((id) => this.#entities.parts.namespace.accessKey(from, id)))
    return keys.filter((each) => each !== undefined)
  }

  async #existingKey(
    from: Snapshot,
    asker: KeyAsker,
    name: string | undefined,
    id: string,
  ): Promise<{ readonly key: AccessKey; readonly user: User | undefined }> {
    const user = await this.#user(from, asker, name)
    const key = (await this.#keys(from, asker.account, user)).find((each) => each.id === id)
    if (key === undefined) throw noKey(id)
    return { key, user }
  }

  #setKey(transaction: Transaction, key: AccessKey): void {
    this.#entities.parts.namespace.setAccessKey(transaction, key)
  }

  #setKeysOf(transaction: Transaction, account: Account, user: User, keys: readonly string[]): void {
    this.#entities.records.put(transaction, realmOf(account), 'user', folded(user.name), { ...user, keys })
  }
}

/** A user with keys of its own, and no account of a tenant, whose keys are the account's. */
const keyed = (user: User | undefined): User | undefined => (user?.accountId === undefined ? user : undefined)

const unchangeable = (): Fault =>
  new Fault('UnmodifiableEntity', { message: 'The user is an account: it is renamed, deleted and given keys as one.' })
