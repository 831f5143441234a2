import { Fault } from '#src/errors.ts'
import {
  addLogLine,
  type LogStream,
  type OpenLog,
  readStream,
  type SealedLog,
  type StreamRecord,
  setSealed,
  setStream,
} from '#src/metadata/log-records.ts'
import { type GuardedBucket, guarded } from '#src/model/authorization.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { chanceOf, dayMilliseconds, logKey } from '#src/model/log-keys.ts'
import { type JournalRecord, journalLine } from '#src/model/log-lines.ts'
import { admitsLogs } from '#src/model/log-permission.ts'
import { type Logging, passesFilter } from '#src/model/logging.ts'
import { parseBucketPolicy } from '#src/model/policy-document.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import { usualLogs } from './log-options.ts'

/** Bytes that this process added to logs that it believes to be open. */
const additions = new WeakMap<Foundation, Map<string, number>>()
/** Logs that another process closed stay behind: they are forgotten together. */
const addedMost = 10_000

/** Rows that are unchanged decode to the same object, so a target's policy is parsed once. */
const targets = new WeakMap<Bucket, GuardedBucket>()

export function guardedTarget(target: Bucket): GuardedBucket {
  const known = targets.get(target)
  if (known !== undefined) return known
  const fresh = guarded(target, parseBucketPolicy)
  targets.set(target, fresh)
  return fresh
}

/** The target of a bucket's logs, if it is there and takes them. */
export async function readLogTarget(
  { namespace, hasBucket }: Foundation,
  from: Transaction,
  source: Bucket,
  { target, prefix }: Logging,
): Promise<Bucket | undefined> {
  const bucket = await namespace.bucket(from, target)
  if (bucket?.state !== 'active' || hasBucket?.(bucket) === false) return undefined
  return admitsLogs(guardedTarget(bucket), source, prefix) ? bucket : undefined
}

export const streamOf = (target: Bucket, source: Bucket, { prefix, keyFormat }: Logging): LogStream => ({
  target: target.id,
  prefix,
  source: keyFormat.kind === 'partitioned' ? source.id : 0,
})

export interface Added {
  readonly isAdmitted: boolean
  /** What the record found due, and closed. */
  readonly sealed?: SealedLog
}

/**
 * Adds a line to the log that is open, or begins one.
 *
 * H1  a record of the journal is committed by the transaction of the change that it tells of, or neither is.
 * H2  a record gets into one log object, once: an open log alone takes records, and only the transaction that writes the object
 *     of a sealed one clears its records.
 * H4  what goes to a target was admitted by its policy or its ACL, as the transaction of the record read them.
 */
export async function addRecord(
  foundation: Foundation,
  to: Transaction,
  source: Bucket,
  logging: Logging,
  line: string,
): Promise<Added> {
  const target = await readLogTarget(foundation, to, source, logging)
  if (target === undefined) return { isAdmitted: false }
  const stream = streamOf(target, source, logging)
  const standing = await readStream(to, stream)
  const added = additionsOf(foundation)
  const isFull = (added.get(countName(stream, standing.number)) ?? 0) > (foundation.logs ?? usualLogs).bytesMax
  const isDue = standing.open !== undefined && (standing.open.due <= foundation.world.now() || isFull)
  const sealed = isDue ? seal(foundation, to, stream, standing) : undefined
  const { open, number } = sealed === undefined ? standing : { number: sealed.number }
  const current = open === undefined ? number + 1 : number
  if (open === undefined) {
    setStream(to, stream, { number: current, open: openLog(foundation, target, source, logging) })
  }
  addLogLine(to, stream, current, line)
  // A transaction that runs again counts again: the log is closed a little early for it.
  const name = countName(stream, current)
  if (added.size >= addedMost) added.clear()
  added.set(name, (added.get(name) ?? 0) + line.length)
  return sealed === undefined ? { isAdmitted: true } : { isAdmitted: true, sealed }
}

