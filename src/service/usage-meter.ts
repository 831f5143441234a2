import type { Bucket } from '#src/model/bucket.ts'
import { dayOf, type Metric } from '#src/model/usage.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { randomId } from './random-words.ts'
import { addBatch, type BatchedCount, type UsageBatch } from './usage-batches.ts'
import type { UsageJournal } from './usage-journal.ts'

/** Counts of so many buckets and days make one batch at most: each is a few keys of its transaction. */
const countsMost = 500
const flushMilliseconds = 10_000
const journalMilliseconds = 1_000
/** Batches that wait while the metadata is away; what comes on top of them is merged into the last. */
const waitingMost = 100

export type Metered = Pick<Bucket, 'id' | 'name' | 'owner'>

export interface UsageMeterParts {
  readonly store: Store
  readonly world: World
  /** Absent: what was not flushed ends with the process. */
  readonly journal?: UsageJournal
  readonly failed: (error: unknown) => void
}

interface Counting {
  readonly of: Metered
  readonly day: number
  /** In a process, and until they are added, far below where numbers end to be exact. */
  readonly values: Map<Metric, number>
}

/**
 * Counts requests and bytes in the process, and adds them to the metadata together.
 *
 * V12 what a process counted up to `journalMilliseconds` before its end is added, by itself or by another, once; nothing is added
 *     twice. A power cut may take what was counted in the last `flushMilliseconds`.
 */
export class UsageMeter {
  readonly #parts: UsageMeterParts
  readonly #process: string
  readonly #journal: UsageJournal | undefined
  #sequence = 0
  #counting = new Map<string, Counting>()
  #isDirty = false
  readonly #waiting: UsageBatch[] = []
  #flushing: Promise<void> | undefined

  constructor(parts: UsageMeterParts) {
    this.#parts = parts
    this.#process = randomId(parts.world)
    this.#journal = parts.journal
  }

  count(of: Metered, values: readonly (readonly [Metric, number])[]): void {
    const day = dayOf(this.#parts.world.now())
    const id = `${day} ${of.id}`
    let counting = this.#counting.get(id)
    if (counting === undefined) {
      if (this.#counting.size >= countsMost && this.#waiting.length < waitingMost) this.#seal()
      counting = { of, day, values: new Map() }
      this.#counting.set(id, counting)
    }
    for (const [metric, value] of values) {
      if (value > 0) counting.values.set(metric, (counting.values.get(metric) ?? 0) + value)
    }
    this.#isDirty = true
  }

  /** Closes the batch that is counted into. */
  #seal(): void {
    if (this.#counting.size === 0) return
    this.#waiting.push(this.#batch())
    this.#sequence++
    this.#counting = new Map()
  }

  #batch(): UsageBatch {
    const counts = [...this.#counting.values()].map(
      ({ of, day, values }): BatchedCount => ({
        bucket: of.id,
        name: of.name,
        account: of.owner,
        day,
        values: Object.fromEntries([...values].map(([metric, value]) => [metric, String(value)])),
      }),
    )
    return { process: this.#process, sequence: this.#sequence + 1, counts }
  }

  /** Writes down what was counted and not added yet. */
  keep(): void {
    if (this.#journal === undefined || !this.#isDirty) return
    this.#isDirty = false
    this.#journal.write(this.#counting.size === 0 ? this.#waiting : [...this.#waiting, this.#batch()])
  }

  /** Adds all that was counted; what cannot be added now stays. */
  async flush(): Promise<void> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined
    })
    await this.#flushing
  }

  async #flushAll(): Promise<void> {
    this.#seal()
    const { store, world } = this.#parts
    for (let [batch] = this.#waiting; batch !== undefined; [batch] = this.#waiting) {
      await addBatch(store, batch, world.now())
      this.#waiting.shift()
      this.#isDirty = true
    }
    this.keep()
  }

  /** Adds what processes left that are no more; gives how many of them there were. */
  async recover(): Promise<number> {
    const { store, world } = this.#parts
    const left = (await this.#journal?.left()) ?? []
    for (const { batches, forget } of left) {
      for (const batch of batches) await addBatch(store, batch, world.now())
      forget()
    }
    return left.length
  }

  /** Until the signal; then all is added. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, failed } = this.#parts
    let flushed = world.monotonic()
    while (!signal.aborted) {
      await world.sleep(journalMilliseconds, signal).catch(() => undefined)
      try {
        this.keep()
        if (world.monotonic() - flushed < flushMilliseconds) continue
        flushed = world.monotonic()
        await this.flush()
      } catch (error) {
        failed(error)
      }
    }
    await this.flush().catch(failed)
    this.#journal?.close()
  }
}
