import type { FormParameters } from '#gateway/query/form-parameters.ts'
import { type QueryContext, type QueryOperation, type QueryService, queryOperation } from '#gateway/query/operation.ts'
import { type Child, el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import { checkName, sizeOf, type TagList } from '#src/model/iam.ts'
import type { Caller } from '#src/model/identity.ts'
import { type Policy, parseTrustPolicy } from '#src/model/policy-document.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import type { Credentials, FoundRole, SessionWish } from '#src/service/sts/sts.ts'

function signed(caller: Caller): Extract<Caller, { kind: 'account' }> {
  if (caller.kind === 'anonymous') throw new Fault('MissingAuthenticationToken')
  return caller
}

const credentialElements = ({ accessKeyId, secret, token, expires }: Credentials): Child =>
  el(
    'Credentials',
    el('AccessKeyId', accessKeyId),
    el('SecretAccessKey', secret),
    el('SessionToken', token),
    el('Expiration', new Date(expires).toISOString()),
  )

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html: nobody may be kept from it. */
const getCallerIdentity = queryOperation({
  name: 'GetCallerIdentity',
  decode: () => undefined,
  authorize: () => undefined,
  run: async (_input, { services, caller }) => services.sts.identityOf(signed(caller)),
  encode: ({ id, account, arn }) => [el('Arn', arn), el('UserId', id), el('Account', account)],
})

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html: no permission is needed. */
const getSessionToken = queryOperation({
  name: 'GetSessionToken',
  decode: (parameters) => parameters.integer('DurationSeconds', 900, 129_600),
  authorize: () => undefined,
  run: (seconds, { services, caller }) => services.sts.sessionToken(signed(caller), seconds),
  encode: (credentials) => [credentialElements(credentials)],
})

interface RoleRequest {
  readonly arn: string
  readonly wish: SessionWish
}

function decodeRoleRequest(parameters: FormParameters): RoleRequest {
  const policyArns: string[] = []
  for (let at = 1; ; at++) {
    const arn = parameters.text(`PolicyArns.member.${at}.arn`)
    if (arn === undefined) break
    policyArns.push(arn)
  }
  if (policyArns.length > 10) throw new Fault('ValidationError', { message: 'At most 10 PolicyArns.' })
  return {
    arn: parameters.needed('RoleArn'),
    wish: {
      name: checkName('roleSessionName', parameters.needed('RoleSessionName')),
      seconds: parameters.integer('DurationSeconds', 900, 43_200),
      policy: parameters.text('Policy'),
      policyArns,
      tags: parameters.pairs('Tags'),
    },
  }
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html */
function trustValues(
  { role }: FoundRole,
  tags: TagList,
  more: ReadonlyMap<string, readonly string[]>,
): ConditionValues {
  const tagOf = (list: TagList, key: string): readonly string[] | undefined => {
    const found = list.find(([each]) => each.toLowerCase() === key.toLowerCase())
    return found === undefined ? undefined : [found[1]]
  }
  return {
    get(name) {
      const slash = name.indexOf('/')
      const [prefix, key] = slash < 0 ? [name, ''] : [name.slice(0, slash), name.slice(slash + 1)]
      if (prefix === 'aws:requesttag') return tagOf(tags, key)
      if (prefix === 'aws:resourcetag' || prefix === 'iam:resourcetag') return tagOf(role.tags, key)
      if (name === 'aws:tagkeys') return tags.length === 0 ? undefined : tags.map(([each]) => each)
      return more.get(name)
    },
  }
}

/** It was checked when it was put; whatever has become of it, nobody takes the role on. */
function trustOf({ role, arn }: FoundRole): Policy {
  try {
    return parseTrustPolicy(role.trust)
  } catch (cause) {
    throw new Fault('AccessDenied', { message: `Not authorized to assume the role ${arn}` }, { cause })
  }
}

function askTrust(
  context: QueryContext,
  found: FoundRole,
  asked: {
    readonly action: string
    readonly federated?: string
    readonly tags: TagList
    readonly values: ConditionValues
  },
): void {
  const { action, federated, tags, values } = asked
  const question = {
    trust: trustOf(found),
    realm: found.realm,
    resource: found.arn,
    values,
    ...(federated !== undefined && { federated }),
  }
  context.authorizeTrust({ ...question, action })
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_permissions-required
  if (tags.length > 0) context.authorizeTrust({ ...question, action: 'sts:TagSession' })
}

const sessionElements = ({ realm, role }: FoundRole, { wish }: RoleRequest): Child[] => [
  el(
    'AssumedRoleUser',
    el('AssumedRoleId', `${role.id}:${wish.name}`),
    el('Arn', `arn:aws:sts::${realm}:assumed-role/${role.name}/${wish.name}`),
  ),
  wish.policy === undefined ? undefined : el('PackedPolicySize', Math.ceil((sizeOf(wish.policy) * 100) / 2_048)),
]

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html */
const assumeRole: QueryOperation = {
  name: 'AssumeRole',
  async handle(context) {
    const { services, caller, request } = context
    const { principal } = signed(caller)
    const asked = decodeRoleRequest(request.parameters)
    const externalId = request.parameters.text('ExternalId')
    const found = await services.sts.findRole(asked.arn)
    const { tags, name } = asked.wish
    const more = new Map([['sts:rolesessionname', [name]]])
    if (externalId !== undefined) more.set('sts:externalid', [externalId])
    askTrust(context, found, { action: 'sts:AssumeRole', tags, values: trustValues(found, tags, more) })
    const credentials = await services.sts.roleSession(found, asked.wish, principal?.kind === 'role')
    return [credentialElements(credentials), ...sessionElements(found, asked)]
  },
}

/** https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html: nobody signs it. */
const assumeRoleWithWebIdentity: QueryOperation = {
  name: 'AssumeRoleWithWebIdentity',
  async handle(context) {
    const { services, request } = context
    const asked = decodeRoleRequest(request.parameters)
    const found = await services.sts.findRole(asked.arn)
    const { arn, identity } = await services.sts.verify(found, request.parameters.needed('WebIdentityToken'))
    const { tags, claims, subject, audience } = identity
    const issuer = arn.slice(arn.indexOf('/') + 1)
    // Names of conditions are in lower case up to the first slash.
    const slash = issuer.indexOf('/')
    const folded = slash < 0 ? issuer.toLowerCase() : issuer.slice(0, slash).toLowerCase() + issuer.slice(slash)
    const more = new Map([['sts:rolesessionname', [asked.wish.name] as readonly string[]]])
    for (const [claim, values] of claims) {
      more.set(slash < 0 ? `${folded}:${claim.toLowerCase()}` : `${folded}:${claim}`, values)
    }
    const values = trustValues(found, tags, more)
    askTrust(context, found, { action: 'sts:AssumeRoleWithWebIdentity', federated: arn, tags, values })
    const credentials = await services.sts.roleSession(found, { ...asked.wish, tags }, false)
    return [
      credentialElements(credentials),
      el('SubjectFromWebIdentityToken', subject),
      el('Audience', audience),
      el('Provider', arn),
      ...sessionElements(found, asked),
    ]
  },
}

export const stsApi: QueryService = {
  name: 'sts',
  namespace: 'https://sts.amazonaws.com/doc/2011-06-15/',
  version: '2011-06-15',
  operations: [getCallerIdentity, getSessionToken, assumeRole, assumeRoleWithWebIdentity],
}
