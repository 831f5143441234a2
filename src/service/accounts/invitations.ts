import { timingSafeEqual } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import { checkEmail, type Invitation, isAbove, mayGive, type Role } from '#src/model/organization.ts'
import { randomId } from '#src/service/random-words.ts'
import type { Organizations } from './organizations.ts'
import { hashOf, newSecret, type SignedIn } from './tokens.ts'

const lifetimeMilliseconds = 7 * 86_400_000
const invitationsMost = 200

const noInvitation = (): Fault =>
  new Fault('NoSuchEntity', { message: 'There is no such invitation, or it is not for you, or it has ended.' })

/** Ways into an organisation: a word that is shown once, for one address, for a week. */
export class Invitations {
  readonly #organizations: Organizations

  constructor(organizations: Organizations) {
    this.#organizations = organizations
  }

  /** The word is `organisation.id.secret`. Fault `AccessDenied` where the role is above the inviter's. */
  async create(
    who: SignedIn,
    name: string,
    { email, role }: { readonly email: string; readonly role: Role },
  ): Promise<{ readonly invitation: Invitation; readonly word: string }> {
    const { store, world, records } = this.#organizations.parts
    const secret = newSecret(world)
    const id = randomId(world)
    const now = world.now()
    const invitation = await store.transact(async (transaction) => {
      const place = await this.#organizations.authorizeIn(transaction, who, name, 'members:change')
      if (!mayGive(place.role, role)) throw new Fault('AccessDenied', { message: 'That role is above your own.' })
      const standing = await records.invitations(transaction, place.organization.id)
      for (const each of standing.filter(({ expires }) => expires <= now)) records.removeInvitation(transaction, each)
      if (standing.length >= invitationsMost) {
        throw new Fault('LimitExceeded', { message: `At most ${invitationsMost} invitations are open at once.` })
      }
      const made: Invitation = {
        id,
        organization: place.organization.id,
        email: checkEmail(email),
        role,
        by: who.person.id,
        hash: hashOf(secret),
        expires: now + lifetimeMilliseconds,
      }
      records.putInvitation(transaction, made)
      return made
    })
    return { invitation, word: `${invitation.organization}.${id}.${secret}` }
  }

  async list(who: SignedIn, name: string): Promise<readonly Invitation[]> {
    const { store, records, world } = this.#organizations.parts
    return await store.snapshot(async (snapshot) => {
      const { organization } = await this.#organizations.authorizeIn(snapshot, who, name, 'members:read')
      const all = await records.invitations(snapshot, organization.id)
      return all.filter(({ expires }) => expires > world.now())
    })
  }

  async withdraw(who: SignedIn, name: string, id: string): Promise<void> {
    const { store, records } = this.#organizations.parts
    await store.transact(async (transaction) => {
      const { organization } = await this.#organizations.authorizeIn(transaction, who, name, 'members:change')
      if ((await records.invitation(transaction, organization.id, id)) === undefined) throw noInvitation()
      records.removeInvitation(transaction, { organization: organization.id, id })
    })
  }

  /** By whoever has the word and the address it was made for. It is good once, and only while the inviter may still give that. */
  async accept(who: SignedIn, word: string): Promise<void> {
    const { store, records, world } = this.#organizations.parts
    const [organization = '', id = '', secret = ''] = word.split('.', 3)
    await store.transact(async (transaction) => {
      const invitation = await records.invitation(transaction, organization, id)
      const isGood =
        invitation !== undefined &&
        timingSafeEqual(Buffer.from(invitation.hash), Buffer.from(hashOf(secret))) &&
        invitation.expires > world.now() &&
        invitation.email === who.person.email &&
        !who.token.isReadOnly
      if (!isGood) throw noInvitation()
      const inviter = await records.membership(transaction, organization, invitation.by)
      if (inviter === undefined || !mayGive(inviter.role, invitation.role)) throw noInvitation()
      const standing = await records.membership(transaction, organization, who.person.id)
      // Whoever is in it already loses nothing by an older invitation.
      if (standing === undefined || isAbove(invitation.role, standing.role)) {
        await this.#organizations.putRoleIn(transaction, organization, who.person.id, invitation.role)
      }
      records.removeInvitation(transaction, invitation)
    })
  }
}
