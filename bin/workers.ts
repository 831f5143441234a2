import cluster, { type Worker } from 'node:cluster'
import { join } from 'node:path'
import type { Config } from '#src/config/load.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Measurement, WorkerMeasurement } from './measuring.ts'
import type { ToPrimary, ToWorker } from './worker.ts'

/** A worker that lived this long was well; one that did not counts towards giving up. */
const wellAfterMs = 10_000
const crashesMax = 5
const restartMs = { first: 200, max: 5_000 }
/** How long a worker may take to tell what it measured. */
const measuringMs = 5_000

interface Slot {
  worker: Worker | undefined
  crashes: number
  timer: NodeJS.Timeout | undefined
}

/** Why workers cannot be kept running. */
export class WorkersFailed extends Error {}

/**
 * Several processes on one port, and those that died replaced.
 *
 * U1  every worker listens on the same port, also one that is started later.
 * U2  workers that die again and again, or cannot start at all, end the whole: loudly, never in a loop.
 */
export class Workers {
  #config: Config
  readonly #log: Log
  readonly #slots: readonly Slot[]
  readonly #onFailure: (error: WorkersFailed) => void
  /** Known once the first worker listens. */
  #port: number | undefined
  #flyOrigin: string | undefined
  #isStopping = false
  #questions = 0
  readonly #asked = new Map<number, (measurement: Measurement) => void>()

  constructor(config: Config, count: number, log: Log, onFailure: (error: WorkersFailed) => void) {
    this.#config = config
    this.#log = log
    this.#onFailure = onFailure
    this.#slots = Array.from({ length: count }, () => ({ worker: undefined, crashes: 0, timer: undefined }))
    cluster.setupPrimary({ exec: join(import.meta.dirname, 'worker.ts'), args: [] })
  }

  /** Where they are, once all of them listen. */
  async start(): Promise<{ readonly port: number; readonly flyOrigin: string | undefined }> {
    // The first one alone: it tries the store's files before the others open them.
    for (const [index, slot] of this.#slots.entries()) if (index === 0) await this.#run(slot, index)
    await Promise.all(this.#slots.map((slot, index) => (index === 0 ? undefined : this.#run(slot, index))))
    return { port: this.#port ?? 0, flyOrigin: this.#flyOrigin }
  }

  /** Answers what is under way in all of them. */
  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#slots.map((slot) => this.#stop(slot)))
  }

  /** What each of them measured. */
  measure(): Promise<readonly WorkerMeasurement[]> {
    return Promise.all(
      this.#slots.map(async ({ worker }, index) => ({
        worker: String(index),
        measurement: worker === undefined ? undefined : await this.#ask(worker),
      })),
    )
  }

  #ask(worker: Worker): Promise<Measurement | undefined> {
    const question = this.#questions++
    return new Promise((resolve) => {
      const done = (measurement?: Measurement): void => {
        clearTimeout(timer)
        this.#asked.delete(question)
        worker.off('exit', leave)
        resolve(measurement)
      }
      const leave = (): void => done()
      const timer = setTimeout(leave, measuringMs)
      worker.once('exit', leave)
      this.#asked.set(question, done)
      this.#tell(worker, { kind: 'measure', question })
    })
  }

  /** Without waiting for anything. */
  kill(): void {
    this.#isStopping = true
    for (const { worker } of this.#slots) worker?.process.kill('SIGKILL')
  }

  #stop({ worker, timer }: Slot): Promise<void> {
    clearTimeout(timer)
    if (worker === undefined || worker.isDead()) return Promise.resolve()
    return new Promise((resolve) => {
      worker.once('exit', () => resolve())
      this.#tell(worker, { kind: 'stop' })
    })
  }

  #tell(worker: Worker, message: ToWorker): void {
    // A worker that is gone by now is seen by its exit.
    if (worker.isConnected()) worker.send(message, () => {})
  }

  /** Starts a worker; resolves once it listens. */
  #run(slot: Slot, index: number): Promise<void> {
    // Workers that ask for any free port share one while any of them lives; after that it has to be asked for by its number.
    const isAlone = this.#slots.every(({ worker }) => worker === undefined)
    if (isAlone && this.#port !== undefined) {
      const flyPort = this.#flyOrigin === undefined ? {} : { flyPort: Number(new URL(this.#flyOrigin).port) }
      this.#config = { ...this.#config, port: this.#port, ...flyPort }
    }
    const worker = cluster.fork()
    const started = performance.now()
    slot.worker = worker
    let isReady = false
    return new Promise((resolve, reject) => {
      let reason = 'it ended before it was ready'
      worker.on('message', (message: ToPrimary) => {
        if (message.kind === 'measured') this.#asked.get(message.question)?.(message.measurement)
        else if (message.kind === 'failed') reason = message.reason
        else {
          isReady = true
          this.#flyOrigin ??= message.flyOrigin
          this.#agree(message.port)
          resolve()
        }
      })
      worker.on('exit', (code, signal) => {
        slot.worker = undefined
        if (!isReady) reject(new WorkersFailed(reason))
        else if (!this.#isStopping) {
          this.#log.error('a worker died', { worker: worker.process.pid, code, signal })
          this.#restart(slot, index, performance.now() - started >= wellAfterMs)
        }
      })
      this.#tell(worker, { kind: 'start', config: this.#config, isFirst: index === 0 })
    })
  }

  /** Workers that ask for any free port get one between them, for as long as one of them lives. */
  #agree(port: number): void {
    this.#port ??= port
    // One that was starting when all were told to stop finds the others gone.
    if (port !== this.#port && !this.#isStopping)
      this.#onFailure(new WorkersFailed(`all workers died, and port ${this.#port} with them`))
  }

  #restart(slot: Slot, index: number, wasWell: boolean): void {
    slot.crashes = wasWell ? 1 : slot.crashes + 1
    if (slot.crashes > crashesMax) {
      this.#onFailure(new WorkersFailed(`a worker died ${slot.crashes} times in a row`))
      return
    }
    const delay = Math.min(restartMs.max, restartMs.first * 2 ** (slot.crashes - 1))
    slot.timer = setTimeout(() => {
      this.#run(slot, index).catch((error: unknown) => {
        if (this.#isStopping) return
        this.#log.error('a worker did not start', { error })
        this.#restart(slot, index, false)
      })
    }, delay)
  }
}
