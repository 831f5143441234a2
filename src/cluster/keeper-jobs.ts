import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob, yieldElsewhere } from '#src/metadata/blob-records.ts'
import { addBlobJob, type BlobJob, decodeBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import { askElsewhere, forgetUnheld, giveUp, type Let, renumber, shed } from '#src/metadata/keeping.ts'
import { endReservation, isReserved } from '#src/metadata/reservations.ts'
import type { BlobId, Restriction } from '#src/model/blob.ts'
import type { Snapshot } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { Freeing, type FreeingOptions } from './freeing.ts'
import { HandingOn, type HandingOnOptions } from './handing-on.ts'
import { decodeHeld, decodeLet, encodeCopies, encodeGiven, type NumberedCopy } from './keeper-wire.ts'
import { within } from './patience.ts'
import { targetsOf } from './restrictions.ts'
import type { Succession } from './succession.ts'

/** Jobs looked at together: what a transaction of a keeper takes well. */
const jobsTogether = 200
const askMilliseconds = 10_000
/** Idle time between passes. */
const passMilliseconds = 1_000
/**
 * For so long others are given time to hear that nobody names a blob any more: who names it still then goes on with it. And for so long a
 * copy is told to whom others take for its keeper: then all are asked (K3).
 */
const lateMilliseconds = 60_000

export interface KeeperJobsOptions extends FreeingOptions, HandingOnOptions {
  readonly succession: Pick<Succession, 'isGoing' | 'keepersOf' | 'resolve'>
}

type KeeperJob = Exclude<BlobJob, { readonly kind: 'reserved' }>

/** A job, its row, and the copy here that it is about. */
interface BlobWork {
  readonly row: Uint8Array
  readonly kind: KeeperJob['kind']
  readonly blob: BlobId
  readonly keeper: number
  readonly copy: number | undefined
  readonly isNamed: boolean
  /** Whether there is a record of it here. */
  readonly isKnown: boolean
  /** Whether it was seen a while ago, and is still there. */
  readonly isLate: boolean
  /** The bucket that named it here, and left. */
  readonly bucket?: number
  /** Which regions are to keep it; undefined: all of its bucket may. */
  readonly restriction?: Restriction | undefined
  /** Of a `yield`: the cells that are to hold it. */
  readonly targets?: readonly number[]
}

/**
 * Carries out what a cell asks of the keepers of blobs, and what it decides as one.
 *
 * V8  what is named here and to be in other regions goes from here only once one of those keeps it, with a good copy, and says so: a
 *     keeper that has no word of it lets nothing go.
 * V4  a copy here is forgotten only after its keeper said that it may go, and in a transaction that finds it as it was then; or once no
 *     cell keeps the blob, as all say;
 *     a keeper that cannot be reached is asked again, and until then nothing goes (I7).
 */
export class KeeperJobs {
  readonly #options: KeeperJobsOptions
  readonly #freeing: Freeing
  readonly #handing: HandingOn
  /** By row, as of the last whole pass: when the job was first seen, by the monotonic clock. */
  #seen: ReadonlyMap<string, number> = new Map()

  constructor(options: KeeperJobsOptions) {
    this.#options = options
    this.#freeing = new Freeing(options)
    this.#handing = new HandingOn(options)
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#options.foundation
    while (!signal.aborted) {
      await this.pass(failed, signal).catch(failed)
      await world.sleep(passMilliseconds, signal).catch(() => undefined)
    }
  }

  /** Looks at every job once, or until the signal; `failed` hears of keepers that do not answer. Gives how many jobs were done. */
  async pass(failed: (error: unknown) => void = () => {}, signal?: AbortSignal): Promise<number> {
    const { store, world } = this.#options.foundation
    const isOver = (): boolean => signal?.aborted === true
    const seen = new Map<string, number>()
    let done = 0
    let start: Uint8Array | undefined
    for (;;) {
      if (isOver()) return done
      const rows = await store.snapshot((snapshot) => readBlobJobs(snapshot, start, jobsTogether))
      const last = rows.at(-1)
      if (last === undefined) {
        this.#seen = seen
        return done
      }
      start = afterKey(last.key)
      const jobs = rows.map(({ key, value }) => ({ row: key, job: decodeBlobJob(value) }))
      const asked: { readonly row: Uint8Array; readonly job: KeeperJob }[] = []
      for (const { row, job } of jobs) {
        if (job.kind === 'reserved') done += await this.#endReservation(row, job)
        else asked.push({ row, job })
      }
      const now = world.monotonic()
      const sinceOf = (row: Uint8Array): number => {
        const name = Buffer.from(row.buffer, row.byteOffset, row.length).toString('latin1')
        const since = this.#seen.get(name) ?? now
        seen.set(name, since)
        return since
      }
      const looked = await Promise.all(
        asked.map(({ row, job }) => this.#look(row, job, now - sinceOf(row) >= lateMilliseconds)),
      )
      // Another job about the same blob was faster: nothing of it is left here that could be kept, or let go.
      done += await this.#drop(looked.filter(({ isKnown }) => !isKnown))
      const all = looked.filter(({ isKnown }) => isKnown)
      for (const [keeper, work] of Map.groupBy(all, (each) => each.keeper)) {
        if (isOver()) return done
        // One keeper that does not answer keeps the others from nothing.
        done += await this.#do(keeper, work).catch((error: unknown) => {
          failed(error)
          return 0
        })
      }
    }
  }

  /** Once its time is over, or the write has come to its end by itself. */
  async #endReservation(row: Uint8Array, job: Extract<BlobJob, { kind: 'reserved' }>): Promise<number> {
    const { store, world } = this.#options.foundation
    if (job.until > world.now() && (await store.snapshot((snapshot) => isReserved(snapshot, job)))) return 0
    await store.transact(async (transaction) => {
      await endReservation(transaction, job)
      transaction.clear(row)
    })
    return 1
  }

  async #look(row: Uint8Array, job: KeeperJob, isLate: boolean): Promise<BlobWork> {
    const { kind, blob } = job
    const { store, region, cell } = this.#options.foundation
    const { record, targets } = await store.snapshot(async (snapshot) => {
      const record = await readBlob(snapshot, blob)
      const targets = kind === 'yield' && record?.kind === 'bytes' ? await this.#yieldTo(snapshot, record) : undefined
      return { record, targets }
    })
    if (record?.kind !== 'bytes') {
      return { row, kind, blob, keeper: cell, copy: undefined, isNamed: false, isKnown: false, isLate }
    }
    const own = copyIn(record, region)
    const isNamed = record.isUnreferenced === undefined
    const left = job.kind === 'leave' && job.bucket !== undefined ? { bucket: job.bucket } : {}
    const copy = own === undefined ? undefined : (own.copy ?? 0)
    const to = targets === undefined ? {} : { targets }
    const { keeper, restriction } = record
    return { row, kind, blob, keeper, copy, isNamed, isKnown: true, isLate, restriction, ...left, ...to }
  }

  /** The cells that are to hold a blob, where this is none of them. */
  async #yieldTo(from: Snapshot, record: BlobRecord): Promise<readonly number[] | undefined> {
    const targets = await targetsOf(from, record, this.#options)
    return targets?.includes(this.#options.foundation.cell) === true ? undefined : targets
  }

  async #do(keeper: number, work: readonly BlobWork[]): Promise<number> {
    const { foundation, succession } = this.#options
    const { cell } = foundation
    const holds = work.filter(({ kind }) => kind === 'hold')
    const leaves = work.filter(({ kind }) => kind === 'leave')
    const named = leaves.filter(({ isNamed }) => isNamed)
    const unnamed = leaves.filter(({ isNamed }) => !isNamed)
    const yields = work.filter(({ kind }) => kind === 'yield')
    // Who names it no more leaves it; and it may stay where none is left of those that it is to be in.
    const isToGo = ({ isNamed, targets }: BlobWork): boolean => isNamed && targets !== undefined
    let done = (await this.#holdAgain(named)) + (await this.#drop(yields.filter((each) => !isToGo(each))))
    const going = yields.filter(isToGo)
    if (keeper !== cell && succession.isGoing(keeper)) {
      // The next pass asks the new one.
      await succession.resolve(work.map(({ blob }) => blob))
      return done
    }
    if (keeper === cell) {
      const free = await this.#handing.hand(unnamed)
      done += (await this.#concede(holds)) + (await this.#freeing.free(free))
      await this.#handOver(going)
      return done
    }
    const here = (each: BlobWork): each is BlobWork & NumberedCopy => each.copy !== undefined
    done += await this.#drop([...holds, ...going].filter((each) => !here(each)))
    done += await this.#forget(unnamed.filter((each) => !here(each)))
    done += await this.#hold(keeper, holds.filter(here))
    done += await this.#leave(keeper, unnamed.filter(here))
    done += await this.#shed(keeper, going.filter(here))
    return done
  }

  /**
   * A copy that is kept here is told to nobody, unless another cell says that it keeps the blob too (K1): then the least of them goes on
   * with it. Else each could lack the very copy that the other one counts.
   */
  async #concede(holds: readonly BlobWork[]): Promise<number> {
    const { foundation, succession } = this.#options
    const keepers = await succession.keepersOf(holds.map(({ blob }) => blob))
    if (keepers === undefined) return 0
    const keeperOf = ({ blob }: BlobWork): number => Math.min(keepers.get(blob) ?? foundation.cell, foundation.cell)
    let done = 0
    for (const [keeper, some] of Map.groupBy(holds, keeperOf)) {
      // The others are told of once that one keeps them.
      if (keeper === foundation.cell) done += await this.#drop(some)
      else
        await this.#handing.yield(
          some.map(({ blob }) => blob),
          [keeper],
        )
    }
    return done
  }

  /** What is kept here, and to be elsewhere, is kept there from then on. */
  async #handOver(work: readonly BlobWork[]): Promise<void> {
    for (const [cells, some] of Map.groupBy(work, ({ targets = [] }) => targets.join())) {
      const blobs = some.map(({ blob }) => blob)
      await this.#handing.yield(blobs, cells.split(',').map(Number))
    }
  }

  async #drop(work: readonly BlobWork[]): Promise<number> {
    if (work.length === 0) return 0
    await this.#options.foundation.store.transact(async (transaction) => {
      for (const { row } of work) transaction.clear(row)
    })
    return work.length
  }

  /** What was kept here without a copy, as of what is lost, is kept by another one now. */
  async #forget(work: readonly BlobWork[]): Promise<number> {
    if (work.length === 0) return 0
    const { foundation } = this.#options
    let done = 0
    await foundation.store.transact(async (transaction) => {
      done = 0
      for (const { row, blob } of work) {
        if (!(await forgetUnheld(transaction, blob, foundation))) continue
        transaction.clear(row)
        done += 1
      }
    })
    return done
  }

  /** Named again since: its keeper may have let go meanwhile, and is told of the copy once more. What was to go elsewhere still is. */
  async #holdAgain(work: readonly BlobWork[]): Promise<number> {
    if (work.length === 0) return 0
    const { store, region } = this.#options.foundation
    await store.transact(async (transaction) => {
      for (const { row, blob, restriction } of work) {
        transaction.clear(row)
        addBlobJob(transaction, { kind: 'hold', blob })
        yieldElsewhere(transaction, blob, restriction, region)
      }
    })
    return work.length
  }

  async #ask(keeper: number, method: string, request: Uint8Array): Promise<Uint8Array> {
    const { transport, foundation } = this.#options
    return await within(foundation.world, askMilliseconds, (signal) => transport.ask(keeper, method, request, signal))
  }

  async #hold(keeper: number, work: readonly (BlobWork & NumberedCopy)[]): Promise<number> {
    if (work.length === 0) return 0
    const { foundation, succession } = this.#options
    const { store, region, world } = foundation
    const answers = decodeHeld(await this.#ask(keeper, 'hold', encodeCopies(work)))
    const isAstray = ({ isLate }: BlobWork, index: number): boolean =>
      isLate && (answers[index]?.word === 'unknown' || answers[index]?.word === 'elsewhere')
    const keepers = await succession.keepersOf(work.filter(isAstray).map(({ blob }) => blob))
    let done = 0
    await store.transact(async (transaction) => {
      done = 0
      for (const [index, { row, blob }] of work.entries()) {
        const { word, last } = answers[index] ?? { word: 'unknown', last: 0 }
        const found = keepers?.get(blob)
        // The next pass asks that one. Nobody becomes a keeper by hearsay.
        if (found !== undefined && found !== keeper) await askElsewhere(transaction, blob, keeper, found)
        else if (word === 'elsewhere' && last !== foundation.cell) await askElsewhere(transaction, blob, keeper, last)
        if (word === 'stale') await renumber(transaction, blob, region, Math.max(world.now(), last + 1))
        if (word !== 'held') continue
        transaction.clear(row)
        done += 1
      }
    })
    return done
  }

  async #leave(keeper: number, work: readonly (BlobWork & NumberedCopy)[]): Promise<number> {
    if (work.length === 0) return 0
    const { foundation, succession } = this.#options
    const { store, region } = foundation
    const answers = decodeLet(await this.#ask(keeper, 'release', encodeGiven(work)))
    // One that has forgotten a blob, and keeps it no more, says the same as one that freed it: another may keep it, and count the copy here.
    const freed = work.filter((_, index) => answers[index] === 'freed')
    const keepers = await succession.keepersOf(freed.map(({ blob }) => blob))
    let done = 0
    await store.transact(async (transaction) => {
      done = 0
      for (const [index, { row, blob, copy }] of work.entries()) {
        const answer: Let | undefined = answers[index]
        if (answer === undefined || answer === 'wait') continue
        const found = answer === 'freed' ? keepers?.get(blob) : undefined
        if (found !== undefined) await askElsewhere(transaction, blob, keeper, found)
        if (answer === 'freed' && (found !== undefined || keepers === undefined)) continue
        const left = await giveUp(transaction, { blob, region, copy }, keeper)
        // Named again meanwhile, it is looked at as such by the next pass.
        if (left !== 'gone') continue
        transaction.clear(row)
        done += 1
      }
    })
    return done
  }

  async #shed(keeper: number, work: readonly (BlobWork & NumberedCopy)[]): Promise<number> {
    if (work.length === 0) return 0
    const { store, region } = this.#options.foundation
    const answers = decodeLet(await this.#ask(keeper, 'release', encodeGiven(work)))
    let done = 0
    await store.transact(async (transaction) => {
      done = 0
      for (const [index, { row, blob, copy }] of work.entries()) {
        // A keeper that has not heard of it, and says that nobody names it, is no other copy.
        if (answers[index] !== 'granted') continue
        if (!(await shed(transaction, { blob, region, copy }, keeper))) continue
        transaction.clear(row)
        done += 1
      }
    })
    return done
  }
}
