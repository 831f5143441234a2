import { Fault } from '#src/errors.ts'
import { readAppsOf } from '#src/metadata/app-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { OrganizationRecords } from '#src/metadata/organization-records.ts'
import { readAllProvisioned } from '#src/metadata/provision-records.ts'
import { arnOf } from '#src/model/iam.ts'
import type { Caller } from '#src/model/identity.ts'
import {
  checkSlug,
  checkTitle,
  type Membership,
  mayGive,
  mayIn,
  type Organization,
  type OrganizationAction,
  type Person,
  policyOfRole,
  type Quota,
  type Role,
  slugOf,
} from '#src/model/organization.ts'
import { parseIdentityPolicy } from '#src/model/policy-document.ts'
import type { NamespaceIdentity } from '#src/service/identity.ts'
import { randomWord } from '#src/service/random-words.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { SignedIn } from './tokens.ts'

export interface CreateOrganization {
  readonly name: string
  /** Made of the name where none is given. */
  readonly slug?: string
  /** Of a person; absent: nobody is a member yet. */
  readonly owner?: string
  readonly externalId?: string
}

/** Somebody's place in an organisation. */
export interface Place {
  readonly organization: Organization
  readonly role: Role
  /** Whether they may change nothing, whatever their role. */
  readonly isReadOnly: boolean
}

export interface Member {
  readonly person: Person
  readonly role: Role
}

export interface OrganizationParts {
  readonly store: Store
  readonly world: World
  readonly records: OrganizationRecords
  readonly identity: NamespaceIdentity
  readonly namespace: Namespace
}

const slugLetters = 'abcdefghijkmnpqrstuvwxyz23456789'
const membersMost = 1_000
const bucketsMost = 10_000

/** Also what a member of another one hears: who is not in it is not told that it is there. */
export const noOrganization = (): Fault => new Fault('NoSuchEntity', { message: 'There is no such organization.' })

/**
 * Organisations, who is in them, and what each may.
 *
 * A5  an organisation is an account of the same id, made and deleted with it: who may do what with buckets and objects is decided
 *     for both as one.
 * A6  people of one organisation see and change nothing of another: not even that it is there.
 * A7  an organisation keeps an owner, and nobody gives, takes or changes a role above their own.
 */
export class Organizations {
  readonly parts: OrganizationParts

  constructor(parts: OrganizationParts) {
    this.parts = parts
  }

  async create(request: CreateOrganization): Promise<Organization> {
    const slug = this.newSlug(request)
    return await this.parts.store.transact((transaction) => this.addIn(transaction, { ...request, slug }))
  }

  /** The given short name, or one made of the name that nobody else will draw. */
  newSlug({ slug, name }: Pick<CreateOrganization, 'slug' | 'name'>): string {
    if (slug !== undefined) return checkSlug(slug)
    const stem = slugOf(checkTitle(name))
    return `${stem === '' ? 'org' : stem}-${randomWord(this.parts.world, slugLetters, 6)}`
  }

  /** In a transaction of the caller's. Fault `EntityAlreadyExists` where the slug is taken. */
  async addIn(
    transaction: Transaction,
    { name, slug, owner, externalId }: CreateOrganization & { readonly slug: string },
  ): Promise<Organization> {
    const { records, world, identity } = this.parts
    if ((await records.known(transaction, 'slug', slug)) !== undefined) {
      throw new Fault('EntityAlreadyExists', { message: 'Another organization has that short name.' })
    }
    const account = await identity.addIn(transaction, { displayName: checkTitle(name), email: '' })
    const organization: Organization = {
      id: account.id,
      slug,
      name,
      created: world.now(),
      number: await records.nextNumber(transaction, 'organization'),
      ...(externalId !== undefined && { externalId }),
    }
    records.putOrganization(transaction, organization)
    if (owner !== undefined) {
      if ((await records.person(transaction, owner)) === undefined) {
        throw new Fault('NoSuchEntity', { message: 'There is no such person.' })
      }
      records.putMembership(transaction, { organization: organization.id, person: owner, role: 'owner' })
    }
    return organization
  }

