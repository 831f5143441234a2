import { parseNetwork } from './policy-comparisons.ts'
import type { Condition } from './policy-conditions.ts'
import type { Policy, Statement } from './policy-document.ts'
import { type Naming, names, naming, type Requester } from './policy-principals.ts'
import { type ConditionValues, patternOf } from './policy-variables.ts'
import { hasWildcard, matches } from './wildcard.ts'

/**
 * What policies say to a request.
 *
 * L1  a Deny that applies wins over every Allow, wherever both stand; what nothing allows is not allowed.
 * L2  adding a Deny never allows more, adding an Allow never allows less.
 */
export interface PolicyRequest {
  readonly requester: Requester
  /** In lower case: `s3:getobject`. */
  readonly action: string
  /** `arn:aws:s3:::bucket` or `arn:aws:s3:::bucket/key`. */
  readonly resource: string
  readonly values: ConditionValues
}

export type Verdict = 'allow' | 'deny' | 'none'

/** The policies that one request meets. */
export interface Policies {
  /** The bucket's. */
  readonly resource?: Policy | undefined
  /** Of the user or role that asks; together they allow what any of them does. */
  readonly identity?: readonly Policy[]
  /** What identity policies allow must be allowed here too, if present: the permissions boundary, and the session's own. */
  readonly boundary?: Policy | undefined
  readonly session?: Policy | undefined
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html */
export function evaluate(policies: Policies, request: PolicyRequest): Verdict {
  const { resource, identity = [], boundary, session } = policies
  const byResource = verdictOf(resource, request)
  const byIdentity = identity.map((each) => verdictOf(each, request))
  const limits = [boundary, session].filter((each) => each !== undefined).map((each) => verdictOf(each, request))
  if (byResource === 'deny' || byIdentity.includes('deny') || limits.includes('deny')) return 'deny'
  if (byResource === 'allow') return 'allow'
  return byIdentity.includes('allow') && limits.every((each) => each === 'allow') ? 'allow' : 'none'
}

/** What a resource's policy says: whether it denies, and otherwise as whom it allows, the closest naming first. */
export function resourceVerdict(policy: Policy | undefined, request: PolicyRequest): 'deny' | Naming | undefined {
  let closest: Naming | undefined
  for (const statement of policy?.statements ?? []) {
    if (!applies(statement, request)) continue
    if (statement.effect === 'Deny') return 'deny'
    const { principal } = statement
    const named = principal === undefined ? undefined : naming(principal.values, request.requester, false)
    if (named !== undefined && (closest === undefined || order.indexOf(named) < order.indexOf(closest))) closest = named
  }
  return closest
}

const order: readonly Naming[] = ['exactly', 'role', 'everyone', 'account']

/** Whether boundary and session policy, where present, let it through; an explicit Deny does not. */
export const withinLimits = ({ boundary, session }: Policies, request: PolicyRequest): boolean =>
  [boundary, session].every((each) => each === undefined || verdictOf(each, request) === 'allow')

function verdictOf(policy: Policy | undefined, request: PolicyRequest): Verdict {
  let verdict: Verdict = 'none'
  for (const statement of policy?.statements ?? []) {
    // What would change nothing need not be looked at.
    if (statement.effect === 'Allow' && verdict === 'allow') continue
    if (!applies(statement, request)) continue
    if (statement.effect === 'Deny') return 'deny'
    verdict = 'allow'
  }
  return verdict
}

function applies(statement: Statement, request: PolicyRequest): boolean {
  const { effect, principal, action, resource, conditions } = statement
  const { requester } = request
  if (principal !== undefined && names(principal.values, requester, effect === 'Deny') === principal.isNegated) {
    return false
  }
  if (action.values.some((each) => matches(each, request.action)) === action.isNegated) return false
  const isNamed = resource.values.some((each) => {
    const pattern = patternOf(each, request.values)
    return pattern !== undefined && matches(pattern, request.resource)
  })
  return isNamed !== resource.isNegated && conditions.every((each) => each.holds(request.values))
}

/** Names that tie a request to something fixed, of which AWS lets a statement for everyone count as not public. */
const fixing = new Set([
  'aws:principalaccount',
  'aws:principalarn',
  'aws:principalorgid',
  'aws:principalorgpaths',
  'aws:sourceaccount',
  'aws:sourcearn',
  'aws:sourceowner',
  'aws:sourcevpc',
  'aws:sourcevpce',
  'aws:userid',
  's3:dataaccesspointaccount',
  's3:dataaccesspointarn',
])

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status */
export function isPublic(policy: Policy): boolean {
  return policy.statements.some(
    ({ effect, principal, conditions }) =>
      effect === 'Allow' && (principal?.values.isEveryone ?? false) && !conditions.some(isFixing),
  )
}

function isFixing({ operator, quantifier, name, values, ifExists }: Condition): boolean {
  // Both let a request through that has no such value at all.
  if (ifExists || quantifier === 'all') return false
  if (name === 'aws:sourceip') return operator === 'IpAddress' && values.every(isNarrow)
  const isPositive = /^(StringEquals|StringEqualsIgnoreCase|StringLike|ArnEquals|ArnLike)$/.test(operator)
  return isPositive && fixing.has(name) && !values.some((each) => hasWildcard(each) || each.includes('${'))
}

/** AWS takes a block wider than /8, or /32 of IPv6, as the whole world. */
function isNarrow(text: string): boolean {
  const network = parseNetwork(text)
  return network !== undefined && network.bits >= (network.family === 'ipv4' ? 8 : 32)
}
