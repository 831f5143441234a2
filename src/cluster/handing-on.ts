import { readBlob } from '#src/metadata/blob-records.ts'
import { handOver, keptWith } from '#src/metadata/keeping.ts'
import type { BlobId } from '#src/model/blob.ts'
import { isGoing, memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { decodeAdopted, encodeKeptBy, encodeOffer } from './keeper-wire.ts'
import type { NeededOptions } from './needed.ts'
import { within } from './patience.ts'
import { targetsOf } from './restrictions.ts'
import type { Transport } from './transport.ts'

export interface HandingOnOptions extends Omit<NeededOptions, 'mostDurable'> {
  readonly foundation: Foundation
  readonly transport: Transport
  /** Which of some blobs no region has a copy of, as all cells say. */
  readonly lostOf: (blobs: readonly BlobId[]) => Promise<ReadonlySet<BlobId>>
}

/** A blob that is kept here, and not named any more. */
interface Left {
  readonly blob: BlobId
  /** That named it, and is not here any more. */
  readonly bucket?: number
  /** Others have had time to hear of that, if it was all. */
  readonly isLate?: boolean
}

/** A blob that is offered to others. */
interface Offered<Job extends Left> {
  readonly job: Job
  /** Those that are asked, one after the other. */
  readonly cells: readonly number[]
  /** What it was kept with here before the first of them was. */
  readonly with: number
}

/** The bucket that named it, or `any`, where it is named elsewhere and nothing tells by which. */
const whoseOf = ({ bucket, isLate }: Left): number | 'any' | undefined =>
  bucket ?? (isLate === true ? 'any' : undefined)

/** Longer than the other side takes by its own account, in milliseconds. */
const askMilliseconds = 15_000

/**
 * Hands the keeping of blobs on to the cells that go on with their bucket.
 *
 * V6  who hands a blob on is its keeper until all other cells know the new one, which has a good copy by then: at no moment is
 *     there a copy that counts with nobody, and none is let go by one who keeps the blob no more. If it comes back meanwhile, it stays:
 *     an answer from before ends nothing. Of what is lost no copy is waited for.
 */
export class HandingOn {
  readonly #options: HandingOnOptions

  constructor(options: HandingOnOptions) {
    this.#options = options
  }

  /**
   * Gives those that no cell of their bucket names, and that therefore may be freed here. The others take their time. What is
   * named elsewhere, though no bucket took its name away from here, is told by nothing but that it is not freed: it is offered to all.
   */
  async hand<Job extends Left>(jobs: readonly Job[]): Promise<readonly Job[]> {
    const { foundation, membership } = this.#options
    const free: Job[] = []
    for (const [bucket, left] of Map.groupBy(jobs, whoseOf)) {
      const cells = await this.#cellsOf(bucket)
      const others = cells.filter((cell) => cell !== foundation.cell && !isGoing(membership(), cell))
      // One that has the bucket again, and names the blob no more, frees it like any other.
      const isBack = bucket !== 'any' && cells.includes(foundation.cell)
      const needed = await this.#needed(bucket === 'any' ? undefined : bucket)
      free.push(...(isBack ? left : await this.#offer(left, others, needed)))
    }
    return free
  }

  /** Offers blobs that are kept here, and to be elsewhere, to the cells that are to hold them. Each takes its time. */
  async yield(blobs: readonly BlobId[], cells: readonly number[]): Promise<void> {
    const jobs = blobs.map((blob) => ({ blob }))
    // All of these fetch it by themselves.
    await this.#offer(jobs, cells, 1)
  }

  async #cellsOf(bucket: number | 'any' | undefined): Promise<readonly number[]> {
    const { foundation, cellsOfBucket, membership } = this.#options
    if (bucket === undefined || cellsOfBucket === undefined) return []
    if (bucket !== 'any') return await foundation.store.snapshot((snapshot) => cellsOfBucket(snapshot, bucket))
    return membership().members.flatMap(({ cell, state }) => (state === 'active' ? [cell] : []))
  }

  async #offer<Job extends Left>(
    jobs: readonly Job[],
    cells: readonly number[],
    needed: number,
  ): Promise<readonly Job[]> {
    const lost = await this.#lost(jobs)
    let rest = await Promise.all(jobs.map((job) => this.#offered(job, cells)))
    for (let turn = 0; turn < cells.length && rest.length > 0; turn++) {
      const unnamed: typeof rest = []
      for (const [cell, offered] of Map.groupBy(rest, (each) => each.cells[turn] as number)) {
        const offer = encodeOffer({ blobs: offered.map(({ job }) => job.blob), lost })
        const words = decodeAdopted(await this.#ask(cell, 'adopt', offer))
        const adopted = offered.filter((_, index) => words[index] === 'adopted')
        await this.#tell(adopted, cell, cells, needed)
        unnamed.push(...offered.filter((_, index) => words[index] === 'unnamed'))
      }
      rest = unnamed
    }
    return rest.map(({ job }) => job)
  }

  /** Only of those that it knows to be nowhere: others are not asked about each blob. */
  async #lost(jobs: readonly Left[]): Promise<ReadonlySet<BlobId>> {
    const { foundation, lostOf } = this.#options
    const suspected = await foundation.store.snapshot(async (snapshot) => {
      const found: BlobId[] = []
      for (const { blob } of jobs) {
        const record = await readBlob(snapshot, blob)
        if (record?.kind === 'bytes' && record.holders.length === 0) found.push(blob)
      }
      return found
    })
    return suspected.length === 0 ? new Set() : await lostOf(suspected)
  }

  async #needed(bucket: number | undefined): Promise<number> {
    const { foundation, durabilityOf, durabilityRegions } = this.#options
    if (bucket === undefined) return durabilityRegions
    return (await foundation.store.snapshot(async (from) => await durabilityOf?.(from, bucket))) ?? durabilityRegions
  }

  /** Those first that are to hold it, and of them those whose regions hold it already. */
  async #offered<Job extends Left>(job: Job, cells: readonly number[]): Promise<Offered<Job>> {
    const { foundation, membership } = this.#options
    const { record, targets } = await foundation.store.snapshot(async (snapshot) => {
      const found = await readBlob(snapshot, job.blob)
      const record = found?.kind === 'bytes' ? found : undefined
      return { record, targets: record && (await targetsOf(snapshot, record, this.#options)) }
    })
    const holding = record?.holders.map(({ region }) => region) ?? []
    const isWanted = (cell: number): number => (targets?.includes(cell) === true ? 2 : 0)
    const holds = (cell: number): number => (holding.includes(memberOf(membership(), cell)?.region ?? '') ? 1 : 0)
    const rankOf = (cell: number): number => isWanted(cell) + holds(cell)
    const order = [...cells].sort((one, other) => rankOf(other) - rankOf(one))
    return { job, cells: order, with: record === undefined ? -1 : keptWith(record, foundation) }
  }

  /** All other cells, and then this one, get to know who keeps them. */
  async #tell(
    adopted: readonly Offered<Left>[],
    keeper: number,
    cells: readonly number[],
    needed: number,
  ): Promise<void> {
    if (adopted.length === 0) return
    const { foundation, membership } = this.#options
    const blobs = adopted.map(({ job }) => job.blob)
    const holding = cells.filter((cell) => cell !== keeper).slice(0, Math.max(0, needed - 1))
    const others = membership().members.filter(
      ({ cell, state }) => cell !== keeper && cell !== foundation.cell && state !== 'removed',
    )
    await Promise.all(
      others.map(({ cell }) =>
        this.#ask(cell, 'kept-by', encodeKeptBy({ keeper, holds: holding.includes(cell), blobs })),
      ),
    )
    await foundation.store.transact(async (transaction) => {
      for (const each of adopted)
        await handOver(transaction, each.job.blob, { keeper, with: each.with, here: foundation })
    })
  }

  async #ask(cell: number, method: string, request: Uint8Array): Promise<Uint8Array> {
    const { foundation, transport } = this.#options
    return await within(foundation.world, askMilliseconds, (signal) => transport.ask(cell, method, request, signal))
  }
}
