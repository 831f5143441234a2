import { el } from '#gateway/xml/render.ts'
import { arnOf, checkName, checkPath } from '#src/model/iam.ts'
import {
  decodeEntityQuery,
  decodePage,
  groupElements,
  markerElements,
  members,
  slice,
  userElements,
} from './documents.ts'
import { groupTarget, iamOperation, userTarget } from './operation.ts'

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html */
export const createGroup = iamOperation({
  name: 'CreateGroup',
  decode: (parameters) => ({
    name: checkName('groupName', parameters.needed('GroupName')),
    path: checkPath(parameters.text('Path') ?? '/'),
  }),
  target: (input, { realm }) => ({ arn: arnOf(realm, 'group', input) }),
  run: (input, { iam, realm }) => iam.groups.create(realm, input),
  encode: (group, { realm }) => [el('Group', ...groupElements(realm, group))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetGroup.html */
export const getGroup = iamOperation({
  name: 'GetGroup',
  decode: (parameters) => ({
    name: parameters.needed('GroupName'),
    ...decodePage(parameters),
  }),
  target: ({ name }, context) => groupTarget(name, context),
  async run({ name, marker, limit }, { iam, realm }) {
    const { group, users } = await iam.groups.users(realm, name)
    return { group, page: slice(users, marker, limit) }
  },
  encode: ({ group, page }, { realm }) => [
    el('Group', ...groupElements(realm, group)),
    members(
      'Users',
      page.items.map((each) => userElements(realm, each)),
    ),
    ...markerElements(page.marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroups.html */
export const listGroups = iamOperation({
  name: 'ListGroups',
  decode: decodeEntityQuery,
  target: ({ pathPrefix }, { realm }) => ({ arn: `arn:aws:iam::${realm}:group${pathPrefix}` }),
  run: (query, { iam, realm }) => iam.entities.list(realm, 'group', query),
  encode: ({ items, marker }, { realm }) => [
    members(
      'Groups',
      items.map((each) => groupElements(realm, each)),
    ),
    ...markerElements(marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListGroupsForUser.html */
export const listGroupsForUser = iamOperation({
  name: 'ListGroupsForUser',
  decode: (parameters) => ({
    name: parameters.needed('UserName'),
    ...decodePage(parameters),
  }),
  target: ({ name }, context) => userTarget(name, context),
  run: async ({ name, marker, limit }, { iam, realm }) => slice(await iam.groups.ofUser(realm, name), marker, limit),
  encode: ({ items, marker }, { realm }) => [
    members(
      'Groups',
      items.map((each) => groupElements(realm, each)),
    ),
    ...markerElements(marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateGroup.html */
export const updateGroup = iamOperation({
  name: 'UpdateGroup',
  decode(parameters) {
    const [newName, newPath] = [parameters.text('NewGroupName'), parameters.text('NewPath')]
    return {
      name: parameters.needed('GroupName'),
      change: {
        ...(newName !== undefined && { newName: checkName('groupName', newName) }),
        ...(newPath !== undefined && { newPath: checkPath(newPath) }),
      },
    }
  },
  target: ({ name }, context) => groupTarget(name, context),
  run: ({ name, change }, { iam, realm }) => iam.groups.update(realm, name, change),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteGroup.html */
export const deleteGroup = iamOperation({
  name: 'DeleteGroup',
  decode: (parameters) => parameters.needed('GroupName'),
  target: groupTarget,
  run: (name, { iam, realm }) => iam.groups.delete(realm, name),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddUserToGroup.html */
export const addUserToGroup = iamOperation({
  name: 'AddUserToGroup',
  decode: (parameters) => ({ name: parameters.needed('GroupName'), user: parameters.needed('UserName') }),
  target: ({ name }, context) => groupTarget(name, context),
  run: ({ name, user }, { iam, realm }) => iam.groups.add(realm, name, user),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_RemoveUserFromGroup.html */
export const removeUserFromGroup = iamOperation({
  name: 'RemoveUserFromGroup',
  decode: (parameters) => ({ name: parameters.needed('GroupName'), user: parameters.needed('UserName') }),
  target: ({ name }, context) => groupTarget(name, context),
  run: ({ name, user }, { iam, realm }) => iam.groups.remove(realm, name, user),
})
