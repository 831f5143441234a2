import { Worker } from 'node:worker_threads'
import { Fault } from '#src/errors.ts'
import type { SelectRequest, Source, Stats } from './request.ts'
import type { FromThread, ToThread } from './thread-messages.ts'

/**
 * Threads that run queries, so that no query holds up the requests of others.
 *
 * S1  a query has a bounded heap, and can be stopped wherever it is: what needs more memory, or stands still, ends in an error.
 * S2  no more queries run than `runningMax`; others wait for their turn, and too many are refused.
 */
export interface ThreadLimits {
  readonly runningMax: number
  readonly waitingMax: number
  readonly heapMegabytes: number
}

/** Threads that are kept for the next query; starting one takes longer than most queries. */
const idleMax = 2

const entry = new URL('./thread.ts', import.meta.url)

export class QueryThreads {
  readonly #limits: ThreadLimits
  readonly #idle: Worker[] = []
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limits: ThreadLimits) {
    this.#limits = limits
  }

  /** Waits for its turn. Fault `Busy` where too many do. */
  async start(request: SelectRequest, source: Source): Promise<Query> {
    const { runningMax, waitingMax } = this.#limits
    if (this.#running < runningMax) this.#running++
    else {
      if (this.#waiting.length >= waitingMax) throw new Fault('Busy')
      // Who ends hands over its place.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    const worker = this.#idle.pop() ?? this.#open()
    worker.ref()
    return new Query(worker, request, source, (isReusable) => this.#free(worker, isReusable))
  }

  #open(): Worker {
    const { heapMegabytes } = this.#limits
    const worker = new Worker(entry, {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    })
    // A thread that dies while it has no query must not take the process with it.
    worker.on('error', () => this.#forget(worker))
    worker.on('exit', () => this.#forget(worker))
    return worker
  }

  #free(worker: Worker, isReusable: boolean): void {
    if (isReusable && this.#idle.length < idleMax) {
      worker.unref()
      this.#idle.push(worker)
    } else void worker.terminate()
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }

  #forget(worker: Worker): void {
    const at = this.#idle.indexOf(worker)
    if (at >= 0) this.#idle.splice(at, 1)
  }
}

/** Records, as they come; undefined: that was all. */
export type QueryStep = Uint8Array | undefined

/** A query that runs. It goes on only as far as its records are taken. */
export class Query {
  readonly #worker: Worker
  readonly #source: Source
  readonly #free: (isReusable: boolean) => void
  #stats: Readonly<Stats> = { scanned: 0, processed: 0, returned: 0 }
  #steps: { readonly step?: QueryStep; readonly error?: unknown }[] = []
  #awaited: (() => void) | undefined
  #readError: unknown
  #reading = 0
  #heard = 0
  #isFreed = false
  #hasUntaken = false

  constructor(worker: Worker, request: SelectRequest, source: Source, free: (isReusable: boolean) => void) {
    this.#worker = worker
    this.#source = source
    this.#free = free
    worker.on('message', this.#onMessage).on('error', this.#onError).on('exit', this.#onExit)
    this.#tell({ kind: 'start', request, size: source.size })
  }

  readonly #onMessage = (message: FromThread): void => this.#hear(message)
  readonly #onError = (error: NodeJS.ErrnoException): void => this.#fail(deathOf(error))
  readonly #onExit = (): void => this.#fail(new Fault('ExternalEvalException'))

  get stats(): Readonly<Stats> {
    return this.#stats
  }

  /** Grows whenever the thread says something, and while it waits for bytes of the object. */
  get heard(): number {
    return this.#reading > 0 ? ++this.#heard : this.#heard
  }

  /** The next records. Throws what went wrong, also what reading the object threw. */
  async next(): Promise<QueryStep> {
    if (this.#hasUntaken) {
      this.#hasUntaken = false
      this.#tell({ kind: 'taken' })
    }
    if (this.#steps.length === 0) {
      await new Promise<void>((resolve) => {
        this.#awaited = resolve
      })
    }
    const { step, error } = this.#steps.shift() ?? {}
    if (error !== undefined) throw error
    if (step !== undefined) this.#hasUntaken = true
    return step
  }

  /** Ends it, wherever it is. */
  stop(): void {
    this.#release(false)
  }

  #tell(message: ToThread, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer)
  }

  #hear(message: FromThread): void {
    this.#heard++
    this.#stats = message.stats
    switch (message.kind) {
      case 'read':
        void this.#read(message.id, message.from, message.to)
        break
      case 'records':
        this.#give({ step: message.bytes })
        break
      case 'end':
        this.#release(true)
        this.#give({ step: undefined })
        break
      case 'fault':
        this.#release(true)
        this.#give({ error: new Fault(message.code, message.details) })
        break
      case 'bug':
        this.#fail(this.#readError ?? new Error('a query failed', { cause: message.error }))
    }
  }

  async #read(id: number, from: number, to: number): Promise<void> {
    this.#reading++
    try {
      const bytes = await this.#source.read(from, to)
      const { buffer } = bytes
      // What is shared with other buffers cannot be handed over.
      const isOwn = buffer instanceof ArrayBuffer && buffer.byteLength === bytes.length
      if (!this.#isFreed) this.#tell({ kind: 'bytes', id, bytes }, isOwn ? [buffer] : [])
    } catch (error) {
      this.#readError = error
      if (!this.#isFreed) this.#tell({ kind: 'bytes', id })
    }
    this.#reading--
  }

  #give(outcome: { readonly step?: QueryStep; readonly error?: unknown }): void {
    this.#steps.push(outcome)
    this.#awaited?.()
    this.#awaited = undefined
  }

  #fail(error: unknown): void {
    if (this.#isFreed) return
    this.#release(false)
    this.#give({ error })
  }

  #release(isReusable: boolean): void {
    if (this.#isFreed) return
    this.#isFreed = true
    this.#worker.off('message', this.#onMessage).off('error', this.#onError).off('exit', this.#onExit)
    this.#free(isReusable)
  }
}

/** A heap that is full is the query's doing; anything else is ours. */
function deathOf(error: NodeJS.ErrnoException): unknown {
  if (error.code !== 'ERR_WORKER_OUT_OF_MEMORY') return error
  return new Fault('ExternalEvalException', { message: 'The query needs more memory than it may have.' })
}
