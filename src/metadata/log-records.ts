import type { Grant } from '#src/model/access.ts'
import type { LogKeyFormat } from '#src/model/logging.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import { type KeyRange, keys, under } from './keyspace.ts'

/**
 * Logs on their way to their target: records one by one, until they are delivered as an object.
 *
 * A stream is what goes to one target under one prefix, and, where its keys are partitioned, from one source. At most one of its
 * logs is open; records are appended to that one, without conflict, by whichever process. A log that is sealed takes none any
 * more: whoever appends has read, in the same transaction, that it is open.
 */
export interface LogStream {
  /** Id of the target bucket. */
  readonly target: number
  readonly prefix: string
  /** Id of the source bucket; 0: all that log there. */
  readonly source: number
}

/** Of a stream. */
export interface StreamRecord {
  /** Number of the log that is open, or was last. */
  readonly number: number
  readonly open?: OpenLog
}

export interface OpenLog {
  /** Of its first record, in milliseconds since the epoch. */
  readonly began: number
  /** From when on a record begins the next log. */
  readonly due: number
  /** When it is sealed though no record comes. */
  readonly overdue: number
  readonly settings: LogSettings
}

/** What its delivery needs to know, as its first record found it. */
export interface LogSettings {
  /** Name of the target. */
  readonly bucket: string
  readonly format: LogKeyFormat
  readonly source: { readonly name: string; readonly owner: string; readonly region: string }
  readonly grants: readonly Grant[]
}

/** A log that only waits for its delivery. */
export interface SealedLog extends LogStream {
  readonly number: number
  readonly bucket: string
  /** Of the object that it becomes. */
  readonly key: string
  readonly grants: readonly Grant[]
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const encode = (row: unknown): Uint8Array => encoder.encode(JSON.stringify(row))
const decode = <Row>(bytes: Uint8Array): Row => JSON.parse(decoder.decode(bytes)) as Row

export async function readStream(from: Snapshot, stream: LogStream): Promise<StreamRecord> {
  const bytes = await from.get(keys.logStream(stream.target, stream.prefix, stream.source))
  return bytes === undefined ? { number: 0 } : decode<StreamRecord>(bytes)
}

export function setStream(to: Transaction, { target, prefix, source }: LogStream, record: StreamRecord): void {
  to.set(keys.logStream(target, prefix, source), encode(record))
}

export function addLogLine(to: Transaction, { target, prefix, source }: LogStream, number: number, line: string): void {
  to.append(keys.logLine(target, prefix, source, number), encoder.encode(line))
}

export function setSealed(to: Transaction, log: SealedLog): void {
  const { target, prefix, source, number, ...row } = log
  to.set(keys.logSealed(target, prefix, source, number), encode(row))
}

export async function isSealed(from: Snapshot, log: SealedLog): Promise<boolean> {
  return (await from.get(keys.logSealed(log.target, log.prefix, log.source, log.number))) !== undefined
}

const linesOf = ({ target, prefix, source, number }: SealedLog): KeyRange =>
  under('logLine', [target, prefix, source, number])

/** A page of its lines, as rows. `after`: the key of the last one seen. */
export async function readLines(
  from: Snapshot,
  log: SealedLog,
  after: Uint8Array | undefined,
  limit: number,
): Promise<readonly Entry[]> {
  const all = linesOf(log)
  return await from.range(after === undefined ? all.from : afterKey(after), all.to, { limit })
}

/** It was delivered, or has nowhere to go any more. */
export function clearSealed(to: Transaction, log: SealedLog): void {
  const lines = linesOf(log)
  to.clearRange(lines.from, lines.to)
  to.clear(keys.logSealed(log.target, log.prefix, log.source, log.number))
}

/** All that is on its way to a bucket that goes. */
export function clearLogsTo(to: Transaction, target: number): void {
  for (const space of ['logStream', 'logSealed', 'logLine'] as const) {
    const range = under(space, [target])
    to.clearRange(range.from, range.to)
  }
}

/** The oldest ones, of all streams or of one. */
export async function readSealed(from: Snapshot, limit: number, of?: LogStream): Promise<readonly SealedLog[]> {
  const range = under('logSealed', of === undefined ? [] : [of.target, of.prefix, of.source])
  const rows = await from.range(range.from, range.to, { limit })
  return rows.map(({ key, value }) => {
    const reader = new TupleReader(key, 1)
    const stream = readStreamKey(reader)
    return {
      ...stream,
      number: Number(reader.integer()),
      ...decode<Pick<SealedLog, 'bucket' | 'key' | 'grants'>>(value),
    }
  })
}

const readStreamKey = (reader: TupleReader): LogStream => ({
  target: Number(reader.integer()),
  prefix: reader.text(),
  source: Number(reader.integer()),
})

/** A page of all streams with the key of each row. */
export async function readStreams(
  from: Snapshot,
  after: Uint8Array | undefined,
  limit: number,
): Promise<readonly { readonly key: Uint8Array; readonly stream: LogStream; readonly record: StreamRecord }[]> {
  const all = under('logStream', [])
  const rows = await from.range(after === undefined ? all.from : afterKey(after), all.to, { limit })
  return rows.map(({ key, value }) => ({
    key,
    stream: readStreamKey(new TupleReader(key, 1)),
    record: decode<StreamRecord>(value),
  }))
}
