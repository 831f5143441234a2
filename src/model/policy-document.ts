import { type Condition, parseConditions } from './policy-conditions.ts'
import { asFields, type Fields, malformed, texts } from './policy-json.ts'
import { type Grantees, parsePrincipal } from './policy-principals.ts'
import { parseTemplate, type Template } from './policy-variables.ts'
import { compilePattern, matches, type Pattern } from './wildcard.ts'

/** A policy, checked and compiled. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html */
export interface Policy {
  readonly statements: readonly Statement[]
  /** Whether a decision needs the tags of the object that stands there. */
  readonly readsExistingTags: boolean
}

export interface Statement {
  readonly effect: 'Allow' | 'Deny'
  /** Undefined: an identity policy's, which is about whoever it is attached to. */
  readonly principal: Listed<Grantees> | undefined
  readonly action: Listed<readonly Pattern[]>
  readonly resource: Listed<readonly Template[]>
  readonly conditions: readonly Condition[]
}

/** What an element lists, or, with `Not` before its name, all but that. */
export interface Listed<Values> {
  readonly isNegated: boolean
  readonly values: Values
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html: 20 KB. */
const policyBytesMax = 20 * 1024

const documentFields = new Set(['Version', 'Id', 'Statement'])
const statementFields = new Set([
  'Sid',
  'Effect',
  'Principal',
  'NotPrincipal',
  'Action',
  'NotAction',
  'Resource',
  'NotResource',
  'Condition',
])

/**
 * What a policy is about, and so what its statements must have: a bucket's names principals and its own resources, a role's
 * trust policy principals alone, and an identity policy no principal.
 */
type Kind =
  | { readonly of: 'bucket'; readonly bucket: string }
  | { readonly of: 'topic'; readonly arn: string }
  | { readonly of: 'identity' }
  | { readonly of: 'trust' }

/** Fault `MalformedPolicy`, in AWS's words. `bucket`: the one that every resource must be in. */
export function parseBucketPolicy(text: string, bucket: string): Policy {
  if (Buffer.byteLength(text) > policyBytesMax) throw malformed('Policy exceeds the maximum allowed document size.')
  return parsePolicy(text, { of: 'bucket', bucket })
}

/** Of users, groups, roles and sessions. https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_identity-vs-resource.html */
export const parseIdentityPolicy = (text: string): Policy => parsePolicy(text, { of: 'identity' })

/** Who may take on a role. https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html */
export const parseTrustPolicy = (text: string): Policy => parsePolicy(text, { of: 'trust' })

/** Of a topic, named by its ARN. https://docs.aws.amazon.com/sns/latest/dg/sns-access-policy-use-cases.html */
export function parseTopicPolicy(text: string, arn: string): Policy {
  if (Buffer.byteLength(text) > policyBytesMax) throw malformed('Policy exceeds the maximum allowed document size.')
  return parsePolicy(text, { of: 'topic', arn })
}

function parsePolicy(text: string, kind: Kind): Policy {
  const document = asDocument(text)
  rejectUnknown(document, documentFields)
  const version = document['Version'] ?? '2008-10-17'
  if (version !== '2012-10-17' && version !== '2008-10-17') {
    throw malformed('The policy must contain a valid version string')
  }
  if (document['Id'] !== undefined && typeof document['Id'] !== 'string') throw malformed('Id must be a string')
  // Variables came with 2012-10-17; before, `${` was text.
  const fields = statementsOf(document)
  if (kind.of !== 'bucket') rejectSameIds(fields)
  const statements = fields.map((each) => parseStatement(each, kind, version === '2012-10-17'))
  const readsExistingTags = statements.some((each) => each.conditions.some((condition) => condition.readsExistingTags))
  return { statements, readsExistingTags }
}

function asDocument(text: string): Fields {
  const unreadable = "Policies must be valid JSON and the first byte must be '{'"
  if (!text.startsWith('{') || !text.isWellFormed()) throw malformed(unreadable)
  try {
    return asFields(JSON.parse(text), unreadable)
  } catch (error) {
    if (error instanceof SyntaxError) throw malformed(unreadable)
    throw error
  }
}

function statementsOf(document: Fields): readonly Fields[] {
  const value = document['Statement']
  if (value === undefined) throw malformed('Missing required field Statement')
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw malformed('Could not parse the policy: Statement is empty!')
  return list.map((each) => asFields(each, 'Statement must be an object or a list of objects'))
}

function rejectUnknown(fields: Fields, known: ReadonlySet<string>): void {
  for (const name of Object.keys(fields)) if (!known.has(name)) throw malformed(`Unknown field ${name}`)
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html */
function rejectSameIds(statements: readonly Fields[]): void {
  const ids = statements.map((each) => each['Sid']).filter((each) => each !== undefined)
  if (new Set(ids).size < ids.length) throw malformed('Statement IDs (SID) in a single policy must be unique.')
}

function parseStatement(fields: Fields, kind: Kind, hasVariables: boolean): Statement {
  rejectUnknown(fields, statementFields)
  const { Sid: sid, Effect: effect } = fields
  if (sid !== undefined && typeof sid !== 'string') throw malformed('Sid must be a string')
  if (effect === undefined) throw malformed('Missing required field Effect')
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed(`Invalid effect: ${String(effect)}`)
  const action = either(fields, 'Action')
  return {
    effect,
    principal: principalOf(fields, kind, effect),
    action: {
      isNegated: action.isNegated,
      values: texts(action.values, 'Policy has invalid action').map((each) => parseAction(each, kind)),
    },
    resource: resourceOf(fields, kind, hasVariables),
    conditions: fields['Condition'] === undefined ? [] : parseConditions(fields['Condition'], hasVariables),
  }
}

function principalOf(fields: Fields, kind: Kind, effect: string): Statement['principal'] {
  if (kind.of === 'identity') {
    const isThere = fields['Principal'] !== undefined || fields['NotPrincipal'] !== undefined
    if (isThere) throw malformed('Policy document should not specify a principal.')
    return undefined
  }
  const principal = either(fields, 'Principal')
  if (principal.isNegated && effect === 'Allow') throw malformed('Allow with NotPrincipal is not allowed.')
  return { isNegated: principal.isNegated, values: parsePrincipal(principal.values) }
}

const anything = parseTemplate('*', false)

function resourceOf(fields: Fields, kind: Kind, hasVariables: boolean): Statement['resource'] {
  if (kind.of === 'trust') {
    const isThere = fields['Resource'] !== undefined || fields['NotResource'] !== undefined
    if (isThere) throw malformed('Has prohibited field Resource')
    return { isNegated: false, values: [anything] }
  }
  const resource = either(fields, 'Resource')
  const list = texts(resource.values, 'Policy has invalid resource')
  return {
    isNegated: resource.isNegated,
    values: list.map((each) => {
      if (kind.of === 'bucket') return parseResource(each, kind.bucket, hasVariables)
      return kind.of === 'topic' ? parseTopic(each, kind.arn) : parseArn(each, hasVariables)
    }),
  }
}

/** The element's value, or that of its negation: exactly one must be there. */
function either(fields: Fields, name: string): Listed<unknown> {
  const plain = fields[name]
  const negated = fields[`Not${name}`]
  if (plain !== undefined && negated !== undefined) throw malformed(`${name} and Not${name} cannot be used together`)
  if (plain !== undefined) return { isNegated: false, values: plain }
  if (negated !== undefined) return { isNegated: true, values: negated }
  throw malformed(`Missing required field ${name}`)
}

const anyAction = /^[a-z0-9-]+:[a-z0-9*?]+$/i
const knownActions: Partial<Record<Kind['of'], RegExp>> = {
  bucket: /^s3:[a-z0-9*?]+$/i,
  topic: /^sns:[a-z0-9*?]+$/i,
}

function parseAction(text: string, kind: Kind): Pattern {
  const known = knownActions[kind.of] ?? anyAction
  if (text !== '*' && !known.test(text)) throw malformed('Policy has invalid action')
  return compilePattern(text.toLowerCase())
}

/** Of any service: what we do not have is never asked for. */
function parseArn(text: string, hasVariables: boolean): Template {
  const isArn = text.startsWith('arn:') && text.split(':').length >= 6
  if (!/^\*+$/.test(text) && !isArn) throw malformed('Resource must be in ARN format or "*".')
  return parseTemplate(text, hasVariables)
}

/** The topic's own, or a pattern that it meets. */
function parseTopic(text: string, arn: string): Template {
  if (!matches(compilePattern(text), arn)) throw malformed('Policy has invalid resource')
  return parseTemplate(text, false)
}

/** Requests are compared as `arn:aws:s3:::bucket/key`, so a resource of some tenant or region is accepted and matches nothing. */
function parseResource(text: string, bucket: string, hasVariables: boolean): Template {
  if (text !== '*') {
    const [scheme, partition, service, , , ...relative] = text.split(':')
    const isS3 = scheme === 'arn' && partition === 'aws' && service === 's3'
    if (!isS3 || relative.length === 0) throw malformed('Policy has invalid resource')
    const [named = ''] = relative.join(':').split('/', 1)
    const isOpen = hasVariables && named.includes('${')
    if (!isOpen && !matches(compilePattern(named), bucket)) throw malformed('Policy has invalid resource')
  }
  return parseTemplate(text, hasVariables)
}
