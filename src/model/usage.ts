/** What is counted of buckets, and how it is told. */

export const dayMilliseconds = 86_400_000

/** Days since the epoch, in UTC. */
export const dayOf = (time: number): number => Math.floor(time / dayMilliseconds)
export const startOfDay = (day: number): number => day * dayMilliseconds

/** Months since the year 0, in UTC. */
export function monthOf(day: number): number {
  const date = new Date(startOfDay(day))
  return date.getUTCFullYear() * 12 + date.getUTCMonth()
}

export const formatDay = (day: number): string => new Date(startOfDay(day)).toISOString().slice(0, 10)
export const formatMonth = (month: number): string =>
  `${String(Math.floor(month / 12)).padStart(4, '0')}-${String((month % 12) + 1).padStart(2, '0')}`

/** Undefined: it is no day. */
export function parseDay(text: string): number | undefined {
  const time = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN
  return Number.isNaN(time) || formatDay(dayOf(time)) !== text ? undefined : dayOf(time)
}

/** As prices tell them apart: A changes or lists, B reads, `free` deletes. */
export type RequestClass = 'A' | 'B' | 'free'

export function requestClassOf(operation: string): RequestClass {
  if (/^(Delete|Abort|Cancel)/.test(operation)) return 'free'
  return /^(Put|Post|Create|Copy|Complete|Upload|List|Rename|Restore|Patch|Start|Update)/.test(operation) ? 'A' : 'B'
}

/** Sums of a day, by name; `stored` and `objects` are how it stood at its end, by storage class. */
export type Metric =
  | `requests ${RequestClass}`
  | 'bytes in'
  | 'bytes out'
  | 'bytes replicated'
  | `byte-seconds ${string}`
  | `stored ${string}`
  | `objects ${string}`

/** Whether days add up, and not the last one counts. */
export const isSum = (metric: string): boolean => !metric.startsWith('stored ') && !metric.startsWith('objects ')

/** One number: of a bucket, in a day or a month. */
export interface UsageRow {
  /** `2026-11-28`, `2026-11`. */
  readonly period: string
  readonly account: string
  readonly bucket: string
  /** Where it was counted. */
  readonly region: string
  /** `requests`, `bytes out`, `stored` … */
  readonly metric: string
  /** Of requests, or the storage class; empty: there is none. */
  readonly class: string
  readonly value: bigint
}

/** What lies in a bucket, by storage class: all versions. */
export interface Stored {
  readonly objects: bigint
  readonly bytes: bigint
}

export type StoredByClass = ReadonlyMap<string, Stored>
