import { decodePage, freeBlob, readBlob } from '#src/metadata/blob-records.ts'
import { decodeConflict, dropConflict } from '#src/metadata/conflict-records.ts'
import { type Forgettable, forget, readForgettable, shadowed } from '#src/metadata/forgetting.ts'
import { decodeJob, type Job, readJobs } from '#src/metadata/jobs.ts'
import { under } from '#src/metadata/keyspace.ts'
import { clearPart, decodeCompletion, readParts } from '#src/metadata/upload-records.ts'
import { timeOf } from '#src/model/stamp.ts'
import type { Entry, Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'
import type { Foundation } from './foundation.ts'

/** Jobs looked at in one pass. */
const jobsPerPass = 100
/** Blobs freed in one transaction: some three keys each. */
const blobsPerTransaction = 500
/** Idle time between passes. */
const passMilliseconds = 1000
/** How long a completed upload keeps its answer (C26). */
const completionMilliseconds = 24 * 3600 * 1000
/** What has had its time is looked for this often. */
const expiryMilliseconds = 3600 * 1000
/** How long what was deleted is remembered one by one, and not by the floor of its partition. */
const tombstoneMilliseconds = 3600 * 1000
const rowsPerTransaction = 500

/**
 * Carries out the jobs of the outbox that free what nothing refers to any more.
 *
 * G1  a job is deleted in the transaction that finishes it; one that is run twice, or beside itself, ends in the same state (I10).
 */
export class Collector {
  readonly #foundation: Foundation

  constructor(foundation: Foundation) {
    this.#foundation = foundation
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(world: World, signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    let expired = Number.NEGATIVE_INFINITY
    while (!signal.aborted) {
      try {
        while (!signal.aborted && (await this.pass()) > 0);
        if (world.monotonic() - expired > expiryMilliseconds) {
          await this.expireCompletions()
          await this.expireConflicts()
          await this.forgetDeleted(world.now() - tombstoneMilliseconds)
          expired = world.monotonic()
        }
      } catch (error) {
        failed(error)
      }
      await world.sleep(passMilliseconds, signal).catch(() => undefined)
    }
  }

  /** Does the oldest jobs; gives how many transactions it took. */
  async pass(): Promise<number> {
    const rows = await this.#foundation.store.snapshot((snapshot) => readJobs(snapshot, jobsPerPass))
    let steps = 0
    for (const row of rows) {
      for (let isDone = false; !isDone; steps++) isDone = await this.#step(row)
    }
    return steps
  }

  /** One transaction's worth of a job; true once it is done and gone. */
  async #step({ key, value }: Entry): Promise<boolean> {
    const job = decodeJob(value)
    return await this.#foundation.store.transact(async (transaction) => {
      const isThere = (await transaction.get(key)) !== undefined
      const isDone = !isThere || (await collect(transaction, job))
      if (isDone) transaction.clear(key)
      return isDone
    })
  }

  /** Forgets the answers of uploads that were completed long ago. */
  async expireCompletions(): Promise<void> {
    const { store, world } = this.#foundation
    const all = under('completed', [])
    let { from } = all
    for (;;) {
      const page = await store.snapshot((snapshot) => snapshot.range(from, all.to, { limit: 1000 }))
      const old = page.filter(({ value }) => decodeCompletion(value).at < world.now() - completionMilliseconds)
      if (old.length > 0) {
        await store.transact(async (transaction) => {
          for (const { key } of old) transaction.clear(key)
        })
      }
      const last = page.at(-1)
      if (last === undefined) return
      from = afterKey(last.key)
    }
  }

  /** Lets go of what lost unseen, and had its time. */
  async expireConflicts(): Promise<void> {
    const { store, world } = this.#foundation
    const all = under('conflict', [])
    let { from } = all
    for (;;) {
      const page = await store.snapshot((snapshot) => snapshot.range(from, all.to, { limit: rowsPerTransaction }))
      const old = page.filter(({ value }) => decodeConflict(value).conflict.expires <= world.now())
      if (old.length > 0) {
        await store.transact(async (transaction) => {
          for (const row of old) await dropConflict(transaction, row, world.now())
        })
      }
      const last = page.at(-1)
      if (last === undefined) return
      from = afterKey(last.key)
    }
  }

  /**
   * Forgets what was deleted before a time, in milliseconds since the epoch. Where there are peers, tombstones are not the
   * collector's (C10): something older may still be on its way from them.
   */
  async forgetDeleted(before: number): Promise<void> {
    const { store, namespace, hasPeers } = this.#foundation
    const kept = await store.snapshot((snapshot) => shadowed(snapshot, namespace))
    const isOld = ({ bucket, stamp }: Forgettable): boolean => timeOf(stamp) < before && !kept.has(bucket)
    for (const space of hasPeers === true ? (['memory'] as const) : (['tombstone', 'memory'] as const)) {
      let { from } = under(space, [])
      for (;;) {
        const page = await store.snapshot((snapshot) => readForgettable(snapshot, space, from, rowsPerTransaction))
        const last = page.at(-1)
        if (last === undefined) break
        await store.transact((transaction) => forget(transaction, page, isOld))
        from = afterKey(last.key)
      }
    }
  }
}

async function collect(to: Transaction, job: Job): Promise<boolean> {
  switch (job.kind) {
    case 'blobs':
      for (const blob of job.blobs) await freeBlob(to, blob)
      return true
    case 'manifest':
      return await collectPage(to, job.blob)
    case 'parts':
      return await collectParts(to, job.upload)
  }
}

async function collectPage(to: Transaction, blob: string): Promise<boolean> {
  // A change from another cell names it again: it was written anew, with all of its pages and parts.
  if ((await readBlob(to, blob)) !== undefined) return true
  const { from, to: end } = under('manifest', [Buffer.from(blob, 'hex')])
  const [page, ...more] = await to.range(from, end, { limit: 2 })
  if (page === undefined) return true
  for (const part of decodePage(page.value)) await freeBlob(to, part.blob)
  to.clear(page.key)
  return more.length === 0
}

async function collectParts(to: Transaction, upload: string): Promise<boolean> {
  const parts = await readParts(to, upload, 0, blobsPerTransaction)
  for (const part of parts) {
    await freeBlob(to, part.blob)
    clearPart(to, upload, part.number)
  }
  return parts.length < blobsPerTransaction
}
