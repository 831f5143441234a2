import { Fault } from '#src/errors.ts'
import type { Bucket, Move } from '#src/model/bucket.ts'
import { changingCells, concernedCells } from '#src/model/move.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import type { MoveProgress, RegionProgress } from '#src/service/regions.ts'
import type { BucketMoving, DrainRequest, HeadsAnswer, MovingAnswer } from './bucket-moving.ts'
import { type BucketRows, bucketChanged, type NamedBucket, nameOf } from './bucket-rows.ts'
import type { Members } from './members.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { stoppedAfter } from './patience.ts'
import type { Method, Transport } from './transport.ts'

export interface BucketMovesParts extends BucketRows {
  readonly members: Pick<Members, 'self' | 'membership' | 'isRoot'>
  readonly transport: Transport
  readonly moving: Pick<BucketMoving, 'methods'>
  readonly options?: Partial<BucketMovesOptions>
}

export interface BucketMovesOptions {
  /** Between two looks at what is to be done, in milliseconds. */
  readonly pause: number
  /** How long a cell may take for an answer, in milliseconds. */
  readonly patience: number
  /** How long no writes are taken at most, by one attempt, in milliseconds. */
  readonly fence: number
  /** After an attempt that failed, the next one waits so long, and twice as long after each that follows; in milliseconds. */
  readonly again: number
}

const defaults: BucketMovesOptions = { pause: 500, patience: 20_000, fence: 10_000, again: 2_000 }
/** An attempt that failed is followed by the next one within so many milliseconds. */
const againMost = 60_000
const bucketsAtOnce = 8

/**
 * Takes buckets from one location to another, in the root (C22). All that it knows is in the buckets' rows: any process of the
 * root goes on where another ended.
 *
 * Z6  a step is taken only after every cell concerned said that it has seen the one before.
 * Z7  once those that come have copied, all cells concerned come to have what the standing ones have, twice: while writes go on,
 *     so that the standing ones have all that was written before it was shown to those that come; and while nothing is written.
 *     Only then the bucket is theirs. One that cannot be asked in time stops that, and writes go on.
 */
export class BucketMoves {
  readonly #parts: BucketMovesParts
  readonly #options: BucketMovesOptions
  readonly #failures = new Map<number, { readonly count: number; readonly until: number }>()

  constructor(parts: BucketMovesParts) {
    this.#parts = parts
    this.#options = { ...defaults, ...parts.options }
  }

  /** Until the signal; in one process of the cell. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world, members } = this.#parts
    while (!signal.aborted) {
      if (members.isRoot) await this.pass(signal, failed).catch(failed)
      await world.sleep(this.#options.pause, signal).catch(() => {})
    }
  }

  /** Takes every bucket that moves as far as it goes now. */
  async pass(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { store, namespace, world } = this.#parts
    const moving = await store.snapshot((snapshot) => namespace.moving(snapshot))
    for (const id of this.#failures.keys()) if (!moving.has(id)) this.#failures.delete(id)
    const due = [...moving].filter(([id]) => (this.#failures.get(id)?.until ?? 0) <= world.monotonic())
    const some = async (): Promise<void> => {
      for (let next = due.shift(); next !== undefined; next = due.shift()) await this.#go(...next, signal, failed)
    }
    await Promise.all(Array.from({ length: bucketsAtOnce }, some))
  }

  async #go(id: number, name: string, signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#parts
    try {
      while (!signal.aborted && (await this.advance(name, signal)));
      this.#failures.delete(id)
    } catch (error) {
      const count = (this.#failures.get(id)?.count ?? 0) + 1
      const pause = Math.min(againMost, this.#options.again * 2 ** (count - 1))
      this.#failures.set(id, { count, until: world.monotonic() + pause })
      if (!signal.aborted) failed(error)
    }
  }

  /** One step, if it can be taken now; true: there may be another at once. Rejects where a cell cannot be asked. */
  async advance(name: string, signal: AbortSignal): Promise<boolean> {
    const { store, namespace } = this.#parts
    const bucket = await store.snapshot((snapshot) => namespace.bucket(snapshot, name))
    switch (bucket?.move?.step) {
      case 'preparing':
        await this.#seen(bucket, signal)
        await this.#change(bucket, { step: 'copying' })
        return true
      case 'copying':
        return await this.#copied(bucket, signal)
      case 'fenced':
      case 'handing':
        return await this.#handed(bucket, signal)
      case 'leaving':
        return await this.#left(bucket, signal)
      default:
        return false
    }
  }

  /** What goes on with a bucket; undefined: nothing does. */
  async progress(bucket: Bucket, signal: AbortSignal): Promise<MoveProgress | undefined> {
    const { members } = this.#parts
    const { move, location } = bucket
    if (move === undefined) return undefined
    const { step, since, other } = move
    const isThere = step === 'handing' || step === 'leaving'
    const regions = await Promise.all(
      changingCells(bucket, members.membership).map(async (cell): Promise<RegionProgress> => {
        const region = memberOf(members.membership, cell)?.region ?? ''
        const asked = this.#ask<MovingAnswer>(cell, 'bucket-progress', nameOf(bucket), signal, progressPatience)
        return { region, ...(await asked.catch(() => ({ isDone: false }))) }
      }),
    )
    return { step, since, from: isThere ? other : location, to: isThere ? location : other, regions }
  }

  async #copied(bucket: Bucket, signal: AbortSignal): Promise<boolean> {
    await this.#seen(bucket, signal)
    const copies = await this.#askAll<MovingAnswer>(this.#changing(bucket), 'bucket-copy', nameOf(bucket), signal)
    if (copies.some(({ isDone }) => !isDone)) return true
    // While writes go on: what a standing cell had not shown yet is with all others then, and so with those that copy from them.
    await this.#level(bucket, signal)
    await this.#change(bucket, { step: 'fenced' })
    return true
  }

  /** While nothing is written. */
  async #handed(fenced: Bucket, signal: AbortSignal): Promise<boolean> {
    let bucket = fenced
    try {
      await stoppedAfter(this.#parts.world, this.#options.fence, signal, async (inner) => {
        if (bucket.move?.step === 'fenced') {
          await this.#level(bucket, inner)
          bucket = await this.#change(bucket, { step: 'handing', isTurned: true })
        }
        await this.#seen(bucket, inner)
        bucket = await this.#change(bucket, { step: 'leaving' })
      })
      return true
    } catch (error) {
      const isTurned = bucket.move?.step === 'handing'
      await this.#change(bucket, { step: 'copying', isTurned })
      throw error
    }
  }

  /** All cells concerned come to have what the standing ones have by now. */
  async #level(bucket: Bucket, signal: AbortSignal): Promise<void> {
    const { membership } = this.#parts.members
    const standing = cellsOf(bucket.location, membership)
    const heads = await this.#askAll<HeadsAnswer>(standing, 'bucket-heads', nameOf(bucket), signal)
    const request: DrainRequest = {
      ...nameOf(bucket),
      heads: standing.map((cell, index) => [cell, heads[index]?.heads ?? ''] as const),
    }
    await this.#askAll(concernedCells(bucket, membership), 'bucket-drain', request, signal)
  }

