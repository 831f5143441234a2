import { Fault } from '#src/errors.ts'
import type { Group, Kind, ManagedPolicy, Provider, Role, User } from '#src/model/iam.ts'
import { limits, type Snapshot, type Transaction } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import { DecodedRows } from './decoded-rows.ts'
import { decodeRow, encodeRow } from './namespace-codec.ts'
import { entitiesOf, entityKey, membershipKey, membersOf, realmRanges, sessionKeysKey } from './namespace-keys.ts'

export interface Kinds {
  readonly user: User
  readonly group: Group
  readonly role: Role
  readonly policy: ManagedPolicy
  readonly provider: Provider
}

/** What session tokens are sealed with: the first is used for new ones, and older ones open theirs. */
export interface SessionKeys {
  readonly keys: readonly { readonly id: string; readonly key: string }[]
}

const decodedBytes = 8 * 1024 * 1024
const pageRows = 1000
const nameLengthMost = 254

const isAskable = (name: string): boolean => name.length <= nameLengthMost && name.isWellFormed()

const nothing = new Uint8Array(0)

/**
 * Users, groups, roles, managed policies and identity providers of realms, row by row, in whatever transaction or snapshot
 * the caller has open. Names are given in lower case, those of providers as they are.
 *
 * N5  who is in a group stands in the user's row and in the group's index, and both change in one transaction.
 */
export class IamRecords {
  readonly #rows = new DecodedRows((bytes) => decodeRow<Kinds[Kind]>(bytes), decodedBytes)
  readonly #sessionKeys = new DecodedRows((bytes) => decodeRow<SessionKeys>(bytes), decodedBytes)

  /** An unchanged row gives the same object each time. */
  async find<K extends Kind>(from: Snapshot, realm: string, kind: K, name: string): Promise<Kinds[K] | undefined> {
    if (!isAskable(name) || !isAskable(realm)) return undefined
    const bytes = await from.get(entityKey(realm, kind, name))
    return bytes === undefined ? undefined : this.#decoded<K>(realm, kind, name, bytes)
  }

  /** What is of this kind, ordered by name, behind `after`. */
  async list<K extends Kind>(
    from: Snapshot,
    realm: string,
    kind: K,
    options: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<readonly (readonly [name: string, value: Kinds[K]])[]> {
    const { after, limit } = options
    const range = entitiesOf(realm, kind)
    const start =
      after === undefined ? range.from : afterKey(entityKey(realm, kind, after.slice(0, nameLengthMost).toWellFormed()))
    const entries = await from.range(start, range.to, { limit })
    return entries.map(({ key, value }) => {
      const name = lastText(key)
      return [name, this.#decoded<K>(realm, kind, name, value)] as const
    })
  }

  async all<K extends Kind>(from: Snapshot, realm: string, kind: K): Promise<readonly (readonly [string, Kinds[K]])[]> {
    const found: (readonly [string, Kinds[K]])[] = []
    for (;;) {
      const page = await this.list(from, realm, kind, { after: found.at(-1)?.[0], limit: pageRows })
      found.push(...page)
      if (page.length < pageRows) return found
    }
  }

  put<K extends Kind>(transaction: Transaction, realm: string, kind: K, name: string, value: Kinds[K]): void {
    const row = encodeRow(value)
    if (row.length > limits.valueBytes) throw new Fault('LimitExceeded', { message: 'It is too large altogether.' })
    transaction.set(entityKey(realm, kind, name), row)
  }

  remove(transaction: Transaction, realm: string, kind: Kind, name: string): void {
    transaction.clear(entityKey(realm, kind, name))
  }

  addMember(transaction: Transaction, realm: string, group: string, user: string): void {
    transaction.set(membershipKey(realm, group, user), nothing)
  }

  removeMember(transaction: Transaction, realm: string, group: string, user: string): void {
    transaction.clear(membershipKey(realm, group, user))
  }

  /** Names of users. */
  async members(from: Snapshot, realm: string, group: string): Promise<readonly string[]> {
    const names: string[] = []
    const range = membersOf(realm, group)
    let start = range.from
    for (;;) {
      const page = await from.range(start, range.to, { limit: pageRows })
      names.push(...page.map(({ key }) => lastText(key)))
      const last = page.at(-1)
      if (last === undefined || page.length < pageRows) return names
      start = afterKey(last.key)
    }
  }

  removeRealm(transaction: Transaction, realm: string): void {
    for (const { from, to } of realmRanges(realm)) transaction.clearRange(from, to)
  }

  async sessionKeys(from: Snapshot): Promise<SessionKeys> {
    const bytes = await from.get(sessionKeysKey)
    return bytes === undefined ? { keys: [] } : this.#sessionKeys.value('', bytes)
  }

  setSessionKeys(transaction: Transaction, keys: SessionKeys): void {
    transaction.set(sessionKeysKey, encodeRow(keys))
  }

  #decoded<K extends Kind>(realm: string, kind: K, name: string, bytes: Uint8Array): Kinds[K] {
    // A key of one kind is only ever written with a value of that kind.
    return this.#rows.value(`${kind}\0${realm}\0${name}`, bytes) as Kinds[K]
  }
}

/** Of a key that ends in: realm, kind or group, name. */
function lastText(key: Uint8Array): string {
  const reader = new TupleReader(key, 1)
  reader.integer()
  reader.text()
  reader.text()
  return reader.text()
}
