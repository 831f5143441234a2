import { Queue, Worker } from 'bullmq'
import type { Handler, JobQueue, Task, WorkOptions } from './job-queue.ts'

export interface RedisQueueOptions {
  /** As `redis://[::1]:6379/0`. */
  readonly url: string
  /** Of the queue; regions that share a Redis have one each. */
  readonly name: string
  /** Told of every connection that fails, again and again while Redis is away. */
  failed(error: unknown): void
}

/** Between two attempts to reach Redis, in milliseconds. */
const [reconnectFirst, reconnectMost] = [500, 10_000]

/** How long Redis may take to take tasks. */
const answerMilliseconds = 5_000

/** How long a stop waits for tasks in hand, and for Redis to hear of it. */
const closeMilliseconds = 5_000

/** Where the process that worked on a task died, another one begins it after this, in milliseconds. */
const stalledMilliseconds = 30_000

/**
 * The queue of a region with several nodes: BullMQ on Redis. Nothing is kept of a task that ended, for BullMQ ignores the id
 * of one that it remembers, and the outbox asks again for what was not done.
 */
export class RedisQueue implements JobQueue {
  readonly #queue: Queue
  readonly #options: RedisQueueOptions
  #isOver = false

  constructor(options: RedisQueueOptions) {
    this.#options = options
    this.#queue = new Queue(options.name, {
      // Adding fails at once while Redis is away, and soon where it hangs: the relay comes again.
      connection: {
        ...this.#connection(),
        enableOfflineQueue: false,
        maxRetriesPerRequest: 1,
        commandTimeout: answerMilliseconds,
      },
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true, attempts: 1 },
    })
    this.#queue.on('error', options.failed)
  }

  #connection() {
    return {
      url: this.#options.url,
      // Milliseconds; null: not any more, for a connection that is tried again would keep the process from ending.
      retryStrategy: (times: number) => (this.#isOver ? null : Math.min(reconnectMost, reconnectFirst * 2 ** times)),
    }
  }

  async add(tasks: readonly Task[]): Promise<void> {
    if (tasks.length === 0) return
    await this.#queue.addBulk(
      // BullMQ's 0 stands before all priorities, without an order of its own to others.
      tasks.map(({ id, urgency, trace = null }) => ({
        name: 'job',
        data: trace,
        opts: { jobId: id, priority: urgency + 1 },
      })),
    )
  }

  async work(handler: Handler, { signal, pace, failed }: WorkOptions): Promise<void> {
    const worker = new Worker(
      this.#options.name,
      async ({ id, data }) => {
        const trace = typeof data === 'string' ? data : undefined
        // A handler's failure is in the outbox already; to BullMQ the task has ended either way.
        if (id !== undefined) await handler(id, trace).catch(failed)
      },
      {
        connection: { ...this.#connection(), maxRetriesPerRequest: null },
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
    // It waits for what is in hand; and for ever where its connection broke a moment ago (BullMQ 6.7).
    await within(closeMilliseconds, worker.pause())
    this.#isOver = true
    await within(closeMilliseconds, worker.close(true))
  }

  async waiting(): Promise<number> {
    const { waiting = 0, prioritized = 0 } = await this.#queue.getJobCounts('waiting', 'prioritized')
    return waiting + prioritized
  }

  /** Redis may be away: what it is not told, it finds out. */
  async close(): Promise<void> {
    this.#isOver = true
    await within(closeMilliseconds, this.#queue.close())
  }
}

/** Once it is settled, however it ended, but after so many milliseconds at the latest. */
async function within(milliseconds: number, closing: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds)
  })
  await Promise.race([closing.catch(() => undefined), late])
  clearTimeout(timer)
}
