import { el } from '#gateway/xml/render.ts'
import { arnOf, checkName, checkPath } from '#src/model/iam.ts'
import { decodeEntityQuery, decodePage, markerElements, members, roleElements, slice, tagList } from './documents.ts'
import { iamOperation, roleTarget } from './operation.ts'

const hour = 3_600

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html */
export const createRole = iamOperation({
  name: 'CreateRole',
  decode: (parameters) => ({
    name: checkName('roleName', parameters.needed('RoleName')),
    path: checkPath(parameters.text('Path') ?? '/'),
    trust: parameters.needed('AssumeRolePolicyDocument'),
    description: parameters.text('Description'),
    sessionSecondsMax: parameters.integer('MaxSessionDuration', hour, 12 * hour) ?? hour,
    boundary: parameters.text('PermissionsBoundary'),
    tags: parameters.pairs('Tags'),
  }),
  target: (input, { realm }) => ({ arn: arnOf(realm, 'role', input) }),
  tags: ({ tags }) => tags,
  values: ({ boundary }) => ({ 'iam:permissionsboundary': boundary }),
  async run(input, { iam, realm, account }) {
    if (input.boundary !== undefined) await iam.bearers.checkManaged(realm, input.boundary)
    return await iam.roles.create(realm, { ...input, accountId: account.id })
  },
  encode: (role, { realm }) => [el('Role', ...roleElements(realm, role))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetRole.html */
export const getRole = iamOperation({
  name: 'GetRole',
  decode: (parameters) => parameters.needed('RoleName'),
  target: roleTarget,
  run: (name, { iam, realm }) => iam.roles.get(realm, name),
  encode: (role, { realm }) => [el('Role', ...roleElements(realm, role))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoles.html */
export const listRoles = iamOperation({
  name: 'ListRoles',
  decode: decodeEntityQuery,
  target: ({ pathPrefix }, { realm }) => ({ arn: `arn:aws:iam::${realm}:role${pathPrefix}` }),
  run: (query, { iam, realm }) => iam.entities.list(realm, 'role', query),
  encode: ({ items, marker }, { realm }) => [
    members(
      'Roles',
      items.map((each) => roleElements(realm, each)),
    ),
    ...markerElements(marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html */
export const updateRole = iamOperation({
  name: 'UpdateRole',
  decode(parameters) {
    const description = parameters.text('Description')
    const sessionSecondsMax = parameters.integer('MaxSessionDuration', hour, 12 * hour)
    return {
      name: parameters.needed('RoleName'),
      change: {
        ...(description !== undefined && { description }),
        ...(sessionSecondsMax !== undefined && { sessionSecondsMax }),
      },
    }
  },
  target: ({ name }, context) => roleTarget(name, context),
  run: ({ name, change }, { iam, realm }) => iam.roles.update(realm, name, change),
  encode: () => [],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRoleDescription.html */
export const updateRoleDescription = iamOperation({
  name: 'UpdateRoleDescription',
  decode: (parameters) => ({ name: parameters.needed('RoleName'), description: parameters.needed('Description') }),
  target: ({ name }, context) => roleTarget(name, context),
  run: ({ name, description }, { iam, realm }) => iam.roles.update(realm, name, { description }),
  encode: (role, { realm }) => [el('Role', ...roleElements(realm, role))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAssumeRolePolicy.html */
export const updateAssumeRolePolicy = iamOperation({
  name: 'UpdateAssumeRolePolicy',
  decode: (parameters) => ({ name: parameters.needed('RoleName'), trust: parameters.needed('PolicyDocument') }),
  target: ({ name }, context) => roleTarget(name, context),
  async run({ name, trust }, { iam, realm }) {
    await iam.roles.update(realm, name, { trust })
  },
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteRole.html */
export const deleteRole = iamOperation({
  name: 'DeleteRole',
  decode: (parameters) => parameters.needed('RoleName'),
  target: roleTarget,
  run: (name, { iam, realm }) => iam.roles.delete(realm, name),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagRole.html */
export const tagRole = iamOperation({
  name: 'TagRole',
  decode: (parameters) => ({ name: parameters.needed('RoleName'), tags: parameters.pairs('Tags') }),
  target: ({ name }, context) => roleTarget(name, context),
  tags: ({ tags }) => tags,
  run: ({ name, tags }, { iam, realm }) => iam.roles.tag(realm, name, tags),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagRole.html */
export const untagRole = iamOperation({
  name: 'UntagRole',
  decode: (parameters) => ({ name: parameters.needed('RoleName'), keys: parameters.list('TagKeys') ?? [] }),
  target: ({ name }, context) => roleTarget(name, context),
  tags: ({ keys }) => keys.map((key) => [key, ''] as const),
  run: ({ name, keys }, { iam, realm }) => iam.roles.untag(realm, name, keys),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListRoleTags.html */
export const listRoleTags = iamOperation({
  name: 'ListRoleTags',
  decode: (parameters) => ({
    name: parameters.needed('RoleName'),
    ...decodePage(parameters),
  }),
  target: ({ name }, context) => roleTarget(name, context),
  run: async ({ name, marker, limit }, { iam, realm }) => slice((await iam.roles.get(realm, name)).tags, marker, limit),
  encode: ({ items, marker }) => [tagList(items), ...markerElements(marker)],
})
