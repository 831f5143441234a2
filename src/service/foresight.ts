import { keys, partitionOf } from '#src/metadata/keyspace.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import type { Snapshot, Store } from '#src/store/store.ts'
import type { Moment, World } from '#src/world.ts'

/** Longer ones are refused. */
const keyLengthMost = 1_024
/** Of whom it is remembered what was read: of the last so many. */
const rememberedMost = 10_000

/** What a request says of itself before anybody looks at it. */
export interface Announced {
  readonly method: string
  readonly bucket: string
  /** Empty: it is about the bucket. */
  readonly key: string
  /** Whether it names the current object, and somebody who asks: then what it will read can be told. */
  readonly isPlain: boolean
}

/**
 * Has what a request will read asked for as soon as it comes, all at once, where asking takes a way to other machines: not row after row,
 * as each row tells which is the next. What rows say is told by what they said the last time; where that has changed, what was read early is
 * not used, and what is needed is read then.
 */
export class Foresight {
  readonly #store: Store
  readonly #world: Pick<World, 'monotonic'>
  readonly #namespace: Namespace

  constructor(parts: { store: Store; world: Pick<World, 'monotonic'>; namespace: Namespace }) {
    this.#store = parts.store
    this.#world = parts.world
    this.#namespace = parts.namespace
  }

  /** The moment of a request that begins now. */
  begin(asked: Announced): Moment {
    const since = { began: this.#world.monotonic() }
    const rows = [...this.#rows(asked)]
    if (rows.length > 0) this.#store.foresee?.(since, rows)
    return since
  }

  *#rows({ method, bucket: name, key, isPlain }: Announced): Generator<Uint8Array> {
    const row = this.#namespace.rowOfBucket(name)
    if (row === undefined) return
    yield row
    const last = this.#namespace.lastBucket(name)
    if (!isPlain || last === undefined || key === '' || key.length > keyLengthMost || !key.isWellFormed()) return
    if (method === 'GET' || method === 'HEAD' || method === 'PUT') yield keys.current(last.id, key)
    if (method === 'GET' && last.versioning === 'off') yield keys.inline(last.id, key, 0n)
    if (method !== 'PUT') return
    yield keys.tombstone(last.id, key, 0n)
    yield keys.floor(partitionOf(last.id, key))
  }
}

/** Remembers what was read for each of many, to ask for that at once the next time. */
export class Habits {
  readonly #store: Store
  readonly #rows = new Map<string, readonly Uint8Array[]>()

  constructor(store: Store) {
    this.#store = store
  }

  /** As `Store.snapshot`; what it gave nothing for is not remembered. */
  async snapshot<T>(name: string, since: Moment, body: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    const known = this.#rows.get(name)
    if (known !== undefined) this.#store.foresee?.(since, known)
    const rows: Uint8Array[] = []
    const found = await this.#store.snapshot((snapshot) => {
      rows.length = 0
      return body({
        get: (key) => {
          rows.push(key)
          return snapshot.get(key)
        },
        range: (from, to, options) => snapshot.range(from, to, options),
      })
    }, since)
    if (found !== undefined) this.#remember(name, rows)
    return found
  }

  #remember(name: string, rows: readonly Uint8Array[]): void {
    this.#rows.delete(name)
    for (const oldest of this.#rows.keys()) {
      if (this.#rows.size < rememberedMost) break
      this.#rows.delete(oldest)
    }
    this.#rows.set(name, rows)
  }
}
