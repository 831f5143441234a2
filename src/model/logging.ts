import type { Grant } from './access.ts'

/**
 * Where a bucket's requests are logged, and how.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_LoggingEnabled.html
 */
export interface Logging {
  /** Name of the bucket that gets the log objects. */
  readonly target: string
  readonly prefix: string
  /** Who may do what with the log objects, beside their owner. */
  readonly grants: readonly Grant[]
  readonly keyFormat: LogKeyFormat
  readonly type: LogType
  /** After which a log is closed and delivered; undefined: as the node is configured. */
  readonly rollSeconds?: number
  /** What to journal; undefined: all. */
  readonly filter?: readonly LogFilterRule[]
  /** Whether it was asked for with what ceph has beyond AWS, and is told with it. */
  readonly isExtended: boolean
  /** When it was last changed, in milliseconds since the epoch. */
  readonly modified: number
}

/** `Journal`, of ceph: changes of objects only, each committed with the change. */
export const logTypes = ['Standard', 'Journal'] as const
export type LogType = (typeof logTypes)[number]

export const partitionDates = ['EventTime', 'DeliveryTime'] as const

export type LogKeyFormat =
  | { readonly kind: 'simple' }
  | { readonly kind: 'partitioned'; readonly date: (typeof partitionDates)[number] }

export interface LogFilterRule {
  readonly name: 'prefix' | 'suffix'
  readonly value: string
}

/** Whether a key is journaled: every rule has to hold. */
export const passesFilter = ({ filter = [] }: Logging, key: string): boolean =>
  filter.every(({ name, value }) => (name === 'prefix' ? key.startsWith(value) : key.endsWith(value)))

/** Whether both ask for the same. */
export function isSameLogging(one: Logging | undefined, other: Logging | undefined): boolean {
  const text = (each: Logging | undefined) => JSON.stringify(each === undefined ? null : { ...each, modified: 0 })
  return text(one) === text(other)
}

/** The logging of a bucket whose every request gets a record. */
export const standardLogging = ({ logging }: { readonly logging?: Logging }): Logging | undefined =>
  logging?.type === 'Standard' ? logging : undefined
