import { Fault } from '#src/errors.ts'
import type { IamRecords, Kinds } from '#src/metadata/iam-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { folded, type Kind } from '#src/model/iam.ts'
import { randomWord, upperCase } from '#src/service/random-words.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** What the services of IAM are made of. */
export interface IamParts {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  readonly records: IamRecords
}

export interface EntityPage<Item> {
  readonly items: readonly Item[]
  /** Where the next page starts; undefined: this was the last. */
  readonly marker?: string
}

export interface EntityQuery {
  readonly pathPrefix: string
  readonly marker: string | undefined
  readonly limit: number
}

export type Pathed = 'user' | 'group' | 'role' | 'policy'

const pageRows = 500

const words = {
  user: 'user',
  group: 'group',
  role: 'role',
  policy: 'policy',
  provider: 'OpenID Connect provider',
} as const

export const missing = (kind: Kind, name: string): Fault =>
  new Fault('NoSuchEntity', { message: `The ${words[kind]} with name ${name} cannot be found.` })

export const taken = (kind: Kind, name: string): Fault =>
  new Fault('EntityAlreadyExists', { message: `${words[kind]} with name ${name} already exists.` })

export const conflict = (message: string): Fault =>
  new Fault('DeleteConflict', { message: `Cannot delete entity, must ${message} first.` })

export const exceeded = (message: string): Fault => new Fault('LimitExceeded', { message })

/** The rows of realms, found by names as clients write them. */
export class Entities {
  readonly parts: IamParts

  constructor(parts: IamParts) {
    this.parts = parts
  }

  get records(): IamRecords {
    return this.parts.records
  }

  now(): number {
    // Documents tell whole seconds.
    return Math.floor(this.parts.world.now() / 1000) * 1000
  }

  newId(prefix: string): string {
    return `${prefix}${randomWord(this.parts.world, upperCase, 17)}`
  }

  async read<T>(body: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    return await this.parts.store.snapshot(body)
  }

  async write<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    return await this.parts.store.transact(body)
  }

  /** Fault `NoSuchEntity` where there is none. */
  async existing<K extends Kind>(from: Snapshot, realm: string, kind: K, name: string): Promise<Kinds[K]> {
    const found = await this.records.find(from, realm, kind, kind === 'provider' ? name : folded(name))
    if (found === undefined) throw missing(kind, name)
    return found
  }

  async get<K extends Kind>(realm: string, kind: K, name: string): Promise<Kinds[K]> {
    return await this.read((snapshot) => this.existing(snapshot, realm, kind, name))
  }

  /** Adds what has a name of its own; Fault `EntityAlreadyExists`, or `LimitExceeded` above `most`. */
  async add<K extends Pathed>(realm: string, kind: K, value: Kinds[K], most: number): Promise<Kinds[K]> {
    const name = folded(value.name)
    return await this.write(async (transaction) => {
      if ((await this.records.find(transaction, realm, kind, name)) !== undefined) throw taken(kind, value.name)
      // Of many at once a few may come over the limit; which nobody is hurt by, and conflicts would hurt.
      const all = await this.records.all(transaction.relaxed, realm, kind)
      if (all.length >= most) throw exceeded(`Cannot exceed quota for ${words[kind]}s: ${most}`)
      this.records.put(transaction, realm, kind, name, value)
      return value
    })
  }

  async change<K extends Pathed>(
    realm: string,
    kind: K,
    name: string,
    change: (value: Kinds[K], transaction: Transaction) => Kinds[K] | Promise<Kinds[K]>,
  ): Promise<Kinds[K]> {
    return await this.write(async (transaction) => {
      const changed = await change(await this.existing(transaction, realm, kind, name), transaction)
      this.records.put(transaction, realm, kind, folded(name), changed)
      return changed
    })
  }

  /** Those whose path begins so, by name. */
  async list<K extends Pathed>(realm: string, kind: K, query: EntityQuery): Promise<EntityPage<Kinds[K]>> {
    const { pathPrefix, marker, limit } = query
    return await this.read(async (snapshot) => {
      const found: (readonly [string, Kinds[K]])[] = []
      let after = marker
      // One more than asked for tells whether there is a next page.
      while (found.length <= limit) {
        const page = await this.records.list(snapshot, realm, kind, { after, limit: pageRows })
        found.push(...page.filter(([, { path }]) => path.startsWith(pathPrefix)))
        after = page.at(-1)?.[0]
        if (page.length < pageRows) break
      }
      const items = found.slice(0, limit).map(([, value]) => value)
      const last = found[limit - 1]
      return found.length > limit && last !== undefined ? { items, marker: last[0] } : { items }
    })
  }

  async count(realm: string, kind: Kind): Promise<number> {
    return (await this.read((snapshot) => this.records.all(snapshot, realm, kind))).length
  }
}
