import { Fault } from '#src/errors.ts'
import { type Acl, type Grant, type Grantee, groups, type Permission } from './access.ts'

/** An account, as grants and Owner elements show it. */
export interface Person {
  readonly id: string
  readonly displayName: string
}

/** A grant as a header or a document names it, before the account was looked up. */
export interface NamedGrant {
  readonly grantee: { readonly kind: 'id' | 'uri' | 'email'; readonly name: string }
  readonly permission: Permission
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl */
const cannedNames = [
  'private',
  'public-read',
  'public-read-write',
  'authenticated-read',
  'aws-exec-read',
  'bucket-owner-read',
  'bucket-owner-full-control',
  'log-delivery-write',
] as const

export type CannedAcl = (typeof cannedNames)[number]

/** AWS's own account that fetches machine images. */
const imageReader: Person = {
  id: '6aa5a366c34c1cbe25dc49211496e913e0351eb0e8c37aa3477e40942ec6b97c',
  displayName: 'za-team',
}

const permissionNames = new Set<string>(['FULL_CONTROL', 'READ', 'READ_ACP', 'WRITE', 'WRITE_ACP'])

export const isPermission = (name: string): name is Permission => permissionNames.has(name)

export function parseCannedAcl(name: string): CannedAcl {
  const known = cannedNames.find((each) => each === name)
  if (known === undefined) throw new Fault('InvalidArgument', { ArgumentName: 'x-amz-acl', ArgumentValue: name })
  return known
}

export const groupGrantee = (uri: string): Grantee => ({ kind: 'group', uri })
export const accountGrantee = ({ id, displayName }: Person): Grantee => ({ kind: 'account', id, displayName })

/** `bucketOwner`: of the bucket that an object is in; a bucket's own ACL has none. */
export function cannedAcl(name: CannedAcl, owner: Person, bucketOwner?: Person): Acl {
  // The owner's name is that of its account at the time it is shown: hardly any object has a grant beside this one.
  const own: Grant = { grantee: accountGrantee({ id: owner.id, displayName: '' }), permission: 'FULL_CONTROL' }
  // Groups come first: they have no display name, and clients that sort by it trip over them further down.
  return { owner: owner.id, grants: [...groupGrants(name), own, ...accountGrants(name, owner, bucketOwner)] }
}

function groupGrants(name: CannedAcl): readonly Grant[] {
  const grant = (uri: string, permission: Permission): Grant => ({ grantee: groupGrantee(uri), permission })
  switch (name) {
    case 'public-read':
      return [grant(groups.allUsers, 'READ')]
    case 'public-read-write':
      return [grant(groups.allUsers, 'READ'), grant(groups.allUsers, 'WRITE')]
    case 'authenticated-read':
      return [grant(groups.authenticatedUsers, 'READ')]
    case 'log-delivery-write':
      return [grant(groups.logDelivery, 'WRITE'), grant(groups.logDelivery, 'READ_ACP')]
    default:
      return []
  }
}

function accountGrants(name: CannedAcl, owner: Person, bucketOwner: Person | undefined): readonly Grant[] {
  if (name === 'aws-exec-read') return [{ grantee: accountGrantee(imageReader), permission: 'READ' }]
  if (bucketOwner === undefined || bucketOwner.id === owner.id) return []
  if (name === 'bucket-owner-read') return [{ grantee: accountGrantee(bucketOwner), permission: 'READ' }]
  if (name !== 'bucket-owner-full-control') return []
  return [{ grantee: accountGrantee(bucketOwner), permission: 'FULL_CONTROL' }]
}

const grantHeaders = [
  ['x-amz-grant-read', 'READ'],
  ['x-amz-grant-write', 'WRITE'],
  ['x-amz-grant-read-acp', 'READ_ACP'],
  ['x-amz-grant-write-acp', 'WRITE_ACP'],
  ['x-amz-grant-full-control', 'FULL_CONTROL'],
] as const

export interface AclWish {
  readonly canned?: CannedAcl
  readonly grants?: readonly NamedGrant[]
}

/** What `x-amz-acl` and `x-amz-grant-*` ask for; undefined: nothing. `get` gives a header by its lower-case name. */
export function aclWish(get: (header: string) => string | undefined): AclWish | undefined {
  const canned = get('x-amz-acl')
  const grants = grantHeaders.flatMap(([header, permission]) => {
    const value = get(header)
    return value === undefined ? [] : parseGrantees(header, value).map((grantee) => ({ grantee, permission }))
  })
  if (grants.length === 0) return canned === undefined ? undefined : { canned: parseCannedAcl(canned) }
  if (canned !== undefined) {
    throw new Fault('InvalidRequest', { message: 'Specifying both Canned ACLs and Header Grants is not allowed' })
  }
  return { grants }
}

const granteeKinds: ReadonlyMap<string, NamedGrant['grantee']['kind']> = new Map([
  ['id', 'id'],
  ['uri', 'uri'],
  ['emailaddress', 'email'],
])

/** `id="…", uri="…", emailAddress="…"`, with or without quotes. */
function parseGrantees(header: string, value: string): readonly NamedGrant['grantee'][] {
  return value.split(',').map((each) => {
    const equals = each.indexOf('=')
    const kind = granteeKinds.get(each.slice(0, Math.max(equals, 0)).trim().toLowerCase())
    const quoted = each.slice(equals + 1).trim()
    const name = quoted.length > 1 && quoted.startsWith('"') && quoted.endsWith('"') ? quoted.slice(1, -1) : quoted
    if (kind === undefined || name === '') {
      throw new Fault('InvalidArgument', { ArgumentName: header, ArgumentValue: value })
    }
    return { kind, name }
  })
}

const isPublicGrantee = (grantee: Grantee): boolean =>
  grantee.kind === 'group' && (grantee.uri === groups.allUsers || grantee.uri === groups.authenticatedUsers)

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html: what counts as public. */
export const isPublicAcl = (acl: Acl): boolean => acl.grants.some((each) => isPublicGrantee(each.grantee))

/** Whether the ACL has the permission for the account (undefined: anonymous), or for a group that it is in. */
export function permits(
  acl: Acl,
  accountId: string | undefined,
  permission: Permission,
  options: { readonly ignoresPublic: boolean },
): boolean {
  return acl.grants.some(({ grantee, permission: granted }) => {
    if (granted !== permission && granted !== 'FULL_CONTROL') return false
    if (grantee.kind === 'account') return grantee.id === accountId
    if (options.ignoresPublic) return false
    if (grantee.uri === groups.allUsers) return true
    return grantee.uri === groups.authenticatedUsers && accountId !== undefined
  })
}