const countName = ({ target, prefix, source }: LogStream, number: number): string =>
  `${target} ${source} ${number} ${prefix}`

function additionsOf(foundation: Foundation): Map<string, number> {
  const known = additions.get(foundation)
  if (known !== undefined) return known
  const fresh = new Map<string, number>()
  additions.set(foundation, fresh)
  return fresh
}

function openLog({ world, region, logs }: Foundation, target: Bucket, source: Bucket, logging: Logging): OpenLog {
  const began = world.now()
  const roll = (logging.rollSeconds ?? (logs ?? usualLogs).rollSeconds) * 1000
  const { keyFormat: format, grants } = logging
  // Objects that are named by the day of their events hold events of one day.
  const isOfDay = format.kind === 'partitioned' && format.date === 'EventTime'
  const midnight = (Math.floor(began / dayMilliseconds) + 1) * dayMilliseconds
  const due = isOfDay ? Math.min(began + roll, midnight) : began + roll
  return {
    began,
    due,
    // A record that comes a little late still finds its log open, and closes it itself.
    overdue: due + roll,
    settings: {
      bucket: target.name,
      format,
      grants,
      source: { name: source.name, owner: source.owner, region: source.location || region },
    },
  }
}

/** Closes the log that is open. */
export function seal(foundation: Foundation, to: Transaction, stream: LogStream, standing: StreamRecord): SealedLog {
  const { number, open } = standing
  if (open === undefined) throw new Error('only an open log can be closed')
  const { began, settings } = open
  const { bucket, format, source, grants } = settings
  const { prefix } = stream
  const chance = chanceOf(foundation.world.randomBytes(6))
  const key = logKey({ prefix, format, source, began, closed: foundation.world.now(), number, chance })
  const sealed = { ...stream, number, bucket, key, grants }
  setSealed(to, sealed)
  setStream(to, stream, { number })
  additionsOf(foundation).delete(countName(stream, number))
  return sealed
}

/** Closes the log that a bucket writes to now, an empty one too where `evenEmpty`; undefined: there is none, or no target. */
export async function sealOpen(
  foundation: Foundation,
  to: Transaction,
  source: Bucket,
  { evenEmpty }: { readonly evenEmpty: boolean },
): Promise<SealedLog | undefined> {
  const { logging } = source
  if (logging === undefined) return undefined
  const target = await foundation.namespace.bucket(to, logging.target)
  if (target === undefined) return undefined
  const stream = streamOf(target, source, logging)
  const standing = await readStream(to, stream)
  if (standing.open !== undefined) return seal(foundation, to, stream, standing)
  if (!evenEmpty) return undefined
  const open = openLog(foundation, target, source, logging)
  return seal(foundation, to, stream, { number: standing.number + 1, open })
}

export type JournalEvent = Omit<JournalRecord, 'owner' | 'bucket' | 'time'>

/** What removes things goes on though it cannot be journaled, as in ceph: a bucket could not be emptied otherwise. */
const removals = new Set(['REST.DELETE.OBJECT', 'REST.POST.DELETE_MULTI_OBJECT', 'REST.DELETE.OBJECT_TAGGING'])

/**
 * Journals a change, in its transaction (H1), where the bucket keeps a journal. Fault AccessDenied where the target does not take
 * the record: then the change is not made either.
 */
export async function journal(
  foundation: Foundation,
  to: Transaction,
  bucket: Bucket,
  event: JournalEvent,
): Promise<void> {
  const { logging, owner, name } = bucket
  if (logging?.type !== 'Journal' || !passesFilter(logging, event.key)) return
  const line = journalLine({ owner, bucket: name, time: foundation.world.now(), ...event })
  const { isAdmitted } = await addRecord(foundation, to, bucket, logging, line)
  if (isAdmitted || removals.has(event.operation)) return
  throw new Fault('AccessDenied', { message: `Logging bucket '${logging.target}' does not take the record.` })
}
