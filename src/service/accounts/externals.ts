import type { Organization, Person } from '#src/model/organization.ts'
import { randomId } from '#src/service/random-words.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Organizations } from './organizations.ts'
import type { People } from './people.ts'

/** An organisation as another system, such as Fly, knows it, with whoever of it was named. */
export interface ExternalOrganization {
  readonly externalId: string
  /** Empty: as it was, or as its id. */
  readonly name: string
  readonly person?: {
    readonly externalId: string
    readonly email: string
    readonly isAdmin: boolean
  }
}

/** Organisations and people that another system vouches for: they are made as they are first heard of. */
export class Externals {
  readonly #organizations: Organizations
  readonly #people: People

  constructor(organizations: Organizations, people: People) {
    this.#organizations = organizations
    this.#people = people
  }

  /** Id of the organisation here; undefined: nobody has heard of it. */
  async find(externalId: string): Promise<string | undefined> {
    const { store, records } = this.#organizations.parts
    return await store.snapshot((snapshot) => records.known(snapshot, 'organization', externalId))
  }

  /** Whoever is named is a member from now on, in the role that is said now. */
  async ensureIn(transaction: Transaction, wanted: ExternalOrganization): Promise<Organization> {
    const { externalId, person } = wanted
    const { records } = this.#organizations.parts
    const known = await records.known(transaction, 'organization', externalId)
    const name = (wanted.name === '' ? externalId : wanted.name).slice(0, 128)
    const slug = this.#organizations.newSlug({ name })
    const organization =
      known === undefined
        ? await this.#organizations.addIn(transaction, { name, slug, externalId })
        : await this.#organizations.existing(transaction, known)
    if (person !== undefined) await this.#ensureMember(transaction, organization, person)
    return organization
  }

  /** Gives the person. */
  async admit(wanted: ExternalOrganization & { readonly person: object }): Promise<Person> {
    const { store } = this.#organizations.parts
    return await store.transact(async (transaction) => {
      const { person, ...rest } = wanted
      const organization = await this.ensureIn(transaction, rest)
      return await this.#ensureMember(transaction, organization, person)
    })
  }

  async #ensureMember(
    transaction: Transaction,
    { id }: Organization,
    { externalId, email, isAdmin }: NonNullable<ExternalOrganization['person']>,
  ): Promise<Person> {
    const person = await this.#people.ensureExternalIn(transaction, {
      externalId,
      email: email.toLowerCase(),
      name: email === '' ? externalId : email,
      id: randomId(this.#organizations.parts.world),
    })
    const standing = await this.#organizations.parts.records.membership(transaction, id, person.id)
    // Whom this store made an owner stays one.
    if (standing?.role !== 'owner') {
      await this.#organizations.putRoleIn(transaction, id, person.id, isAdmin ? 'admin' : 'member')
    }
    return person
  }
}
