import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { arnOf, checkName, checkPath, rootArn } from '#src/model/iam.ts'
import {
  dateText,
  decodeEntityQuery,
  decodePage,
  keyElements,
  markerElements,
  members,
  slice,
  tagList,
  userElements,
} from './documents.ts'
import { anything, iamOperation, userOrSelf, userTarget } from './operation.ts'

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html */
export const createUser = iamOperation({
  name: 'CreateUser',
  decode: (parameters) => ({
    name: checkName('userName', parameters.needed('UserName')),
    path: checkPath(parameters.text('Path') ?? '/'),
    tags: parameters.pairs('Tags'),
    boundary: parameters.text('PermissionsBoundary'),
  }),
  target: (input, { realm }) => ({ arn: arnOf(realm, 'user', input) }),
  tags: ({ tags }) => tags,
  values: ({ boundary }) => ({ 'iam:permissionsboundary': boundary }),
  async run(input, { iam, realm }) {
    if (input.boundary !== undefined) await iam.bearers.checkManaged(realm, input.boundary)
    return await iam.users.create(realm, input)
  },
  encode: (user, { realm }) => [el('User', ...userElements(realm, user))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetUser.html */
export const getUser = iamOperation({
  name: 'GetUser',
  decode: userOrSelf,
  target: userTarget,
  run: async (name, { iam, realm }) => (name === undefined ? undefined : await iam.users.get(realm, name)),
  encode(user, { realm, account }) {
    if (user !== undefined) return [el('User', ...userElements(realm, user))]
    const { id } = account
    return [el('User', el('Path', '/'), el('UserId', id), el('Arn', rootArn(id)), el('CreateDate', dateText(0)))]
  },
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html */
export const listUsers = iamOperation({
  name: 'ListUsers',
  decode: decodeEntityQuery,
  target: ({ pathPrefix }, { realm }) => ({ arn: `arn:aws:iam::${realm}:user${pathPrefix}` }),
  run: (query, { iam, realm }) => iam.entities.list(realm, 'user', query),
  encode: ({ items, marker }, { realm }) => [
    members(
      'Users',
      items.map((each) => userElements(realm, each)),
    ),
    ...markerElements(marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateUser.html */
export const updateUser = iamOperation({
  name: 'UpdateUser',
  decode(parameters) {
    const [newName, newPath] = [parameters.text('NewUserName'), parameters.text('NewPath')]
    return {
      name: parameters.needed('UserName'),
      change: {
        ...(newName !== undefined && { newName: checkName('userName', newName) }),
        ...(newPath !== undefined && { newPath: checkPath(newPath) }),
      },
    }
  },
  target: ({ name }, context) => userTarget(name, context),
  run: ({ name, change }, { iam, realm }) => iam.users.update(realm, name, change),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteUser.html */
export const deleteUser = iamOperation({
  name: 'DeleteUser',
  decode: (parameters) => parameters.needed('UserName'),
  target: userTarget,
  run: (name, { iam, realm }) => iam.users.delete(realm, name),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagUser.html */
export const tagUser = iamOperation({
  name: 'TagUser',
  decode: (parameters) => ({ name: parameters.needed('UserName'), tags: parameters.pairs('Tags') }),
  target: ({ name }, context) => userTarget(name, context),
  tags: ({ tags }) => tags,
  run: ({ name, tags }, { iam, realm }) => iam.users.tag(realm, name, tags),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagUser.html */
export const untagUser = iamOperation({
  name: 'UntagUser',
  decode: (parameters) => ({ name: parameters.needed('UserName'), keys: parameters.list('TagKeys') ?? [] }),
  target: ({ name }, context) => userTarget(name, context),
  tags: ({ keys }) => keys.map((key) => [key, ''] as const),
  run: ({ name, keys }, { iam, realm }) => iam.users.untag(realm, name, keys),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUserTags.html */
export const listUserTags = iamOperation({
  name: 'ListUserTags',
  decode: (parameters) => ({
    name: parameters.needed('UserName'),
    ...decodePage(parameters),
  }),
  target: ({ name }, context) => userTarget(name, context),
  run: async ({ name, marker, limit }, { iam, realm }) => slice((await iam.users.get(realm, name)).tags, marker, limit),
  encode: ({ items, marker }) => [tagList(items), ...markerElements(marker)],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html */
export const createAccessKey = iamOperation({
  name: 'CreateAccessKey',
  decode: userOrSelf,
  target: userTarget,
  run: (name, { iam, asker }) => iam.users.createKey(asker, name),
  encode: (key, _context, name) => [el('AccessKey', ...keyElements(key, name), el('SecretAccessKey', key.secret))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html */
export const listAccessKeys = iamOperation({
  name: 'ListAccessKeys',
  decode: (parameters, context) => ({
    name: userOrSelf(parameters, context),
    ...decodePage(parameters),
  }),
  target: ({ name }, context) => userTarget(name, context),
  run: async ({ name, marker, limit }, { iam, asker }) => slice(await iam.users.listKeys(asker, name), marker, limit),
  encode: ({ items, marker }, _context, { name }) => [
    members(
      'AccessKeyMetadata',
      items.map((each) => keyElements(each, name)),
    ),
    ...markerElements(marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html */
export const updateAccessKey = iamOperation({
  name: 'UpdateAccessKey',
  decode(parameters, context) {
    const status = parameters.needed('Status')
    if (status !== 'Active' && status !== 'Inactive') {
      throw new Fault('ValidationError', { message: 'Status is Active or Inactive.' })
    }
    return {
      name: userOrSelf(parameters, context),
      id: parameters.needed('AccessKeyId'),
      isActive: status === 'Active',
    }
  },
  target: ({ name }, context) => userTarget(name, context),
  run: ({ name, id, isActive }, { iam, asker }) => iam.users.updateKey(asker, name, id, isActive),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html */
export const deleteAccessKey = iamOperation({
  name: 'DeleteAccessKey',
  decode: (parameters, context) => ({ name: userOrSelf(parameters, context), id: parameters.needed('AccessKeyId') }),
  target: ({ name }, context) => userTarget(name, context),
  run: ({ name, id }, { iam, asker }) => iam.users.deleteKey(asker, name, id),
})

/** Nobody keeps when keys were used. https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html */
export const getAccessKeyLastUsed = iamOperation({
  name: 'GetAccessKeyLastUsed',
  decode: (parameters) => parameters.needed('AccessKeyId'),
  target: anything,
  run: (id, { iam, account }) => iam.users.findKey(account, id),
  encode: ({ name }) => [
    name === undefined ? undefined : el('UserName', name),
    el('AccessKeyLastUsed', el('ServiceName', 'N/A'), el('Region', 'N/A')),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html */
export const getAccountSummary = iamOperation({
  name: 'GetAccountSummary',
  decode: () => undefined,
  target: anything,
  run: (_input, { iam, realm }) => iam.summary(realm),
  encode: (summary) => [
    el('SummaryMap', ...Object.entries(summary).map(([key, value]) => el('entry', el('key', key), el('value', value)))),
  ],
})
