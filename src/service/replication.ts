import { Fault } from '#src/errors.ts'
import { addJob } from '#src/metadata/jobs.ts'
import { insertAmong, readStamped, rewriteVersion } from '#src/metadata/object-records.ts'
import { isReplicationLane, isStillReplicating, type ReplicationWork } from '#src/metadata/replication-records.ts'
import { changeTask, endTask, readTask, type Task } from '#src/metadata/task-records.ts'
import { addUsage } from '#src/metadata/usage-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type ReplicationRule, replicationOf, rulesOfMarker, rulesOfObject } from '#src/model/replication.ts'
import { formatStamp } from '#src/model/stamp.ts'
import { dayOf } from '#src/model/usage.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { openingOf, readContent } from './content.ts'
import { placeContent, setInline, throwAway, type WrittenContent, writeContent } from './content-placing.ts'
import type { Foundation } from './foundation.ts'
import { discard } from './ingest.ts'
import { type ContentKey, makeContentKey } from './object-encryption.ts'
import { tell, tellWritten } from './object-events.ts'
import { checkIsHere, readSource } from './object-reads.ts'
import { journalWrite } from './object-writes.ts'
import { randomId } from './random-words.ts'
import { isThere, readDestination, replicaOf, replicateMarkerTo, replicateSlots, wishOf } from './replicas.ts'
import { type TaskFailure, TaskRunner } from './task-runner.ts'
import { withContent } from './tier-versions.ts'

type ReplicationTask = Task<ReplicationWork>

export interface ReplicationOptions {
  readonly report: (failure: TaskFailure) => void
  readonly failed: (error: unknown) => void
}

/** What a task is about, as it is now. */
interface Subject {
  readonly source: Bucket
  readonly target: Bucket
  readonly rule: ReplicationRule
}

/**
 * Copies versions to the buckets that the rules of theirs name, under the ids that they have.
 *
 * Q5  replica, status of the source and end of the task commit together: so a replica is made once, is never made again once it
 *     was deleted, and a status tells what is so.
 * Q6  no replica is replicated.
 * Q7  what can come to nothing, as the destination does not take it, ends as FAILED; all else is tried again.
 */
export class Replicator {
  readonly runner: TaskRunner
  readonly #foundation: Foundation

  constructor(foundation: Foundation, { report, failed }: ReplicationOptions) {
    this.#foundation = foundation
    this.runner = new TaskRunner({
      store: foundation.store,
      world: foundation.world,
      serves: isReplicationLane,
      perform: (task, signal) => this.#perform(task as ReplicationTask, signal),
      words: (error) => (error instanceof Error ? `${error.name}: ${error.message}` : 'unknown'),
      report,
      failed,
    })
  }

