import { type Entry, limits, StoreError } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'
import type { Client } from './client.ts'
import { errors, exactly, FdbError, type NativeTransaction } from './native.ts'
import { unseal } from './values.ts'

/** Bytes that one answer of the cluster has at most, so that a long range neither waits for all of it nor fills the memory twice. */
const pieceBytes = 1_000_000
/** Rows likewise: JavaScript makes an array and two Buffers of each, on the thread that serves. */
const pieceRows = 10_000
/** Milliseconds before a read is asked again of a server that is behind; doubled each time. */
const firstPause = 5

/** Rows of the same version that were read before. */
interface KnownRows {
  known(key: Uint8Array): Promise<Uint8Array | undefined> | undefined
}

/** From its first key up to the second, which does not belong to it. */
type Bounds = readonly [Buffer, Buffer]
type Piece = Awaited<ReturnType<NativeTransaction['getRange']>>

/**
 * The reads of one native transaction: of one state, at the version that its first read got from the cluster.
 *
 * X3  what a transaction read, and not relaxed, is among what its commit is checked for, however often the cluster had to be asked. (Of a
 *     range that it could not read, FoundationDB's own client forgets that it was asked for; of what others read at this version, it knows
 *     nothing.)
 */
export class Reads {
  readonly #world: World
  readonly #client: Client
  readonly #native: NativeTransaction
  readonly #state: KnownRows | undefined
  #hasEnded = false
  #hasBegun = false

  /** `state`: at the same version, of which others may have read some already. */
  constructor(world: World, client: Client, native: NativeTransaction, state?: KnownRows) {
    this.#world = world
    this.#client = client
    this.#native = native
    this.#state = state
  }

  /** Reads that come later are refused. */
  end(): void {
    this.#hasEnded = true
  }

  async get(key: Uint8Array, isRelaxed: boolean): Promise<Uint8Array | undefined> {
    const whole = this.#client.dataKey(key)
    const known = this.#state?.known(key)
    if (known !== undefined) {
      this.#check()
      const value = await known
      this.#check()
      if (!isRelaxed) this.#native.addReadConflictRange(whole, Buffer.from(afterKey(whole)))
      return value
    }
    const ask = (native: NativeTransaction) => native.get(whole, isRelaxed)
    const stored = await this.#read(ask, isRelaxed ? undefined : () => [whole, Buffer.from(afterKey(whole))])
    return stored === undefined || stored === null ? undefined : unseal(key, stored)
  }

  async range(
    from: Uint8Array,
    to: Uint8Array,
    limit: number,
    isReverse: boolean,
    isRelaxed: boolean,
  ): Promise<Entry[]> {
    const entries: Entry[] = []
    let [start, end] = [this.#client.dataKey(from), this.#client.dataKey(to)]
    while (entries.length < limit && Buffer.compare(start, end) < 0) {
      const rows = Math.min(limit - entries.length, pieceRows)
      const whole: Bounds = [start, end]
      const bounds = [start, false, 1, end, false, 1] as const
      const { results, more } = await this.#read(
        (native) => native.getRange(...bounds, rows, pieceBytes, exactly, 1, isRelaxed, isReverse),
        isRelaxed ? undefined : (piece) => seenOf(piece, whole, isReverse),
      )
      for (const [whole, stored] of results) {
        const key = this.#client.ownKey(whole)
        entries.push({ key, value: unseal(key, stored) })
      }
      const last = results.at(-1)?.[0]
      if (last === undefined || (!more && results.length < rows)) break
      if (isReverse) end = last
      else start = Buffer.from(afterKey(last))
    }
    return entries
  }

  /**
   * A server that has not caught up with the version refuses for the moment. Asking again at the same version keeps the state: another
   * native transaction is made for it, since this one's other reads go on. `seen`: what the answer makes the commit depend on (X3).
   */
  async #read<T>(ask: (native: NativeTransaction) => Promise<T>, seen?: (answer: T) => Bounds): Promise<T> {
    this.#check()
    if (!this.#hasBegun && this.#client.baseline !== undefined) {
      await this.#client.baseline
      this.#check()
    }
    this.#hasBegun = true
    let native = this.#native
    for (let pause = firstPause; ; pause *= 2) {
      try {
        const answer = await ask(native)
        this.#check()
        if (native !== this.#native && seen !== undefined) this.#native.addReadConflictRange(...seen(answer))
        return answer
      } catch (error) {
        if (!this.#isMomentary(error) || pause > limits.transactionMilliseconds) throw error
        await this.#world.sleep(pause, new AbortController().signal, { ref: true })
        this.#check()
        const version = await this.#native.getReadVersion()
        native = this.#client.transaction()
        native.setReadVersion(version)
      }
    }
  }

  #check(): void {
    this.#client.check()
    if (this.#hasEnded) throw new StoreError('closed', 'the transaction has ended')
  }

  #isMomentary(error: unknown): boolean {
    return error instanceof FdbError && error.code !== errors.transactionTooOld && this.#client.isRetryable(error)
  }
}

/** Of a piece of a range, how far it tells what is there. */
function seenOf({ results, more }: Piece, [from, to]: Bounds, isReverse: boolean): Bounds {
  const last = results.at(-1)?.[0]
  if (!more || last === undefined) return [from, to]
  return isReverse ? [last, to] : [from, Buffer.from(afterKey(last))]
}
