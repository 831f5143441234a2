import type { Entry } from './store.ts'
import { afterKey } from './tuple.ts'
import { sum, type Write } from './writes.ts'

/** One state of a store, as it can be read without waiting. */
export interface View {
  get(key: Uint8Array): Uint8Array | undefined
  range(from: Uint8Array, to: Uint8Array, limit: number, reverse: boolean): Entry[]
}

interface Change {
  readonly key: Uint8Array
  /** What the key becomes, as a function of what it is where that matters. */
  readonly value: Uint8Array | undefined | bigint
}

interface Span {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

/** A range of the state below that has to be read before an answer can be given. */
export interface Piece extends Span {
  readonly limit: number
  readonly reverse: boolean
}

/** A transaction's own writes laid over a view, so that its reads see them. Versionstamped writes are not seen. */
export class Overlay {
  readonly #changes = new Map<string, Change>()
  readonly #cleared: Span[] = []

  apply(write: Write): void {
    switch (write.kind) {
      case 'set':
        this.#changes.set(name(write.key), { key: write.key, value: write.value })
        return
      case 'clear':
        this.#changes.set(name(write.key), { key: write.key, value: undefined })
        return
      case 'add':
        this.#changes.set(name(write.key), { key: write.key, value: this.#added(write.key, write.delta) })
        return
      case 'clearRange': {
        for (const [id, change] of this.#changes) if (within(change.key, write)) this.#changes.delete(id)
        this.#cleared.push(write)
        return
      }
      default:
        return
    }
  }

  /** Whether the value of the key depends on what lies below. */
  needsBelow(key: Uint8Array): boolean {
    const change = this.#changes.get(name(key))
    return change === undefined ? !this.#isCleared(key) : typeof change.value === 'bigint'
  }

  /** `below`: what the key is in the state below; undefined where the value does not depend on it. */
  get(key: Uint8Array, below: Uint8Array | undefined): Uint8Array | undefined {
    const change = this.#changes.get(name(key))
    if (change === undefined) return below
    return typeof change.value === 'bigint' ? sum(below, change.value) : change.value
  }

  /** Asks for pieces of the state below, one after the other, by whoever drives it: at once, or waiting for each. */
  *range(
    from: Uint8Array,
    to: Uint8Array,
    limit: number,
    reverse: boolean,
  ): Generator<Piece, Entry[], readonly Entry[]> {
    const changes = this.#changesWithin({ from, to }, reverse)
    const result: Entry[] = []
    let rest: Span = { from, to }
    // What lies below may be hidden by what was cleared, so it is read piece by piece until enough is visible.
    while (result.length < limit) {
      const wanted = limit - result.length
      const entries = yield { ...rest, limit: wanted, reverse }
      const last = entries.at(-1)
      const ended = last === undefined || entries.length < wanted
      const piece = ended
        ? rest
        : reverse
          ? { from: last.key, to: rest.to }
          : { from: rest.from, to: afterKey(last.key) }
      result.push(...this.#merged(entries, takeWithin(changes, piece), reverse))
      if (ended) break
      rest = reverse ? { from: rest.from, to: piece.from } : { from: piece.to, to: rest.to }
    }
    return result.slice(0, limit)
  }

  #added(key: Uint8Array, delta: bigint): Uint8Array | bigint {
    const change = this.#changes.get(name(key))
    if (change === undefined) return this.#isCleared(key) ? sum(undefined, delta) : delta
    return typeof change.value === 'bigint' ? change.value + delta : sum(change.value, delta)
  }

  #isCleared(key: Uint8Array): boolean {
    return this.#cleared.some((span) => within(key, span))
  }

  #changesWithin(span: Span, reverse: boolean): Change[] {
    const changes: Change[] = []
    for (const change of this.#changes.values()) if (within(change.key, span)) changes.push(change)
    changes.sort((a, b) => Buffer.compare(a.key, b.key))
    return reverse ? changes.reverse() : changes
  }

  /** The entries and changes of one span, as one list in the order asked for. */
  #merged(entries: readonly Entry[], changes: readonly Change[], reverse: boolean): Entry[] {
    const others = entries.filter((entry) => !this.#changes.has(name(entry.key)) && !this.#isCleared(entry.key))
    if (changes.length === 0) return others
    const below = new Map(entries.map((entry) => [name(entry.key), entry.value]))
    const own = changes.flatMap((change) => visible(change, below.get(name(change.key))))
    return [...own, ...others].sort((a, b) => Buffer.compare(a.key, b.key) * (reverse ? -1 : 1))
  }
}

function visible(change: Change, below: Uint8Array | undefined): Entry[] {
  if (change.value === undefined) return []
  return [{ key: change.key, value: typeof change.value === 'bigint' ? sum(below, change.value) : change.value }]
}

/** Takes the changes of the span from the beginning of the list. */
function takeWithin(changes: Change[], span: Span): Change[] {
  const end = changes.findIndex((change) => !within(change.key, span))
  return changes.splice(0, end < 0 ? changes.length : end)
}

function within(key: Uint8Array, span: Span): boolean {
  return Buffer.compare(key, span.from) >= 0 && Buffer.compare(key, span.to) < 0
}

function name(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1')
}