  async #left(bucket: Bucket, signal: AbortSignal): Promise<boolean> {
    await this.#seen(bucket, signal)
    const leaving = await this.#askAll<MovingAnswer>(this.#changing(bucket), 'bucket-leave', nameOf(bucket), signal)
    if (leaving.some(({ isDone }) => !isDone)) return false
    const { store, namespace } = this.#parts
    await store.transact(async (transaction) => {
      const standing = await this.#same(transaction, bucket)
      namespace.endMove(transaction, { ...standing, epoch: standing.epoch + 1 })
    })
    return false
  }

  #changing(bucket: Bucket): readonly number[] {
    return changingCells(bucket, this.#parts.members.membership)
  }

  async #seen(bucket: Bucket, signal: AbortSignal): Promise<void> {
    const cells = concernedCells(bucket, this.#parts.members.membership)
    await this.#askAll(cells, 'bucket-step', nameOf(bucket), signal)
  }

  async #same(from: Parameters<BucketRows['namespace']['bucket']>[0], before: Bucket): Promise<Bucket> {
    const bucket = await this.#parts.namespace.bucket(from, before.name)
    if (bucket?.id !== before.id || bucket.epoch !== before.epoch) throw bucketChanged(before)
    return bucket
  }

  /** Takes the step, in a transaction that finds the bucket as it was. `isTurned`: its two locations change places. */
  async #change(
    before: Bucket,
    { step, isTurned = false }: Pick<Move, 'step'> & { isTurned?: boolean },
  ): Promise<Bucket> {
    const { store, namespace } = this.#parts
    return await store.transact(async (transaction) => {
      const bucket = await this.#same(transaction, before)
      if (bucket.move === undefined) throw bucketChanged(before)
      const { move, location } = bucket
      const next: Bucket = {
        ...bucket,
        location: isTurned ? move.other : location,
        move: { ...move, step, other: isTurned ? location : move.other },
        epoch: bucket.epoch + 1,
      }
      namespace.changeBucket(transaction, next)
      return next
    })
  }

  async #askAll<Answer>(
    cells: readonly number[],
    method: string,
    request: NamedBucket,
    signal: AbortSignal,
  ): Promise<readonly Answer[]> {
    return await Promise.all(cells.map((cell) => this.#ask<Answer>(cell, method, request, signal)))
  }

  async #ask<Answer>(
    cell: number,
    method: string,
    request: NamedBucket,
    signal: AbortSignal,
    patience = this.#options.patience,
  ): Promise<Answer> {
    const { world, transport, members, moving } = this.#parts
    const bytes = encodeMessage(request)
    try {
      const answer = await stoppedAfter(world, patience, signal, async (inner) =>
        cell === members.self.cell
          ? await answerHere(moving.methods, method, bytes, members.self, inner)
          : await transport.ask(cell, method, bytes, inner),
      )
      return decodeMessage<Answer>(answer)
    } catch (cause) {
      const region = memberOf(members.membership, cell)?.region
      const message = `The region ${region}, which the bucket ${request.name} comes to or leaves, does not do its part.`
      throw new Fault('ServiceUnavailable', { message, BucketName: request.name }, { cause })
    }
  }
}

/** In milliseconds. */
const progressPatience = 2_000

async function answerHere(
  methods: readonly Method[],
  name: string,
  request: Uint8Array,
  self: Members['self'],
  signal: AbortSignal,
): Promise<Uint8Array> {
  const answer = methods.find((each) => each.name === name)?.answer(request, self, signal)
  if (!(answer instanceof Promise)) throw new Error(`no method ${name}`)
  return await answer
}
