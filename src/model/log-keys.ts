import type { LogKeyFormat } from './logging.ts'

/** What a log object is named by. */
export interface LogName {
  readonly prefix: string
  readonly format: LogKeyFormat
  readonly source: { readonly name: string; readonly owner: string; readonly region: string }
  /** Of its first record, in milliseconds since the epoch. */
  readonly began: number
  /** When it was closed, likewise. */
  readonly closed: number
  /** Of the logs under this prefix: so names of one second are in order. */
  readonly number: number
  /** Six characters of [A-Z0-9]: names stay apart though a prefix was used before. */
  readonly chance: string
}

export const dayMilliseconds = 86_400_000

/**
 * `[prefix][YYYY]-[MM]-[DD]-[hh]-[mm]-[ss]-[unique]`, or partitioned by account, region, bucket and day. By event time the hour,
 * minute and second are 00.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html#server-access-logging-overview
 */
export function logKey({ prefix, format, source, began, closed, number, chance }: LogName): string {
  const isOfEvents = format.kind === 'partitioned' && format.date === 'EventTime'
  const time = isOfEvents ? Math.floor(began / dayMilliseconds) * dayMilliseconds : closed
  const [date = '', clock = ''] = new Date(time).toISOString().slice(0, 19).split('T')
  const name = `${date}-${clock.replaceAll(':', '-')}-${String(number).padStart(10, '0')}${chance}`
  if (format.kind === 'simple') return `${prefix}${name}`
  return `${prefix}${source.owner}/${source.region}/${source.name}/${date.replaceAll('-', '/')}/${name}`
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** `bytes`: six of chance. */
export const chanceOf = (bytes: Uint8Array): string => Array.from(bytes, (each) => alphabet[each % 32]).join('')
