import { readCursor } from '#src/metadata/cursors.ts'
import { type Forgettable, forget, readForgettable, shadowed } from '#src/metadata/forgetting.ts'
import { isHealing } from '#src/metadata/healing.ts'
import { keys, partitions, under } from '#src/metadata/keyspace.ts'
import { encodePassing, isPassed, observe, type Passing, readPassing } from '#src/metadata/passing.ts'
import { timeOf } from '#src/model/stamp.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { FeedRequest } from './page-codec.ts'

export interface ForgetterOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world' | 'namespace'>
  /** Of this cell. */
  readonly incarnation: string
  /** All other cells that were not removed, as of now. */
  readonly peers: () => readonly { readonly cell: number; readonly incarnation: string }[]
  /** Tombstones younger than so many milliseconds are not looked at. */
  readonly youngest?: number
  /** What a cell says is taken down so often, in milliseconds. */
  readonly interval?: number
  /** Between two passes, in milliseconds. */
  readonly pause?: number
}

const hour = 3_600_000
const observationMilliseconds = 10_000
const rowsPerTransaction = 500

/**
 * Forgets what was deleted, in a cell that has peers.
 *
 * T4  a tombstone goes only when every other cell has passed it in this one's feed, and all that any of them could have told
 *     before it did has been applied here (C10): so nothing older than it can still arrive.
 */
export class Forgetter {
  readonly #options: ForgetterOptions
  readonly #observed = new Map<string, number>()

  constructor(options: ForgetterOptions) {
    this.#options = options
  }

  /** Until the signal; in one process of a cell. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { foundation, pause = hour } = this.#options
    while (!signal.aborted) {
      await this.pass().catch(failed)
      await foundation.world.sleep(pause, signal).catch(() => undefined)
    }
  }

  /** Takes down what a cell said with a request for this one's feed. */
  async passed(caller: { readonly cell: number }, { incarnation: ours, cursors, heads }: FeedRequest): Promise<void> {
    const { foundation, peers, interval = observationMilliseconds } = this.#options
    const { store, world } = foundation
    const { cell } = caller
    const incarnation = peers().find((peer) => peer.cell === cell)?.incarnation
    if (incarnation === undefined || ours !== this.#options.incarnation) return
    if (cursors.length !== partitions || heads.length !== partitions) return
    const name = `${cell} ${incarnation}`
    const last = this.#observed.get(name)
    if (last !== undefined && world.monotonic() - last < interval) return
    this.#observed.set(name, world.monotonic())
    await store.transact(async (transaction) => {
      const applied = await Promise.all(
        heads.map((_, partition) => readCursor(transaction, { cell, incarnation, partition })),
      )
      const before = await readPassing(transaction, cell)
      const after = observe(before, { incarnation, ours, cursors, heads }, applied)
      transaction.set(keys.passing(cell), encodePassing(after))
    })
  }

  /** Forgets what may be forgotten now. */
  async pass(): Promise<void> {
    const { foundation, youngest = hour } = this.#options
    const { store, world, namespace } = foundation
    const passings = await this.#passings()
    if (passings === undefined) return
    const before = world.now() - youngest
    const kept = await store.snapshot((snapshot) => shadowed(snapshot, namespace))
    const may = ({ bucket, stamp, partition, entry }: Forgettable): boolean =>
      entry !== undefined && !kept.has(bucket) && timeOf(stamp) <= before && isPassed(entry, partition, passings)
    let { from } = under('tombstone', [])
    for (;;) {
      const page = await store.snapshot((snapshot) => readForgettable(snapshot, 'tombstone', from, rowsPerTransaction))
      const last = page.at(-1)
      if (last === undefined) return
      await store.transact(async (transaction) => {
        if (!(await isHealing(transaction, world.now()))) await forget(transaction, page, may)
      })
      from = afterKey(last.key)
    }
  }

  /** Of all other cells; undefined where nothing is known of one. */
  async #passings(): Promise<readonly Passing[] | undefined> {
    const { foundation, peers, incarnation: ours } = this.#options
    const others = peers()
    return await foundation.store.snapshot(async (snapshot) => {
      const found: Passing[] = []
      for (const { cell, incarnation } of others) {
        const passing = await readPassing(snapshot, cell)
        if (passing?.incarnation !== incarnation || passing.ours !== ours) return undefined
        found.push(passing)
      }
      return found
    })
  }
}
