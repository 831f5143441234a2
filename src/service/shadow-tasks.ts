import { whyFailed } from '#src/cloud/s3-endpoint.ts'
import { Fault } from '#src/errors.ts'
import { isShadowLane, type ShadowWork } from '#src/metadata/shadow-records.ts'
import { changeTask, endTask, readTask, type Task } from '#src/metadata/task-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Shadow } from '#src/model/shadow.ts'
import type { Snapshot } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import type { Objects, Read } from './services.ts'
import { ShadowFailed, type ShadowImports } from './shadow-imports.ts'
import { type MigrateTask, ShadowMigrations } from './shadow-migration.ts'
import { type TaskFailure, TaskRunner } from './task-runner.ts'

type ImportTask = Task<Extract<ShadowWork, { readonly kind: 'import' }>>
type PassTask = Task<Extract<ShadowWork, { readonly kind: 'pass' }>>

export interface ShadowTaskOptions {
  readonly report: (failure: TaskFailure) => void
  readonly failed: (error: unknown) => void
}

/** Does what is asked of shadows beside requests: migrations, single imports, and what is written through. */
export class ShadowTasks {
  readonly runner: TaskRunner
  readonly #foundation: Foundation
  readonly #objects: Objects
  readonly #imports: ShadowImports
  readonly #migrations: ShadowMigrations

  /** `objects`: those that are here. */
  constructor(foundation: Foundation, objects: Objects, imports: ShadowImports, { report, failed }: ShadowTaskOptions) {
    this.#foundation = foundation
    this.#objects = objects
    this.#imports = imports
    this.#migrations = new ShadowMigrations(foundation, imports)
    this.runner = new TaskRunner({
      store: foundation.store,
      world: foundation.world,
      serves: isShadowLane,
      perform: (task, signal) => this.#perform(task as Task<ShadowWork>, signal),
      words: (error) => whyFailed(error instanceof ShadowFailed ? error.cause : error),
      report,
      failed,
    })
  }

  async #perform(task: Task<ShadowWork>, signal: AbortSignal): Promise<void> {
    const { work } = task
    if (work.kind === 'migrate') await this.#migrations.perform(task as MigrateTask, signal)
    else if (work.kind === 'import') await this.#import(task as ImportTask)
    else await this.#pass(task as PassTask, signal)
  }

  /** The bucket and its shadow, if they still are those that the task is about. */
  async #subject(
    from: Snapshot,
    { bucket: name, bucketId, shadow }: ShadowWork,
  ): Promise<{ readonly bucket: Bucket; readonly shadow: Shadow } | undefined> {
    const bucket = await this.#foundation.namespace.bucket(from, name)
    if (bucket?.id !== bucketId || bucket.shadow?.id !== shadow) return undefined
    return { bucket, shadow: bucket.shadow }
  }

  async #import(task: ImportTask): Promise<void> {
    const { store } = this.#foundation
    const subject = await store.snapshot((snapshot) => this.#subject(snapshot, task.work))
    if (subject !== undefined) await this.#imports.begin({ ...subject, key: task.work.key }).landed
    await store.transact((transaction) => endTask(transaction, task))
  }

  /** Has the shadow hold what is here now (V5). */
  async #pass(task: PassTask, signal: AbortSignal): Promise<void> {
    const { store, world } = this.#foundation
    const begun = await store.snapshot(async (snapshot) => {
      const standing = await readTask(snapshot, task.lane, task.id)
      const subject = await this.#subject(snapshot, task.work)
      return { work: standing?.work as PassTask['work'] | undefined, subject }
    })
    const { work, subject } = begun
    if (work === undefined) return
    if (subject === undefined) return await store.transact((transaction) => endTask(transaction, task))
    await this.#send(subject, work.key, signal)
    await store.transact(async (transaction) => {
      const now = (await readTask(transaction, task.lane, task.id))?.work as PassTask['work'] | undefined
      if (now === undefined || now.generation === work.generation) return await endTask(transaction, task)
      await changeTask(transaction, task, (each) => ({ ...each, due: world.now(), attempts: 0 }))
    })
  }

  async #send(
    { bucket, shadow }: { readonly bucket: Bucket; readonly shadow: Shadow },
    key: string,
    signal: AbortSignal,
  ): Promise<void> {
    const source = await this.#imports.source({ bucket, shadow })
    const read = await this.#readHere(bucket.name, key)
    if (read === 'unreadable') return
    if (read === 'gone') return await source.delete(key, signal)
    const { version, bytes } = read
    const { size, headers, metadata } = version
    await source.write(key, bytes instanceof Uint8Array ? once(bytes) : bytes, { size, headers, metadata }, signal)
  }

  /** What is in a cloud tier, or has a customer's key, cannot be read, and stays as it is there. */
  async #readHere(bucket: string, key: string): Promise<Read | 'gone' | 'unreadable'> {
    try {
      return await this.#objects.get({ name: { bucket, key }, conditions: {}, guard: () => {} })
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      if (error.code === 'NoSuchKey' || error.code === 'NoSuchBucket') return 'gone'
      if (error.code === 'InvalidObjectState' || error.code === 'InvalidRequest') return 'unreadable'
      throw error
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
