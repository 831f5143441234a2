import { type BucketCopy, readBucketCopy, setBucketCopy } from '#src/metadata/bucket-copy.ts'
import { raiseFloors } from '#src/metadata/forgetting.ts'
import { decodeBlobJob, decodeJob, readBlobJobs, readJobs } from '#src/metadata/jobs.ts'
import { forgetRecords } from '#src/metadata/leaving.ts'
import { bucketIsEmpty } from '#src/metadata/object-records.ts'
import { receive } from '#src/metadata/receive.ts'
import type { Received } from '#src/metadata/received.ts'
import { abortUploads } from '#src/metadata/upload-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { changingCells } from '#src/model/move.ts'
import { cellsOf, isGoing, type Member, type Membership, memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { type BucketRows, bucketChanged, type NamedBucket, readNamed, untilFound } from './bucket-rows.ts'
import type { FeedTarget } from './feed-pages.ts'
import type { Members } from './members.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import type { Positions } from './positions.ts'
import { askRows, type Rows } from './range-methods.ts'
import type { Method, Transport } from './transport.ts'

export interface BucketMovingParts extends BucketRows {
  /** Where what is copied is applied. */
  readonly target: FeedTarget & { readonly foundation: Foundation }
  readonly members: Pick<Members, 'self' | 'membership'>
  readonly transport: Transport
  readonly positions: Positions
  /** Of some cells the nearest first. */
  readonly nearest: (cells: readonly number[]) => readonly number[]
}

export interface HeadsAnswer {
  /** Where the feeds of the cell ended. */
  readonly heads: string
}

export interface DrainRequest extends NamedBucket {
  readonly heads: readonly (readonly [cell: number, heads: string])[]
}

/** How far a cell is with what it has to do. */
export interface MovingAnswer {
  readonly isDone: boolean
  /** Copied so far. */
  readonly records?: number
}

/** Whose records are copied: of cells that stay, or else of those that leave; who joins may not have all yet. */
function sourcesOf(standing: readonly number[], membership: Membership): readonly number[] {
  const of = (state: Member['state']) => standing.filter((cell) => memberOf(membership, cell)?.state === state)
  const staying = of('active')
  return staying.length > 0 ? staying : of('leaving')
}

/** One answer takes about so long at most, in milliseconds; whoever asked asks again. */
const workMilliseconds = 4_000
const recordsPerTransaction = 500
const rowsForgotten = 200
const uploadsAborted = 500
const jobsPerRead = 500

/**
 * What a cell does when a bucket's location changes (C22), asked by the root, step by step (model/move.ts).
 *
 * Z3  a cell says that it has seen a step, or where its feeds end, by its own row in that snapshot.
 * Z4  a cell that comes to a bucket copies all records that one of the standing cells has, tombstones too, after that one shows
 *     its records to it: what changes behind that comes with the feed. It says that it is level only once it has all of it.
 * Z5  a cell that goes forgets the bucket only in transactions that find it gone, and is done once it owes nobody a blob who could take it.
 */
export class BucketMoving {
  readonly methods: readonly Method[]
  readonly #parts: BucketMovingParts

  constructor(parts: BucketMovingParts) {
    this.#parts = parts
    const method = <Request>(
      name: string,
      answer: (asked: Request, signal: AbortSignal) => Promise<unknown>,
    ): Method => ({
      name,
      answer: async (request, _, signal) => encodeMessage(await answer(decodeMessage<Request>(request), signal)),
    })
    this.methods = [
      method<NamedBucket>('bucket-step', async (named, signal) => {
        await this.#until(named, signal, async () => true)
        return {}
      }),
      method<NamedBucket>('bucket-heads', (named, signal) => this.#until(named, signal, (from) => this.#heads(from))),
      method<DrainRequest>('bucket-drain', (request, signal) => this.#drain(request, signal)),
      method<NamedBucket>('bucket-copy', (named, signal) => this.#copy(named, signal)),
      method<NamedBucket>('bucket-leave', (named, signal) => this.#leave(named, signal)),
      method<NamedBucket>('bucket-progress', (named) => this.#progress(named)),
    ]
  }

  /** Once this cell's own row is the one that is named. */
  async #until<Found>(
    named: NamedBucket,
    signal: AbortSignal,
    look: (from: Snapshot, bucket: Bucket) => Promise<Found | undefined>,
  ): Promise<Found> {
    return await untilFound(this.#parts, signal, async (from) => {
      const bucket = await readNamed(this.#parts, from, named)
      return bucket === undefined ? undefined : await look(from, bucket)
    })
  }

  async #heads(from: Snapshot): Promise<HeadsAnswer> {
    return { heads: textOf(await this.#parts.positions.heads(from)) }
  }

  async #drain({ heads, ...named }: DrainRequest, signal: AbortSignal): Promise<object> {
    const { positions, members } = this.#parts
    const { cell: own } = members.self
    return await this.#until(named, signal, async (from, bucket) => {
      if (!(await this.#isCopied(from, bucket))) return undefined
      for (const [cell, position] of heads) {
        if (cell !== own && !(await positions.hasReached(from, cell, bytesOf(position)))) return undefined
      }
      return {}
    })
  }

  /** Whether this cell has what the others had before they showed it their records. */
  async #isCopied(from: Snapshot, bucket: Bucket): Promise<boolean> {
    const { members } = this.#parts
    if (!changingCells(bucket, members.membership).includes(members.self.cell)) return true
    const copy = await readBucketCopy(from, bucket.id)
    return copy?.isWhole === true && copy.move === bucket.move?.epoch
  }

  async #copy(named: NamedBucket, signal: AbortSignal): Promise<MovingAnswer> {
    const { world, transport } = this.#parts
    const until = world.monotonic() + workMilliseconds
    for (;;) {
      const { id, copy } = await this.#until(named, signal, async (from, bucket) => ({
        id: bucket.id,
        copy: await this.#standingCopy(from, bucket),
      }))
      const { records, isWhole } = copy
      if (isWhole || world.monotonic() > until) return { isDone: isWhole, records }
      await this.#apply(named, copy, await askRows(transport, copy.source, { bucket: id }, copy.at, signal))
    }
  }

  /** The copy that goes on; another one from the beginning, where its source is not what it was. */
  async #standingCopy(from: Snapshot, { id, location, move }: Bucket): Promise<BucketCopy> {
    const { members, nearest } = this.#parts
    const { membership } = members
    const sources = sourcesOf(cellsOf(location, membership), membership)
    const standing = await readBucketCopy(from, id)
    const begun = standing === undefined ? undefined : memberOf(membership, standing.source)
    if (standing?.move === move?.epoch && standing !== undefined) {
      if (standing.isWhole || (sources.includes(standing.source) && begun?.incarnation === standing.incarnation)) {
        return standing
      }
    }
    const [source] = nearest(sources)
    const incarnation = source === undefined ? undefined : memberOf(membership, source)?.incarnation
    if (source === undefined || incarnation === undefined)
      throw new Error('no region has the bucket that is to be copied')
    return { move: move?.epoch ?? 0, source, incarnation, isWhole: false, records: 0 }
  }

  async #apply(named: NamedBucket, copy: BucketCopy, { records, floors, next }: Rows): Promise<void> {
    for (let first = 0; first < records.length; first += recordsPerTransaction) {
      await this.#applySome(named, copy, records.slice(first, first + recordsPerTransaction))
    }
    const { at: _, ...rest } = copy
    const counted = { ...rest, records: copy.records + records.length }
    const after: BucketCopy = next === undefined ? { ...counted, isWhole: true } : { ...counted, at: next }
    await this.#parts.store.transact(async (transaction) => {
      await this.#checkCopying(transaction, named, copy)
      await raiseFloors(transaction, floors)
      setBucketCopy(transaction, named.id, after)
    })
  }

  async #applySome(named: NamedBucket, copy: BucketCopy, records: readonly Received[]): Promise<void> {
    const { store, world, target } = this.#parts
    const { conflictMilliseconds, foundation, arrived } = target
    const receiving = { here: foundation, now: world.now(), conflictMilliseconds }
    foundation.space?.check()
    const { arrivals } = await store.transact(async (transaction) => {
      await this.#checkCopying(transaction, named, copy)
      return await receive(transaction, records, receiving)
    })
    if (arrivals.length > 0) arrived?.(arrivals)
  }

  /** That the bucket still comes to this cell, and that nobody else is further with the copy. */
  async #checkCopying(from: Snapshot, named: NamedBucket, copy: BucketCopy): Promise<void> {
    const bucket = await readNamed(this.#parts, from, named)
    const standing = await readBucketCopy(from, named.id)
    const isOwn = standing?.move === copy.move && standing.source === copy.source
    // One that begins anew, from another source or the same one reborn, takes the place of what there was.
    const isSame =
      isOwn && standing.incarnation === copy.incarnation ? standing.records === copy.records : copy.records === 0
    if (bucket?.move?.step !== 'copying' || !isSame) throw bucketChanged(named)
  }

  async #leave(named: NamedBucket, signal: AbortSignal): Promise<MovingAnswer> {
    const { world, store } = this.#parts
    const until = world.monotonic() + workMilliseconds
    await this.#until(named, signal, async () => true)
    for (;;) {
      signal.throwIfAborted()
      const isForgotten = await store.transact((transaction) => this.#forgetSome(transaction, named))
      if (isForgotten) return { isDone: (await this.#hasNoHeir(named)) || !(await this.#owes(named.id)) }
      if (world.monotonic() > until) return { isDone: false }
    }
  }

  /** True: nothing is left. */
  async #forgetSome(to: Transaction, named: NamedBucket): Promise<boolean> {
    const { membership, self } = this.#parts.members
    const bucket = await readNamed(this.#parts, to, named)
    const isGone = bucket?.move?.step === 'leaving' && changingCells(bucket, membership).includes(self.cell)
    if (!isGone) throw bucketChanged(named)
    if (!(await abortUploads(to, named.id, uploadsAborted))) return false
    return (await forgetRecords(to, named.id, rowsForgotten)) === 0
  }

  /**
   * Whether the bucket is only where nothing is handed on to: in cells that leave. It can go on from there once its change is over, and
   * its blobs are kept here until then.
   */
  async #hasNoHeir(named: NamedBucket): Promise<boolean> {
    const { store, members } = this.#parts
    const bucket = await store.snapshot((snapshot) => readNamed(this.#parts, snapshot, named))
    const cells = bucket === undefined ? [] : cellsOf(bucket.location, members.membership)
    return cells.length > 0 && cells.every((cell) => isGoing(members.membership, cell))
  }

  /** Whether blobs of the bucket are still to be handed on. */
  async #owes(bucket: number): Promise<boolean> {
    const { store } = this.#parts
    for (let start: Uint8Array | undefined; ; ) {
      const from = start
      const rows = await store.snapshot((snapshot) => readBlobJobs(snapshot, from, jobsPerRead))
      const isOwed = rows
        .map(({ value }) => decodeBlobJob(value))
        .some((job) => 'bucket' in job && job.bucket === bucket)
      if (isOwed) return true
      const last = rows.at(-1)
      if (last === undefined) break
      start = afterKey(last.key)
    }
    const collected = await store.snapshot((snapshot) => readJobs(snapshot, jobsPerRead))
    return collected.some(({ value }) => {
      const job = decodeJob(value)
      return job.kind === 'manifest' && job.bucket === bucket
    })
  }

  async #progress({ id }: NamedBucket): Promise<MovingAnswer> {
    return await this.#parts.store.snapshot(async (snapshot) => {
      const copy = await readBucketCopy(snapshot, id)
      if (copy !== undefined) return { isDone: copy.isWhole, records: copy.records }
      return { isDone: await bucketIsEmpty(snapshot, id) }
    })
  }
}
