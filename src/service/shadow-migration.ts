import { S3ServiceException } from '@aws-sdk/client-s3'
import type { SourceItem } from '#src/cloud/endpoint.ts'
import { whyFailed } from '#src/cloud/s3-endpoint.ts'
import { Fault } from '#src/errors.ts'
import { isKnown } from '#src/metadata/object-records.ts'
import { readMigration, type ShadowWork, setMigration } from '#src/metadata/shadow-records.ts'
import { endTask, readTask, type Task } from '#src/metadata/task-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Migration, Shadow } from '#src/model/shadow.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import { ShadowFailed, type ShadowImports } from './shadow-imports.ts'

export type MigrateTask = Task<Extract<ShadowWork, { readonly kind: 'migrate' }>>

/** Keys of one look; after a crash so many are looked at again at most. */
const keysPerPage = 500
const importsAtOnce = 16
/** Of larger objects fewer are under way, so that so many bytes are. */
const bytesAtOnce = 256 * 2 ** 20
const failuresKept = 100

interface Subject {
  readonly bucket: Bucket
  readonly shadow: Shadow
  readonly migration: Migration
}

type Outcome = 'imported' | 'known' | 'gone' | { readonly key: string; readonly reason: string }

/**
 * Copies everything that a shadow has.
 *
 * V8  every key that the shadow lists while a migration runs is here at its end, was known here before (be it by a tombstone), or is
 *     counted among those that failed or had gone. The cursor moves only once that is so of all keys before it, in the transaction
 *     that counts them; so a migration that is killed goes on where it was, and brings nothing twice.
 */
export class ShadowMigrations {
  readonly #foundation: Foundation
  readonly #imports: ShadowImports

  constructor(foundation: Foundation, imports: ShadowImports) {
    this.#foundation = foundation
    this.#imports = imports
  }

  async perform(task: MigrateTask, signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const subject = await this.#foundation.store.transact((transaction) => this.#subject(transaction, task))
      if (subject === undefined) return
      const source = await this.#imports.source(subject)
      const query = { prefix: '', delimiter: '', after: subject.migration.after, limit: keysPerPage }
      const { items, isTruncated } = await source.list(query, signal)
      const outcomes = await this.#bringAll(subject, items, signal)
      const last = items.at(-1)?.key
      if (isTruncated && last === undefined)
        throw new Error('the other store lists nothing, and says that there is more')
      await this.#foundation.store.transact((transaction) =>
        this.#advance(transaction, task, subject, outcomes, isTruncated ? last : undefined),
      )
      if (!isTruncated) return
    }
  }

  /** What there still is to do; ends a task that is nobody's any more. */
  async #subject(to: Transaction, task: MigrateTask): Promise<Subject | undefined> {
    if ((await readTask(to, task.lane, task.id)) === undefined) return undefined
    const bucket = await this.#foundation.namespace.bucket(to, task.work.bucket)
    const migration = await readMigration(to, task.work.bucketId)
    const isWanted =
      bucket?.id === task.work.bucketId &&
      bucket.shadow?.id === task.work.shadow &&
      migration?.shadow === task.work.shadow &&
      migration.state === 'running'
    if (isWanted && bucket.shadow !== undefined) return { bucket, shadow: bucket.shadow, migration }
    await endTask(to, task)
    return undefined
  }

  /** Rejects where it is the shadow as a whole, or this store, that could not: then the page is tried again. */
  async #bringAll(subject: Subject, items: readonly SourceItem[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = []
    let next = 0
    let bytes = 0
    let failure: { readonly error: unknown } | undefined
    const worker = async (): Promise<void> => {
      while (next < items.length && failure === undefined && !signal.aborted) {
        const item = items[next]
        if (item === undefined || (bytes > 0 && bytes + item.size > bytesAtOnce)) return
        next++
        bytes += item.size
        try {
          outcomes.push(await this.#bring(subject, item))
        } catch (error) {
          failure = { error }
        } finally {
          bytes -= item.size
        }
      }
    }
    while (next < items.length && failure === undefined && !signal.aborted) {
      await Promise.all(Array.from({ length: importsAtOnce }, worker))
    }
    if (failure !== undefined) throw failure.error
    signal.throwIfAborted()
    return outcomes
  }

  async #bring({ bucket, shadow }: Subject, { key }: SourceItem): Promise<Outcome> {
    const { store } = this.#foundation
    if (await store.snapshot((snapshot) => isKnown(snapshot, { bucket: bucket.id, key }))) return 'known'
    try {
      const outcome = await this.#imports.begin({ bucket, shadow, key }).landed
      return outcome === 'missing' ? 'gone' : outcome
    } catch (error) {
      const reason = ownReason(error)
      if (reason === undefined) throw error
      return { key, reason }
    }
  }

  async #advance(
    to: Transaction,
    task: MigrateTask,
    { bucket, migration: before }: Subject,
    outcomes: readonly Outcome[],
    after: string | undefined,
  ): Promise<void> {
    const migration = await readMigration(to, bucket.id)
    if (migration?.shadow !== before.shadow || migration.state !== 'running') return await endTask(to, task)
    // Somebody else does it too, and was faster: what was brought is here, and counted by that one.
    if (migration.after !== before.after) throw new Error('another one has taken this over')
    const failures = outcomes.filter((each) => typeof each === 'object')
    const isDone = after === undefined
    setMigration(to, bucket.id, {
      ...migration,
      listed: migration.listed + outcomes.length,
      known: migration.known + outcomes.filter((each) => each === 'known').length,
      gone: migration.gone + outcomes.filter((each) => each === 'gone').length,
      failed: migration.failed + failures.length,
      failures: [...migration.failures, ...failures].slice(0, failuresKept),
      ...(after !== undefined && { after }),
      ...(isDone && { state: 'done', ended: this.#foundation.world.now() }),
    })
    if (isDone) await endTask(to, task)
  }
}

/** Why this one object cannot be brought, however often it is tried; undefined: it is not about this one alone. */
function ownReason(error: unknown): string | undefined {
  if (error instanceof ShadowFailed) {
    const { cause } = error
    const status = cause instanceof S3ServiceException ? (cause.$metadata.httpStatusCode ?? 0) : 0
    return status === 400 || status === 403 ? whyFailed(cause) : undefined
  }
  return error instanceof Fault && error.code === 'MetadataTooLarge' ? error.code : undefined
}
