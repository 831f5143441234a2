import { Fault } from '#src/errors.ts'
import { type BlobNews, copyIn, newsOf, readBlob, receiveBlob } from '#src/metadata/blob-records.ts'
import { endReservation, type Reservation, reserve } from '#src/metadata/reservations.ts'
import type { BlobId, Restriction } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { sharingCells } from '#src/model/move.ts'
import { cellsOf, type Member, type Membership, memberOf, targetCells } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Durability, Spread } from '#src/service/spread.ts'
import type { Copies } from './copies.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import { within } from './patience.ts'
import type { Positions } from './positions.ts'
import type { Caller, Method, Transport } from './transport.ts'

/** Longer than the largest part takes to be fetched. */
const reservedMilliseconds = 3_600_000
/** For other cells to commit a record, in milliseconds; then the answer is that nobody knows. */
const confirmMilliseconds = 15_000
/** A blob of this size may take this long to be fetched, in milliseconds, and a larger one as much longer. */
const keepMilliseconds = 30_000
const keepBytes = 64 * 2 ** 20
/** How often a cell looks whether it has come as far as it is asked. */
const lookMilliseconds = 20
/** Blobs of one write that a region fetches at the same time. */
const blobsAtOnce = 4

export interface SpreadingOptions {
  readonly foundation: Foundation
  readonly transport: Transport
  readonly membership: () => Membership
  /** The regions, nearest first. */
  readonly nearest: (regions: readonly string[]) => readonly string[]
  readonly isReachable: (cell: number) => boolean
  readonly positions: Positions
  /** In how many regions a write has to be before it is acknowledged, where its bucket does not say. */
  readonly regions: number
  /** How long a write under way keeps what it needs, in milliseconds; default: an hour. */
  readonly reservedFor?: number
}

interface KeepRequest {
  readonly reservation: Reservation
  readonly until: number
  readonly news: BlobNews
}

interface ReachedRequest {
  readonly heads: string
  /** By its name; of releases before this one, absent. */
  readonly bucket?: string
  readonly reservations: readonly Reservation[]
}

/** Brings writes of this cell to others before they are acknowledged (D3). */
export class Spreading implements Durability {
  readonly #options: SpreadingOptions

  constructor(options: SpreadingOptions) {
    this.#options = options
  }

  check({ location, durability }: Bucket, restriction?: Restriction): void {
    const { membership, regions: usual } = this.#options
    const [named, regions] = [restriction?.regions.length ?? 0, durability ?? usual]
    if (restriction === undefined || named >= regions) return
    if (targetCells(restriction.regions, cellsOf(location, membership()), membership()) === undefined) return
    throw new Fault('InvalidRequest', {
      message: `The object is to be in ${named} regions; what is written here has to be in ${regions}.`,
    })
  }

  async begin(bucket: Bucket, restriction?: Restriction): Promise<Spread | undefined> {
    const { membership, nearest, foundation } = this.#options
    const { name, location, durability } = bucket
    const regions = durability ?? this.#options.regions
    const needed = regions - 1
    if (needed === 0) return undefined
    this.check(bucket, restriction)
    const all = cellsOf(location, membership())
    const targets = restriction && targetCells(restriction.regions, all, membership())
    const others = all.filter((cell) => cell !== foundation.cell)
    if (others.length < needed) {
      throw new Fault('InvalidRequest', {
        message: `This bucket is in ${others.length + 1} regions; what is written here has to be in ${regions}.`,
      })
    }
    const mayTake = (cell: number): boolean => targets?.includes(cell) !== false
    const takers = others.filter(mayTake)
    // Of the regions that it names too few may be left: the bytes go to each of these then, and to others the record alone.
    const copies = Math.min(needed, takers.length)
    const taking = this.#reachable(takers, copies)
    const rest = others.filter((cell) => !mayTake(cell))
    const hearing = this.#reachable(rest, needed - copies).map(({ cell }) => cell)
    const order = nearest(taking.map(({ region }) => region))
    const sorted = order.flatMap((code) => taking.filter(({ region }) => region === code).map(({ cell }) => cell))
    const hearers = { cells: hearing, count: needed - copies }
    return new SpreadWrite(this.#options, name, { takers: { cells: sorted, count: copies }, hearers })
  }

  /** Those that take writes, if there are so many. */
  #reachable(cells: readonly number[], count: number): readonly Member[] {
    const { membership, isReachable } = this.#options
    const members = cells.flatMap((cell) => memberOf(membership(), cell) ?? [])
    const reachable = members.filter(({ cell, state }) => state === 'active' && isReachable(cell))
    if (reachable.length < count) throw new Fault('ServiceUnavailable')
    return reachable
  }
}