  /** By id or slug, for whoever runs the store. Fault `NoSuchEntity`. */
  async get(name: string): Promise<Organization> {
    return await this.parts.store.snapshot((snapshot) => this.existing(snapshot, name))
  }

  async list(): Promise<readonly Organization[]> {
    return await this.parts.store.snapshot((snapshot) => this.parts.records.organizations(snapshot))
  }

  async existing(from: Snapshot, name: string): Promise<Organization> {
    const { records } = this.parts
    const id = (await records.known(from, 'slug', name)) ?? name
    const organization = await records.organization(from, id)
    if (organization === undefined) throw noOrganization()
    return organization
  }

  /** By what somebody is a member, whatever they ask by. */
  async membershipsOf(person: string): Promise<readonly Membership[]> {
    return await this.parts.store.snapshot((snapshot) => this.parts.records.membershipsOf(snapshot, person))
  }

  /** All that they are in, as far as their token goes. */
  async placesOf({ person, token }: SignedIn): Promise<readonly Place[]> {
    const { store, records } = this.parts
    return await store.snapshot(async (snapshot) => {
      const memberships = await records.membershipsOf(snapshot, person.id)
      const within = memberships.filter(
        ({ organization }) => token.organization === undefined || token.organization === organization,
      )
      const places = await Promise.all(
        within.map(async ({ organization: id, role }) => {
          const organization = await records.organization(snapshot, id)
          return organization && { organization, role, isReadOnly: token.isReadOnly }
        }),
      )
      return places.filter((place) => place !== undefined)
    })
  }

  /** Their place, where they may do that. Fault `NoSuchEntity` where they are not in it, `AccessDenied`. */
  async authorize(who: SignedIn, name: string, action: OrganizationAction): Promise<Place> {
    return await this.parts.store.snapshot((snapshot) => this.authorizeIn(snapshot, who, name, action))
  }

  /** The same in a transaction: so that what was taken from somebody meanwhile counts. */
  async authorizeIn(from: Snapshot, who: SignedIn, name: string, action: OrganizationAction): Promise<Place> {
    const { person, token } = who
    const organization = await this.existing(from, name)
    const membership = await this.parts.records.membership(from, organization.id, person.id)
    const isWithin = token.organization === undefined || token.organization === organization.id
    if (membership === undefined || !isWithin) throw noOrganization()
    const { role } = membership
    if (!mayIn(role, action, token.isReadOnly)) {
      throw new Fault('AccessDenied', { message: `In ${organization.slug} you are not allowed ${action}.` })
    }
    return { organization, role, isReadOnly: token.isReadOnly }
  }

  /** As whom somebody reaches buckets and objects: their role is a policy, which is judged as that of a user of the account is. */
  async callerOf(who: SignedIn, name: string): Promise<Caller> {
    const { organization, role, isReadOnly } = await this.authorize(who, name, 'buckets:read')
    const { id, slug, name: displayName } = organization
    const { person, token } = who
    return {
      kind: 'account',
      account: { id, displayName, email: '', isAdministrator: false },
      accessKeyId: `token/${token.id}`,
      principal: {
        kind: 'user',
        arn: arnOf(id, 'user', { path: '/people/', name: person.id }),
        id: person.id,
        name: person.email,
        tags: new Map([['organization', slug]]),
        identity: [parseIdentityPolicy(policyOfRole(isReadOnly ? 'read-only' : role))],
        isTemporary: true,
      },
    }
  }

  async members(name: string): Promise<readonly Member[]> {
    const { store, records } = this.parts
    return await store.snapshot(async (snapshot) => {
      const { id } = await this.existing(snapshot, name)
      const found = await Promise.all(
        (await records.members(snapshot, id)).map(async ({ person, role }) => {
          const each = await records.person(snapshot, person)
          return each && { person: each, role }
        }),
      )
      return found.filter((each) => each !== undefined)
    })
  }

