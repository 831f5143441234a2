import type { World } from '#src/world.ts'
import { Overlay, type View } from './overlay.ts'
import { type Entry, limits, type RangeOptions, type Snapshot, StoreError, type Transaction } from './store.ts'
import { checkBound, checkKey, measure, type Write } from './writes.ts'

/** A view that is held for one attempt, and can end before it: then its reads throw. */
export type Pin = () => View

interface PointRead {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

interface RangeRead {
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly limit: number
  readonly reverse: boolean
  readonly entries: readonly Entry[]
}

/** The reads of one state, for as long as a transaction may last. */
export class PinnedSnapshot implements Snapshot {
  readonly #age: Age
  readonly #pin: Pin

  constructor(world: World, pin: Pin) {
    this.#age = new Age(world)
    this.#pin = pin
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    checkKey(key)
    this.#age.check()
    return this.#pin().get(key)
  }

  async range(from: Uint8Array, to: Uint8Array, options: RangeOptions): Promise<readonly Entry[]> {
    checkBound(from)
    checkBound(to)
    this.#age.check()
    return rangeOf(this.#pin(), from, to, options)
  }
}

/**
 * One run of a transaction's body: what it read, so that the commit can tell whether that still holds, and what it wrote.
 * What is given to it, and what it gave, must not be changed by the caller: it is kept, not copied.
 */
export class Attempt implements Transaction {
  readonly writes: Write[] = []
  readonly #age: Age
  readonly #pin: Pin
  readonly #points: PointRead[] = []
  readonly #ranges: RangeRead[] = []
  #recorder: View | undefined
  #overlay: Overlay | undefined
  /** How many of the writes the overlay has: it is brought up to date only when somebody reads. */
  #overlaid = 0
  #bytes = 0
  #appended = 0
  #failure: unknown

  constructor(world: World, pin: Pin) {
    this.#age = new Age(world)
    this.#pin = pin
  }

  get relaxed(): Snapshot {
    return {
      get: async (key) => this.#get(key, this.#begin(checkKey(key))),
      range: async (from, to, options) =>
        this.#range(from, to, options, this.#begin(checkBound(from) + checkBound(to))),
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    this.#begin(checkKey(key))
    return this.#get(key, this.#recording())
  }

  async range(from: Uint8Array, to: Uint8Array, options: RangeOptions): Promise<readonly Entry[]> {
    this.#begin(checkBound(from) + checkBound(to))
    return this.#range(from, to, options, this.#recording())
  }

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

  /** Throws if the attempt must not commit: it is too old, or went over a limit, even if the body caught that. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#age.check()
  }

  /** Whether the attempt would have read the same from this view. */
  holds(view: View): boolean {
    for (const { key, value } of this.#points) if (!equal(view.get(key), value)) return false
    for (const { from, to, limit, reverse, entries } of this.#ranges) {
      const now = view.range(from, to, limit, reverse)
      if (now.length !== entries.length) return false
      for (const [index, entry] of entries.entries()) {
        const other = now[index]
        if (other === undefined || !equal(other.key, entry.key) || !equal(other.value, entry.value)) return false
      }
    }
    return true
  }

  #begin(bytes: number): View {
    this.#age.check()
    this.#count(bytes)
    return this.#pin()
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > limits.transactionBytes) {
      this.#fail(new StoreError('transaction_too_large', `a transaction of over ${limits.transactionBytes} bytes`))
    }
  }

  #write(write: Write): void {
    try {
      this.#count(measure(write))
    } catch (error) {
      this.#fail(error)
    }
    this.writes.push(write)
  }

  #fail(error: unknown): never {
    this.#failure ??= error
    throw error
  }

  #get(key: Uint8Array, view: View): Uint8Array | undefined {
    return this.writes.length === 0 ? view.get(key) : this.#own().get(key, view)
  }

  #range(from: Uint8Array, to: Uint8Array, options: RangeOptions, view: View): Entry[] {
    if (this.writes.length === 0) return rangeOf(view, from, to, options)
    if (Buffer.compare(from, to) >= 0) return []
    return this.#own().range(from, to, options.limit, options.reverse === true, view)
  }

  #own(): Overlay {
    this.#overlay ??= new Overlay()
    for (; this.#overlaid < this.writes.length; this.#overlaid++) {
      const write = this.writes[this.#overlaid]
      if (write !== undefined) this.#overlay.apply(write)
    }
    return this.#overlay
  }

  /** The pinned view, with a note of all that is read from it. */
  #recording(): View {
    this.#recorder ??= {
      get: (key) => {
        const value = this.#pin().get(key)
        this.#points.push({ key, value })
        return value
      },
      range: (from, to, limit, reverse) => {
        const entries = this.#pin().range(from, to, limit, reverse)
        this.#ranges.push({ from, to, limit, reverse, entries })
        return entries
      },
    }
    return this.#recorder
  }
}

/** How long it is since the first read. */
class Age {
  readonly #world: World
  #started: number | undefined

  constructor(world: World) {
    this.#world = world
  }

  check(): void {
    const now = this.#world.monotonic()
    this.#started ??= now
    if (now - this.#started > limits.transactionMilliseconds) {
      throw new StoreError('transaction_too_old', `over ${limits.transactionMilliseconds} ms since the first read`)
    }
  }
}

function rangeOf(view: View, from: Uint8Array, to: Uint8Array, options: RangeOptions): Entry[] {
  if (options.limit <= 0 || Buffer.compare(from, to) >= 0) return []
  return view.range(from, to, options.limit, options.reverse === true)
}

function equal(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.length === b.length && Buffer.compare(a, b) === 0
}
