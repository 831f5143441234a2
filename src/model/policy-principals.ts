import { asFields, malformed, texts } from './policy-json.ts'

/** Who a policy speaks of. */
export interface Grantees {
  readonly isEveryone: boolean
  readonly accounts: ReadonlySet<string>
  /** Of users, roles and sessions within accounts. */
  readonly arns: ReadonlySet<string>
  readonly services: ReadonlySet<string>
  /** Identity providers, by their ARNs. */
  readonly federated: ReadonlySet<string>
}

/** Who asks, as principals name it. */
export interface Requester {
  /** Undefined: anonymous. */
  readonly accountId: string | undefined
  /** What names just this user, or this session and then its role, where it is not the account itself. */
  readonly arns: readonly string[]
  /** Who vouched for a web identity: its provider's ARN. */
  readonly federated?: string
  /** A service that acts by itself: `s3.amazonaws.com`. */
  readonly service?: string
}

const invalid = 'Invalid principal in policy'

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html */
export function parsePrincipal(value: unknown): Grantees {
  const accounts = new Set<string>()
  const arns = new Set<string>()
  const services = new Set<string>()
  const federatedBy = new Set<string>()
  if (value === '*') return { isEveryone: true, accounts, arns, services, federated: federatedBy }
  const {
    AWS: aws,
    CanonicalUser: canonical,
    Service: service,
    Federated: federated,
    ...others
  } = asFields(value, invalid)
  const all = [aws, canonical, service, federated]
  if (Object.keys(others).length > 0 || all.every((each) => each === undefined)) throw malformed(invalid)
  const named = listed(aws)
  for (const name of named) if (name !== '*') addNamed(name, accounts, arns)
  for (const id of listed(canonical)) accounts.add(checkedId(id))
  for (const name of listed(service)) services.add(name)
  for (const name of listed(federated)) federatedBy.add(name)
  return { isEveryone: named.includes('*'), accounts, arns, services, federated: federatedBy }
}

const listed = (value: unknown): readonly string[] => (value === undefined ? [] : texts(value, invalid))

/** An account by its id or its root's ARN; `arn:aws:iam:::user/id` is how ceph names what is an account here. */
function addNamed(name: string, accounts: Set<string>, arns: Set<string>): void {
  if (!name.startsWith('arn:')) {
    accounts.add(checkedId(name))
    return
  }
  const [, partition, service, region, account = '', ...rest] = name.split(':')
  const relative = rest.join(':')
  const isKnown = partition === 'aws' && (service === 'iam' || service === 'sts') && region === ''
  // Wildcards are for everyone or nobody: AWS takes no part of an ARN as a pattern here.
  if (!isKnown || relative === '' || /[*?]/.test(name)) throw malformed(invalid)
  if (relative === 'root' && account !== '') accounts.add(checkedId(account))
  else if (account === '' && relative.startsWith('user/')) accounts.add(checkedId(relative.slice('user/'.length)))
  // A session is named by the service that gave it; ceph names it by the other.
  else if (service === 'iam' && relative.startsWith('assumed-role/')) arns.add(`arn:aws:sts::${account}:${relative}`)
  else arns.add(name)
}

function checkedId(id: string): string {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(id)) throw malformed(invalid)
  return id
}

/**
 * How a policy's principal names who asks: `exactly` is the user or the session, `role` the role behind a session, `everyone`
 * all there are, `account` the account that it acts in, which may let its users have what was given to it.
 */
export type Naming = 'exactly' | 'role' | 'everyone' | 'account'

export function naming(grantees: Grantees, requester: Requester): Naming | undefined {
  const { accountId, arns, federated, service } = requester
  const [own, role] = arns
  if (own !== undefined && grantees.arns.has(own)) return 'exactly'
  if (federated !== undefined && grantees.federated.has(federated)) return 'exactly'
  if (service !== undefined && grantees.services.has(service)) return 'exactly'
  if (role !== undefined && grantees.arns.has(role)) return 'role'
  if (grantees.isEveryone) return 'everyone'
  return accountId !== undefined && grantees.accounts.has(accountId) ? 'account' : undefined
}

export const names = (grantees: Grantees, requester: Requester): boolean => naming(grantees, requester) !== undefined
