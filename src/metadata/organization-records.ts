import type { Invitation, Membership, Organization, Person, Quota, Token } from '#src/model/organization.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { DecodedRows } from './decoded-rows.ts'
import { decodeNumber, decodeRow, decodeText, encodeNumber, encodeRow, encodeText } from './namespace-codec.ts'
import { rowKeys, rowRanges } from './namespace-keys.ts'
import { isAskable, lastOf, readAll } from './row-reading.ts'

/** What an organisation may have at most; undefined: no limit, or no organisation. */
export async function readQuota(from: Snapshot, id: string): Promise<Quota | undefined> {
  const bytes = await from.get(rowKeys.organization(id))
  return bytes === undefined ? undefined : decodeRow<Organization>(bytes).quota
}

const decodedBytes = 2 * 1024 * 1024
const nothing = new Uint8Array(0)

/**
 * Organisations and the people in them, row by row, in whatever transaction or snapshot the caller has open. Other cells follow
 * them as they follow accounts.
 *
 * N6  what finds a row by another name (slug, email, external id, member, token) changes in the transaction that changes the row.
 */
export class OrganizationRecords {
  readonly #organizations = new DecodedRows((bytes) => decodeRow<Organization>(bytes), decodedBytes)

  /** An unchanged row gives the same object each time. */
  async organization(from: Snapshot, id: string): Promise<Organization | undefined> {
    const bytes = isAskable(id) ? await from.get(rowKeys.organization(id)) : undefined
    return bytes === undefined ? undefined : this.#organizations.value(id, bytes)
  }

  async organizations(from: Snapshot): Promise<readonly Organization[]> {
    return (await readAll(from, rowRanges.organizations())).map(({ value }) => decodeRow<Organization>(value))
  }

  /** Id of the organisation of that slug or external id, or of the person of that email or external id. */
  async known(from: Snapshot, ...[kind, name]: Parameters<typeof rowKeys.known>): Promise<string | undefined> {
    const bytes = isAskable(name) ? await from.get(rowKeys.known(kind, name)) : undefined
    return bytes === undefined ? undefined : decodeText(bytes)
  }

  /** Adds it, or changes all but its names. */
  putOrganization(to: Transaction, organization: Organization): void {
    const { id, slug, externalId } = organization
    to.set(rowKeys.organization(id), encodeRow(organization))
    to.set(rowKeys.known('slug', slug), encodeText(id))
    if (externalId !== undefined) to.set(rowKeys.known('organization', externalId), encodeText(id))
  }

  removeOrganization(to: Transaction, { id, slug, externalId }: Organization): void {
    to.clear(rowKeys.organization(id))
    to.clear(rowKeys.known('slug', slug))
    if (externalId !== undefined) to.clear(rowKeys.known('organization', externalId))
  }

  async nextNumber(to: Transaction, what: 'organization' | 'app'): Promise<number> {
    const largest = await to.get(rowKeys.number(what))
    const number = (largest === undefined ? 0 : decodeNumber(largest)) + 1
    to.set(rowKeys.number(what), encodeNumber(number))
    return number
  }

  async person(from: Snapshot, id: string): Promise<Person | undefined> {
    const bytes = isAskable(id) ? await from.get(rowKeys.person(id)) : undefined
    return bytes === undefined ? undefined : decodeRow<Person>(bytes)
  }

  putPerson(to: Transaction, person: Person): void {
    to.set(rowKeys.person(person.id), encodeRow(person))
    to.set(rowKeys.known('email', person.email), encodeText(person.id))
    if (person.externalId !== undefined) to.set(rowKeys.known('person', person.externalId), encodeText(person.id))
  }

  async membership(from: Snapshot, organization: string, person: string): Promise<Membership | undefined> {
    const bytes = isAskable(organization) ? await from.get(rowKeys.member(organization, person)) : undefined
    return bytes === undefined ? undefined : decodeRow<Membership>(bytes)
  }

  async members(from: Snapshot, organization: string): Promise<readonly Membership[]> {
    return (await readAll(from, rowRanges.members(organization))).map(({ value }) => decodeRow<Membership>(value))
  }

  async membershipsOf(from: Snapshot, person: string): Promise<readonly Membership[]> {
    const entries = await readAll(from, rowRanges.organizationsOf(person))
    const found = await Promise.all(entries.map(({ key }) => this.membership(from, lastOf(key, 2), person)))
    return found.filter((each) => each !== undefined)
  }

  putMembership(to: Transaction, membership: Membership): void {
    const { organization, person } = membership
    to.set(rowKeys.member(organization, person), encodeRow(membership))
    to.set(rowKeys.memberOf(person, organization), nothing)
  }

  removeMembership(to: Transaction, { organization, person }: Omit<Membership, 'role'>): void {
    to.clear(rowKeys.member(organization, person))
    to.clear(rowKeys.memberOf(person, organization))
  }

  async invitation(from: Snapshot, organization: string, id: string): Promise<Invitation | undefined> {
    if (!isAskable(organization) || !isAskable(id)) return undefined
    const bytes = await from.get(rowKeys.invitation(organization, id))
    return bytes === undefined ? undefined : decodeRow<Invitation>(bytes)
  }

  async invitations(from: Snapshot, organization: string): Promise<readonly Invitation[]> {
    return (await readAll(from, rowRanges.invitations(organization))).map(({ value }) => decodeRow<Invitation>(value))
  }

  putInvitation(to: Transaction, invitation: Invitation): void {
    to.set(rowKeys.invitation(invitation.organization, invitation.id), encodeRow(invitation))
  }

  removeInvitation(to: Transaction, { organization, id }: Pick<Invitation, 'organization' | 'id'>): void {
    to.clear(rowKeys.invitation(organization, id))
  }

  async token(from: Snapshot, hash: string): Promise<Token | undefined> {
    const bytes = await from.get(rowKeys.token(hash))
    return bytes === undefined ? undefined : decodeRow<Token>(bytes)
  }

  async tokensOf(from: Snapshot, person: string): Promise<readonly Token[]> {
    const entries = await readAll(from, rowRanges.tokensOf(person))
    const found = await Promise.all(entries.map(({ value }) => this.token(from, decodeText(value))))
    return found.filter((each) => each !== undefined)
  }

  putToken(to: Transaction, token: Token): void {
    to.set(rowKeys.token(token.hash), encodeRow(token))
    to.set(rowKeys.ownedToken(token.person, token.id), encodeText(token.hash))
  }

  removeToken(to: Transaction, { hash, person, id }: Pick<Token, 'hash' | 'person' | 'id'>): void {
    to.clear(rowKeys.token(hash))
    to.clear(rowKeys.ownedToken(person, id))
  }
}
