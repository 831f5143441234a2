import { Queue, Worker } from 'bullmq'
import type { JobQueue, Task, WorkOptions } from './job-queue.ts'

export interface RedisQueueOptions {
  /** As `redis://[::1]:6379/0`. */
  readonly url: string
  /** Of the queue; regions that share a Redis have one each. */
  readonly name: string
  /** Told of every connection that fails, again and again while Redis is away. */
  failed(error: unknown): void
}

/** Where the process that worked on a task died, another one begins it after this, in milliseconds. */
const stalledMilliseconds = 30_000

/**
 * The queue of a region with several nodes: BullMQ on Redis. Nothing is kept of a task that ended, for BullMQ ignores the id
 * of one that it remembers, and the outbox asks again for what was not done.
 */
export class RedisQueue implements JobQueue {
  readonly #queue: Queue
  readonly #options: RedisQueueOptions

  constructor(options: RedisQueueOptions) {
    this.#options = options
    this.#queue = new Queue(options.name, {
      // Adding fails at once while Redis is away: the relay comes again.
      connection: { url: options.url, enableOfflineQueue: false, maxRetriesPerRequest: 1 },
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
    })
    this.#queue.on('error', options.failed)
  }

  async add(tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return
    await this.#queue.addBulk(
      // BullMQ's 0 stands before all priorities, without an order of its own to others.
      tasks.map(({ id, urgency }) => ({ name: 'job', data: null, opts: { jobId: id, priority: urgency + 1 } })),
    )
  }

  async work(handler: (id: string) => Promise<void>, { signal, pace, failed }: WorkOptions): Promise<void> {
    const worker = new Worker(
      this.#options.name,
      async ({ id }) => {
        // A handler's failure is in the outbox already; to BullMQ the task has ended either way.
        if (id !== undefined) await handler(id).catch(failed)
      },
      {
        connection: { url: this.#options.url, maxRetriesPerRequest: null },
        concurrency: pace.concurrency,
        limiter: { max: pace.perSecond, duration: 1000 },
        stalledInterval: stalledMilliseconds,
      },
    )
    worker.on('error', failed)
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await worker.close()
  }

  async waiting(): Promise<number> {
    const { waiting = 0, prioritized = 0 } = await this.#queue.getJobCounts('waiting', 'prioritized')
    return waiting + prioritized
  }

  async close(): Promise<void> {
    await this.#queue.close()
  }
}
