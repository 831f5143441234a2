import { Fault } from '#src/errors.ts'

/** What IAM keeps: users, groups, roles, managed policies and identity providers. Times are milliseconds since the epoch. */
interface Named {
  readonly name: string
  /** `/`, or `/a/b/`. */
  readonly path: string
  /** Given once, ever: a user made anew under an old name is another one. */
  readonly id: string
  readonly created: number
}

/** Whatever policies are attached to. */
export interface Bearer extends Named {
  /** Inline policies: their documents by name. */
  readonly policies: Readonly<Record<string, string>>
  /** ARNs of managed policies, in the order in which they were attached. */
  readonly attached: readonly string[]
}

export type TagList = readonly (readonly [key: string, value: string])[]

export interface User extends Bearer {
  readonly tags: TagList
  readonly boundary?: string
  /** Names in lower case. */
  readonly groups: readonly string[]
  /** Their access keys. */
  readonly keys: readonly string[]
  /** The account of the tenant that is this user, where it is one. */
  readonly accountId?: string
}

export type Group = Bearer

export interface Role extends Bearer {
  readonly tags: TagList
  readonly boundary?: string
  /** Who may take it on. */
  readonly trust: string
  readonly description?: string
  readonly sessionSecondsMax: number
  /** The account that its sessions act in. */
  readonly accountId: string
}

export interface PolicyVersion {
  /** `v1`, `v2` … */
  readonly id: string
  readonly document: string
  readonly created: number
}

export interface ManagedPolicy extends Named {
  readonly description?: string
  readonly updated: number
  readonly versions: readonly PolicyVersion[]
  readonly defaultVersion: string
  /** How many versions there ever were: numbers are not used again. */
  readonly versionsMade: number
  readonly tags: TagList
}

/** An issuer of web identities. */
export interface Provider {
  /** As it was given, with its scheme. */
  readonly url: string
  readonly clients: readonly string[]
  readonly thumbprints: readonly string[]
  readonly created: number
  readonly tags: TagList
}

export type Kind = 'user' | 'group' | 'role' | 'policy' | 'provider'

/** How names are compared: two that differ by case alone are one. */
export const folded = (name: string): string => name.toLowerCase()

export const arnOf = (
  realm: string,
  kind: 'user' | 'group' | 'role' | 'policy',
  { path, name }: Pick<Named, 'path' | 'name'>,
): string => `arn:aws:iam::${realm}:${kind}${path}${name}`

/** The host and path of an issuer, as ARNs, and names of conditions, have it. */
export const issuerOf = (url: string): string => url.replace(/^https?:\/\//, '')

export const providerArn = (realm: string, url: string): string =>
  `arn:aws:iam::${realm}:oidc-provider/${issuerOf(url)}`

export const rootArn = (accountId: string): string => `arn:aws:iam::${accountId}:root`

/** Of a thing with a path, or undefined: no such ARN. */
export function parseArn(
  arn: string,
): { readonly realm: string; readonly kind: string; readonly name: string; readonly rest: string } | undefined {
  const match = /^arn:aws:iam::([^:/]*):([a-z-]+)\/(.+)$/.exec(arn)
  const [, realm, kind, rest] = match ?? []
  if (realm === undefined || kind === undefined || rest === undefined) return undefined
  return { realm, kind, name: rest.slice(rest.lastIndexOf('/') + 1), rest }
}

const invalid = (message: string): Fault => new Fault('ValidationError', { message })

/** Lengths are AWS's: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
export const nameLengths = { userName: 64, groupName: 128, roleName: 64, policyName: 128, roleSessionName: 64 } as const

export function checkName(what: keyof typeof nameLengths, name: string): string {
  const most = nameLengths[what]
  if (name.length >= 1 && name.length <= most && /^[\w+=,.@-]+$/.test(name)) return name
  throw invalid(
    `The specified value for ${what} is invalid. It must be 1 to ${most} characters of: alphanumeric and +=,.@_-`,
  )
}

export function checkPath(path: string): string {
  if (path.length <= 512 && /^\/$|^\/[\x21-\x7e]+\/$/.test(path)) return path
  throw invalid(
    'The specified value for path is invalid. It must begin and end with / and contain only printable characters.',
  )
}

/** Characters that are counted of policies: white space is not. */
export const sizeOf = (document: string): number => document.replace(/[ \t\r\n]/g, '').length

export const quotas = {
  user: 2_048,
  group: 5_120,
  role: 10_240,
  managed: 6_144,
  session: 2_048,
  trust: 2_048,
  attached: 10,
  versions: 5,
  groupsOfUser: 10,
  keys: 2,
  tags: 50,
  clients: 100,
  thumbprints: 5,
  users: 5_000,
  groups: 300,
  roles: 1_000,
  policies: 1_500,
  providers: 100,
} as const

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html; keys that differ by case alone are one. */
export function checkTags(tags: TagList): TagList {
  const seen = new Set<string>()
  for (const [key, value] of tags) {
    const isSound =
      /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u.test(key) && /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u.test(value)
    if (!isSound || folded(key).startsWith('aws:')) throw invalid(`The tag ${key} is not valid.`)
    if (seen.has(folded(key)))
      throw new Fault('InvalidInput', {
        message: 'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
      })
    seen.add(folded(key))
  }
  if (seen.size > quotas.tags)
    throw new Fault('LimitExceeded', { message: `The number of tags has reached the maximum limit of ${quotas.tags}.` })
  return tags
}

/** The given tags over those that stand. */
export function withTags(standing: TagList, given: TagList): TagList {
  const names = new Set(given.map(([key]) => folded(key)))
  return checkTags([...standing.filter(([key]) => !names.has(folded(key))), ...checkTags(given)])
}

export function withoutTags(standing: TagList, names: readonly string[]): TagList {
  const gone = new Set(names.map(folded))
  return standing.filter(([key]) => !gone.has(folded(key)))
}