/** Other cells, and how many of them it takes. */
interface Others {
  readonly cells: readonly number[]
  readonly count: number
}

interface Audience {
  /** Of its bytes and its record; nearest first. */
  readonly takers: Others
  /** Of its record only. */
  readonly hearers: Others
}

class SpreadWrite implements Spread {
  readonly token: number
  readonly until: number
  readonly #options: SpreadingOptions
  readonly #bucket: string
  readonly #needed: number
  readonly #hearers: Others
  /** Nearest first; once some hold its bytes, those. */
  #cells: readonly number[]
  #reservations: readonly Reservation[] = []

  constructor(options: SpreadingOptions, bucket: string, { takers, hearers }: Audience) {
    const { foundation, reservedFor = reservedMilliseconds } = options
    const { world } = foundation
    this.token = Buffer.from(world.randomBytes(6)).readUIntBE(0, 6)
    this.until = world.now() + reservedFor
    this.#options = options
    this.#bucket = bucket
    this.#cells = takers.cells
    this.#needed = takers.count
    this.#hearers = hearers
  }

  async keep(blobs: readonly BlobId[], whole?: BlobId): Promise<void> {
    if (blobs.length === 0) return
    const { token } = this
    this.#reservations = blobs.map((blob) => ({ blob, token, ...(whole !== undefined && { whole }) }))
    const left = [...this.#cells]
    const one = async (): Promise<number> => {
      for (let cause: unknown; ; ) {
        const cell = left.shift()
        if (cell === undefined) throw new Fault('ServiceUnavailable', {}, { cause })
        try {
          await this.#keepAt(cell)
          return cell
        } catch (error) {
          cause = error
        }
      }
    }
    this.#cells = await Promise.all(Array.from({ length: this.#needed }, one))
  }

  async #keepAt(cell: number): Promise<void> {
    const waiting = [...this.#reservations]
    const some = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await this.#keepOne(cell, next)
    }
    await Promise.all(Array.from({ length: blobsAtOnce }, some))
  }

