import { Fault } from '#src/errors.ts'
import type { SealedLog } from '#src/metadata/log-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { admitsLogs } from '#src/model/log-permission.ts'
import { isSameLogging, type Logging, standardLogging } from '#src/model/logging.ts'
import type { Transaction } from '#src/store/store.ts'
import type { Foundation } from './foundation.ts'
import type { LogDelivery } from './log-delivery.ts'
import { usualLogs } from './log-options.ts'
import { addRecord, guardedTarget, readLogTarget, sealOpen } from './log-writing.ts'
import type { Logs } from './services.ts'

/** Records that one transaction takes. */
const recordsPerCommit = 500
/** Records that wait at most: what comes while the store does not move is dropped, as memory has an end. */
const waitingMost = 20_000
/** What an answer waits for its record at most: logging may be slow, requests must not become so. */
const patienceMilliseconds = 2_000

interface Waiting {
  readonly bucket: Bucket
  readonly line: string
  readonly done: () => void
}

/** Standard records come from the gateway, as many at once as there are requests; they are committed together. */
export class CellLogs implements Logs {
  readonly #foundation: Foundation
  readonly #delivery: LogDelivery
  readonly #failed: (error: unknown) => void
  #waiting: Waiting[] = []
  #isCommitting = false

  constructor(foundation: Foundation, delivery: LogDelivery, failed: (error: unknown) => void) {
    this.#foundation = foundation
    this.#delivery = delivery
    this.#failed = failed
  }

  get rollSeconds(): number {
    return (this.#foundation.logs ?? usualLogs).rollSeconds
  }

  async configure(...[name, change]: Parameters<Logs['configure']>): Promise<string | undefined> {
    const { store, namespace, world } = this.#foundation
    const sealed = await store.transact(async (transaction) => {
      const before = await namespace.existingBucket(transaction, name)
      const asked = change(before)
      const wanted = asked === undefined ? undefined : { ...asked, modified: world.now() }
      if (wanted !== undefined) await this.#check(transaction, before, wanted)
      if (isSameLogging(before.logging, wanted)) return undefined
      // Records that were written under the old configuration are not held back, nor mixed with those under the new one.
      const closed = await sealOpen(this.#foundation, transaction, before, { evenEmpty: wanted !== undefined })
      const { logging: _, ...rest } = before
      namespace.changeBucket(transaction, wanted === undefined ? rest : { ...rest, logging: wanted })
      return closed
    })
    return sealed === undefined ? undefined : await this.#deliverEventually(sealed)
  }

  /** Fault where the target is none that this bucket may be logged to. */
  async #check(from: Transaction, source: Bucket, { target: name, prefix }: Logging): Promise<void> {
    const target = await this.#foundation.namespace.bucket(from, name)
    if (target === undefined || target.state !== 'active') {
      const message = 'The target bucket for logging does not exist'
      throw new Fault('InvalidTargetBucketForLogging', { message, TargetBucket: name })
    }
    const refuse = (why: string): Fault =>
      new Fault('InvalidArgument', { message: why, ArgumentName: 'TargetBucket', ArgumentValue: name })
    if (target.id === source.id) throw refuse('A bucket cannot be the target of its own logs.')
    if (target.logging !== undefined) throw refuse('The target bucket has logging itself.')
    if (target.encryption !== undefined) throw refuse('The target bucket has default encryption.')
    if (target.documents['requestPayment'] === 'Requester') throw refuse('The target bucket has requester pays.')
    if (!admitsLogs(guardedTarget(target), source, prefix)) {
      const message = 'The target bucket does not let logging.s3.amazonaws.com write logs of this bucket.'
      throw new Fault('AccessDenied', { message })
    }
  }

  async flush(...[name, guard]: Parameters<Logs['flush']>): Promise<string> {
    const { store, namespace } = this.#foundation
    const sealed = await store.transact(async (transaction) => {
      const bucket = await namespace.existingBucket(transaction, name)
      guard(bucket)
      const { logging } = bucket
      if (logging === undefined) {
        throw new Fault('InvalidRequest', { message: 'The bucket has no logging.', BucketName: name })
      }
      const target = await readLogTarget(this.#foundation, transaction, bucket, logging)
      if (target === undefined) {
        throw new Fault('AccessDenied', { message: `Logging bucket '${logging.target}' does not take logs.` })
      }
      return await sealOpen(this.#foundation, transaction, bucket, { evenEmpty: true })
    })
    if (sealed === undefined) throw new Error('a log was closed, and is none')
    await this.#delivery.deliverThrough(sealed)
    return sealed.key
  }

  /** What cannot be delivered now is delivered in the background. */
  async #deliverEventually(sealed: SealedLog): Promise<string> {
    await this.#delivery.deliverThrough(sealed).catch(this.#failed)
    return sealed.key
  }

  async close(to: Transaction, bucket: Bucket): Promise<SealedLog | undefined> {
    return await sealOpen(this.#foundation, to, bucket, { evenEmpty: false })
  }

  async deliver(sealed: SealedLog): Promise<void> {
    await this.#deliverEventually(sealed)
  }

  /** Best effort, as with AWS: a record that cannot be written fails no request. */
  async record(bucket: Bucket, line: string): Promise<void> {
    if (this.#waiting.length >= waitingMost) return
    const written = new Promise<void>((resolve) => {
      this.#waiting.push({ bucket, line, done: resolve })
    })
    if (!this.#isCommitting) void this.#commitAll()
    const enough = new AbortController()
    const late = this.#foundation.world.sleep(patienceMilliseconds, enough.signal).catch(() => undefined)
    await Promise.race([written, late])
    enough.abort()
  }

  async #commitAll(): Promise<void> {
    this.#isCommitting = true
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, recordsPerCommit)
      try {
        // Reading must not fill a disk: what is kept in reserve is for deletions.
        this.#foundation.space?.check()
        const sealed = await this.#foundation.store.transact((transaction) => this.#add(transaction, batch))
        for (const each of sealed) await this.#deliverEventually(each)
      } catch (error) {
        this.#failed(error)
      }
      for (const { done } of batch) done()
    }
    this.#isCommitting = false
  }

  async #add(to: Transaction, batch: readonly Waiting[]): Promise<readonly SealedLog[]> {
    const sealed: SealedLog[] = []
    for (const { bucket, line } of batch) {
      const logging = standardLogging(bucket)
      if (logging === undefined) continue
      const added = await addRecord(this.#foundation, to, bucket, logging, line)
      if (added.sealed !== undefined) sealed.push(added.sealed)
    }
    return sealed
  }
}
