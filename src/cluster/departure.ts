import { type BlobRecord, decodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, copyIn, readBlob } from '#src/metadata/blob-records.ts'
import { type Departure, hasLeft, readDeparture, setDeparture, setLeft } from '#src/metadata/departure-records.ts'
import { changeKeeper } from '#src/metadata/keeping.ts'
import { type Subspace, under } from '#src/metadata/keyspace.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { abortUploads } from '#src/metadata/upload-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { isGoing, memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { Freeing } from './freeing.ts'
import type { Members } from './members.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import { within } from './patience.ts'
import type { Positions } from './positions.ts'
import type { Succession } from './succession.ts'
import { askSheltered } from './succession-methods.ts'
import type { Method, Transport } from './transport.ts'

export interface DepartureOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world' | 'region' | 'cell'> & { readonly namespace: Namespace }
  readonly transport: Transport
  readonly members: Pick<Members, 'membership' | 'self' | 'isRemoved'>
  readonly positions: Positions
  readonly succession: Pick<Succession, 'resolve' | 'keepersOf'>
  readonly freeing: Pick<Freeing, 'namedHereOnly'>
  /** How long uploads that clients have begun here may take to come to their end, in milliseconds; default: a day. */
  readonly uploadPatience?: number
}

const day = 86_400_000
const lookMilliseconds = 1_000
const askMilliseconds = 10_000
const blobsTogether = 100
/** What is counted of what waits: more is as good as that. */
const countedMost = 1_000
/** Of one bucket, aborted in one transaction. */
const uploadsTogether = 500

type Counts = Pick<Departure, 'blobs' | 'bytes'>

/**
 * What a cell does that leaves its cluster in order: it takes no requests but those of its uploads, and consistent ones of buckets whose home
 * it is, and goes once nothing is left that only it has.
 *
 * L1  it is a member until, after its last write (L2), every other cell has applied all that was written here, and of each blob that is
 *     held here enough copies are counted elsewhere by a keeper that stays; or no other cell names it, nor ever can (V3).
 */
export class Departing {
  readonly #options: DepartureOptions

  constructor(options: DepartureOptions) {
    this.#options = options
  }

