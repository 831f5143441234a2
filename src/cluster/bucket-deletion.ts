import { Fault } from '#src/errors.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { clearLogsTo } from '#src/metadata/log-records.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { decodeBucket } from '#src/metadata/namespace-codec.ts'
import { isBucketKey } from '#src/metadata/namespace-keys.ts'
import { bucketIsEmpty } from '#src/metadata/object-records.ts'
import { abortUploads, hasUploadsBeyond } from '#src/metadata/upload-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import { type OtherCells, tooManyUploads, unmarked, uploadsMost } from '#src/service/buckets.ts'
import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { feedPositions } from './feed-positions.ts'
import type { Members } from './members.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import type { Confirmations } from './namespace-root.ts'
import { stoppedAfter } from './patience.ts'
import type { Positions } from './positions.ts'
import type { Method, Transport } from './transport.ts'

/** A bucket as the root fenced it. */
type Fenced = Pick<Bucket, 'name' | 'id' | 'epoch'>

interface FenceAnswer {
  /** Where the feeds of the cell ended once nothing more could come into the bucket there. */
  readonly heads: string
}

interface SettleRequest extends Fenced {
  /** Of each other cell of the bucket. */
  readonly heads: readonly (readonly [cell: number, heads: string])[]
}

interface SettleAnswer {
  readonly left: 'nothing' | 'objects' | 'uploads'
}

export interface BucketDeletionParts {
  readonly store: Store
  readonly world: World
  readonly namespace: Namespace
  readonly members: Members
  readonly transport: Transport
  readonly confirmations: Confirmations
  /** How long each of the two questions to the other cells may take, in milliseconds. */
  readonly patience?: number
}

/** How often a cell looks whether it has come so far, in milliseconds. */
const lookMilliseconds = 20
const defaultPatience = 10_000
/** A deletion that nobody carries on any more is undone after one of these, and before two, in milliseconds. */
const abandonedMilliseconds = 60_000

/**
 * Deletes buckets whose objects may be in several cells (C22).
 *
 * Y14  the root marks the bucket as `deleting`; each of its cells says where its feed ends in a state in which its own row says
 *      so, and in which therefore no object can be written to the bucket there any more.
 * Y15  each of the cells, having applied what the others wrote until then, says whether it is empty; only if all do, the row goes,
 *      in a transaction that finds it as it was marked. Otherwise the mark goes.
 */
export class BucketDeletion implements OtherCells {
  readonly methods: readonly Method[]
  readonly #parts: BucketDeletionParts
  readonly #records = new ClusterRecords()
  readonly #positions: Positions

