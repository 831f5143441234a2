import type { FormParameters } from '#gateway/query/form-parameters.ts'
import { type Child, el, type Xml } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import {
  arnOf,
  type Group,
  type ManagedPolicy,
  type PolicyVersion,
  type Role,
  type TagList,
  type User,
} from '#src/model/iam.ts'
import type { AccessKey } from '#src/model/identity.ts'
import type { EntityPage, EntityQuery } from '#src/service/iam/entities.ts'

/** Elements of IAM's answers. https://docs.aws.amazon.com/IAM/latest/APIReference/API_Types.html */

export const dateText = (time: number): string => new Date(time).toISOString().replace(/\.\d{3}Z$/, 'Z')

/** Documents are percent-encoded in answers, though not in requests. */
export const encodedDocument = (document: string): string =>
  encodeURIComponent(document.toWellFormed()).replace(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  )

export const members = (name: string, items: readonly Child[][]): Xml =>
  el(name, ...items.map((each) => el('member', ...each)))

const tagElements = (tags: TagList): Xml | undefined => (tags.length === 0 ? undefined : tagList(tags))

export const tagList = (tags: TagList): Xml =>
  members(
    'Tags',
    tags.map(([key, value]) => [el('Key', key), el('Value', value)]),
  )

const boundaryElement = (boundary: string | undefined): Xml | undefined =>
  boundary === undefined
    ? undefined
    : el('PermissionsBoundary', el('PermissionsBoundaryType', 'Policy'), el('PermissionsBoundaryArn', boundary))

export const userElements = (realm: string, user: User): Child[] => [
  el('Path', user.path),
  el('UserName', user.name),
  el('UserId', user.id),
  el('Arn', arnOf(realm, 'user', user)),
  el('CreateDate', dateText(user.created)),
  boundaryElement(user.boundary),
  tagElements(user.tags),
]

export const groupElements = (realm: string, group: Group): Child[] => [
  el('Path', group.path),
  el('GroupName', group.name),
  el('GroupId', group.id),
  el('Arn', arnOf(realm, 'group', group)),
  el('CreateDate', dateText(group.created)),
]

export const roleElements = (realm: string, role: Role): Child[] => [
  el('Path', role.path),
  el('RoleName', role.name),
  el('RoleId', role.id),
  el('Arn', arnOf(realm, 'role', role)),
  el('CreateDate', dateText(role.created)),
  el('AssumeRolePolicyDocument', encodedDocument(role.trust)),
  role.description === undefined ? undefined : el('Description', role.description),
  el('MaxSessionDuration', role.sessionSecondsMax),
  boundaryElement(role.boundary),
  tagElements(role.tags),
]

export const policyElements = (arn: string, policy: ManagedPolicy, attachments?: number): Child[] => [
  el('PolicyName', policy.name),
  el('PolicyId', policy.id),
  el('Arn', arn),
  el('Path', policy.path),
  el('DefaultVersionId', policy.defaultVersion),
  attachments === undefined ? undefined : el('AttachmentCount', attachments),
  el('IsAttachable', true),
  policy.description === undefined ? undefined : el('Description', policy.description),
  el('CreateDate', dateText(policy.created)),
  el('UpdateDate', dateText(policy.updated)),
  tagElements(policy.tags),
]

export const versionElements = (version: PolicyVersion, isDefault: boolean, hasDocument = true): Child[] => [
  hasDocument ? el('Document', encodedDocument(version.document)) : undefined,
  el('VersionId', version.id),
  el('IsDefaultVersion', isDefault),
  el('CreateDate', dateText(version.created)),
]

export const keyElements = (key: AccessKey, name: string | undefined): Child[] => [
  name === undefined ? undefined : el('UserName', name),
  el('AccessKeyId', key.id),
  el('Status', key.isActive ? 'Active' : 'Inactive'),
  el('CreateDate', dateText(key.created)),
]

const listMost = 1_000

/** `MaxItems` and `Marker`, as all lists have them. */
export function decodePage(parameters: FormParameters): {
  readonly marker: string | undefined
  readonly limit: number
} {
  const text = parameters.text('Marker')
  const marker = text === undefined ? undefined : Buffer.from(text, 'base64url').toString('utf8')
  return { marker, limit: parameters.integer('MaxItems', 1, listMost) ?? 100 }
}

export function decodeEntityQuery(parameters: FormParameters): EntityQuery {
  const pathPrefix = parameters.text('PathPrefix') ?? '/'
  if (!pathPrefix.startsWith('/') || pathPrefix.length > 512) {
    throw new Fault('ValidationError', { message: 'The path prefix must begin with /.' })
  }
  return { pathPrefix, ...decodePage(parameters) }
}

export const markerElements = (marker: string | undefined): Child[] => [
  el('IsTruncated', marker !== undefined),
  marker === undefined ? undefined : el('Marker', Buffer.from(marker, 'utf8').toString('base64url')),
]

/** A page of a list that is short enough to be read whole; the marker is how many came before. */
export function slice<Item>(items: readonly Item[], marker: string | undefined, limit: number): EntityPage<Item> {
  const start = Math.max(0, Number.parseInt(marker ?? '0', 10) || 0)
  const page = items.slice(start, start + limit)
  return start + limit < items.length ? { items: page, marker: String(start + limit) } : { items: page }
}
