import { Age, Draft } from '#src/store/draft.ts'
import type { Entry, RangeOptions, Snapshot } from '#src/store/store.ts'
import { checkBound, checkKey } from '#src/store/writes.ts'
import type { World } from '#src/world.ts'
import { FdbError } from './native.ts'
import type { Reads } from './reads.ts'
import type { StateReads } from './shared-state.ts'

/** One run of a transaction's body. Its writes go to FoundationDB only at the commit; until then they lie over what it reads. */
export class FoundationAttempt extends Draft {
  readonly relaxed: Snapshot
  readonly #world: World
  readonly #reads: Reads
  /** Reads that wait for the cluster with the writes before them. */
  #lent = 0
  /** Reads that wait for the cluster, since when some do, and for how long some did before. */
  #waiting = 0
  #waitingSince = 0
  #waited = 0

  constructor(world: World, reads: Reads) {
    super(world)
    this.#world = world
    this.#reads = reads
    this.relaxed = {
      get: (key) => this.#get(key, true),
      range: (from, to, options) => this.#range(from, to, options, true),
    }
  }

  /** Milliseconds since the first read in which the body did not wait for the cluster: those that it took itself. */
  get ownMilliseconds(): number {
    return this.age - this.#waited
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return await this.#get(key, false)
  }

  async range(from: Uint8Array, to: Uint8Array, options: RangeOptions): Promise<readonly Entry[]> {
    return await this.#range(from, to, options, false)
  }

  async #get(key: Uint8Array, isRelaxed: boolean): Promise<Uint8Array | undefined> {
    this.begin(checkKey(key))
    const own = this.own(this.#lent > 0)
    if (own === undefined) return await this.#orFail(() => this.#reads.get(key, isRelaxed))
    if (!own.needsBelow(key)) return own.get(key, undefined)
    return await this.#lend(async () => own.get(key, await this.#reads.get(key, isRelaxed)))
  }

  async #range(from: Uint8Array, to: Uint8Array, options: RangeOptions, isRelaxed: boolean): Promise<readonly Entry[]> {
    this.begin(checkBound(from) + checkBound(to))
    const { limit, reverse = false } = options
    if (limit <= 0 || Buffer.compare(from, to) >= 0) return []
    const own = this.own(this.#lent > 0)
    if (own === undefined) return await this.#orFail(() => this.#reads.range(from, to, limit, reverse, isRelaxed))
    return await this.#lend(async () => {
      const steps = own.range(from, to, limit, reverse)
      let step = steps.next()
      while (step.done !== true) {
        const piece = step.value
        step = steps.next(await this.#reads.range(piece.from, piece.to, piece.limit, piece.reverse, isRelaxed))
      }
      return step.value
    })
  }

  async #lend<T>(body: () => Promise<T>): Promise<T> {
    this.#lent++
    try {
      return await this.#orFail(body)
    } finally {
      this.#lent--
    }
  }

  /** A read that FoundationDB refused fails the run, also where the body goes on without it. */
  async #orFail<T>(read: () => Promise<T>): Promise<T> {
    if (this.#waiting++ === 0) this.#waitingSince = this.#world.monotonic()
    try {
      return await read()
    } catch (error) {
      if (error instanceof FdbError) this.fail(error)
      throw error
    } finally {
      if (--this.#waiting === 0) this.#waited += this.#world.monotonic() - this.#waitingSince
    }
  }
}

/** The reads of one state, for as long as a transaction may last. */
export class FoundationSnapshot implements Snapshot {
  readonly #age: Age
  readonly #reads: StateReads

  constructor(world: World, reads: StateReads) {
    this.#age = new Age(world)
    this.#reads = reads
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    checkKey(key)
    this.#age.check()
    return await this.#reads.get(key)
  }

  async range(from: Uint8Array, to: Uint8Array, { limit, reverse = false }: RangeOptions): Promise<readonly Entry[]> {
    checkBound(from)
    checkBound(to)
    this.#age.check()
    if (limit <= 0 || Buffer.compare(from, to) >= 0) return []
    return await this.#reads.range(from, to, limit, reverse)
  }
}
