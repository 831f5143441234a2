/**
 * The policy of a POST form: a signed document that says what the form's fields may be.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
 *
 * W1  every field of a signed form is named by a condition, or is of the few that need none; every condition holds.
 * W2  what cannot be read as a policy is refused, never taken for one without conditions.
 */
import { Fault } from '#src/errors.ts'

export interface PostPolicy {
  /** Milliseconds since the epoch. */
  readonly expiration: number
  readonly conditions: readonly Condition[]
}

export type Condition =
  | { readonly kind: 'eq' | 'starts-with'; readonly field: string; readonly value: string }
  | { readonly kind: 'length'; readonly min: number; readonly max: number }

function invalid(message: string): Fault {
  return new Fault('InvalidPolicyDocument', { message: `Invalid Policy: ${message}` })
}

/** Some clients break lines. */
const base64 = /^[A-Za-z0-9+/=\s]+$/
const iso8601 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/

/** `text`: base64, as the form has it. */
export function parsePostPolicy(text: string): PostPolicy {
  // Node skips what is not base64: then what was signed and what is read could differ.
  if (!base64.test(text)) throw invalid('Invalid base64.')
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(text, 'base64').toString('utf8'))
  } catch {
    throw invalid('Invalid JSON.')
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw invalid('Invalid JSON.')
  const entries = new Map<string, unknown>(Object.entries(document))
  const expiration = entries.get('expiration')
  const conditions = entries.get('conditions')
  if (expiration === undefined) throw invalid('Policy missing expiration.')
  if (!Array.isArray(conditions)) throw invalid('Policy missing conditions.')
  for (const name of entries.keys()) {
    if (name !== 'expiration' && name !== 'conditions') throw invalid(`Unexpected: '${name}'.`)
  }
  if (typeof expiration !== 'string' || !iso8601.test(expiration)) throw invalid(`Invalid 'expiration' value.`)
  const time = Date.parse(expiration)
  if (Number.isNaN(time)) throw invalid(`Invalid 'expiration' value.`)
  return { expiration: time, conditions: conditions.map(parseCondition) }
}

function parseCondition(condition: unknown): Condition {
  if (Array.isArray(condition)) return parseList(condition)
  if (typeof condition !== 'object' || condition === null) throw invalid('Invalid condition.')
  const [pair, ...others] = Object.entries(condition)
  if (pair === undefined || others.length > 0) {
    throw invalid('Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.')
  }
  return { kind: 'eq', field: pair[0].toLowerCase(), value: textOf(pair[1]) }
}

function parseList(list: readonly unknown[]): Condition {
  const [operation, left, right] = list
  const kind = typeof operation === 'string' ? operation.toLowerCase() : ''
  if (list.length !== 3) throw invalid(`Invalid ${kind} condition: wrong number of arguments.`)
  if (kind === 'content-length-range') {
    const min = integer(left)
    const max = integer(right)
    if (min > max) throw invalid('Invalid content-length-range: the minimum is larger than the maximum.')
    return { kind: 'length', min, max }
  }
  if (kind !== 'eq' && kind !== 'starts-with') throw invalid('Invalid condition: unknown operation.')
  if (typeof left !== 'string' || !left.startsWith('$')) throw invalid(`Invalid ${kind} condition: no field is named.`)
  return { kind, field: left.slice(1).toLowerCase(), value: textOf(right) }
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return String(value)
  throw invalid('Invalid condition: its value must be text.')
}

function integer(value: unknown): number {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number
  throw invalid('Invalid content-length-range: its arguments must be whole numbers.')
}

/** Fields that a policy need not name: the signature itself, the file, and what only binds the file's bytes. */
function isExempt(field: string): boolean {
  if (field.startsWith('x-ignore-') || field.startsWith('x-amz-checksum-')) return true
  return ['awsaccesskeyid', 'file', 'policy', 'signature', 'x-amz-signature'].includes(field)
}

function failed(what: string): Fault {
  return new Fault('AccessDenied', { message: `Invalid according to Policy: ${what}` })
}

function holds({ kind, field, value }: Exclude<Condition, { kind: 'length' }>, actual: string): boolean {
  if (kind === 'eq') return actual === value
  // A list of types is allowed only if each of them is.
  if (field === 'content-type') return actual.split(',').every((each) => each.trim().startsWith(value))
  return actual.startsWith(value)
}

/**
 * Throws where the form breaks the policy. `fields` with lower-case names; the bucket is the one that the request is for,
 * whatever the form says.
 */
export function checkPolicy(
  policy: PostPolicy,
  form: { readonly bucket: string; readonly fields: ReadonlyMap<string, string> },
  now: number,
): { readonly bytesMin: number; readonly bytesMax: number } {
  if (now >= policy.expiration) throw failed('Policy expired.')
  const fields = new Map(form.fields).set('bucket', form.bucket)
  const named = new Set<string>()
  let bytesMin = 0
  let bytesMax = Number.POSITIVE_INFINITY
  for (const condition of policy.conditions) {
    if (condition.kind === 'length') {
      bytesMin = Math.max(bytesMin, condition.min)
      bytesMax = Math.min(bytesMax, condition.max)
      continue
    }
    named.add(condition.field)
    if (!holds(condition, fields.get(condition.field) ?? '')) {
      throw failed(`Policy Condition failed: ["${condition.kind}", "$${condition.field}", "${condition.value}"]`)
    }
  }
  const extra = [...fields.keys()].filter((field) => !named.has(field) && !isExempt(field))
  if (extra.length > 0) throw failed(`Extra input fields: ${extra.join(', ')}`)
  return { bytesMin, bytesMax }
}