  /** Until the signal; in one process of a cell. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { foundation } = this.#options
    while (!signal.aborted) {
      if (this.#isLeaving) await this.step().catch(failed)
      await foundation.world.sleep(lookMilliseconds, signal).catch(() => undefined)
    }
  }

  get #isLeaving(): boolean {
    const { membership, self, isRemoved } = this.#options.members
    return !isRemoved && memberOf(membership, self.cell)?.state === 'leaving'
  }

  /** Looks at what is left; once nothing is, ends what may be written here, and then the membership. */
  async step(): Promise<Departure> {
    const { foundation, transport, members } = this.#options
    const { store, cell } = foundation
    const departure = await this.#look()
    await store.transact(async (transaction) => setDeparture(transaction, cell, departure))
    const isDone = departure.isFenced && departure.behind.length === 0 && departure.blobs === 0
    if (!departure.isFenced && isLittle(departure) && (await this.#fence())) return await this.step()
    const { root } = members.membership
    const ask = (signal: AbortSignal) =>
      transport.ask(root, isDone ? 'member-left' : 'member-leaving', encodeMessage(departure), signal)
    await within(foundation.world, askMilliseconds, ask)
    return departure
  }

  /** Ends what may be written here. False: something came meanwhile that is to be ended first. */
  async #fence(): Promise<boolean> {
    return await this.#options.foundation.store.transact(async (transaction) => {
      if ((await countWaiting(transaction)) > 0) return false
      setLeft(transaction)
      return true
    })
  }

  async #look(): Promise<Departure> {
    const { foundation } = this.#options
    const { store, world, cell } = foundation
    const before = await store.snapshot((snapshot) => readDeparture(snapshot, cell))
    const now = world.now()
    // What a clock noted that was ahead then would hold it up for as long.
    const since = Math.min(before?.since ?? now, now)
    if (now - since >= (this.#options.uploadPatience ?? day)) await this.#abortUploads()
    // First whether it is closed: what is seen after that is all there will be.
    const isFenced = await store.snapshot(hasLeft)
    const { uploads, deliveries, heads } = await store.snapshot(async (snapshot) => ({
      uploads: await count(snapshot, ['upload']),
      deliveries: await count(snapshot, deliverySpaces),
      heads: await this.#options.positions.heads(snapshot),
    }))
    const { blobs, bytes } = await this.#unsheltered(isFenced)
    const heard = await this.#heard(heads)
    const behind = heard.filter(({ hasPassed }) => hasPassed !== true).map(({ region }) => region)
    const away = heard.filter(({ hasPassed }) => hasPassed === undefined).map(({ region }) => region)
    return { at: world.now(), since, uploads, deliveries, blobs, bytes, behind, away, isFenced }
  }

  async #abortUploads(): Promise<void> {
    const { store, namespace } = this.#options.foundation
    for (const { id } of await store.snapshot((snapshot) => namespace.buckets(snapshot))) {
      await store.transact((transaction) => abortUploads(transaction, id, uploadsTogether))
    }
  }

  /** Copies here of which not enough others are counted by a keeper that stays. */
  async #unsheltered(isFenced: boolean): Promise<Counts> {
    const { foundation } = this.#options
    const all = under('blob', [])
    let [blobs, bytes] = [0, 0]
    for (let { from } = all; ; ) {
      const rows = await foundation.store.snapshot((snapshot) => snapshot.range(from, all.to, { limit: blobsTogether }))
      const last = rows.at(-1)
      if (last === undefined) return { blobs, bytes }
      from = afterKey(last.key)
      const held = rows.flatMap(({ key, value }) => {
        const record = decodeBlob(value)
        const isHere = record.kind === 'bytes' && copyIn(record, foundation.region) !== undefined
        return isHere ? [{ blob: blobOfRow(key), record }] : []
      })
      const left = await this.#left(held)
      const isOver = isFenced && left.length > 0 ? await this.#areOver(left) : []
      for (const [index, { record }] of left.entries()) {
        if (isOver[index] === true) continue
        blobs += 1
        bytes += record.size
      }
    }
  }

  /** Once nothing is written here any more, this cell does not hear what others delete either: what only it still names is over. */
  async #areOver(left: readonly { readonly blob: BlobId }[]): Promise<readonly boolean[]> {
    return await this.#options.freeing.namedHereOnly(left.map(({ blob }) => blob)).catch(() => [])
  }

  async #left<Held extends { blob: BlobId; record: BlobRecord }>(held: readonly Held[]): Promise<readonly Held[]> {
    const { members, succession } = this.#options
    const { membership } = members
    const orphans = held.filter(({ record }) => isGoing(membership, record.keeper))
    // Whoever keeps them now is asked with the next look.
    if (orphans.length > 0) await succession.resolve(orphans.map(({ blob }) => blob))
    const kept = held.filter(({ record }) => !isGoing(membership, record.keeper))
    const left = [...orphans]
    for (const [keeper, each] of Map.groupBy(kept, ({ record }) => record.keeper)) {
      const request = { epoch: membership.epoch, blobs: each.map(({ blob }) => blob) }
      const said = await askSheltered(this.#options, keeper, request).catch(() => undefined)
      left.push(...each.filter((_, index) => said?.[index] !== true))
      await this.#findKeepers(
        keeper,
        each.filter((_, index) => said?.[index] === null),
      )
    }
    return left
  }

  /** Of blobs whose keeper has handed them on, and that is not known here: whoever says that it keeps them now is asked next time (K3). */
  async #findKeepers(keeper: number, astray: readonly { readonly blob: BlobId }[]): Promise<void> {
    const { foundation, succession } = this.#options
    const keepers = await succession.keepersOf(astray.map(({ blob }) => blob))
    if (keepers === undefined || keepers.size === 0) return
    await foundation.store.transact(async (transaction) => {
      for (const [blob, found] of keepers) {
        const record = await readBlob(transaction, blob)
        // Somebody may have told this cell meanwhile.
        if (record?.kind !== 'bytes' || record.keeper !== keeper) continue
        await changeKeeper(transaction, blob, found, foundation.region)
      }
    })
  }

  /** Whether the others have applied all that was written here; undefined: one does not answer. */
  async #heard(
    heads: Uint8Array,
  ): Promise<readonly { readonly region: string; readonly hasPassed: boolean | undefined }[]> {
    const { foundation, transport, members } = this.#options
    const others = members.membership.members.filter(
      ({ cell, state }) => cell !== foundation.cell && state !== 'removed',
    )
    return await Promise.all(
      others.map(async ({ cell, region }) => {
        const ask = (signal: AbortSignal) =>
          transport.ask(cell, 'passed', encodeMessage({ heads: textOf(heads) }), signal)
        const answer = await within(foundation.world, askMilliseconds, ask).catch(() => undefined)
        return { region, hasPassed: answer === undefined ? undefined : decodeMessage<boolean>(answer) }
      }),
    )
  }
}

const deliverySpaces = ['logStream', 'logSealed', 'delivery', 'task'] as const
const countWaiting = (from: Snapshot): Promise<number> => count(from, ['upload', ...deliverySpaces])

/** What clients who go on writing would never let it come to an end with; they have to wait for no more than that. */
const fewBlobs = 200
const fewBytes = 64 * 2 ** 20

const isLittle = ({ uploads, deliveries, blobs, bytes, away }: Departure): boolean =>
  away.length + uploads + deliveries === 0 && blobs <= fewBlobs && bytes <= fewBytes

async function count(from: Snapshot, spaces: readonly Subspace[]): Promise<number> {
  let sum = 0
  for (const space of spaces) {
    const all = under(space, [])
    sum += (await from.range(all.from, all.to, { limit: countedMost })).length
  }
  return sum
}

/** `passed`: whether this cell has applied all that the asking one had written then. */
export const passedMethod = (
  { store }: Pick<Foundation, 'store'>,
  positions: Pick<Positions, 'hasReached'>,
): Method => ({
  name: 'passed',
  async answer(request, { cell }) {
    const { heads } = decodeMessage<{ heads: string }>(request)
    return encodeMessage(await store.snapshot((snapshot) => positions.hasReached(snapshot, cell, bytesOf(heads))))
  },
})
