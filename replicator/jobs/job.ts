import type { OutboxJob } from '#src/metadata/outbox.ts'
import type { Transaction } from '#src/store/store.ts'

/**
 * One kind of job.
 *
 * J2  a job may run twice, late, or beside itself, and its payload names things only: `run` reads what they are (I10).
 */
export interface JobKind {
  readonly name: string
  /** 0 is the most urgent; below 1,000. */
  readonly urgency: number
  /** Given up after so many that failed. */
  readonly attempts: number
  /**
   * A Fault means that no later attempt could do better, unless it says that the service is busy; anything else that is thrown is
   * tried again. The effect's own
   * transaction ends the job with `done`; where there is no effect left to have, none needs to.
   */
  run(job: OutboxJob, done: (transaction: Transaction) => void, signal: AbortSignal): Promise<void>
}