  /** Makes somebody a member, or gives them another role, on the word of whoever runs the store. */
  async setRole(name: string, person: string, role: Role): Promise<void> {
    await this.parts.store.transact(async (transaction) => {
      const { id } = await this.existing(transaction, name)
      await this.putRoleIn(transaction, id, person, role)
    })
  }

  async putRoleIn(transaction: Transaction, organization: string, person: string, role: Role): Promise<void> {
    const { records } = this.parts
    if ((await records.person(transaction, person)) === undefined) {
      throw new Fault('NoSuchEntity', { message: 'There is no such person.' })
    }
    const members = await records.members(transaction, organization)
    const isNew = members.every((each) => each.person !== person)
    if (isNew && members.length >= membersMost) {
      throw new Fault('LimitExceeded', { message: `An organization has at most ${membersMost} members.` })
    }
    if (role !== 'owner') this.#checkOwnerStays(members, person)
    records.putMembership(transaction, { organization, person, role })
  }

  /** By a member; `role` undefined: out with them. Whoever leaves by themselves may. */
  async changeMember(who: SignedIn, name: string, person: string, role: Role | undefined): Promise<void> {
    const { store, records } = this.parts
    await store.transact(async (transaction) => {
      const isLeaving = role === undefined && person === who.person.id
      const action = isLeaving ? 'organization:read' : 'members:change'
      const { organization, role: own } = await this.authorizeIn(transaction, who, name, action)
      const standing = await records.membership(transaction, organization.id, person)
      if (standing === undefined) throw new Fault('NoSuchEntity', { message: 'They are no member.' })
      const isAllowed = isLeaving ? !who.token.isReadOnly : mayGive(own, standing.role) && mayGive(own, role ?? own)
      if (!isAllowed) throw new Fault('AccessDenied', { message: 'That is for somebody above you to change.' })
      if (role !== undefined) return await this.putRoleIn(transaction, organization.id, person, role)
      this.#checkOwnerStays(await records.members(transaction, organization.id), person)
      records.removeMembership(transaction, standing)
    })
  }

  #checkOwnerStays(members: readonly { readonly person: string; readonly role: Role }[], leaving: string): void {
    const owners = members.filter(({ role }) => role === 'owner')
    if (owners.length === 1 && owners[0]?.person === leaving) {
      throw new Fault('DeleteConflict', { message: 'An organization keeps an owner: make somebody else one first.' })
    }
  }

  /** Its buckets say whether there is a limit of bytes: so that those of others pay nothing for it. */
  async setQuota(name: string, quota: Quota): Promise<Organization> {
    const { store, records, namespace } = this.parts
    return await store.transact(async (transaction) => {
      const { quota: _before, ...rest } = await this.existing(transaction, name)
      const organization = Object.keys(quota).length === 0 ? rest : { ...rest, quota }
      records.putOrganization(transaction, organization)
      const isLimited = quota.bytes !== undefined
      for (const bucket of await namespace.bucketsOf(transaction, rest.id, { limit: bucketsMost })) {
        const { isLimited: was = false, ...unlimited } = bucket
        if (was !== isLimited) namespace.changeBucket(transaction, isLimited ? { ...unlimited, isLimited } : unlimited)
      }
      return organization
    })
  }

  /** With its account, members and invitations. Fault `DeleteConflict` while it has buckets or apps. */
  async delete(name: string): Promise<void> {
    const { store, records, identity } = this.parts
    await store.transact(async (transaction) => {
      const organization = await this.existing(transaction, name)
      const { id } = organization
      const hasMore =
        (await readAllProvisioned(transaction, id)).length > 0 || (await readAppsOf(transaction, id)).length > 0
      if (hasMore) throw new Fault('DeleteConflict', { message: 'The organization still has buckets or apps.' })
      for (const each of await records.members(transaction, id)) records.removeMembership(transaction, each)
      for (const each of await records.invitations(transaction, id)) records.removeInvitation(transaction, each)
      records.removeOrganization(transaction, organization)
      await identity.removeIn(transaction, id)
    })
  }
}
