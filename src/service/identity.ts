import { Fault } from '#src/errors.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { clearTopicsOf } from '#src/metadata/topic-records.ts'
import { folded } from '#src/model/iam.ts'
import { type AccessKey, type Account, realmOf } from '#src/model/identity.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { Moment, World } from '#src/world.ts'
import { Habits } from './foresight.ts'
import { Entities } from './iam/entities.ts'
import { Principals } from './iam/principals.ts'
import { alphanumeric, randomWord, upperCase } from './random-words.ts'
import type { CreateAccount, FoundKey, Identity } from './services.ts'
import { SessionTokens } from './sts/session-tokens.ts'
import { Sessions } from './sts/sessions.ts'

/**
 * D1  a key id and an email address belong to one account; a second one is refused with `EntityAlreadyExists`.
 * D2  a key outlives neither its account nor its deletion: from the answer on, no process finds it.
 */
export class NamespaceIdentity implements Identity {
  readonly #store: Store
  readonly #world: World
  readonly #namespace: Namespace
  readonly #records: IamRecords
  readonly #principals: Principals
  readonly #sessions: Sessions
  readonly #habits: Habits
  readonly #organizations = new OrganizationRecords()

  /** `records`: where others read and change them too, the same. */
  constructor(parts: { store: Store; world: World; namespace: Namespace; records?: IamRecords }) {
    this.#records = parts.records ?? new IamRecords()
    const entities = new Entities({ ...parts, records: this.#records })
    this.#principals = new Principals(entities)
    const tokens = new SessionTokens({ ...parts, records: this.#records })
    this.#sessions = new Sessions({ entities, principals: this.#principals, tokens })
    this.#store = parts.store
    this.#habits = new Habits(parts.store)
    this.#world = parts.world
    this.#namespace = parts.namespace
  }

  async findKey(accessKeyId: string, token?: string, since?: Moment): Promise<FoundKey | undefined> {
    const find = (snapshot: Snapshot) => this.#find(snapshot, accessKeyId, token)
    if (since === undefined) return await this.#store.snapshot(find)
    return await this.#habits.snapshot(accessKeyId, since, find)
  }

  async #find(snapshot: Snapshot, accessKeyId: string, token?: string): Promise<FoundKey | undefined> {
    if (token !== undefined) return await this.#sessions.find(snapshot, accessKeyId, token)
    const key = await this.#namespace.accessKey(snapshot, accessKeyId)
    if (key === undefined) return undefined
    const account = await this.#namespace.account(snapshot, key.accountId)
    if (account === undefined) return undefined
    const principal = await this.#principals.ofKey(snapshot, account, key)
    if (principal === 'gone') return undefined
    return principal === undefined ? { key, account } : { key, account, principal }
  }

  async findAccount(id: string): Promise<Account | undefined> {
    return await this.#store.snapshot((snapshot) => this.#namespace.account(snapshot, id))
  }

  async findAccountByEmail(email: string): Promise<Account | undefined> {
    return await this.#store.snapshot((snapshot) => this.#namespace.accountByEmail(snapshot, email))
  }

  async createAccount(request: CreateAccount): Promise<Account> {
    const account = this.#newAccount(request)
    return await this.#store.transact((transaction) => this.#addAccount(transaction, account))
  }

  /** In a transaction of the caller's: as `createAccount`. */
  async addIn(transaction: Transaction, request: CreateAccount): Promise<Account> {
    return await this.#addAccount(transaction, this.#newAccount(request))
  }

  async listAccounts(): Promise<readonly Account[]> {
    return await this.#store.snapshot((snapshot) => this.#namespace.accounts(snapshot))
  }

  async deleteAccount(id: string): Promise<void> {
    await this.#store.transact(async (transaction) => {
      // Those are deleted as what they are, with their members.
      if ((await this.#organizations.organization(transaction, id)) !== undefined) {
        throw new Fault('DeleteConflict', { message: 'The account is an organization.' })
      }
      await this.removeIn(transaction, id)
    })
  }

  /** In a transaction of the caller's: as `deleteAccount`, of an organisation's too. */
  async removeIn(transaction: Transaction, id: string): Promise<void> {
    const account = await this.#existingAccount(transaction, id)
    const owned = await this.#namespace.bucketsOf(transaction, id, { limit: 1 })
    if (owned.length > 0) throw new Fault('DeleteConflict', { message: 'The account still owns buckets.' })
    for (const key of await this.#namespace.accessKeysOf(transaction, id)) {
      this.#namespace.removeAccessKey(transaction, key)
    }
    await this.#removeNames(transaction, account)
    clearTopicsOf(transaction, id)
    this.#namespace.removeAccount(transaction, account)
  }

  /** An account takes its users and roles with it, a member of a tenant only itself. */
  async #removeNames(transaction: Transaction, account: Account): Promise<void> {
    if (account.tenant === undefined) {
      this.#records.removeRealm(transaction, account.id)
      return
    }
    const name = folded(account.id)
    const user = await this.#records.find(transaction, account.tenant, 'user', name)
    for (const group of user?.groups ?? []) this.#records.removeMember(transaction, account.tenant, group, name)
    this.#records.remove(transaction, account.tenant, 'user', name)
  }

  async createKey(request: { accountId: string; id?: string; secret?: string }): Promise<AccessKey> {
    const key = this.#newKey(request)
    return await this.#store.transact(async (transaction) => {
      await this.#existingAccount(transaction, request.accountId)
      if ((await this.#namespace.accessKey(transaction, key.id)) !== undefined) {
        throw new Fault('EntityAlreadyExists', { message: 'The access key exists already.' })
      }
      this.#namespace.setAccessKey(transaction, key)
      return key
    })
  }