  async #keepOne(cell: number, reservation: Reservation): Promise<void> {
    const { foundation, transport } = this.#options
    const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, reservation.blob))
    if (record?.kind !== 'bytes') throw new Fault('OperationAborted')
    const news = newsOf(record)
    const regions = [...new Set([foundation.region, ...news.regions])]
    const request: KeepRequest = { reservation, until: this.until, news: { ...news, regions } }
    const patience = keepMilliseconds * Math.ceil(1 + record.size / keepBytes)
    await within(foundation.world, patience, (signal) => transport.ask(cell, 'keep', encodeMessage(request), signal))
  }

  async confirm(): Promise<void> {
    const { foundation, positions } = this.#options
    const heads = textOf(await foundation.store.snapshot((snapshot) => positions.heads(snapshot)))
    const [bucket, reservations] = [this.#bucket, this.#reservations]
    const request = encodeMessage({ heads, bucket, reservations } satisfies ReachedRequest)
    const asked = this.#cells.map((cell) => this.#confirmAt(cell, request))
    const heard = this.#hearers.count === 0 ? [] : [this.#heard(heads)]
    try {
      await firstOf([...asked, ...heard], this.#needed + heard.length)
    } catch (cause) {
      const message = 'The write was made, but not confirmed by other regions: it may stand.'
      throw new Fault('ServiceUnavailable', { message }, { cause })
    }
  }

  /** What has no bytes of it has nothing reserved for it. */
  async #heard(heads: string): Promise<void> {
    const { cells, count } = this.#hearers
    const request = encodeMessage({ heads, bucket: this.#bucket, reservations: [] } satisfies ReachedRequest)
    await firstOf(
      cells.map((cell) => this.#confirmAt(cell, request)),
      count,
    )
  }

  async #confirmAt(cell: number, request: Uint8Array): Promise<void> {
    const { foundation, membership, transport } = this.#options
    await within(foundation.world, confirmMilliseconds, (signal) => transport.ask(cell, 'reached', request, signal))
    // To a cell that the bucket has left meanwhile the record did not go: it has come past it.
    if (!(await isShared(foundation, membership(), this.#bucket, cell))) throw new Fault('ServiceUnavailable')
  }
}

/** By its own row, whether a cell gives a bucket's records to another one, or takes them. */
async function isShared(
  { store, namespace }: Foundation,
  membership: Membership,
  name: string,
  cell: number,
): Promise<boolean> {
  const bucket = await store.snapshot((snapshot) => namespace.bucket(snapshot, name))
  // What comes before its bucket is taken.
  return bucket === undefined || sharingCells(bucket, membership).includes(cell)
}

/** Resolves once so many have; rejects once so many cannot any more. */
async function firstOf(all: readonly Promise<unknown>[], count: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  let [done, failed] = [0, 0]
  for (const each of all) {
    each.then(
      () => {
        if (++done >= count) resolve()
      },
      (error: unknown) => {
        if (++failed > all.length - count) reject(error)
      },
    )
  }
  await promise
}

export interface KeepingOptions {
  readonly foundation: Foundation
  readonly copies: Copies
  readonly positions: Positions
  readonly membership: () => Membership
}

/**
 * What a cell answers to one that spreads a write out. `keep`: a blob is durable here, and reserved. `reached`: all that the asking
 * cell had committed is applied here, that its bucket is here too, and that what was reserved for it is here and named.
 */
export function spreadMethods(options: KeepingOptions): readonly Method[] {
  return [
    { name: 'keep', answer: (request) => keep(options, decodeMessage<KeepRequest>(request)) },
    {
      name: 'reached',
      answer: (request, caller, signal) => reached(options, decodeMessage<ReachedRequest>(request), caller, signal),
    },
  ]
}

const nothing = new Uint8Array(0)

async function keep(
  { foundation, copies }: KeepingOptions,
  { reservation, until, news }: KeepRequest,
): Promise<Uint8Array> {
  const { store } = foundation
  await store.transact(async (transaction) => {
    await receiveBlob(transaction, reservation.blob, news, foundation)
    reserve(transaction, reservation, until)
  })
  if (!(await isHere(foundation, reservation.blob))) await copies.take(reservation.blob)
  if (!(await isHere(foundation, reservation.blob))) throw new Fault('ServiceUnavailable')
  return nothing
}

async function isHere({ store, region }: Foundation, blob: BlobId): Promise<boolean> {
  const record = await store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' && copyIn(record, region) !== undefined
}

async function reached(
  { foundation, positions, membership }: KeepingOptions,
  { heads, bucket, reservations }: ReachedRequest,
  { cell }: Caller,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { store, world } = foundation
  while (!(await store.snapshot((snapshot) => positions.hasReached(snapshot, cell, bytesOf(heads))))) {
    await world.sleep(lookMilliseconds, signal)
  }
  // What comes late to a cell that the bucket has left is not taken (C22).
  if (bucket !== undefined && !(await isShared(foundation, membership(), bucket, foundation.cell))) {
    throw new Fault('ServiceUnavailable')
  }
  for (const reservation of reservations) {
    if (!(await isHere(foundation, reservation.blob))) throw new Fault('ServiceUnavailable')
    await store.transact((transaction) => endReservation(transaction, reservation))
  }
  return nothing
}
