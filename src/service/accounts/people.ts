import { Fault } from '#src/errors.ts'
import type { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { checkEmail, checkPassword, checkTitle, isEmail, type Person } from '#src/model/organization.ts'
import { randomId } from '#src/service/random-words.ts'
import type { Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { Passwords } from './passwords.ts'
import { nobody } from './tokens.ts'

export interface CreatePerson {
  readonly email: string
  readonly name: string
  readonly password?: string
}

interface Parts {
  readonly store: Store
  readonly world: World
  readonly records: OrganizationRecords
  readonly passwords: Passwords
}

/** Those who sign in. Of an address there is one, however it is written. */
export class People {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Fault `EntityAlreadyExists` where the address is somebody's. */
  async create({ email, name, password }: CreatePerson): Promise<Person> {
    const { store, world, passwords, records } = this.#parts
    const person: Person = {
      id: randomId(world),
      email: checkEmail(email),
      name: checkTitle(name),
      created: world.now(),
      ...(password !== undefined && { password: await passwords.hash(checkPassword(password)) }),
    }
    await store.transact(async (transaction) => {
      if ((await records.known(transaction, 'email', person.email)) !== undefined) {
        throw new Fault('EntityAlreadyExists', { message: 'Somebody has that email address.' })
      }
      records.putPerson(transaction, person)
    })
    return person
  }

  /** By id or address. Fault `NoSuchEntity`. */
  async get(name: string): Promise<Person> {
    const { store, records } = this.#parts
    const person = await store.snapshot(async (snapshot) => {
      const id = (await records.known(snapshot, 'email', name.toLowerCase())) ?? name
      return await records.person(snapshot, id)
    })
    if (person === undefined) throw nobody()
    return person
  }

  /** All sessions of theirs end. */
  async setPassword(id: string, password: string): Promise<void> {
    const { store, passwords, records } = this.#parts
    const hash = await passwords.hash(checkPassword(password))
    await store.transact(async (transaction) => {
      const person = await records.person(transaction, id)
      if (person === undefined) throw nobody()
      records.putPerson(transaction, { ...person, password: hash })
      const sessions = (await records.tokensOf(transaction, id)).filter(({ kind }) => kind === 'session')
      for (const session of sessions) records.removeToken(transaction, session)
    })
  }

  /**
   * Whom another system vouches for, by what it calls them; made where they are new. An address that is somebody else's here
   * already makes nobody that somebody: it stays theirs.
   */
  async ensureExternalIn(
    transaction: Transaction,
    { externalId, email, name, id }: { externalId: string; email: string; name: string; id: string },
  ): Promise<Person> {
    const { records, world } = this.#parts
    const known = await records.known(transaction, 'person', externalId)
    const standing = known === undefined ? undefined : await records.person(transaction, known)
    if (standing !== undefined) return standing
    const isFree = isEmail(email) && (await records.known(transaction, 'email', email)) === undefined
    const person: Person = {
      id,
      email: isFree ? email : `${id}@elsewhere.invalid`,
      name,
      created: world.now(),
      externalId,
    }
    records.putPerson(transaction, person)
    return person
  }
}