  async #perform(task: ReplicationTask, signal: AbortSignal): Promise<void> {
    try {
      if (task.work.kind === 'slots') await this.#copySlots(task)
      else await this.#copyVersion(task, signal)
    } catch (error) {
      if (!(error instanceof Fault) || !isFinal(error)) throw error
      await this.#foundation.store.transact((transaction) => this.#end(transaction, task, 'FAILED'))
    }
  }

  /** The task's source and destination, if a rule still says so; Faults as `readDestination`. */
  async #subject(from: Snapshot, { work }: ReplicationTask, version?: ObjectVersion): Promise<Subject | undefined> {
    const { bucket, bucketId, key } = work.source
    const source = await this.#foundation.namespace.bucket(from, bucket)
    const replication = source?.id === bucketId ? replicationOf(source) : undefined
    if (source === undefined || replication === undefined) return undefined
    const rules = version === undefined ? rulesOfMarker(replication, key) : rulesOfObject(replication, key, version)
    // Tags may have changed since it was asked for.
    const rule =
      rules.find(({ destination }) => destination.bucket === work.target) ??
      replication.rules.find(({ isEnabled, destination }) => isEnabled && destination.bucket === work.target)
    if (rule === undefined) return undefined
    const action = version === undefined ? 's3:ReplicateDelete' : 's3:ReplicateObject'
    const target = await readDestination(this.#foundation, from, work.target, source, { action, key })
    return { source, target, rule }
  }

  async #readSource(from: Snapshot, { work }: ReplicationTask) {
    const { bucketId, key, stamp } = work.source
    return await readStamped(from, { bucket: bucketId, key }, BigInt(stamp), true)
  }

  async #copyVersion(task: ReplicationTask, signal: AbortSignal): Promise<void> {
    const { store } = this.#foundation
    const found = await store.snapshot(async (snapshot) => (await this.#readSource(snapshot, task)).row?.version)
    if (found?.kind !== 'object') {
      return await store.transact((transaction) => this.#copyMarker(transaction, task))
    }
    const staging = await store.transact((transaction) => this.#begin(transaction, task))
    if (staging === undefined) return
    const copied = await this.#copyBytes(task, found, staging, signal)
    if (copied === undefined) return await store.transact((transaction) => this.#end(transaction, task, 'FAILED'))
    const { written, contentKey } = copied
    try {
      await store.transact((transaction) => this.#commit(transaction, task, { written, contentKey, staging }))
    } catch (error) {
      if (written.kind === 'whole') await discard(this.#foundation, written.ingested)
      throw error
    }
  }

  /** Also ends the task of a version that is gone. */
  async #copyMarker(to: Transaction, task: ReplicationTask): Promise<void> {
    if ((await readTask(to, task.lane, task.id)) === undefined) return
    const { row } = await this.#readSource(to, task)
    const subject = row?.version.kind === 'marker' ? await this.#subject(to, task) : undefined
    if (row?.version.kind === 'marker' && subject !== undefined) {
      const { key } = task.work.source
      await replicateMarkerTo(this.#foundation, to, subject.target, key, row.version)
      const { stamp } = row.version
      const versionId = formatStamp(stamp)
      const told = { bucket: subject.target, key, stamp, versionId, cause: undefined }
      tell(this.#foundation, to, { ...told, event: 'ObjectRemoved:DeleteMarkerCreated' })
    }
    await endTask(to, task)
  }

  /** A place of its own for the parts of each try; what an earlier one left is freed. */
  async #begin(to: Transaction, task: ReplicationTask): Promise<string | undefined> {
    const kept = await readTask(to, task.lane, task.id)
    if (kept === undefined) return undefined
    const { staging: before, ...work } = kept.work as ReplicationWork
    if (before !== undefined) addJob(to, { kind: 'parts', upload: before })
    const staging = `replicate${randomId(this.#foundation.world)}`
    await changeTask(to, task, (now) => ({ ...now, work: { ...work, staging } }))
    return staging
  }

  async #isMine(from: Snapshot, { lane, id }: ReplicationTask, staging: string): Promise<boolean> {
    const kept = await readTask(from, lane, id)
    return (kept?.work as ReplicationWork | undefined)?.staging === staging
  }

  /** Reads all, and writes it as the destination keeps it; undefined where no rule asks for it any more. */
  async #copyBytes(
    task: ReplicationTask,
    version: ObjectVersion,
    staging: string,
    signal: AbortSignal,
  ): Promise<{ readonly written: WrittenContent; readonly contentKey: ContentKey | undefined } | undefined> {
    const { store, world } = this.#foundation
    const { key } = task.work.source
    const read = await store.snapshot(async (snapshot) => {
      const subject = await this.#subject(snapshot, task, version)
      const { row } = await this.#readSource(snapshot, task)
      if (subject === undefined || row?.version.kind !== 'object') return undefined
      checkIsHere(row.version, world.now())
      const found = { bucket: subject.source, row: { ...row, version: row.version }, version: row.version }
      return { subject, found, source: await readSource(snapshot, { ...found, versionId: undefined }, key) }
    })
    if (read === undefined) return undefined
    const { subject, found, source } = read
    const name = { bucket: subject.source.name, key }
    const opening = await openingOf(this.#foundation, { ...found, versionId: undefined }, source, { name })
    const wish = wishOf(subject.target, subject.rule, version)
    const contentKey = wish === undefined ? undefined : await makeContentKey(this.#foundation, subject.target.id, wish)
    const { size } = version
    const bytes = await readContent(this.#foundation, source, { from: 0, to: size }, opening)
    const parts = source.kind === 'manifest' ? source.parts : undefined
    const written = await writeContent(
      this.#foundation,
      until(bytes, signal),
      { size, parts, contentKey, staging, restriction: undefined },
      (from) => this.#isMine(from, task, staging),
    )
    return { written, contentKey }
  }

  async #commit(
    to: Transaction,
    task: ReplicationTask,
    copied: {
      readonly written: WrittenContent
      readonly contentKey: ContentKey | undefined
      readonly staging: string
    },
  ): Promise<void> {
    const { written, contentKey, staging } = copied
    if (!(await this.#isMine(to, task, staging))) return throwAway(to, written)
    const { row } = await this.#readSource(to, task)
    const version = row?.version.kind === 'object' ? row.version : undefined
    const subject = version === undefined ? undefined : await this.#subject(to, task, version)
    if (version === undefined || subject === undefined) {
      throwAway(to, written)
      return await this.#end(to, task, 'FAILED')
    }
    const { target, rule } = subject
    // Made anew under the same name meanwhile: the data key is bound to the bucket that was.
    if (contentKey !== undefined && contentKey.bucket !== target.id) throw new Fault('SlowDown')
    const { key } = task.work.source
    const { state, row: there } = await readStamped(to, { bucket: target.id, key }, version.stamp, true)
    if (isThere(there?.version, version)) {
      throwAway(to, written)
      addJob(to, { kind: 'parts', upload: staging })
      return await this.#end(to, task, 'COMPLETED')
    }
    const { content, parts } = await placeContent(this.#foundation, to, written)
    const replica = withContent(
      replicaOf(this.#foundation, version, target, state, rule),
      content,
      key,
      contentKey,
      parts,
    )
    await insertAmong(to, state, replica)
    setInline(to, state, replica, written)
    addUsage(to, target.id, dayOf(this.#foundation.world.now()), 'bytes replicated', BigInt(replica.size))
    const made = { version: replica, versionId: formatStamp(replica.stamp) }
    await journalWrite(this.#foundation, to, { bucket: target, state, stamp: replica.stamp }, 'REST.PUT.OBJECT', made)
    tellWritten(this.#foundation, to, { bucket: target, key }, made, 'ObjectCreated:Put', undefined)
    await this.#end(to, task, 'COMPLETED')
  }

  async #copySlots(task: ReplicationTask): Promise<void> {
    await this.#foundation.store.transact(async (transaction) => {
      if ((await readTask(transaction, task.lane, task.id)) === undefined) return
      const { row } = await this.#readSource(transaction, task)
      const version = row?.version.kind === 'object' ? row.version : undefined
      const subject = version === undefined ? undefined : await this.#subject(transaction, task, version)
      if (version !== undefined && subject !== undefined) {
        const { key } = task.work.source
        await replicateSlots(this.#foundation, transaction, subject.target, key, version, subject.rule)
      }
      await this.#end(transaction, task, 'COMPLETED')
    })
  }

  async #tellFailure(to: Transaction, { work }: ReplicationTask, version: ObjectVersion): Promise<void> {
    const { bucket: name, bucketId, key } = work.source
    const bucket = await this.#foundation.namespace.bucket(to, name)
    if (bucket?.id !== bucketId) return
    const { stamp } = version
    const failure = { bucket, key, stamp, versionId: formatStamp(stamp), object: version, cause: undefined }
    tell(this.#foundation, to, { ...failure, event: 'Replication:OperationFailedReplication' })
  }

  /** Ends the task, and has the source tell how it stands: what failed once has failed, what is not all done is not done. */
  async #end(to: Transaction, task: ReplicationTask, outcome: 'COMPLETED' | 'FAILED'): Promise<void> {
    const kept = await readTask(to, task.lane, task.id)
    // Another one was faster, and has told.
    if (kept === undefined) return
    const { staging } = kept.work as ReplicationWork
    if (staging !== undefined && outcome === 'FAILED') addJob(to, { kind: 'parts', upload: staging })
    await endTask(to, task)
    const { row, state } = await this.#readSource(to, task)
    const version = row?.version
    if (row === undefined || version?.kind !== 'object' || version.replication === undefined) return
    if (outcome === 'FAILED') await this.#tellFailure(to, task, version)
    const isOver = !(await isStillReplicating(to, task.work))
    const status =
      outcome === 'FAILED' ? 'FAILED' : isOver && version.replication === 'PENDING' ? 'COMPLETED' : undefined
    if (status === undefined || status === version.replication) return
    rewriteVersion(to, state, { version, bytes: row.bytes }, { ...version, replication: status })
  }
}

/** Who may not, or cannot, will not by being asked again. */
const isFinal = ({ code }: Fault): boolean =>
  code !== 'SlowDown' && code !== 'ServiceUnavailable' && code !== 'InternalError'

async function* until(bytes: Uint8Array | AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (bytes instanceof Uint8Array) {
    yield bytes
    return
  }
  for await (const slice of bytes) {
    signal.throwIfAborted()
    yield slice
  }
}
