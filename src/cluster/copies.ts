import { Fault } from '#src/errors.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { addDead, copyIn, nextCopy, readBlob, replaceCopy } from '#src/metadata/blob-records.ts'
import { addBlobJob } from '#src/metadata/jobs.ts'
import { keptWith, renumber } from '#src/metadata/keeping.ts'
import type { BlobId } from '#src/model/blob.ts'
import { isWholeHere } from '#src/service/copy-here.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { RemoteBlobs } from '#src/service/remote-blobs.ts'
import type { Counters } from '#src/telemetry/counters.ts'
import { encodeCopies } from './keeper-wire.ts'
import { isOver, within } from './patience.ts'
import { mayKeep, type RestrictionOptions } from './restrictions.ts'
import type { Transport } from './transport.ts'

/** Repairs that wait; of more, the next read or the scrubber tells again. */
const waitingMost = 10_000
const askMilliseconds = 5_000
/** Before the number of a damaged copy is changed again where that failed, in milliseconds: a store may be away for a while. */
const renumberMilliseconds = [100, 1000, 5000, 20_000]
/** Copies of which it is known that they were read; of more, each is read whenever somebody asks. */
const readMost = 200_000
/** How long a repair that failed is left alone, in milliseconds. */
const againMilliseconds = 60_000

export interface CopiesOptions extends RestrictionOptions {
  readonly foundation: Foundation
  readonly read: RemoteBlobs['read']
  readonly transport: Transport
  readonly counters?: Counters
  readonly failed: (error: unknown) => void
}

/**
 * Durable copies that this region takes of what others hold.
 *
 * Y4  a copy is named only after all of it was verified against the blob's record and is on stable storage (I2); where it
 *     takes the place of one that cannot be read, that is one transaction (I3).
 */
export class Copies {
  readonly #options: CopiesOptions
  readonly #waiting = new Set<BlobId>()
  readonly #failedAt = new Map<BlobId, number>()
  /** The number that a copy had when all of it was read. */
  readonly #read = new Map<BlobId, number>()
  /** How often somebody told of damage: who reads meanwhile may have read it before. */
  #found = 0
  readonly #stopping = new AbortController()
  #working: Promise<void> | undefined

  constructor(options: CopiesOptions) {
    this.#options = options
  }

