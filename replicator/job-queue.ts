/**
 * What reminds workers of jobs, spreads them, and holds them back. It names jobs and knows nothing else of them: what they
 * are, and whether they were done, is in the outbox (C28), so a queue that loses its memory loses time and nothing else.
 *
 * Q1  what was added is handed out at least once, while the queue keeps its memory.
 * Q2  what is added again while it waits or is being worked on is handed out once.
 * Q3  of what waits, the more urgent comes first, and then what was added first.
 * Q4  a worker has no more in hand at once, and begins no more a second, than its pace says.
 * Q5  whether a task ended well or badly, it may be added again afterwards.
 */
export interface JobQueue {
  add(tasks: readonly Task[]): Promise<void>
  /**
   * Hands out tasks until the signal, then waits for those in hand. What the handler throws goes to `failed`; so does what
   * keeps the queue from working, which it goes on trying.
   */
  work(handler: Handler, options: WorkOptions): Promise<void>
  /** How many wait. */
  waiting(): Promise<number>
  close(): Promise<void>
}

/** `trace`: what came with the task. */
export type Handler = (id: string, trace: string | undefined) => Promise<void>

export interface Task {
  readonly id: string
  /** The span that adds it, as `traceparent` has it. Absent: it is not traced. */
  readonly trace?: string
  /** 0 is the most urgent; below 1,000. */
  readonly urgency: number
}

export interface WorkOptions {
  readonly signal: AbortSignal
  readonly pace: Pace
  failed(error: unknown): void
}

export interface Pace {
  readonly concurrency: number
  /** Begun a second, at most. */
  readonly perSecond: number
}
