import { Fault } from '#src/errors.ts'

/** What a timestamp is known to; it is written to that. */
export type Precision = 'year' | 'month' | 'day' | 'minute' | 'second'

export class Timestamp {
  /** Milliseconds since the Unix epoch. */
  readonly time: number
  /** Of the local time from UTC, in minutes. */
  readonly offset: number
  readonly precision: Precision

  constructor(time: number, offset: number, precision: Precision = 'second') {
    // The years 1 to 9999.
    if (!(time >= -62_135_596_800_000 && time < 253_402_300_800_000)) {
      throw new Fault('EvaluatorInvalidArguments', { message: 'A timestamp is outside of the years 1 to 9999.' })
    }
    this.time = time
    this.offset = offset
    this.precision = precision
  }

  /** A Date whose UTC fields are the local ones. */
  local(): Date {
    return new Date(this.time + this.offset * 60_000)
  }
}

const extended = /^(\d{4})(?:T|-(\d\d)(?:T|-(\d\d)(?:T?|T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d))))$/
/** Without separators, as clients of other stores write it. */
const basic = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)$/

export function parseOffset(text: string): number {
  if (text === 'Z' || text === '') return 0
  const sign = text.startsWith('-') ? -1 : 1
  const digits = text.slice(1).replace(':', '').padEnd(4, '0')
  return sign * (Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2)))
}

export interface Fields {
  readonly year: number
  readonly month?: number
  readonly day?: number
  readonly hour?: number
  readonly minute?: number
  readonly second?: number
  readonly millisecond?: number
  readonly offset?: number
}

/** Undefined where there is no such date. */
export function fromFields(fields: Fields, precision: Precision): Timestamp | undefined {
  const { year, month = 1, day = 1, hour = 0, minute = 0, second = 0, millisecond = 0, offset = 0 } = fields
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute, second, millisecond)
  const isReal =
    year > 0 && date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60
  return isReal ? new Timestamp(date.getTime() - offset * 60_000, offset, precision) : undefined
}

const precisions: readonly Precision[] = ['year', 'month', 'day', 'minute', 'minute', 'second']

/** The text form of Ion: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-data-types.html */
export function parseTimestamp(text: string): Timestamp | undefined {
  const found = extended.exec(text) ?? basic.exec(text)
  if (found === null) return undefined
  const [, ...parts] = found
  const [year = 0, month, day, hour, minute, second] = parts
    .slice(0, 6)
    .map((part) => (part ? Number(part) : undefined))
  const known = parts.slice(0, 6).findLastIndex((part) => part !== undefined)
  const millisecond = Number((parts[6] ?? '').padEnd(3, '0').slice(0, 3))
  const fields = { year, month, day, hour, minute, second, millisecond, offset: parseOffset(parts[7] ?? '') }
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
  return fromFields({ year, ...given }, precisions[known] ?? 'second')
}

export const pad = (value: number, length = 2): string => String(value).padStart(length, '0')

export function formatOffset(offset: number, separator: string): string {
  const minutes = Math.abs(offset)
  return `${offset < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60))}${separator}${pad(minutes % 60)}`
}

export function formatTimestamp(timestamp: Timestamp): string {
  const { precision, offset } = timestamp
  const date = timestamp.local()
  const year = pad(date.getUTCFullYear(), 4)
  if (precision === 'year') return `${year}T`
  const month = `${year}-${pad(date.getUTCMonth() + 1)}`
  if (precision === 'month') return `${month}T`
  const day = `${month}-${pad(date.getUTCDate())}T`
  if (precision === 'day') return day
  const zone = offset === 0 ? 'Z' : formatOffset(offset, ':')
  const minute = `${day}${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}`
  if (precision === 'minute') return minute + zone
  const fraction = date.getUTCMilliseconds()
  return `${minute}:${pad(date.getUTCSeconds())}${fraction === 0 ? '' : `.${pad(fraction, 3)}`}${zone}`
}

const order: readonly Precision[] = ['year', 'month', 'day', 'minute', 'second']

const finer = (one: Precision, other: Precision): Precision => (order.indexOf(one) > order.indexOf(other) ? one : other)

const unitMilliseconds: Readonly<Record<string, number>> = {
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
  second: 1_000,
}

export const dateParts: ReadonlySet<string> = new Set(['year', 'month', 'day', 'hour', 'minute', 'second'])

/** The result is as precise as the part that was added. */
export function addToDate(part: string, count: number, timestamp: Timestamp): Timestamp {
  const precision = finer(timestamp.precision, part === 'hour' ? 'minute' : (part as Precision))
  const milliseconds = unitMilliseconds[part]
  if (milliseconds !== undefined) {
    return new Timestamp(timestamp.time + count * milliseconds, timestamp.offset, precision)
  }
  const date = timestamp.local()
  const months = part === 'year' ? count * 12 : count
  const total = date.getUTCFullYear() * 12 + date.getUTCMonth() + months
  if (!(Math.abs(total) < 1e6)) return new Timestamp(Number.NaN, 0)
  const [year, month] = [Math.floor(total / 12), ((total % 12) + 12) % 12]
  const daysInMonth = new Date(Date.UTC(2000 + (year % 400), month + 1, 0)).getUTCDate()
  date.setUTCFullYear(year, month, Math.min(date.getUTCDate(), daysInMonth))
  return new Timestamp(date.getTime() - timestamp.offset * 60_000, timestamp.offset, precision)
}

/** How many whole parts lie between; negative where the second comes first. */
export function dateDifference(part: string, from: Timestamp, to: Timestamp): number {
  const milliseconds = unitMilliseconds[part]
  if (milliseconds !== undefined) return Math.trunc((to.time - from.time) / milliseconds)
  const [start, end] = [new Date(from.time), new Date(to.time)]
  let months = (end.getUTCFullYear() - start.getUTCFullYear()) * 12 + end.getUTCMonth() - start.getUTCMonth()
  const within = (date: Date): number => date.getUTCDate() * 86_400_000 + (date.getTime() % 86_400_000)
  if (months > 0 && within(end) < within(start)) months--
  else if (months < 0 && within(end) > within(start)) months++
  return part === 'year' ? Math.trunc(months / 12) : months
}

export const extractParts: ReadonlySet<string> = new Set([...dateParts, 'timezone_hour', 'timezone_minute'])

export function extractPart(part: string, timestamp: Timestamp): number {
  const date = timestamp.local()
  if (part === 'year') return date.getUTCFullYear()
  if (part === 'month') return date.getUTCMonth() + 1
  if (part === 'day') return date.getUTCDate()
  if (part === 'hour') return date.getUTCHours()
  if (part === 'minute') return date.getUTCMinutes()
  if (part === 'second') return date.getUTCSeconds()
  return part === 'timezone_hour' ? Math.trunc(timestamp.offset / 60) : timestamp.offset % 60
}