  /**
   * Some time later: makes the copy here good that is not, or takes one of what is named here and not held. One after the other, each
   * once however often it is asked for.
   */
  repair(blob: BlobId): void {
    // First of all: what comes after this may wait, or fail.
    this.#read.delete(blob)
    this.#found++
    const { world } = this.#options.foundation
    const failedAt = this.#failedAt.get(blob)
    if (failedAt !== undefined && world.monotonic() - failedAt < againMilliseconds) return
    if (this.#stopping.signal.aborted || this.#waiting.size >= waitingMost) return
    this.#waiting.add(blob)
    this.#working ??= this.#work()
  }

  /**
   * Whether there is a copy here, all of which can be read: it is read, unless it was before and is good by all that is known since. One
   * that another process of this cell found to be damaged has another number. Otherwise it is repaired. Rejects as `isWholeHere`.
   */
  async isGood(blob: BlobId, record: BlobRecord): Promise<boolean> {
    const { foundation } = this.#options
    const copy = keptWith(record, foundation)
    if (this.#read.get(blob) === copy) return true
    const found = this.#found
    const isWhole = copyIn(record, foundation.region) !== undefined && (await isWholeHere(foundation, blob, record))
    if (!isWhole) this.repair(blob)
    else if (found === this.#found && (this.#read.size < readMost || this.#read.has(blob))) this.#read.set(blob, copy)
    return isWhole
  }

  /** Resolves once nothing is being repaired. */
  async settled(): Promise<void> {
    while (this.#working !== undefined) await this.#working
  }

  /** Gives up what waits, for good: it is found again. Resolves once the repair that is under way is over. */
  async stop(): Promise<void> {
    this.#stopping.abort(isOver)
    this.#waiting.clear()
    await this.#working
  }

  async #work(): Promise<void> {
    for (const blob of this.#waiting) {
      try {
        if (await this.#mend(blob)) this.#options.counters?.add('blobs.repaired')
        this.#failedAt.delete(blob)
      } catch (error) {
        this.#failedAt.set(blob, this.#options.foundation.world.monotonic())
        if (this.#failedAt.size > waitingMost) this.#failedAt.clear()
        if (error !== isOver) this.#options.failed(error)
      }
      this.#waiting.delete(blob)
    }
    // In the same turn as the last look at what waits: what comes from now on begins anew.
    this.#working = undefined
  }

  /** Whether it was damaged, and is not any more. */
  async #mend(blob: BlobId): Promise<boolean> {
    const { store, region, cell } = this.#options.foundation
    const record = await store.snapshot((snapshot) => readBlob(snapshot, blob))
    if (record?.kind !== 'bytes') return false
    if (copyIn(record, region) === undefined) {
      // Who keeps it has a copy of its own before others go, wherever it is to be.
      await (record.keeper === cell ? this.ensure(blob) : this.place(blob))
      return false
    }
    // A disk that failed once may read it now: then there is nothing to replace.
    if (await isWholeHere(this.#options.foundation, blob, record)) return false
    try {
      return await this.take(blob)
    } catch (error) {
      await this.#countAgain(blob)
      throw error
    }
  }

  /** The keeper was told that the copy here is none. Where it is one after all, and nobody gave a better, that is taken back. */
  async #countAgain(blob: BlobId): Promise<void> {
    const { foundation } = this.#options
    const { store, region, world } = foundation
    const record = await store.snapshot((snapshot) => readBlob(snapshot, blob))
    if (record?.kind !== 'bytes' || copyIn(record, region) === undefined) return
    if (!(await isWholeHere(foundation, blob, record))) return
    await store.transact(async (transaction) => {
      await renumber(transaction, blob, region, world.now())
      addBlobJob(transaction, { kind: 'hold', blob })
    })
  }

  /** As `ensure`, but not of what is to be in other regions only. */
  async place(blob: BlobId): Promise<void> {
    const { foundation } = this.#options
    const isWanted = await foundation.store.snapshot(async (snapshot) => {
      const record = await readBlob(snapshot, blob)
      return record?.kind === 'bytes' && (await mayKeep(snapshot, record, this.#options, foundation))
    })
    if (isWanted) await this.ensure(blob)
  }

  /** Holds a blob here too, if it is named here and not held already. Rejects as `take`. */
  async ensure(blob: BlobId): Promise<void> {
    const { store, region } = this.#options.foundation
    const record = await store.snapshot((snapshot) => readBlob(snapshot, blob))
    const isWanted = record?.kind === 'bytes' && record.isUnreferenced === undefined
    if (isWanted && copyIn(record, region) === undefined) await this.take(blob)
  }

  /**
   * Fetches a whole blob and makes its copy here durable, in the place of the one there is, if there is one. False: the blob
   * was freed meanwhile, or somebody else was first. Rejects with Fault `ServiceUnavailable` where no other region gives it.
   */
  async take(blob: BlobId): Promise<boolean> {
    const { foundation, read } = this.#options
    const { store, region, blobs, world } = foundation
    const find = () => store.snapshot((snapshot) => readBlob(snapshot, blob))
    const found = await find()
    if (found?.kind !== 'bytes') return false
    const before = copyIn(found, region)?.extents
    if (before !== undefined) await this.#tellLost(blob, found)
    const record = before === undefined ? found : await find()
    if (record?.kind !== 'bytes') return false
    const copy = nextCopy(world.now(), record, region)
    const { size, digest } = record
    const stored = await blobs.write(blob, read(blob, record, 0, size), size)
    try {
      if (stored.size !== size || stored.digest !== digest) throw new Fault('ServiceUnavailable')
      const isNamed = await store.transact((transaction) => replaceCopy(transaction, stored, { region, copy }, before))
      if (isNamed) {
        this.#options.counters?.add('copies.taken')
        return true
      }
    } catch (error) {
      await this.#discard(stored.extents)
      throw error
    }
    await this.#discard(stored.extents)
    return false
  }

  /**
   * Until it is replaced, the keeper must not count on the copy here. Best effort: a keeper out of reach lets nothing go either. Where that is
   * this cell, the copy gets another number: whoever goes by having read the one before reads it again (C21).
   */
  async #tellLost(blob: BlobId, { keeper, holders }: BlobRecord): Promise<void> {
    const { foundation, transport } = this.#options
    if (keeper === foundation.cell) return await this.#renumber(blob)
    const copy = holders.find(({ region }) => region === foundation.region)?.copy ?? 0
    const ask = (signal: AbortSignal) => transport.ask(keeper, 'lost', encodeCopies([{ blob, copy }]), signal)
    await within(foundation.world, askMilliseconds, ask).catch(() => undefined)
  }

  /** Gives up after some time, when the next read or the scrubber tells again; nothing can be repaired in a store that takes no writes. */
  async #renumber(blob: BlobId): Promise<void> {
    const { store, region, world } = this.#options.foundation
    const change = () => store.transact((transaction) => renumber(transaction, blob, region, world.now()))
    for (const pause of renumberMilliseconds) {
      try {
        return await change()
      } catch (error) {
        this.#options.failed(error)
      }
      await world.sleep(pause, this.#stopping.signal)
    }
    await change()
  }

  /** Best effort: the sweep finds what this misses. */
  async #discard(extents: Parameters<typeof addDead>[1]): Promise<void> {
    const { store } = this.#options.foundation
    await store.transact(async (transaction) => addDead(transaction, extents)).catch(() => undefined)
  }
}