  async listKeys(accountId?: string): Promise<readonly AccessKey[]> {
    return await this.#store.snapshot((snapshot) =>
      accountId === undefined
        ? this.#namespace.accessKeys(snapshot)
        : this.#namespace.accessKeysOf(snapshot, accountId),
    )
  }

  async deleteKey(id: string): Promise<void> {
    await this.#store.transact(async (transaction) => {
      const key = await this.#namespace.accessKey(transaction, id)
      if (key === undefined) throw new Fault('NoSuchEntity', { message: 'There is no such access key.' })
      this.#namespace.removeAccessKey(transaction, key)
      if (key.user === undefined) return
      const realm = realmOf(await this.#existingAccount(transaction, key.accountId))
      const user = await this.#records.find(transaction, realm, 'user', key.user)
      if (user === undefined) return
      const keys = user.keys.filter((each) => each !== id)
      this.#records.put(transaction, realm, 'user', key.user, { ...user, keys })
    })
  }

  async ensureAdministrator(given?: { id: string; secret: string }): Promise<{ key: AccessKey; isNew: boolean }> {
    const fresh = this.#newAccount({ displayName: 'administrator', email: '', isAdministrator: true })
    const wanted = this.#newKey({ ...given, accountId: fresh.id })
    return await this.#store.transact(async (transaction) => {
      const accounts = await this.#namespace.accounts(transaction)
      const administrators = accounts.filter((each) => each.isAdministrator)
      // Of several, the one that has the given key.
      const owner = given === undefined ? undefined : await this.#namespace.accessKey(transaction, given.id)
      const standing = administrators.find(({ id }) => id === owner?.accountId) ?? administrators[0]
      const account = standing ?? (await this.#addAccount(transaction, fresh))
      const key = { ...wanted, accountId: account.id }
      const kept = await this.#keptKey(transaction, account, given)
      if (kept !== undefined) return { key: kept, isNew: false }
      this.#namespace.setAccessKey(transaction, key)
      return { key, isNew: true }
    })
  }

  /** The administrator's key that serves as it is: the given one if its secret is the same, else any active one. */
  async #keptKey(
    transaction: Transaction,
    account: Account,
    given: { id: string; secret: string } | undefined,
  ): Promise<AccessKey | undefined> {
    if (given === undefined) {
      return (await this.#namespace.accessKeysOf(transaction, account.id)).find(
        (each) => each.isActive && each.user === undefined,
      )
    }
    const standing = await this.#namespace.accessKey(transaction, given.id)
    if (standing === undefined) return undefined
    if (standing.accountId !== account.id || standing.user !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'The access key belongs to another account.' })
    }
    return standing.secret === given.secret && standing.isActive ? standing : undefined
  }

  #newAccount(request: CreateAccount): Account {
    const { id = Buffer.from(this.#world.randomBytes(32)).toString('hex'), displayName, email } = request
    check(/^[A-Za-z0-9_-]{1,128}$/.test(id), 'An account id is 1 to 128 characters of A-Z, a-z, 0-9, _ and -.')
    check(
      isName(displayName) && displayName !== '',
      'A display name is 1 to 128 characters without control characters.',
    )
    check(email === '' || isEmail(email), 'An email address is name@host, at most 254 characters.')
    const { tenant, isAdministrator = false } = request
    check(
      tenant === undefined || /^[A-Za-z0-9_-]{0,64}$/.test(tenant),
      'A tenant is up to 64 characters of A-Z, a-z, 0-9, _ and -.',
    )
    return { id, displayName, email, isAdministrator, ...(tenant !== undefined && { tenant }) }
  }

  async #addAccount(transaction: Transaction, account: Account): Promise<Account> {
    if ((await this.#namespace.account(transaction, account.id)) !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'The account exists already.' })
    }
    if (account.email !== '' && (await this.#namespace.accountByEmail(transaction, account.email)) !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'Another account has this email address.' })
    }
    await this.#addNames(transaction, account)
    this.#namespace.addAccount(transaction, account)
    return account
  }

  /** A tenant and an account must not share a name: ARNs could not tell them apart. A member is a user of its tenant. */
  async #addNames(transaction: Transaction, account: Account): Promise<void> {
    const { id, tenant } = account
    const isOfTenant = (await this.#records.list(transaction, id, 'user', { limit: 1 })).length > 0
    if (isOfTenant) throw new Fault('EntityAlreadyExists', { message: 'There is a tenant of this name.' })
    if (tenant === undefined) return
    const namesake = tenant === '' ? undefined : await this.#namespace.account(transaction, tenant)
    if (namesake !== undefined || tenant === id) {
      throw new Fault('EntityAlreadyExists', { message: 'There is an account of the name of the tenant.' })
    }
    if ((await this.#records.find(transaction, tenant, 'user', folded(id))) !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'The tenant has a user of this name.' })
    }
    this.#records.put(transaction, tenant, 'user', folded(id), {
      name: id,
      path: '/',
      id,
      created: this.#world.now(),
      policies: {},
      attached: [],
      tags: [],
      groups: [],
      keys: [],
      accountId: id,
    })
  }

  async #existingAccount(transaction: Transaction, id: string): Promise<Account> {
    const account = await this.#namespace.account(transaction, id)
    if (account === undefined) throw new Fault('NoSuchEntity', { message: 'There is no such account.' })
    return account
  }

  #newKey(request: { accountId: string; id?: string; secret?: string }): AccessKey {
    const {
      accountId,
      id = `MERI${randomWord(this.#world, upperCase, 16)}`,
      secret = randomWord(this.#world, alphanumeric, 40),
    } = request
    // No character that ends the id in an Authorization header: `/` in version 4, `:` in version 2.
    check(/^[A-Za-z0-9_.@$+-]{3,128}$/.test(id), 'An access key id is 3 to 128 characters of A-Z, a-z, 0-9 and _.@$+-.')
    check(/^[\x21-\x7e]{8,128}$/.test(secret), 'A secret is 8 to 128 printable ASCII characters without spaces.')
    return { id, secret, accountId, isActive: true, created: this.#world.now() }
  }
}

const isName = (text: string): boolean =>
  text.length <= 128 && text.isWellFormed() && ![...text].some((character) => character < ' ' || character === '\x7f')

const isEmail = (text: string): boolean => text.length <= 254 && isName(text) && /^[^\s@]+@[^\s@]+$/.test(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Fault('InvalidArgument', { message })
}
