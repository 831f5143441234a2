import type { FormParameters } from '#gateway/query/form-parameters.ts'
import type { QueryOperation } from '#gateway/query/operation.ts'
import { el } from '#gateway/xml/render.ts'
import { checkName } from '#src/model/iam.ts'
import type { BearerKind } from '#src/service/iam/bearers.ts'
import { decodePage, encodedDocument, markerElements, members, slice } from './documents.ts'
import { groupTarget, type IamContext, iamOperation, roleTarget, type Target, userTarget } from './operation.ts'

/** Policies of users, groups and roles are asked for alike, each kind under names of its own. */

const words = { user: 'User', group: 'Group', role: 'Role' } as const

function targetOf(kind: BearerKind, name: string, context: IamContext): Promise<Target> {
  if (kind === 'user') return userTarget(name, context)
  return kind === 'group' ? groupTarget(name, context) : roleTarget(name, context)
}

const bearerName = (kind: BearerKind, parameters: FormParameters): string => parameters.needed(`${words[kind]}Name`)
const policyName = (parameters: FormParameters): string => checkName('policyName', parameters.needed('PolicyName'))

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html and those beside it. */
function inlinePolicies(kind: BearerKind): readonly QueryOperation[] {
  const word = words[kind]
  const decode = (parameters: FormParameters) => ({
    name: bearerName(kind, parameters),
    policy: policyName(parameters),
  })
  const target = ({ name }: { readonly name: string }, context: IamContext) => targetOf(kind, name, context)
  return [
    iamOperation({
      name: `Put${word}Policy`,
      decode: (parameters) => ({ ...decode(parameters), document: parameters.needed('PolicyDocument') }),
      target,
      run: ({ name, policy, document }, { iam, realm }) => iam.bearers.put(realm, kind, name, policy, document),
    }),
    iamOperation({
      name: `Get${word}Policy`,
      decode,
      target,
      run: ({ name, policy }, { iam, realm }) => iam.bearers.policy(realm, kind, name, policy),
      encode: (document, _context, { name, policy }) => [
        el(`${word}Name`, name),
        el('PolicyName', policy),
        el('PolicyDocument', encodedDocument(document)),
      ],
    }),
    iamOperation({
      name: `Delete${word}Policy`,
      decode,
      target,
      run: ({ name, policy }, { iam, realm }) => iam.bearers.delete(realm, kind, name, policy),
    }),
    iamOperation({
      name: `List${word}Policies`,
      decode: (parameters) => ({
        name: bearerName(kind, parameters),
        ...decodePage(parameters),
      }),
      target,
      run: async ({ name, marker, limit }, { iam, realm }) =>
        slice(await iam.bearers.policyNames(realm, kind, name), marker, limit),
      encode: ({ items, marker }) => [
        members(
          'PolicyNames',
          items.map((each) => [each]),
        ),
        ...markerElements(marker),
      ],
    }),
  ]
}

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html and those beside it. */
function attachedPolicies(kind: BearerKind): readonly QueryOperation[] {
  const word = words[kind]
  const decode = (parameters: FormParameters) => ({
    name: bearerName(kind, parameters),
    arn: parameters.needed('PolicyArn'),
  })
  const target = ({ name }: { readonly name: string }, context: IamContext) => targetOf(kind, name, context)
  const values = ({ arn }: { readonly arn: string }) => ({ 'iam:policyarn': arn })
  return [
    iamOperation({
      name: `Attach${word}Policy`,
      decode,
      target,
      values,
      run: ({ name, arn }, { iam, realm }) => iam.bearers.attach(realm, kind, name, arn),
    }),
    iamOperation({
      name: `Detach${word}Policy`,
      decode,
      target,
      values,
      run: ({ name, arn }, { iam, realm }) => iam.bearers.detach(realm, kind, name, arn),
    }),
    iamOperation({
      name: `ListAttached${word}Policies`,
      decode: (parameters) => ({
        name: bearerName(kind, parameters),
        ...decodePage(parameters),
      }),
      target,
      run: async ({ name, marker, limit }, { iam, realm }) =>
        slice(await iam.bearers.attached(realm, kind, name), marker, limit),
      encode: ({ items, marker }) => [
        members(
          'AttachedPolicies',
          items.map((each) => [el('PolicyName', each.name), el('PolicyArn', each.arn)]),
        ),
        ...markerElements(marker),
      ],
    }),
  ]
}

/** https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPermissionsBoundary.html and those beside it. */
function boundaries(kind: 'user' | 'role'): readonly QueryOperation[] {
  const target = ({ name }: { readonly name: string }, context: IamContext) => targetOf(kind, name, context)
  return [
    iamOperation({
      name: `Put${words[kind]}PermissionsBoundary`,
      decode: (parameters) => ({
        name: bearerName(kind, parameters),
        arn: parameters.needed('PermissionsBoundary'),
      }),
      target,
      values: ({ arn }) => ({ 'iam:permissionsboundary': arn }),
      run: ({ name, arn }, { iam, realm }) => iam.bearers.setBoundary(realm, kind, name, arn),
    }),
    iamOperation({
      name: `Delete${words[kind]}PermissionsBoundary`,
      decode: (parameters) => ({ name: bearerName(kind, parameters) }),
      target,
      run: ({ name }, { iam, realm }) => iam.bearers.setBoundary(realm, kind, name, undefined),
    }),
  ]
}

export const bearerPolicies: readonly QueryOperation[] = [
  ...(['user', 'group', 'role'] as const).flatMap((kind) => [...inlinePolicies(kind), ...attachedPolicies(kind)]),
  ...boundaries('user'),
  ...boundaries('role'),
]
