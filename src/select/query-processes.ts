import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Fault } from '#src/errors.ts'
import type { FromProcess, ToProcess } from './query-messages.ts'
import type { SelectRequest, Source, Stats } from './request.ts'

/**
 * Processes that run queries, so that no query holds up the requests of others, or takes them with it: where a list of a size that
 * some bytes of an object name does not fit into the heap, V8 ends the process, not the thread.
 *
 * S1  a query has a bounded heap, and may be silent for a bounded time; what needs more, or dies of what it read, ends in an error.
 * S2  no more queries run than `runningMax`; others wait for their turn, and too many are refused.
 * S3  a process ends with the one that started it, wherever it is.
 */
export interface QueryLimits {
  readonly runningMax: number
  readonly waitingMax: number
  readonly heapMegabytes: number
  /** Milliseconds that a query may work without reading or finding anything. */
  readonly silentMs: number
}

/** Processes that are kept for the next query; starting one takes longer than most queries. */
const idleMax = 2

const entry = fileURLToPath(new URL('./query-process.ts', import.meta.url))

export class QueryProcesses {
  readonly #limits: QueryLimits
  readonly #idle: ChildProcess[] = []
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(limits: QueryLimits) {
    this.#limits = limits
  }

  /** Waits for its turn. Fault `Busy` where too many do. */
  async start(request: SelectRequest, source: Source): Promise<Query> {
    const { runningMax, waitingMax, silentMs } = this.#limits
    if (this.#running < runningMax) this.#running++
    else {
      if (this.#waiting.length >= waitingMax) throw new Fault('Busy')
      // Who ends hands over its place.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    const child = this.#idle.pop() ?? this.#open()
    child.ref()
    child.channel?.ref()
    return new Query({ child, silentMs, free: (isReusable) => this.#free(child, isReusable) }, request, source)
  }

  #open(): ChildProcess {
    const child = fork(entry, [], {
      serialization: 'advanced',
      execArgv: ['--disable-warning=ExperimentalWarning', `--max-old-space-size=${this.#limits.heapMegabytes}`],
      // What it reads may be hostile: nothing that this process knows of keys is there to be found.
      env: {},
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    // Without listeners, one that dies while it has no query would take this process with it.
    child.on('error', () => this.#forget(child))
    child.on('exit', () => this.#forget(child))
    return child
  }

  #free(child: ChildProcess, isReusable: boolean): void {
    if (isReusable && child.connected && this.#idle.length < idleMax) {
      child.unref()
      child.channel?.unref()
      this.#idle.push(child)
    } else child.kill('SIGKILL')
    const next = this.#waiting.shift()
    if (next === undefined) this.#running--
    else next()
  }

  #forget(child: ChildProcess): void {
    const at = this.#idle.indexOf(child)
    if (at >= 0) this.#idle.splice(at, 1)
  }
}

/** Records, as they come; undefined: that was all. */
export type QueryStep = Uint8Array | undefined

interface Place {
  readonly child: ChildProcess
  readonly silentMs: number
  free(isReusable: boolean): void
}

/** A query that runs. It goes on only as far as its records are taken. */
export class Query {
  readonly #place: Place
  readonly #source: Source
  #stats: Readonly<Stats> = { scanned: 0, processed: 0, returned: 0 }
  #steps: { readonly step?: QueryStep; readonly error?: unknown }[] = []
  #awaited: (() => void) | undefined
  #readError: unknown
  #reading = 0
  #isFreed = false
  #hasUntaken = false
  #silence: NodeJS.Timeout | undefined

  constructor(place: Place, request: SelectRequest, source: Source) {
    this.#place = place
    this.#source = source
    place.child.on('message', this.#onMessage).on('error', this.#onError).on('exit', this.#onExit)
    this.#tell({ kind: 'start', request, size: source.size })
  }

  // What comes are the messages of query-process.ts alone.
  readonly #onMessage = (message: unknown): void => this.#hear(message as FromProcess)
  readonly #onError = (error: Error): void => this.#fail(error)
  readonly #onExit = (code: number | null, signal: string | null): void => this.#fail(deathOf(code, signal))

  get stats(): Readonly<Stats> {
    return this.#stats
  }

  /** The next records. Throws what went wrong, also what reading the object threw. */
  async next(): Promise<QueryStep> {
    if (this.#steps.length === 0 && this.#hasUntaken) {
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
    return step
  }

  /** Ends it, wherever it is. */
  stop(): void {
    this.#release(false)
  }

  #tell(message: ToProcess): void {
    if (this.#isFreed) return
    // That it cannot be told, since it is gone, is heard as its end.
    this.#place.child.send(message, () => undefined)
    this.#listen()
  }

  /** Its silence counts while it has all that it asked for. */
  #listen(): void {
    clearTimeout(this.#silence)
    if (this.#isFreed || this.#reading > 0 || this.#hasUntaken) return
    this.#silence = setTimeout(
      () => this.#fail(new Fault('ExternalEvalException', { message: 'The query takes too long.' })),
      this.#place.silentMs,
    )
  }

  #hear(message: FromProcess): void {
    this.#stats = message.stats
    switch (message.kind) {
      case 'read':
        void this.#read(message.id, message.from, message.to)
        break
      case 'records':
        this.#hasUntaken = true
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
    this.#listen()
  }

  async #read(id: number, from: number, to: number): Promise<void> {
    this.#reading++
    this.#listen()
    let bytes: Uint8Array | undefined
    try {
      bytes = await this.#source.read(from, to)
    } catch (error) {
      this.#readError = error
    }
    this.#reading--
    this.#tell({ kind: 'bytes', id, ...(bytes !== undefined && { bytes }) })
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
    clearTimeout(this.#silence)
    const { child, free } = this.#place
    child.off('message', this.#onMessage).off('error', this.#onError).off('exit', this.#onExit)
    free(isReusable)
  }
}

/** Whatever ended it: a full heap, most likely. It is the query's end, not ours. */
function deathOf(code: number | null, signal: string | null): Fault {
  const message = 'The query needs more memory than it may have.'
  return new Fault('ExternalEvalException', { message }, { cause: new Error(`its process ended: ${signal ?? code}`) })
}
