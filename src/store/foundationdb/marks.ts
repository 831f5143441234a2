import { StoreError } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'
import type { Client } from './client.ts'
import { exactly, FdbError, type NativeTransaction, transactionOptions } from './native.ts'

/**
 * How a transaction whose commit had no clear answer learns what became of it. Each has a mark, a row under a random key, for as long as it
 * runs, and its commit sets the mark to a number that was never used before. One that may have been committed asks:
 *
 * X1  the mark has its number: it was committed.
 * X2  the mark has not: then the mark is set to say so. The commit has the mark among what it read, so one that is still on its way
 *     comes too late from then on: it was not committed, and never will be, and the body may run again.
 *
 * A process uses few marks, one for each transaction that runs at the same time, again and again; nobody else reads or writes them. Its last
 * use has to be older than what the transaction reads, or it would look like a conflict: so it is taken before the first read, and for a
 * state that others read before, it is one that was given back before that. Rows of processes that died are swept.
 */
export interface Mark {
  readonly key: Buffer
  number: bigint
  /** When it was last given back, by the monotonic clock. */
  released: number
}

const kinds = { committed: 1, void: 0 } as const
const valueBytes = 17
const idBytes = 16
/** Marks that were last set so long ago belong to nobody, or to somebody who does not mind: in milliseconds. */
const staleAfter = 24 * 3_600_000
/** Milliseconds between two sweeps of one process. */
const sweepEvery = 3_600_000
const sweepRows = 1_000
/** Milliseconds that a process which ends takes for its own rows at most. */
const farewell = 1_000

export class Marks {
  readonly #world: World
  readonly #client: Client
  readonly #free: Mark[] = []
  readonly #used = new Set<Buffer>()
  #nextSweep: number

  constructor(world: World, client: Client) {
    this.#world = world
    this.#client = client
    const chance = (world.randomBytes(1)[0] ?? 0) / 256
    this.#nextSweep = world.monotonic() + chance * sweepEvery
  }

  /** `until`: it must have been given back before that; absent: that it is free will do. */
  take(until?: number): Mark {
    // The first was given back first.
    const [first] = this.#free
    const free = until === undefined ? this.#free.pop() : first && first.released < until && this.#free.shift()
    return free || { key: this.#client.markKey(this.#world.randomBytes(idBytes)), number: 0n, released: 0 }
  }

  release(mark: Mark): void {
    mark.released = this.#world.monotonic()
    this.#free.push(mark)
  }

  /** Makes the mark part of a commit. */
  put(mark: Mark, native: NativeTransaction): void {
    mark.number++
    this.#used.add(mark.key)
    native.addReadConflictRange(mark.key, Buffer.from(afterKey(mark.key)))
    native.set(mark.key, this.#value(mark, kinds.committed))
  }

  /** Whether the commit with the mark's number was made; if not, it never will be. Rejects with StoreError `unknown_result`. */
  async settle(mark: Mark): Promise<boolean> {
    const until = this.#world.monotonic() + 2 * this.#client.options.timeout
    for (;;) {
      const native = this.#client.transaction()
      try {
        return await this.#ask(mark, native)
      } catch (error) {
        if (!(error instanceof FdbError)) throw error
        if (this.#world.monotonic() > until) {
          throw new StoreError('unknown_result', 'the commit had no answer, and nobody tells what became of it', {
            cause: error,
          })
        }
        // Waits, if the cluster can be asked again at all; what it cannot, a new transaction may.
        await native.onError(error.code).catch(() => undefined)
      }
    }
  }

  async #ask(mark: Mark, native: NativeTransaction): Promise<boolean> {
    const found = await native.get(mark.key, false)
    if (found?.length === valueBytes && found.readBigUInt64LE(1) === mark.number) return found[0] === kinds.committed
    native.set(mark.key, this.#value(mark, kinds.void))
    await native.commit()
    return false
  }

  #value(mark: Mark, kind: number): Buffer {
    const value = Buffer.allocUnsafe(valueBytes)
    value[0] = kind
    value.writeBigUInt64LE(mark.number, 1)
    value.writeBigUInt64LE(BigInt(this.#world.now()), 9)
    return value
  }

  /** Sweeps from time to time, beside what the caller does. A sweep that fails is made good by the next. */
  sweepIfDue(): void {
    if (this.#world.monotonic() < this.#nextSweep) return
    this.#nextSweep = this.#world.monotonic() + sweepEvery
    this.sweep().catch(() => undefined)
  }

  /** Removes the rows that nobody uses any more, and returns how many. */
  async sweep(): Promise<number> {
    let swept = 0
    let [from, to] = this.#client.allMarks
    for (;;) {
      const native = this.#client.transaction()
      const { results } = await native.getRange(from, false, 1, to, false, 1, sweepRows, 0, exactly, 1, true, false)
      const stale = results.filter(([, value]) => this.#isStale(value)).map(([key]) => key)
      for (const key of stale) {
        // One that is in use after all wins.
        native.addReadConflictRange(key, Buffer.from(afterKey(key)))
        native.clear(key)
      }
      if (stale.length > 0) await native.commit()
      swept += stale.length
      const last = results.at(-1)?.[0]
      if (last === undefined || results.length < sweepRows) return swept
      from = Buffer.from(afterKey(last))
    }
  }

  #isStale(value: Buffer): boolean {
    return value.length !== valueBytes || Number(value.readBigUInt64LE(9)) < this.#world.now() - staleAfter
  }

  /** Removes this process's own rows, if the cluster is there. */
  async clearOwn(): Promise<void> {
    if (this.#used.size === 0) return
    const native = this.#client.transaction()
    native.setOption(transactionOptions.timeout, farewell)
    for (const { key } of this.#free) if (this.#used.has(key)) native.clear(key)
    // The sweep has them otherwise.
    await native.commit().catch(() => undefined)
  }
}
