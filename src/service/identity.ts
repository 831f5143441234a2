import { Fault } from '#src/errors.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { AccessKey, Account } from '#src/model/identity.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { CreateAccount, Identity } from './services.ts'

/**
 * D1  a key id and an email address belong to one account; a second one is refused with `EntityAlreadyExists`.
 * D2  a key outlives neither its account nor its deletion: from the answer on, no process finds it.
 */
export class NamespaceIdentity implements Identity {
  readonly #store: Store
  readonly #world: World
  readonly #namespace: Namespace

  constructor(parts: { store: Store; world: World; namespace: Namespace }) {
    this.#store = parts.store
    this.#world = parts.world
    this.#namespace = parts.namespace
  }

  async findKey(accessKeyId: string): Promise<{ key: AccessKey; account: Account } | undefined> {
    return await this.#store.snapshot(async (snapshot) => {
      const key = await this.#namespace.accessKey(snapshot, accessKeyId)
      if (key === undefined) return undefined
      const account = await this.#namespace.account(snapshot, key.accountId)
      return account === undefined ? undefined : { key, account }
    })
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

  async listAccounts(): Promise<readonly Account[]> {
    return await this.#store.snapshot((snapshot) => this.#namespace.accounts(snapshot))
  }

  async deleteAccount(id: string): Promise<void> {
    await this.#store.transact(async (transaction) => {
      const account = await this.#existingAccount(transaction, id)
      const owned = await this.#namespace.bucketsOf(transaction, id, { limit: 1 })
      if (owned.length > 0) throw new Fault('DeleteConflict', { message: 'The account still owns buckets.' })
      for (const key of await this.#namespace.accessKeysOf(transaction, id)) {
        this.#namespace.removeAccessKey(transaction, key)
      }
      this.#namespace.removeAccount(transaction, account)
    })
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
    })
  }

  async ensureAdministrator(given?: { id: string; secret: string }): Promise<{ key: AccessKey; isNew: boolean }> {
    const fresh = this.#newAccount({ displayName: 'administrator', email: '', isAdministrator: true })
    const wanted = this.#newKey({ ...given, accountId: fresh.id })
    return await this.#store.transact(async (transaction) => {
      const accounts = await this.#namespace.accounts(transaction)
      const standing = accounts.find((each) => each.isAdministrator)
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
      return (await this.#namespace.accessKeysOf(transaction, account.id)).find((each) => each.isActive)
    }
    const standing = await this.#namespace.accessKey(transaction, given.id)
    if (standing === undefined) return undefined
    if (standing.accountId !== account.id) {
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
    return { id, displayName, email, isAdministrator: request.isAdministrator ?? false }
  }

  async #addAccount(transaction: Transaction, account: Account): Promise<Account> {
    if ((await this.#namespace.account(transaction, account.id)) !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'The account exists already.' })
    }
    if (account.email !== '' && (await this.#namespace.accountByEmail(transaction, account.email)) !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'Another account has this email address.' })
    }
    this.#namespace.addAccount(transaction, account)
    return account
  }

  async #existingAccount(transaction: Transaction, id: string): Promise<Account> {
    const account = await this.#namespace.account(transaction, id)
    if (account === undefined) throw new Fault('NoSuchEntity', { message: 'There is no such account.' })
    return account
  }

  #newKey(request: { accountId: string; id?: string; secret?: string }): AccessKey {
    const { accountId, id = `MERI${this.#word(upperCase, 16)}`, secret = this.#word(alphanumeric, 40) } = request
    // No character that ends the id in an Authorization header: `/` in version 4, `:` in version 2.
    check(/^[A-Za-z0-9_.@$+-]{3,128}$/.test(id), 'An access key id is 3 to 128 characters of A-Z, a-z, 0-9 and _.@$+-.')
    check(/^[\x21-\x7e]{8,128}$/.test(secret), 'A secret is 8 to 128 printable ASCII characters without spaces.')
    return { id, secret, accountId, isActive: true, created: this.#world.now() }
  }

  /** Letters drawn evenly: bytes that would favour the first ones are thrown away. */
  #word(alphabet: string, length: number): string {
    const even = 256 - (256 % alphabet.length)
    let word = ''
    while (word.length < length) {
      for (const byte of this.#world.randomBytes(length)) {
        if (byte < even && word.length < length) word += alphabet.charAt(byte % alphabet.length)
      }
    }
    return word
  }
}

const upperCase = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const alphanumeric = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'

const isName = (text: string): boolean =>
  text.length <= 128 && text.isWellFormed() && ![...text].some((character) => character < ' ' || character === '\x7f')

const isEmail = (text: string): boolean => text.length <= 254 && isName(text) && /^[^\s@]+@[^\s@]+$/.test(text)

function check(holds: boolean, message: string): void {
  if (!holds) throw new Fault('InvalidArgument', { message })
}
