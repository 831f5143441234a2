import { createHash } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import type { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { clearShortLived, readShortLived, setShortLived } from '#src/metadata/short-lived-records.ts'
import { checkTitle, type Person, type Token } from '#src/model/organization.ts'
import { alphanumeric, randomId, randomWord } from '#src/service/random-words.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { Passwords } from './passwords.ts'

/** Who asks, and by what. */
export interface SignedIn {
  readonly person: Person
  readonly token: Token
}

export interface NewToken {
  readonly person: string
  readonly kind: Token['kind']
  readonly name: string
  readonly organization?: string
  readonly isReadOnly?: boolean
  /** Milliseconds from now; absent: without end. */
  readonly lifetime?: number
}

/** 256 bits and more: nobody guesses it, so a plain digest is enough to keep. */
const secretLength = 43
/** Fly's programs take any word, but those that begin like a macaroon. */
const prefix = 'fo1_'

export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex')

export const newSecret = (world: Pick<World, 'randomBytes'>): string =>
  `${prefix}${randomWord(world, alphanumeric, secretLength)}`

/** How long a browser stays signed in. */
export const sessionMilliseconds = 12 * 3_600_000
const tokensMost = 100

/** Passwords of one address that may be wrong within the window, before the rest of it is refused. */
const failuresMost = 10
const failureMilliseconds = 15 * 60_000

interface Parts {
  readonly store: Store
  readonly world: World
  readonly records: OrganizationRecords
  readonly passwords: Passwords
}

/**
 * Secrets that stand for people.
 *
 * T1  a secret is kept nowhere: what is stored opens nothing.
 * T2  a token that was deleted, or has ended, is nobody's from the answer on.
 * T3  wrong passwords of one address are counted by all processes together, and after some the right one is refused too.
 */
export class Tokens {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** The secret is given here and never again. Fault `LimitExceeded`, `NoSuchEntity`. */
  async create(wanted: NewToken): Promise<{ readonly token: Token; readonly secret: string }> {
    const { store, world, records } = this.#parts
    const { person, kind, name, organization, isReadOnly = false, lifetime } = wanted
    const secret = newSecret(world)
    const created = world.now()
    const token: Token = {
      id: randomId(world),
      hash: hashOf(secret),
      kind,
      person,
      name: checkTitle(name),
      isReadOnly,
      created,
      ...(organization !== undefined && { organization }),
      ...(lifetime !== undefined && { expires: created + lifetime }),
    }
    await store.transact(async (transaction) => {
      if ((await records.person(transaction, person)) === undefined) throw nobody()
      const standing = await records.tokensOf(transaction, person)
      // Sessions that ended are in nobody's way; whoever signs in clears them away.
      const ended = standing.filter((each) => isOver(each, created))
      for (const each of ended) records.removeToken(transaction, each)
      if (kind === 'token' && standing.length - ended.length >= tokensMost) {
        throw new Fault('LimitExceeded', { message: `A person has at most ${tokensMost} tokens.` })
      }
      records.putToken(transaction, token)
    })
    return { token, secret }
  }

  /** Undefined: the secret is nobody's. */
  async authenticate(secret: string): Promise<SignedIn | undefined> {
    const { store, world, records } = this.#parts
    return await store.snapshot(async (snapshot) => {
      const token = await records.token(snapshot, hashOf(secret))
      if (token === undefined || isOver(token, world.now())) return undefined
      const person = await records.person(snapshot, token.person)
      return person === undefined ? undefined : { person, token }
    })
  }

  async list(person: string): Promise<readonly Token[]> {
    const { store, records, world } = this.#parts
    const all = await store.snapshot((snapshot) => records.tokensOf(snapshot, person))
    return all.filter((each) => !isOver(each, world.now()))
  }

  /** Fault `NoSuchEntity` where the person has no such token. */
  async delete(person: string, id: string): Promise<void> {
    const { store, records } = this.#parts
    await store.transact(async (transaction) => {
      const token = (await records.tokensOf(transaction, person)).find((each) => each.id === id)
      if (token === undefined) throw new Fault('NoSuchEntity', { message: 'There is no such token.' })
      records.removeToken(transaction, token)
    })
  }

  /** Whose password it is. Fault `AccessDenied`, whoever is not there or wrong; `SlowDown` after too many of those. */
  async checkPassword(email: string, password: string): Promise<Person> {
    const { store, world, records, passwords } = this.#parts
    const address = email.toLowerCase()
    const place = hashOf(address)
    const now = world.now()
    // Counted before it is looked at: of many at once none goes uncounted.
    const attempts = await store.transact(async (transaction) => {
      const before = await readShortLived<Attempts>(transaction, attemptKind, place, now)
      const since = before?.since ?? now
      const count = (before?.count ?? 0) + 1
      if (count > failuresMost) return count
      const ends = since + failureMilliseconds
      await setShortLived(transaction, attemptKind, place, { count, since } satisfies Attempts, { ends, now })
      return count
    })
    if (attempts > failuresMost) throw new Fault('SlowDown', { message: 'Too many attempts: try again in a while.' })
    const person = await store.snapshot(async (snapshot) => {
      const id = await records.known(snapshot, 'email', address)
      return id === undefined ? undefined : await records.person(snapshot, id)
    })
    const isRight = await passwords.matches(password, person?.password)
    if (!isRight || person === undefined) {
      throw new Fault('AccessDenied', { message: 'That is not the address and password of anybody here.' })
    }
    await store.transact((transaction) => clearShortLived(transaction, attemptKind, place))
    return person
  }
}

interface Attempts {
  readonly count: number
  readonly since: number
}

const attemptKind = 'attempt'

const isOver = ({ expires }: Token, now: number): boolean => expires !== undefined && expires <= now

export const nobody = (): Fault => new Fault('NoSuchEntity', { message: 'There is no such person.' })
