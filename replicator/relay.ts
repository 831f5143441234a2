import { type OutboxJob, readOutbox } from '#src/metadata/outbox.ts'
import type { Store } from '#src/store/store.ts'
import type { Span } from '#src/telemetry/span.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import type { JobQueue, Task } from './job-queue.ts'

/** Jobs in one read of the outbox, and in one call to the queue. */
const pageJobs = 500
/** How long a job is taken for known to the queue: after that it is added again, and the queue says whether it was (C28). */
const trustMilliseconds = 60_000
/** How often the outbox is looked at for what is new. */
const lookMilliseconds = 100
/** How often it is read from its beginning: for what has become due, and what the queue forgot. */
const rescanMilliseconds = 5_000
/** What is looked at from the beginning: the rest waits for these anyhow. */
const rescanMost = 20_000

export interface RelayParts {
  readonly store: Store
  readonly world: World
  readonly queue: JobQueue
  /** How urgent jobs of a kind are. */
  urgencyOf(kind: string): number
  failed(error: unknown): void
  readonly tracer?: Tracer | undefined
}

/**
 * Brings jobs from the outbox to the queue.
 *
 * Q6  a job that is in the outbox, and due, is in the queue within a minute, whatever the queue has lost (C28).
 */
export class Relay {
  readonly #parts: RelayParts
  /** Which attempt of a job was added, and when. */
  readonly #added = new Map<string, { readonly attempts: number; readonly at: number }>()
  #newest: string | undefined

  constructor(parts: RelayParts) {
    this.#parts = parts
  }

  async run(signal: AbortSignal): Promise<void> {
    const { world, failed } = this.#parts
    let rescanned = Number.NEGATIVE_INFINITY
    while (!signal.aborted) {
      try {
        if (world.monotonic() - rescanned >= rescanMilliseconds) {
          await this.rescan()
          rescanned = world.monotonic()
        } else {
          await this.look()
        }
      } catch (error) {
        failed(error)
      }
      await world.sleep(lookMilliseconds, signal).catch(() => undefined)
    }
  }

  /** Adds what came since the last look. */
  async look(): Promise<void> {
    for (;;) {
      const page = await this.#read(this.#newest)
      await this.#add(page)
      const last = page.at(-1)
      if (last === undefined) return
      this.#newest = last.id
      if (page.length < pageJobs) return
    }
  }

  /** Adds what is due and not known to be in the queue, from the oldest job on. */
  async rescan(): Promise<void> {
    const seen = new Set<string>()
    let after: string | undefined
    while (seen.size < rescanMost) {
      const page = await this.#read(after)
      await this.#add(page)
      for (const { id } of page) seen.add(id)
      after = page.at(-1)?.id
      if (after !== undefined && (this.#newest === undefined || after > this.#newest)) this.#newest = after
      if (page.length < pageJobs) break
    }
    for (const id of this.#added.keys()) if (!seen.has(id)) this.#added.delete(id)
  }

  async #read(after: string | undefined): Promise<readonly OutboxJob[]> {
    return await this.#parts.store.snapshot((snapshot) => readOutbox(snapshot, after, pageJobs))
  }

  async #add(jobs: readonly OutboxJob[]): Promise<void> {
    const { world } = this.#parts
    const now = world.now()
    const wanted = jobs.filter(({ id, due, attempts }) => {
      const known = this.#added.get(id)
      const isKnown = known?.attempts === attempts && world.monotonic() - known.at < trustMilliseconds
      return due <= now && !isKnown
    })
    await this.#hand(wanted)
    for (const { id, attempts } of wanted) this.#added.set(id, { attempts, at: world.monotonic() })
  }

  async #hand(jobs: readonly OutboxJob[]): Promise<void> {
    const { queue, urgencyOf, tracer } = this.#parts
    const spans: Span[] = []
    const tasks = jobs.map(({ id, kind, attempts, trace }): Task => {
      const task = { id: taskOf(id, attempts), urgency: urgencyOf(kind) }
      const attributes = { 'meridian.job.kind': kind, 'meridian.job.id': id }
      const span = tracer?.resume('job relay', trace, { kind: 'producer', attributes })
      if (span === undefined) return task
      spans.push(span)
      return { ...task, trace: span.traceparent }
    })
    try {
      await queue.add(tasks)
    } catch (error) {
      for (const span of spans) span.failed(error)
      throw error
    } finally {
      for (const span of spans) span.end()
    }
  }
}

/** The attempt is part of the name: a queue that still has the one before must not take this for it. BullMQ forbids colons. */
const taskOf = (id: string, attempts: number): string => `${id}-${attempts}`

export const jobOf = (task: string): string => task.slice(0, task.lastIndexOf('-'))
