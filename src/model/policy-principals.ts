import { asFields, malformed, texts } from './policy-json.ts'

/** Who a policy speaks of. */
export interface Grantees {
  readonly isEveryone: boolean
  readonly accounts: ReadonlySet<string>
  /** Of users, roles and sessions within accounts. */
  readonly arns: ReadonlySet<string>
  readonly services: ReadonlySet<string>
}

/** Who asks, as principals name it. */
export interface Requester {
  /** Undefined: anonymous. */
  readonly accountId: string | undefined
  /** What names just this user, role or session, where it is not the account itself. */
  readonly arns: readonly string[]
  /** A service of AWS's kind that acts by itself, `logging.s3.amazonaws.com`, rather than for an account. */
  readonly service?: string
}

const invalid = 'Invalid principal in policy'

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html */
export function parsePrincipal(value: unknown): Grantees {
  const accounts = new Set<string>()
  const arns = new Set<string>()
  const services = new Set<string>()
  if (value === '*') return { isEveryone: true, accounts, arns, services }
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
  // Nobody is federated yet: these are checked, and meet nobody.
  listed(federated)
  return { isEveryone: named.includes('*'), accounts, arns, services }
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
  else arns.add(name)
}

function checkedId(id: string): string {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(id)) throw malformed(invalid)
  return id
}

/** `isDenial`: everyone is every service too where something is denied; what is allowed to services names them. */
export function names(grantees: Grantees, requester: Requester, isDenial: boolean): boolean {
  const { accountId, arns, service } = requester
  if (service !== undefined) return grantees.services.has(service) || (isDenial && grantees.isEveryone)
  if (grantees.isEveryone) return true
  if (accountId === undefined) return false
  return grantees.accounts.has(accountId) || arns.some((arn) => grantees.arns.has(arn))
}
