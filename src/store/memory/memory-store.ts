import { Attempt, PinnedSnapshot } from '#src/store/attempt.ts'
import type { View } from '#src/store/overlay.ts'
import { pause } from '#src/store/retry.ts'
import { type Snapshot, type Store, StoreError, type Transaction } from '#src/store/store.ts'
import { apply, versionstamp, type Write } from '#src/store/writes.ts'
import type { World } from '#src/world.ts'
import { Edition, SortedEntries } from './sorted-entries.ts'

/** What goes wrong at a commit though nothing is wrong. */
export type StoreFault = 'conflict' | 'unknown_committed' | 'unknown_lost'

export interface MemoryOptions {
  readonly world: World
  /**
   * Asked at each commit that writes; seeded by the simulation. The budget is the caller's: after a `conflict` the body runs
   * again; at the others `transact` rejects with `unknown_result`, the write being there, or not.
   */
  readonly fault?: () => StoreFault | undefined
  /** Told of every commit, in order, before anybody else can see it: for checkers that keep books. */
  readonly committed?: (writes: readonly Write[], before: View, after: View) => void
}

interface Watch {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
  resolve(): void
  reject(error: unknown): void
}

/** The store in memory, for tests and the simulation. Nothing in it depends on anything but the order of calls. */
export class MemoryStore implements Store {
  readonly #world: World
  readonly #fault: () => StoreFault | undefined
  readonly #committed: NonNullable<MemoryOptions['committed']>
  readonly #watches = new Set<Watch>()
  #state = new SortedEntries()
  #commits = 0
  #closed = false

  constructor({ world, fault = () => undefined, committed = () => {} }: MemoryOptions) {
    this.#world = world
    this.#fault = fault
    this.#committed = committed
  }

  /** The newest state. */
  get view(): View {
    return this.#state
  }

  async transact<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    for (let conflicts = 0; ; conflicts++) {
      await pause(this.#world, conflicts)
      const pin = this.#pin()
      const attempt = new Attempt(this.#world, pin.view)
      try {
        const result = await body(attempt)
        attempt.check()
        if (attempt.writes.length === 0 || this.#commit(attempt, pin.state)) return result
      } finally {
        pin.release()
      }
    }
  }

  async snapshot<T>(body: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const pin = this.#pin()
    try {
      return await body(new PinnedSnapshot(this.#world, pin.view))
    } finally {
      pin.release()
    }
  }

  async watch(key: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#check()
    signal.throwIfAborted()
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const watch = { key, value: this.#state.get(key), resolve, reject }
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#watches.add(watch)
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', abort)
      this.#watches.delete(watch)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const watch of this.#watches) watch.reject(closedError())
  }

  #check(): void {
    if (this.#closed) throw closedError()
  }

  #pin(): { state: SortedEntries; view: () => View; release: () => void } {
    this.#check()
    const state = this.#state
    let ended = false
    const view = (): View => {
      this.#check()
      if (ended) throw new StoreError('closed', 'the transaction has ended')
      return state
    }
    const release = (): void => {
      ended = true
    }
    return { state, view, release }
  }

  /** False if the body must run again. */
  #commit(attempt: Attempt, read: SortedEntries): boolean {
    this.#check()
    const fault = this.#fault()
    if (fault === 'conflict' || (read !== this.#state && !attempt.holds(this.#state))) return false
    if (fault !== 'unknown_lost') {
      const edition = new Edition(this.#state)
      this.#commits++
      apply(attempt.writes, edition, versionstamp(this.#commits, 0))
      this.#committed(attempt.writes, this.#state, edition.state)
      this.#state = edition.state
      this.#wake()
    }
    if (fault !== undefined) throw new StoreError('unknown_result', 'an injected fault')
    return true
  }

  #wake(): void {
    for (const watch of this.#watches) {
      // Another buffer is another write; that it may hold the same bytes, the contract allows.
      if (this.#state.get(watch.key) !== watch.value) watch.resolve()
    }
  }
}

function closedError(): StoreError {
  return new StoreError('closed', 'the store is closed')
}
