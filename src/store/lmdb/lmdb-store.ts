import { Attempt, PinnedSnapshot } from '#src/store/attempt.ts'
import { pause } from '#src/store/retry.ts'
import { limits, type Snapshot, type Store, StoreError, type Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { Committer } from './committer.ts'
import type { Environment } from './environment.ts'
import { type Reader, Readers } from './readers.ts'
import { Watches } from './watches.ts'

/** How often what is too old is ended, in milliseconds. */
const sweepInterval = 1_000

/**
 * The store in one LMDB environment, which several processes may have open. Bodies run on pinned read transactions and are
 * checked, by the values they read, inside the write transaction that commits them with others (committer.ts).
 */
export class LmdbStore implements Store {
  readonly #world: World
  readonly #environment: Environment
  readonly #committer: Committer
  readonly #readers: Readers
  readonly #watches: Watches
  #sweeping = false
  #closing: Promise<void> | undefined

  constructor(world: World, environment: Environment, broken: (error: unknown) => void) {
    this.#world = world
    this.#environment = environment
    this.#readers = new Readers(world, environment)
    this.#watches = new Watches(world, () => environment.lastCommit())
    this.#committer = new Committer(environment, () => this.#watches.check(), broken)
  }

  async transact<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let conflicts = 0; ; conflicts++) {
      await pause(this.#world, conflicts)
      const reader = await this.#reader()
      try {
        const attempt = new Attempt(this.#world, reader.pin)
        const result = await body(attempt)
        attempt.check()
        reader.release()
        if (attempt.writes.length === 0) return result
        this.#sweep()
        if ((await this.#committer.commit(attempt)) === 'committed') return result
      } finally {
        reader.release()
      }
    }
  }

  /** Bytes of the data file that are free for writes. */
  reusableBytes(): number {
    return this.#environment.reusableBytes()
  }

  async snapshot<T>(body: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const reader = await this.#reader()
    try {
      return await body(new PinnedSnapshot(this.#world, reader.pin))
    } finally {
      reader.release()
    }
  }

  async watch(key: Uint8Array, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const before = await this.snapshot((snapshot) => snapshot.get(key))
    await this.#watches.add(() => this.#hasChanged(key, before), signal)
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    await this.#committer.stop()
    this.#watches.stop(closedError())
    this.#readers.close()
    await this.#environment.close()
  }

  #check(): void {
    if (this.#closing !== undefined) throw closedError()
    if (this.#committer.refusal !== undefined) throw this.#committer.refusal
  }

  #reader(): Reader | Promise<Reader> {
    this.#check()
    this.#sweep()
    return this.#readers.take()
  }

  #hasChanged(key: Uint8Array, before: Uint8Array | undefined): boolean {
    const pinned = this.#environment.pin()
    // A watch may resolve without a change, but not wait for a state to be free.
    if (pinned === undefined) return true
    try {
      const now = pinned.view.get(key)
      return now === undefined || before === undefined ? now !== before : Buffer.compare(now, before) !== 0
    } finally {
      pinned.release()
    }
  }

  /** Ends, from time to time, what is too old: a forgotten snapshot would keep LMDB from using freed pages again. */
  #sweep(): void {
    if (this.#sweeping) return
    this.#sweeping = true
    // It throws only if the sleep does; then the next call starts it again.
    const stopped = () => {
      this.#sweeping = false
    }
    this.#sweepLoop().then(stopped, stopped)
  }

  async #sweepLoop(): Promise<void> {
    do {
      await this.#world.sleep(sweepInterval, new AbortController().signal)
      this.#readers.expire(limits.transactionMilliseconds)
      this.#committer.expire()
    } while (this.#closing === undefined && (this.#readers.busy || this.#committer.busy))
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed')
}
