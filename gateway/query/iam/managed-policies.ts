import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { arnOf, checkName, checkPath } from '#src/model/iam.ts'
import {
  decodeEntityQuery,
  decodePage,
  markerElements,
  members,
  policyElements,
  slice,
  tagList,
  versionElements,
} from './documents.ts'
import { iamOperation } from './operation.ts'

const named = ({ arn }: { readonly arn: string }) => ({ arn })

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicy.html */
export const createPolicy = iamOperation({
  name: 'CreatePolicy',
  decode: (parameters) => ({
    name: checkName('policyName', parameters.needed('PolicyName')),
    path: checkPath(parameters.text('Path') ?? '/'),
    document: parameters.needed('PolicyDocument'),
    description: parameters.text('Description'),
    tags: parameters.pairs('Tags'),
  }),
  target: (input, { realm }) => ({ arn: arnOf(realm, 'policy', input) }),
  tags: ({ tags }) => tags,
  run: (input, { iam, realm }) => iam.policies.create(realm, input),
  encode: (policy, { realm }) => [el('Policy', ...policyElements(arnOf(realm, 'policy', policy), policy, 0))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicy.html */
export const getPolicy = iamOperation({
  name: 'GetPolicy',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn') }),
  target: named,
  async run({ arn }, { iam, realm }) {
    const { user, group, role } = await iam.policies.usersOf(realm, arn)
    return { policy: await iam.policies.get(realm, arn), attachments: user.length + group.length + role.length }
  },
  encode: ({ policy, attachments }, _context, { arn }) => [el('Policy', ...policyElements(arn, policy, attachments))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicies.html */
export const listPolicies = iamOperation({
  name: 'ListPolicies',
  decode(parameters) {
    const scope = parameters.text('Scope') ?? 'All'
    if (scope !== 'All' && scope !== 'AWS' && scope !== 'Local') {
      throw new Fault('ValidationError', { message: 'Scope is All, AWS or Local.' })
    }
    return { scope, query: decodeEntityQuery(parameters) } as const
  },
  target: ({ query }, { realm }) => ({ arn: `arn:aws:iam::${realm}:policy${query.pathPrefix}` }),
  run: ({ scope, query }, { iam, realm }) => iam.policies.list(realm, scope, query),
  encode: ({ items, marker }) => [
    members(
      'Policies',
      items.map(({ arn, policy }) => policyElements(arn, policy)),
    ),
    ...markerElements(marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicy.html */
export const deletePolicy = iamOperation({
  name: 'DeletePolicy',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn') }),
  target: named,
  run: ({ arn }, { iam, realm }) => iam.policies.delete(realm, arn),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreatePolicyVersion.html */
export const createPolicyVersion = iamOperation({
  name: 'CreatePolicyVersion',
  decode: (parameters) => ({
    arn: parameters.needed('PolicyArn'),
    document: parameters.needed('PolicyDocument'),
    isDefault: parameters.text('SetAsDefault') === 'true',
  }),
  target: named,
  run: ({ arn, document, isDefault }, { iam, realm }) => iam.policies.createVersion(realm, arn, document, isDefault),
  encode: (version) => [el('PolicyVersion', ...versionElements(version, version.isDefault, false))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetPolicyVersion.html */
export const getPolicyVersion = iamOperation({
  name: 'GetPolicyVersion',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn'), id: parameters.needed('VersionId') }),
  target: named,
  run: ({ arn, id }, { iam, realm }) => iam.policies.version(realm, arn, id),
  encode: (version) => [el('PolicyVersion', ...versionElements(version, version.isDefault))],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyVersions.html */
export const listPolicyVersions = iamOperation({
  name: 'ListPolicyVersions',
  decode: (parameters) => ({
    arn: parameters.needed('PolicyArn'),
    ...decodePage(parameters),
  }),
  target: named,
  async run({ arn, marker, limit }, { iam, realm }) {
    const { versions, defaultVersion } = await iam.policies.get(realm, arn)
    return { page: slice(versions.toReversed(), marker, limit), defaultVersion }
  },
  encode: ({ page, defaultVersion }) => [
    members(
      'Versions',
      page.items.map((each) => versionElements(each, each.id === defaultVersion, false)),
    ),
    ...markerElements(page.marker),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_SetDefaultPolicyVersion.html */
export const setDefaultPolicyVersion = iamOperation({
  name: 'SetDefaultPolicyVersion',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn'), id: parameters.needed('VersionId') }),
  target: named,
  run: ({ arn, id }, { iam, realm }) => iam.policies.setDefault(realm, arn, id),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeletePolicyVersion.html */
export const deletePolicyVersion = iamOperation({
  name: 'DeletePolicyVersion',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn'), id: parameters.needed('VersionId') }),
  target: named,
  run: ({ arn, id }, { iam, realm }) => iam.policies.deleteVersion(realm, arn, id),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html */
export const listEntitiesForPolicy = iamOperation({
  name: 'ListEntitiesForPolicy',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn') }),
  target: named,
  run: ({ arn }, { iam, realm }) => iam.policies.usersOf(realm, arn),
  encode: ({ user, group, role }) => [
    members(
      'PolicyUsers',
      user.map((each) => [el('UserName', each)]),
    ),
    members(
      'PolicyGroups',
      group.map((each) => [el('GroupName', each)]),
    ),
    members(
      'PolicyRoles',
      role.map((each) => [el('RoleName', each)]),
    ),
    ...markerElements(undefined),
  ],
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_TagPolicy.html */
export const tagPolicy = iamOperation({
  name: 'TagPolicy',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn'), tags: parameters.pairs('Tags') }),
  target: named,
  tags: ({ tags }) => tags,
  run: ({ arn, tags }, { iam, realm }) => iam.policies.tag(realm, arn, tags),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagPolicy.html */
export const untagPolicy = iamOperation({
  name: 'UntagPolicy',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn'), keys: parameters.list('TagKeys') ?? [] }),
  target: named,
  tags: ({ keys }) => keys.map((key) => [key, ''] as const),
  run: ({ arn, keys }, { iam, realm }) => iam.policies.untag(realm, arn, keys),
})

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPolicyTags.html */
export const listPolicyTags = iamOperation({
  name: 'ListPolicyTags',
  decode: (parameters) => ({ arn: parameters.needed('PolicyArn') }),
  target: named,
  run: async ({ arn }, { iam, realm }) => (await iam.policies.get(realm, arn)).tags,
  encode: (tags) => [tagList(tags), ...markerElements(undefined)],
})
