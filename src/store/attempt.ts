import type { World } from '#src/world.ts'
import { Age, Draft } from './draft.ts'
import type { View } from './overlay.ts'
import type { Entry, RangeOptions, Snapshot } from './store.ts'
import { checkBound, checkKey } from './writes.ts'

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
 * One run of a transaction's body over a state that can be read without waiting: what it read, so that the commit can tell whether
 * that still holds, and what it wrote.
 */
export class Attempt extends Draft {
  readonly #pin: Pin
  readonly #points: PointRead[] = []
  readonly #ranges: RangeRead[] = []
  #recorder: View | undefined

  constructor(world: World, pin: Pin) {
    super(world)
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
    this.begin(bytes)
    return this.#pin()
  }

  #get(key: Uint8Array, view: View): Uint8Array | undefined {
    const own = this.own()
    if (own === undefined) return view.get(key)
    return own.get(key, own.needsBelow(key) ? view.get(key) : undefined)
  }

  #range(from: Uint8Array, to: Uint8Array, options: RangeOptions, view: View): Entry[] {
    const own = this.own()
    if (own === undefined) return rangeOf(view, from, to, options)
    if (Buffer.compare(from, to) >= 0) return []
    const steps = own.range(from, to, options.limit, options.reverse === true)
    let step = steps.next()
    while (step.done !== true) {
      const piece = step.value
      step = steps.next(view.range(piece.from, piece.to, piece.limit, piece.reverse))
    }
    return step.value
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

function rangeOf(view: View, from: Uint8Array, to: Uint8Array, options: RangeOptions): Entry[] {
  if (options.limit <= 0 || Buffer.compare(from, to) >= 0) return []
  return view.range(from, to, options.limit, options.reverse === true)
}

function equal(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined) return false
  return a.length === b.length && Buffer.compare(a, b) === 0
}
