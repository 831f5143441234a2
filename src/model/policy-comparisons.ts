import { BlockList, isIP } from 'node:net'
import { Fault } from '#src/errors.ts'
import { malformed } from './policy-json.ts'
import { type ConditionValues, parseTemplate, patternOf, type Template, textOf } from './policy-variables.ts'
import { compilePattern, matches } from './wildcard.ts'

/** One of the operators of conditions, compiled for the values that a policy wants. */
export interface Comparison {
  readonly isNegated: boolean
  /** Of all operators only those on text and ARNs know variables. */
  readonly hasVariables: boolean
  /** Whether a request's value is among the wanted ones. Fault `MalformedPolicy` for a wanted value of the wrong kind. */
  compile(wanted: readonly Template[]): (value: string, context: ConditionValues) => boolean
}

/**
 * S3 keys have 1,024 bytes, and no honest header that a policy looks at has more than this. Longer ones are refused rather
 * than cut, for a policy of 20 KiB could make each of them cost seconds (T15).
 */
const comparedMost = 2048

function bounded(value: string): string {
  if (value.length > comparedMost) {
    throw new Fault('AccessDenied', { message: 'A value that the bucket policy judges is too long.' })
  }
  return value
}

const exactly = (fold: (text: string) => string): Comparison['compile'] => {
  return (wanted) => (value, context) => {
    const folded = fold(value)
    return wanted.some((each) => {
      const text = textOf(each, context)
      return text !== undefined && fold(text) === folded
    })
  }
}

const like: Comparison['compile'] = (wanted) => (value, context) => {
  const text = bounded(value)
  return wanted.some((each) => {
    const pattern = patternOf(each, context)
    return pattern !== undefined && matches(pattern, text)
  })
}

/** Each of the six parts of an ARN by itself, so that no star reaches over a colon; only the last may hold colons. */
const likeArn: Comparison['compile'] = (wanted) => {
  const compiled = wanted.map(({ source, fixed }) => {
    const { head, tail } = splitArn(source)
    // What a variable brings in must not move the colons.
    if (head.length < 5 || (fixed === undefined && head.some((part) => part.includes('${')))) {
      throw malformed(`Invalid ARN in Condition: ${source}`)
    }
    return { head: head.map(compilePattern), tail: parseTemplate(tail, fixed === undefined) }
  })
  return (value, context) => {
    const { head, tail } = splitArn(bounded(value))
    if (head.length < 5) return false
    return compiled.some((each) => {
      const last = patternOf(each.tail, context)
      return last !== undefined && matches(last, tail) && each.head.every((part, at) => matches(part, head[at] ?? ''))
    })
  }
}

/** The first five parts, and what follows the fifth colon. */
function splitArn(text: string): { head: readonly string[]; tail: string } {
  const parts = text.split(':')
  return { head: parts.slice(0, Math.min(5, parts.length - 1)), tail: parts.slice(5).join(':') }
}

/** Numbers and dates: wanted values are read once, a request's value that is none compares false. */
function ordered(
  read: (text: string) => number,
  kind: string,
  compares: (value: number, wanted: number) => boolean,
): Comparison['compile'] {
  return (wanted) => {
    const numbers = wanted.map((each) => {
      const number = read(each.source)
      if (Number.isNaN(number)) throw malformed(`Invalid ${kind} value in Condition: ${each.source}`)
      return number
    })
    return (value) => {
      const number = read(value)
      return numbers.some((each) => compares(number, each))
    }
  }
}

const readNumber = (text: string): number => (/^[+-]?\d{1,30}(\.\d{1,30})?$/.test(text) ? Number(text) : Number.NaN)

/** ISO 8601, or seconds since the epoch. https://www.w3.org/TR/NOTE-datetime */
function readDate(text: string): number {
  if (/^-?\d{1,15}(\.\d{1,9})?$/.test(text) && !/^\d{4}$/.test(text)) return Number(text) * 1000
  const isIso = /^\d{4}(-\d\d(-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d))?)?)?$/.test(text)
  return isIso ? Date.parse(text) : Number.NaN
}

const isTrue: Comparison['compile'] = (wanted) => {
  const values = wanted.map(({ source }) => {
    if (!/^(true|false)$/i.test(source)) throw malformed(`Invalid Bool value in Condition: ${source}`)
    return source.toLowerCase()
  })
  return (value) => values.includes(value.toLowerCase())
}

const inNetwork: Comparison['compile'] = (wanted) => {
  const networks = new BlockList()
  for (const { source } of wanted) {
    const network = parseNetwork(source)
    if (network === undefined) throw malformed(`Invalid IpAddress value in Condition: ${source}`)
    networks.addSubnet(network.address, network.bits, network.family)
  }
  return (value) => {
    const version = isIP(value)
    return version !== 0 && networks.check(value, version === 4 ? 'ipv4' : 'ipv6')
  }
}

export interface Network {
  readonly address: string
  readonly bits: number
  readonly family: 'ipv4' | 'ipv6'
}

/** An address, or a CIDR block. */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', suffix, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0 || address.includes('%')) return undefined
  const most = version === 4 ? 32 : 128
  if (suffix !== undefined && !/^\d{1,3}$/.test(suffix)) return undefined
  const bits = suffix === undefined ? most : Number(suffix)
  return bits > most ? undefined : { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' }
}

const same = (text: string): string => text
const lower = (text: string): string => text.toLowerCase()

function both(name: string, negation: string, hasVariables: boolean, compile: Comparison['compile']) {
  return [
    [name, { isNegated: false, hasVariables, compile }],
    [negation, { isNegated: true, hasVariables, compile }],
  ] as const
}

function one(name: string, compile: Comparison['compile']) {
  return [[name, { isNegated: false, hasVariables: false, compile }]] as const
}

function inOrder(name: string, read: (text: string) => number) {
  return [
    ...both(
      `${name}Equals`,
      `${name}NotEquals`,
      false,
      ordered(read, name, (value, wanted) => value === wanted),
    ),
    ...one(
      `${name}LessThan`,
      ordered(read, name, (value, wanted) => value < wanted),
    ),
    ...one(
      `${name}LessThanEquals`,
      ordered(read, name, (value, wanted) => value <= wanted),
    ),
    ...one(
      `${name}GreaterThan`,
      ordered(read, name, (value, wanted) => value > wanted),
    ),
    ...one(
      `${name}GreaterThanEquals`,
      ordered(read, name, (value, wanted) => value >= wanted),
    ),
  ]
}

export const comparisons: ReadonlyMap<string, Comparison> = new Map<string, Comparison>([
  ...both('StringEquals', 'StringNotEquals', true, exactly(same)),
  ...both('StringEqualsIgnoreCase', 'StringNotEqualsIgnoreCase', true, exactly(lower)),
  ...both('StringLike', 'StringNotLike', true, like),
  // ArnEquals takes wildcards as ArnLike does: AWS says that they are the same.
  ...both('ArnEquals', 'ArnNotEquals', true, likeArn),
  ...both('ArnLike', 'ArnNotLike', true, likeArn),
  ...inOrder('Numeric', readNumber),
  ...inOrder('Date', readDate),
  ...one('Bool', isTrue),
  ...one('BinaryEquals', exactly(same)),
  ...both('IpAddress', 'NotIpAddress', false, inNetwork),
])
