import { Fault } from '#src/errors.ts'
import { Decimal, parseDecimal } from './decimal.ts'
import { boundedInteger, isEqual, isNumeric, numberOf, toFloat } from './operators.ts'
import type { CastType } from './syntax.ts'
import { addToDate, dateDifference, extractPart, parseTimestamp, Timestamp } from './timestamp.ts'
import { formatByPattern, parsePattern, patternReader } from './timestamp-pattern.ts'
import { boundedText, toText, type Value } from './value.ts'

const invalidCast = (value: Value, type: CastType): Fault =>
  new Fault('CastFailed', { Value: toText(value).slice(0, 100), Type: type })

function toInteger(value: Value): bigint {
  if (typeof value === 'boolean') return value ? 1n : 0n
  const number = typeof value === 'string' && !/^\s*[+-]?\d{1,40}\s*$/.test(value) ? undefined : value
  if (typeof number === 'string') return boundedInteger(BigInt(number.trim().replace(/^\+/, '')))
  const numeric = number === undefined ? undefined : numberOf(number)
  if (typeof numeric === 'bigint') return numeric
  const float = numeric === undefined ? Number.NaN : Math.trunc(toFloat(numeric))
  if (!Number.isFinite(float)) throw invalidCast(value, 'int')
  return boundedInteger(BigInt(float))
}

function toBoolean(value: Value): boolean {
  if (typeof value === 'boolean') return value
  const lower = typeof value === 'string' ? value.trim().toLowerCase() : ''
  if (lower === 'true' || lower === 'false') return lower === 'true'
  const numeric = numberOf(value)
  if (numeric === undefined) throw invalidCast(value, 'bool')
  return toFloat(numeric) !== 0
}

function toDecimal(value: Value): Value {
  if (typeof value === 'boolean') return new Decimal(value ? 1n : 0n, 0)
  if (typeof value === 'bigint') return new Decimal(value, 0)
  const decimal = typeof value === 'string' || typeof value === 'number' ? parseDecimal(String(value).trim()) : value
  if (decimal === undefined || !isNumeric(decimal)) throw invalidCast(value, 'decimal')
  return decimal
}

function toNumber(value: Value): number {
  const number = typeof value === 'boolean' ? Number(value) : numberOf(value)
  if (number === undefined) throw invalidCast(value, 'float')
  return toFloat(number)
}

function toTimestamp(value: Value): Timestamp {
  if (value instanceof Timestamp) return value
  const read = typeof value === 'string' ? parseTimestamp(value.trim()) : undefined
  if (read === undefined) throw invalidCast(value, 'timestamp')
  return read
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-conversion.html */
export function cast(value: Value, type: CastType): Value {
  if (value === null || value === undefined) return value
  switch (type) {
    case 'int':
      return toInteger(value)
    case 'float':
      return toNumber(value)
    case 'decimal':
      return toDecimal(value)
    case 'bool':
      return toBoolean(value)
    case 'timestamp':
      return toTimestamp(value)
    default:
      return toText(value)
  }
}

const isPlain = (text: string): boolean => !/[\ud800-\udfff]/.test(text)

function substring(text: string, start: Value, length: Value): string {
  const from = Number(cast(start, 'int')) - 1
  const count = length === undefined ? Number.POSITIVE_INFINITY : Number(cast(length, 'int'))
  if (count < 0) throw new Fault('EvaluatorInvalidArguments')
  const [first, end] = [Math.max(0, from), Math.max(0, from + count)]
  return isPlain(text) ? text.slice(first, end) : [...text].slice(first, end).join('')
}

function trim(text: string, characters: string, part: string): string {
  let [from, to] = [0, text.length]
  if (part !== 'trailing') while (from < to && characters.includes(text.charAt(from))) from++
  if (part !== 'leading') while (to > from && characters.includes(text.charAt(to - 1))) to--
  return text.slice(from, to)
}

/** Remembers what was made of the last text: patterns are the same for every record. */
function remembered<Made>(make: (text: string) => Made): (text: string) => Made {
  let last: { readonly text: string; readonly made: Made } | undefined
  return (text) => {
    if (last?.text !== text) last = { text, made: make(text) }
    return last.made
  }
}

type Call = (args: readonly Value[]) => Value

function textCall(call: (text: string, args: readonly Value[]) => Value): Call {
  return (args) => {
    if (args.some(isNothing)) return null
    return call(toText(args[0]), args)
  }
}

const isNothing = (value: Value): boolean => value === null || value === undefined

function toStringCall(): Call {
  const pieces = remembered(parsePattern)
  return ([value, pattern]) => {
    if (value === null || value === undefined || typeof pattern !== 'string') return null
    return formatByPattern(toTimestamp(value), pieces(pattern))
  }
}

function toTimestampCall(): Call {
  const reader = remembered(patternReader)
  return ([value, pattern]) => {
    if (value === null || value === undefined) return null
    if (typeof pattern !== 'string') return toTimestamp(value)
    const read = reader(pattern)(toText(value))
    if (read === undefined) throw invalidCast(value, 'timestamp')
    return read
  }
}

/** One instance for each place in a query, since some remember patterns. */
export function functionNamed(name: string, part = ''): Call {
  switch (name) {
    case 'char_length':
      return textCall((text) => BigInt(isPlain(text) ? text.length : [...text].length))
    case 'lower':
      return textCall((text) => text.toLowerCase())
    case 'upper':
      return textCall((text) => boundedText(text.toUpperCase()))
    case 'substring':
      return textCall((text, [, start, length]) => substring(text, start, length))
    case 'trim':
      return textCall((text, [, characters]) => trim(text, characters === undefined ? ' ' : toText(characters), part))
    case 'coalesce':
      return (args) => args.find((each) => each !== null && each !== undefined) ?? null
    case 'nullif':
      return ([one, other]) => (isEqual(one, other) === true ? null : one)
    case 'to_string':
      return toStringCall()
    case 'to_timestamp':
      return toTimestampCall()
    case 'extract':
      return ([value]) => (isNothing(value) ? null : BigInt(extractPart(part, toTimestamp(value))))
    case 'date_diff':
      return ([from, to]) =>
        isNothing(from) || isNothing(to) ? null : BigInt(dateDifference(part, toTimestamp(from), toTimestamp(to)))
    case 'date_add':
      return (args) => dateAdd(part, args)
    default:
      throw new Fault('UnsupportedFunction', { FunctionName: name })
  }
}

function dateAdd(part: string, [count, timestamp]: readonly Value[]): Value {
  if (isNothing(count) || isNothing(timestamp)) return null
  return addToDate(part, Number(cast(count, 'int')), toTimestamp(timestamp))
}
