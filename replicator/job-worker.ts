import { Fault } from '#src/errors.ts'
import { buryJob, finishJob, type OutboxJob, postponeJob, readJob } from '#src/metadata/outbox.ts'
import type { Store } from '#src/store/store.ts'
import type { Span } from '#src/telemetry/span.ts'
import { readTraceparent } from '#src/telemetry/trace-context.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import type { JobQueue, Pace } from './job-queue.ts'
import type { JobKind } from './jobs/job.ts'
import { jobOf } from './relay.ts'

/** After the first failure, in milliseconds; twice as long after each that follows. */
const firstBackoff = 1_000
const longestBackoff = 600_000

/** Faults that say that it may go better later. */
const passing: ReadonlySet<string> = new Set(['ServiceUnavailable', 'SlowDown', 'OperationAborted'])

export interface JobWorkerParts {
  readonly store: Store
  readonly world: World
  readonly queue: JobQueue
  readonly kinds: ReadonlyMap<string, JobKind>
  readonly pace: Pace
  done?(job: OutboxJob): void
  /** A job that failed; given up: it is a dead letter now. */
  report(job: OutboxJob, error: unknown, isGivenUp: boolean): void
  failed(error: unknown): void
  readonly tracer?: Tracer | undefined
}

/**
 * Does the jobs that the queue hands out.
 *
 * Q7  a job that failed is tried again, later each time, until its attempts are used up; then it is a dead letter with its reason.
 */
export class JobWorker {
  readonly #parts: JobWorkerParts

  constructor(parts: JobWorkerParts) {
    this.#parts = parts
  }

  async run(signal: AbortSignal): Promise<void> {
    const { queue, pace, failed } = this.#parts
    await queue.work((task, trace) => this.#do(jobOf(task), trace, signal), { signal, pace, failed })
  }

  async #do(id: string, trace: string | undefined, signal: AbortSignal): Promise<void> {
    const { store, world, tracer } = this.#parts
    const job = await store.snapshot((snapshot) => readJob(snapshot, id))
    if (job === undefined || job.due > world.now()) return
    if (tracer === undefined || job.trace === undefined) return await this.#work(job, signal)
    const attributes = {
      'meridian.job.kind': job.kind,
      'meridian.job.id': id,
      'meridian.job.attempt': job.attempts + 1,
    }
    // A queue that lost its memory was told again by somebody who has no span of it.
    const span = tracer.resume(`job ${job.kind}`, trace ?? job.trace, { kind: 'consumer', attributes })
    span?.link(readTraceparent(job.trace))
    await tracer.spanning(span, () => this.#work(job, signal, span))
  }

  async #work(job: OutboxJob, signal: AbortSignal, span?: Span): Promise<void> {
    const { store, kinds } = this.#parts
    const { id } = job
    const kind = kinds.get(job.kind)
    try {
      if (kind === undefined) throw new Fault('NotImplemented', { message: `No job of the kind ${job.kind} is known.` })
      await kind.run(job, (transaction) => finishJob(transaction, id), signal)
    } catch (error) {
      span?.failed(error)
      if (!signal.aborted) await this.#failed(job, kind, error)
      return
    }
    // Clearing what the effect's transaction has cleared is nothing; where there was no effect, this ends the job.
    await store.transact(async (transaction) => finishJob(transaction, id))
    this.#parts.done?.(job)
  }

  async #failed(job: OutboxJob, kind: JobKind | undefined, error: unknown): Promise<void> {
    const { store, world, report } = this.#parts
    const isHopeless = error instanceof Fault && !passing.has(error.code)
    const isLast = isHopeless || kind === undefined || job.attempts + 1 >= kind.attempts
    const reason = error instanceof Error ? error.message : String(error)
    const backoff = Math.min(longestBackoff, firstBackoff * 2 ** job.attempts)
    await store.transact(async (transaction) => {
      const now = await readJob(transaction, job.id)
      // Somebody else did it, or failed at it, meanwhile.
      if (now?.attempts !== job.attempts) return
      if (isLast) buryJob(transaction, now, reason)
      else postponeJob(transaction, now, reason, world.now() + backoff)
    })
    report(job, error, isLast)
  }
}
