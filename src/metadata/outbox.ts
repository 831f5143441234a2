import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'

/**
 * Work that a change asks for, committed with it, and what became of it: the truth about jobs, of which a queue only reminds.
 *
 * J1  a job leaves the outbox in the transaction of its effect, or for the dead letters: it is done at least once (C28, I10).
 */
export interface OutboxJob {
  /** Of the row: hexadecimal, in the order in which jobs were asked for. */
  readonly id: string
  readonly kind: string
  /** Names things, and carries no state of them. */
  readonly payload: Readonly<Record<string, string | number>>
  /** Milliseconds since the epoch. */
  readonly added: number
  /** Not before this, in milliseconds since the epoch. */
  readonly due: number
  /** Those that failed. */
  readonly attempts: number
  /** Why the last attempt failed; empty: none did. */
  readonly reason: string
  /** The span that asked for it, as `traceparent` has it. Absent: it was not traced. */
  readonly trace?: string
}

export type NewJob = Pick<OutboxJob, 'kind' | 'payload' | 'trace'>
type Stored = Omit<OutboxJob, 'id'>

/** A kind of job: a blob, `blob` in its payload, is to be durable here too. */
export const fetchBlob = 'fetch blob'

const format = 1
const queue = 'region'
const prefix = keys.job(queue)

const keyOf = (id: string): Uint8Array => Buffer.concat([prefix, Buffer.from(id, 'hex')])
const idOf = (key: Uint8Array): string => Buffer.from(key.subarray(prefix.length)).toString('hex')
const jobOf = ({ key, value }: Entry): OutboxJob => ({ id: idOf(key), ...decodeJson<Stored>(format, value) })

/** `now`: milliseconds since the epoch. */
export function askFor(to: Transaction, { kind, payload, trace }: NewJob, now: number): void {
  const job = { kind, payload, added: now, due: now, attempts: 0, reason: '' }
  const stored: Stored = trace === undefined ? job : { ...job, trace }
  to.append(prefix, encodeJson(format, stored))
}

/** The oldest jobs, or those after one. */
export async function readOutbox(from: Snapshot, after: string | undefined, limit: number): Promise<OutboxJob[]> {
  const all = under('job', [queue])
  const start = after === undefined ? all.from : Buffer.concat([keyOf(after), Uint8Array.of(0)])
  return (await from.range(start, all.to, { limit })).map(jobOf)
}

export async function readJob(from: Snapshot, id: string): Promise<OutboxJob | undefined> {
  const value = await from.get(keyOf(id))
  return value === undefined ? undefined : jobOf({ key: keyOf(id), value })
}

export function finishJob(to: Transaction, id: string): void {
  to.clear(keyOf(id))
}

/** It stays where it is in the order, and is tried again when it is due. */
export function postponeJob(to: Transaction, { id, ...job }: OutboxJob, reason: string, due: number): void {
  to.set(keyOf(id), encodeJson(format, { ...job, attempts: job.attempts + 1, reason, due }))
}

/** Takes it out of the way of others, to where people look. */
export function buryJob(to: Transaction, { id, ...job }: OutboxJob, reason: string): void {
  to.clear(keyOf(id))
  to.set(keys.deadJob(id), encodeJson(format, { ...job, attempts: job.attempts + 1, reason }))
}

/** Oldest first; `after`: the id of the last of the page before. */
export async function readDeadJobs(from: Snapshot, after: string | undefined, limit: number): Promise<OutboxJob[]> {
  const all = under('deadJob', [])
  const start = after === undefined ? all.from : Buffer.concat([keys.deadJob(after), Uint8Array.of(0)])
  const entries = await from.range(start, all.to, { limit })
  return entries.map(({ key, value }) => ({
    id: Buffer.from(key.subarray(1)).toString('hex'),
    ...decodeJson<Stored>(format, value),
  }))
}

/** Its attempts begin anew. False: it was not there. */
export async function reviveJob(to: Transaction, id: string, now: number): Promise<boolean> {
  const value = await to.get(keys.deadJob(id))
  if (value === undefined) return false
  const job = decodeJson<Stored>(format, value)
  to.clear(keys.deadJob(id))
  askFor(to, job, now)
  return true
}

export async function readDeadJob(from: Snapshot, id: string): Promise<OutboxJob | undefined> {
  const value = await from.get(keys.deadJob(id))
  return value === undefined ? undefined : { id, ...decodeJson<Stored>(format, value) }
}

/** What it was to do is not done. */
export function discardDeadJob(to: Transaction, id: string): void {
  to.clear(keys.deadJob(id))
}

/** It is tried again at once, however long it was to wait. */
export function hastenJob(to: Transaction, { id, ...job }: OutboxJob, now: number): void {
  to.set(keyOf(id), encodeJson(format, { ...job, due: now }))
}
