import type { World } from '#src/world.ts'
import { Overlay } from './overlay.ts'
import { type Entry, limits, type RangeOptions, type Snapshot, StoreError, type Transaction } from './store.ts'
import { measure, measureRead, type Write } from './writes.ts'

/**
 * One run of a transaction's body, on any driver: what it wrote, and whether it kept to the limits. A driver adds how it reads.
 * What is given to it, and what it gave, must not be changed by the caller: it is kept, not copied.
 */
export abstract class Draft implements Transaction {
  abstract readonly relaxed: Snapshot
  readonly writes: Write[] = []
  readonly #age: Age
  #overlay: Overlay | undefined
  /** How many of the writes the overlay has: it is brought up to date only when somebody reads. */
  #overlaid = 0
  #bytes = 0
  #appended = 0
  #failure: unknown

  constructor(world: World) {
    this.#age = new Age(world)
  }

  abstract get(key: Uint8Array): Promise<Uint8Array | undefined>
  abstract range(from: Uint8Array, to: Uint8Array, options: RangeOptions): Promise<readonly Entry[]>

  set(key: Uint8Array, value: Uint8Array): void {
    this.#write({ kind: 'set', key, value })
  }

  clear(key: Uint8Array): void {
    this.#write({ kind: 'clear', key })
  }

  clearRange(from: Uint8Array, to: Uint8Array): void {
    this.#write({ kind: 'clearRange', from, to })
  }

  add(key: Uint8Array, delta: bigint): void {
    this.#write({ kind: 'add', key, delta })
  }

  append(prefix: Uint8Array, value: Uint8Array): number {
    const order = this.#appended++
    this.#write({ kind: 'append', prefix, order, value })
    return order
  }

  setStamped(key: Uint8Array, value: Uint8Array, offset: number): void {
    this.#write({ kind: 'setStamped', key, value, offset })
  }

  /** What counts against the limit of a transaction. */
  get bytes(): number {
    return this.#bytes
  }

  /** Milliseconds since the first read. */
  get age(): number {
    return this.#age.milliseconds
  }

  /** Why the run must not commit, whatever the body made of it. */
  get failure(): unknown {
    return this.#failure
  }

  /** Throws if the run must not commit: it is too old, or failed, even if the body caught that. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#age.check()
  }

  /** To be called before each read, with the bytes of the keys that it names. */
  protected begin(bytes: number): void {
    this.#age.check()
    this.#count(measureRead(bytes))
  }

  /**
   * What was written so far, for reads to see; undefined where nothing was. A read that waits goes on with what it was given: whoever
   * does so sets `isLent` for as long.
   */
  protected own(isLent = false): Overlay | undefined {
    if (this.writes.length === 0) return undefined
    if (this.#overlay === undefined || (isLent && this.#overlaid < this.writes.length)) {
      this.#overlay = new Overlay()
      this.#overlaid = 0
    }
    for (; this.#overlaid < this.writes.length; this.#overlaid++) {
      const write = this.writes[this.#overlaid]
      if (write !== undefined) this.#overlay.apply(write)
    }
    return this.#overlay
  }

  protected fail(error: unknown): never {
    this.#failure ??= error
    throw error
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > limits.transactionBytes) {
      this.fail(new StoreError('transaction_too_large', `a transaction of over ${limits.transactionBytes} bytes`))
    }
  }

  #write(write: Write): void {
    try {
      this.#count(measure(write))
    } catch (error) {
      this.fail(error)
    }
    this.writes.push(write)
  }
}

/** How long it is since the first read. */
export class Age {
  readonly #world: World
  #started: number | undefined

  constructor(world: World) {
    this.#world = world
  }

  get milliseconds(): number {
    return this.#started === undefined ? 0 : this.#world.monotonic() - this.#started
  }

  check(): void {
    const now = this.#world.monotonic()
    this.#started ??= now
    if (now - this.#started > limits.transactionMilliseconds) {
      throw new StoreError('transaction_too_old', `over ${limits.transactionMilliseconds} ms since the first read`)
    }
  }
}
