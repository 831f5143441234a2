import { beginHealing, endHealing, isHealing } from '#src/metadata/healing.ts'
import { digestOf, type Keys, type Walk } from '#src/metadata/key-ranges.ts'
import { mend } from '#src/metadata/mending.ts'
import { type Receipt, receive } from '#src/metadata/receive.ts'
import type { Received } from '#src/metadata/received.ts'
import type { HealingProgress } from '#src/metadata/watch-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { type FeedTarget, taken } from './feed-pages.ts'
import { askDigests, askRows } from './range-methods.ts'
import { PeerUnreachable, type Transport } from './transport.ts'

export interface HealerOptions {
  readonly target: FeedTarget & { readonly foundation: Pick<Foundation, 'namespace'> }
  readonly transport: Transport
  /** The other cells, as of now, that have a bucket's records if this cell has them too. */
  readonly peersOf: (bucket: Bucket) => readonly number[]
  /** Told where something was missing or other than elsewhere, and has been made good. */
  readonly report: (healed: Healed) => void
  readonly failed: (error: unknown) => void
  /** Told how far a comparison is. */
  readonly progress?: (progress: HealingProgress) => Promise<void>
  /** Rows in a piece that is compared first, and in one that is asked for then. */
  readonly pieces?: { readonly coarse: number; readonly fine: number }
}

export interface Healed {
  readonly bucket: string
  /** The cell that had what was missing here. */
  readonly cell: number
  /** How many records, and how many rows beside them. */
  readonly records: number
}

const day = 86_400_000
/** Forgetting waits for so long at most, in milliseconds, after the last word of one who heals. */
const patience = 600_000
const usualPieces = { coarse: 20_000, fine: 200 }
const piecesAtOnce = 64
const recordsPerTransaction = 500

/**
 * Compares what this cell has with what others have, and takes over what it lacks; they do so themselves with what they lack.
 *
 * T5  what comes is merged, as from a feed, never copied over what is here; what was deleted here stays deleted.
 */
export class Healer {
  readonly #options: HealerOptions

  constructor(options: HealerOptions) {
    this.#options = options
  }

  /** Until the signal; in one process of a cell. */
  async run(signal: AbortSignal): Promise<void> {
    const { world } = this.#options.target.foundation
    while (!signal.aborted) {
      // First the sleep: whoever starts is still catching up.
      await world.sleep(day, signal).catch(() => undefined)
      if (!signal.aborted) await this.pass(signal)
    }
  }

  /** Compares all buckets with all cells that have them. */
  async pass(signal: AbortSignal): Promise<void> {
    const { target, peersOf, report, failed, progress } = this.#options
    const { store, namespace, world } = target.foundation
    const buckets = await store.snapshot((snapshot) => namespace.buckets(snapshot))
    const all = buckets.flatMap((bucket) => peersOf(bucket).map((cell) => ({ bucket, cell })))
    const began = world.now()
    let healed = 0
    for (const [done, { bucket, cell }] of all.entries()) {
      await progress?.({ began, done, of: all.length, records: healed }).catch(failed)
      try {
        const records = await this.heal(bucket.id, cell, signal)
        healed += records
        if (records > 0) report({ bucket: bucket.name, cell, records })
      } catch (error) {
        if (signal.aborted) return
        if (!(error instanceof PeerUnreachable)) failed(error)
      }
    }
    const whole = { began, done: all.length, of: all.length, records: healed }
    await progress?.({ ...whole, ended: world.now() }).catch(failed)
  }

  /** Takes over from one cell what is missing here of one bucket; gives how many records that were. */
  async heal(bucket: number, cell: number, signal: AbortSignal): Promise<number> {
    const { store } = this.#options.target.foundation
    const { coarse, fine } = this.#options.pieces ?? usualPieces
    let healed = 0
    await this.#begin()
    for await (const piece of this.#different({ bucket }, cell, coarse, signal)) {
      for await (const smaller of this.#different(piece, cell, fine, signal)) {
        await this.#begin()
        healed += await this.#takeOver(smaller, cell, signal)
      }
    }
    await store.transact(endHealing)
    return healed
  }

  async #begin(): Promise<void> {
    const { store, world } = this.#options.target.foundation
    await store.transact((transaction) => beginHealing(transaction, world.now() + patience))
  }

  /** The pieces of a range of which the other cell has another digest. */
  async *#different(keys: Keys, cell: number, rows: number, signal: AbortSignal): AsyncGenerator<Keys> {
    const { transport, target } = this.#options
    const { store } = target.foundation
    let rest = keys
    for (;;) {
      const pieces = await askDigests(transport, cell, { keys: rest, rows, pieces: piecesAtOnce }, signal)
      for (const { until, digest } of pieces) {
        const piece = until === undefined ? rest : { ...rest, until }
        if ((await store.snapshot((snapshot) => digestOf(snapshot, piece))) !== digest) yield piece
        if (until === undefined) return
        rest = { ...rest, after: until }
      }
      if (pieces.length === 0) return
    }
  }

  async #takeOver(keys: Keys, cell: number, signal: AbortSignal): Promise<number> {
    let healed = 0
    let at: Walk | undefined
    do {
      const rows = await askRows(this.#options.transport, cell, keys, at, signal)
      for (let first = 0; first < rows.records.length; first += recordsPerTransaction) {
        healed += await this.#apply(rows.records.slice(first, first + recordsPerTransaction))
      }
      at = rows.next
    } while (at !== undefined)
    return healed
  }

  async #apply(records: readonly Received[]): Promise<number> {
    const { target } = this.#options
    const { foundation, conflictMilliseconds, arrived } = target
    const { store, world } = foundation
    const receiving = { here: foundation, now: world.now(), conflictMilliseconds }
    const done = await store.transact(
      async (transaction): Promise<{ receipt: Receipt; mended: number } | undefined> => {
        // What was read so long ago may be older than what was forgotten since (T3).
        if (!(await isHealing(transaction, world.now()))) return undefined
        const { records: own } = await taken(target, transaction, records)
        const { missing, mended } = await mend(transaction, own, receiving)
        return { receipt: await receive(transaction, missing, receiving), mended }
      },
    )
    if (done === undefined) throw new Error('healing took too long, and begins again')
    if (done.receipt.arrivals.length > 0) arrived?.(done.receipt.arrivals)
    return done.receipt.records + done.mended
  }
}