  constructor(parts: BucketDeletionParts) {
    this.#parts = parts
    const { members } = parts
    this.#positions = feedPositions(members.self.incarnation, () => members.membership)
    this.methods = [
      {
        name: 'bucket-fence',
        answer: async (request, _, signal) => encodeMessage(await this.#fence(decodeMessage(request), signal)),
      },
      {
        name: 'bucket-settle',
        answer: async (request, _, signal) => encodeMessage(await this.#settle(decodeMessage(request), signal)),
      },
    ]
  }

  /** One that joins is not asked: it has written nothing, and sees the mark before it may. */
  async cells(from: Snapshot, { location }: Bucket): Promise<readonly number[]> {
    const membership = await this.#records.membership(from)
    if (membership === undefined) return []
    const cells = cellsOf(location, membership).filter((cell) => memberOf(membership, cell)?.state !== 'joining')
    const { cell } = this.#parts.members.self
    return cells.length === 1 && cells[0] === cell ? [] : cells
  }

  async checkEmpty({ name, id, epoch }: Bucket, cells: readonly number[]): Promise<void> {
    const fenced: Fenced = { name, id, epoch }
    const heads = await Promise.all(
      cells.map(async (cell) => [cell, (await this.#askFence(cell, fenced)).heads] as const),
    )
    const answers = await Promise.all(
      cells.map((cell) => this.#askSettle(cell, { ...fenced, heads: heads.filter(([from]) => from !== cell) })),
    )
    if (answers.some(({ left }) => left === 'objects')) throw new Fault('BucketNotEmpty', { BucketName: name })
    if (answers.some(({ left }) => left === 'uploads')) throw tooManyUploads(name)
  }

  async unmarked(): Promise<void> {
    const { confirmations } = this.#parts
    await confirmations.wait(await confirmations.head(), new AbortController().signal)
  }

  async #askFence(cell: number, request: Fenced): Promise<FenceAnswer> {
    return await this.#ask(cell, 'bucket-fence', request, (signal) => this.#fence(request, signal))
  }

  async #askSettle(cell: number, request: SettleRequest): Promise<SettleAnswer> {
    return await this.#ask(cell, 'bucket-settle', request, (signal) => this.#settle(request, signal))
  }

  async #ask<Answer>(
    cell: number,
    method: string,
    request: Fenced,
    here: (signal: AbortSignal) => Promise<Answer>,
  ): Promise<Answer> {
    const { world, transport, members, patience = defaultPatience } = this.#parts
    try {
      return await stoppedAfter(world, patience, new AbortController().signal, async (signal) =>
        cell === members.self.cell
          ? await here(signal)
          : decodeMessage<Answer>(await transport.ask(cell, method, encodeMessage(request), signal)),
      )
    } catch (cause) {
      if (cause instanceof Fault) throw cause
      const region = memberOf(members.membership, cell)?.region
      const message = `The region ${region}, which may have objects of the bucket, cannot be asked.`
      throw new Fault('ServiceUnavailable', { message, BucketName: request.name }, { cause })
    }
  }

  async #fence(fenced: Fenced, signal: AbortSignal): Promise<FenceAnswer> {
    return await this.#until(signal, async (from) => {
      if (!(await this.#isFenced(from, fenced))) return undefined
      return { heads: textOf(await this.#positions.heads(from)) }
    })
  }

  async #settle({ heads, ...fenced }: SettleRequest, signal: AbortSignal): Promise<SettleAnswer> {
    return await this.#until(signal, async (from) => {
      if (!(await this.#isFenced(from, fenced))) throw changed(fenced)
      for (const [cell, position] of heads) {
        if (!(await this.#positions.hasReached(from, cell, bytesOf(position)))) return undefined
      }
      if (!(await bucketIsEmpty(from, fenced.id))) return { left: 'objects' }
      return { left: (await hasUploadsBeyond(from, fenced.id, uploadsMost)) ? 'uploads' : 'nothing' }
    })
  }

  /** Whether this cell's own row says so; false: not yet. */
  async #isFenced(from: Snapshot, fenced: Fenced): Promise<boolean> {
    const bucket = await this.#parts.namespace.bucket(from, fenced.name)
    if (bucket === undefined || bucket.id < fenced.id || bucket.epoch < fenced.epoch) return false
    if (isAsFenced(bucket, fenced)) return true
    throw changed(fenced)
  }

  async #until<Found>(signal: AbortSignal, look: (from: Snapshot) => Promise<Found | undefined>): Promise<Found> {
    const { store, world } = this.#parts
    for (;;) {
      signal.throwIfAborted()
      const found = await store.snapshot(look)
      if (found !== undefined) return found
      await world.sleep(lookMilliseconds, signal)
    }
  }

  /** In the root, until the signal: takes marks away that a process left when it ended. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world, members } = this.#parts
    let before: readonly Fenced[] = []
    while (!signal.aborted) {
      await world.sleep(abandonedMilliseconds, signal).catch(() => {})
      if (signal.aborted || !members.isRoot) continue
      try {
        before = await this.undoAbandoned(before)
      } catch (error) {
        failed(error)
      }
    }
  }

  /** Undoes the deletions that were under way before and still are; gives those that are. */
  async undoAbandoned(before: readonly Fenced[]): Promise<readonly Fenced[]> {
    const { store, namespace } = this.#parts
    for (const fenced of before) {
      await store.transact(async (transaction) => {
        const bucket = await namespace.bucket(transaction, fenced.name)
        if (bucket !== undefined && isAsFenced(bucket, fenced)) namespace.changeBucket(transaction, unmarked(bucket))
      })
    }
    const buckets = await store.snapshot((snapshot) => namespace.buckets(snapshot))
    return buckets.filter(({ state }) => state === 'deleting')
  }
}

const isAsFenced = ({ id, epoch, state }: Bucket, fenced: Fenced): boolean =>
  state === 'deleting' && id === fenced.id && epoch === fenced.epoch

const changed = ({ name }: Fenced): Fault => new Fault('OperationAborted', { BucketName: name })

/** In a cell that is not the root, when a bucket's row changes: uploads in progress end with their bucket there too (B3). */
export async function leaveBucket(to: Transaction, key: Uint8Array, value: Uint8Array | undefined): Promise<void> {
  if (!isBucketKey(key)) return
  const row = await to.get(key)
  if (row === undefined) return
  const { id } = decodeBucket(row)
  if (value !== undefined && decodeBucket(value).id === id) return
  await abortUploads(to, id, uploadsMost)
  clearLogsTo(to, id)
}
