import { Fault } from '#src/errors.ts'
import { isBucketName } from './names.ts'

/** A group of people who share buckets. It is an account of IAM too, of the same id: that owns the buckets. */
export interface Organization {
  /** Of the account. */
  readonly id: string
  /** What people call it on a command line; there is one of each. */
  readonly slug: string
  readonly name: string
  /** Milliseconds since the epoch. */
  readonly created: number
  /** Given once, ever: Fly's programs count organisations too. */
  readonly number: number
  /** What another system, such as Fly, calls it. */
  readonly externalId?: string
  readonly quota?: Quota
}

/** What an organisation may have at most; absent: no limit of its own. */
export interface Quota {
  readonly buckets?: number
  /** Of all its objects, in bytes. */
  readonly bytes?: number
}

/** Somebody who signs in. */
export interface Person {
  readonly id: string
  readonly email: string
  readonly name: string
  readonly created: number
  readonly externalId?: string
  /** Absent: they come by another system only, or by a token. */
  readonly password?: PasswordHash
}

/** What scrypt made of a password; both in base64. https://www.rfc-editor.org/rfc/rfc7914 */
export interface PasswordHash {
  readonly cost: number
  readonly salt: string
  readonly hash: string
}

/** In falling order of what they may. */
export const roles = ['owner', 'admin', 'member', 'read-only'] as const
export type Role = (typeof roles)[number]

export interface Membership {
  readonly organization: string
  readonly person: string
  readonly role: Role
}

export interface Invitation {
  readonly id: string
  readonly organization: string
  readonly email: string
  readonly role: Role
  /** Id of the person who invited. */
  readonly by: string
  /** SHA-256 of the word that takes it up, in hexadecimal. */
  readonly hash: string
  readonly expires: number
}

/** Something secret that stands for a person: what they gave to a program, or a browser in which they signed in. */
export interface Token {
  readonly id: string
  /** SHA-256 in hexadecimal: the secret itself is kept nowhere. */
  readonly hash: string
  readonly kind: 'token' | 'session'
  readonly person: string
  readonly name: string
  /** The only organisation that it is good for; absent: all of the person's. */
  readonly organization?: string
  /** Whether it changes nothing, whatever the person may. */
  readonly isReadOnly: boolean
  readonly created: number
  readonly expires?: number
}

/** What people do with an organisation, apart from the objects in its buckets. */
export type OrganizationAction =
  | 'organization:read'
  | 'organization:change'
  | 'organization:delete'
  | 'members:read'
  | 'members:change'
  | 'keys:change'
  | 'buckets:read'
  | 'buckets:change'
  | 'apps:read'
  | 'apps:change'

const readings: readonly OrganizationAction[] = ['organization:read', 'members:read', 'buckets:read', 'apps:read']
const workings: readonly OrganizationAction[] = [...readings, 'buckets:change', 'keys:change', 'apps:change']
const managings: readonly OrganizationAction[] = [...workings, 'members:change', 'organization:change']

const allowed: Readonly<Record<Role, ReadonlySet<OrganizationAction>>> = {
  owner: new Set([...managings, 'organization:delete']),
  admin: new Set(managings),
  member: new Set(workings),
  'read-only': new Set(readings),
}

export const mayIn = (role: Role, action: OrganizationAction, isReadOnly = false): boolean =>
  allowed[isReadOnly ? 'read-only' : role].has(action)

/** Whether one may give, change or take the role of another: nobody makes somebody who is above themselves. */
export const mayGive = (own: Role, given: Role): boolean => mayIn(own, 'members:change') && !isAbove(given, own)

export const isAbove = (one: Role, other: Role): boolean => roles.indexOf(one) < roles.indexOf(other)

/** What people of a role may do with buckets and objects: a policy, as IAM's users have them. */
export function policyOfRole(role: Role): string {
  const reading = ['s3:Get*', 's3:List*']
  const action = role === 'read-only' ? reading : ['s3:*']
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: action, Resource: '*' }],
  })
}

const invalid = (message: string): Fault => new Fault('InvalidArgument', { message })

export function parseRole(text: string): Role {
  const role = roles.find((each) => each === text)
  if (role === undefined) throw invalid(`A role is one of ${roles.join(', ')}.`)
  return role
}

const slugForm = /^[a-z0-9](-?[a-z0-9]){0,62}$/

export function checkSlug(slug: string): string {
  if (slugForm.test(slug)) return slug
  throw invalid('The short name of an organisation is 1 to 63 characters of a-z, 0-9 and single hyphens within.')
}

/** What a name becomes on a command line; may be empty. */
export const slugOf = (name: string): string =>
  name
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 40)
    .replace(/^-+|-+$/g, '')

const hasControls = (text: string): boolean => [...text].some((each) => each < ' ' || each === '\x7f')

export function checkTitle(name: string): string {
  if (name !== '' && name.length <= 128 && name.isWellFormed() && !hasControls(name)) return name
  throw invalid('A name is 1 to 128 characters without control characters.')
}

export const isEmail = (email: string): boolean =>
  email.length <= 254 && email.isWellFormed() && !hasControls(email) && /^[^\s@]+@[^\s@]+$/.test(email)

export function checkEmail(email: string): string {
  if (isEmail(email)) return email.toLowerCase()
  throw invalid('An email address is name@host, at most 254 characters.')
}

/** Shorter ones are guessed; longer ones cost whoever checks them. */
const passwordLengths = [10, 256] as const

export function checkPassword(password: string): string {
  const [least, most] = passwordLengths
  if (password.length >= least && password.length <= most && password.isWellFormed()) return password
  throw invalid(`A password has ${least} to ${most} characters.`)
}

/** Names of apps go into host names, as names of buckets do. */
export function checkAppName(name: string): string {
  if (isBucketName(name) && !name.includes('.')) return name
  throw invalid('The name of an app is 3 to 63 characters of a-z, 0-9 and hyphens within.')
}
