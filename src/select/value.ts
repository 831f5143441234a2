import { Fault } from '#src/errors.ts'
import { Decimal } from './decimal.ts'
import { formatTimestamp, Timestamp } from './timestamp.ts'

/**
 * What an expression comes to. Integers are bigint, floats number; `undefined` is MISSING: no such column or path. Objects are
 * maps, since a name like `__proto__` is only a name there.
 */
export type Value = Scalar | readonly Value[] | ReadonlyMap<string, Value>
export type Scalar = string | bigint | number | boolean | null | undefined | Decimal | Timestamp

/** A result may not be longer: https://docs.aws.amazon.com/AmazonS3/latest/userguide/selecting-content-from-objects.html */
export const recordLengthMax = 1_048_576

export const isMap = (value: Value): value is ReadonlyMap<string, Value> => value instanceof Map
export const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

/** As it stands in CSV, and in what is made into text. */
export function toText(value: Value): string {
  if (typeof value === 'string') return value
  if (value === null || value === undefined) return ''
  if (value instanceof Decimal) return value.toText()
  if (value instanceof Timestamp) return formatTimestamp(value)
  if (isMap(value) || isList(value)) return toJson(value)
  return String(value)
}

export function toJson(value: Value): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null'
  if (value instanceof Timestamp) return JSON.stringify(formatTimestamp(value))
  if (isList(value)) return `[${value.map(toJson).join(',')}]`
  if (isMap(value)) return objectJson(value)
  return toText(value)
}

/** What is missing is left out. */
export function objectJson(entries: Iterable<readonly [string, Value]>): string {
  const members: string[] = []
  for (const [name, value] of entries) {
    if (value !== undefined) members.push(`${JSON.stringify(name)}:${toJson(value)}`)
  }
  return `{${members.join(',')}}`
}

export function boundedText(text: string): string {
  if (text.length > recordLengthMax) throw new Fault('OverMaxRecordSize')
  return text
}
