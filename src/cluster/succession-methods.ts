import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import { addBlobJob } from '#src/metadata/jobs.ts'
import { countedIn } from '#src/metadata/keeping.ts'
import { askFor, fetchBlob } from '#src/metadata/outbox.ts'
import { isSettled, readSuccession } from '#src/metadata/succession-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { countsIn, isGoing } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import type { Copies } from './copies.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { copiesNeeded, type NeededOptions, possible, possibleOf, type ShortBlob } from './needed.ts'
import { within } from './patience.ts'
import { mayKeep } from './restrictions.ts'
import type { Method, Transport } from './transport.ts'

/**
 * What cells ask each other when one is going, or gone.
 *
 * `keeping`: what a cell knows of blobs. `inherit`: it is the first to become their keeper. `copies-wanted`: it is to hold blobs too, or
 * to tell their keeper again where it does.
 * `sheltered`: whether enough copies are left of blobs that it keeps, without the asking cell, which is leaving.
 */
interface BlobsRequest {
  /** Of the membership that the asking cell goes by. */
  readonly epoch: number
  readonly blobs: readonly BlobId[]
}

/** What a cell says of one blob. */
export interface Told {
  readonly names: boolean
  /** It is the blob's keeper, and goes on being it. */
  readonly keeps: boolean
  readonly holds: boolean
  /** Its region may: what is restricted to others is not asked of it. */
  readonly mayHold: boolean
}

/** `null`: it is not the keeper. */
export type Sheltered = boolean | null

export interface SuccessionMethodsOptions extends NeededOptions {
  readonly foundation: Foundation
  readonly copies: Pick<Copies, 'isGood'>
  /** Has more copies made of blobs that this cell keeps, some time later. */
  readonly replenish: (blobs: readonly ShortBlob[]) => void
  readonly resolve: (blobs: readonly BlobId[]) => Promise<number>
}

const askMilliseconds = 10_000
/** Of a copy that has to be read first; a batch reads one after the other. */
const shelterMilliseconds = 120_000
const nothing = new Uint8Array(0)

async function tell(
  from: Snapshot,
  blob: BlobId,
  options: SuccessionMethodsOptions,
  isStaying: boolean,
): Promise<Told> {
  const { region, cell } = options.foundation
  const record = await readBlob(from, blob)
  if (record?.kind !== 'bytes') return { names: false, keeps: false, holds: false, mayHold: false }
  return {
    names: record.isUnreferenced === undefined,
    keeps: isStaying && record.keeper === cell,
    holds: copyIn(record, region) !== undefined,
    mayHold: await mayKeep(from, record, options, options.foundation),
  }
}

export function successionMethods(options: SuccessionMethodsOptions): readonly Method[] {
  const { foundation, membership } = options
  const { store, world, cell } = foundation
  return [
    {
      name: 'keeping',
      async answer(request) {
        const { epoch, blobs } = decodeMessage<BlobsRequest>(request)
        if (membership().epoch !== epoch) return encodeMessage(null)
        const isStaying = !isGoing(membership(), cell)
        const told = await store.snapshot(async (snapshot) => {
          const all: Told[] = []
          for (const blob of blobs) all.push(await tell(snapshot, blob, options, isStaying))
          return all
        })
        return encodeMessage(told)
      },
    },
    {
      name: 'inherit',
      async answer(request) {
        const { epoch, blobs } = decodeMessage<BlobsRequest>(request)
        if (membership().epoch === epoch) await options.resolve(blobs)
        return nothing
      },
    },
    {
      name: 'copies-wanted',
      async answer(request) {
        const { blobs } = decodeMessage<BlobsRequest>(request)
        await store.transact(async (transaction) => {
          for (const blob of blobs) {
            const record = await readBlob(transaction, blob)
            const isHeld = record?.kind === 'bytes' && copyIn(record, foundation.region) !== undefined
            if (isHeld) addBlobJob(transaction, { kind: 'hold', blob })
            else askForCopies(transaction, [blob], world.now())
          }
        })
        return nothing
      },
    },
    {
      name: 'sheltered',
      async answer(request) {
        const { epoch, blobs } = decodeMessage<BlobsRequest>(request)
        if (membership().epoch !== epoch) return encodeMessage(null)
        const sheltered: Sheltered[] = []
        const short: ShortBlob[] = []
        for (const blob of blobs) sheltered.push(await isSheltered(options, blob, short))
        if (short.length > 0) options.replenish(short)
        return encodeMessage(sheltered)
      },
    },
  ]
}

export function askForCopies(to: Transaction, blobs: readonly BlobId[], now: number): void {
  for (const blob of blobs) askFor(to, { kind: fetchBlob, payload: { blob } }, now)
}

/**
 * Whether enough copies are left of a blob that this cell keeps, without those of regions that are going. `short`: where it goes if too
 * few are, and no look will come upon it.
 */
async function isSheltered(options: SuccessionMethodsOptions, blob: BlobId, short: ShortBlob[]): Promise<Sheltered> {
  const { foundation, membership, copies } = options
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  if (record?.kind !== 'bytes' || record.keeper !== foundation.cell || isGoing(membership(), foundation.cell))
    return null
  const shelter = await shelterOf(options, blob, record)
  if (!shelter.isEnough) {
    // As of what nobody named here while all was looked at, and somebody does again.
    if (shelter.isLooked) short.push({ blob, needed: shelter.needed })
    return false
  }
  // What is given up elsewhere must not leave nothing behind that anybody could read: of others' copies nobody knows but that they were good.
  return await copies.isGood(blob, record)
}

interface Shelter {
  /** Copies are left in as many regions as the blob's bucket asks for, or can have them. */
  readonly isEnough: boolean
  readonly needed: number
  /** All that this cell keeps was looked at since a region began to leave; what is short of copies now gets none by itself. */
  readonly isLooked: boolean
}

async function shelterOf(options: SuccessionMethodsOptions, blob: BlobId, record: BlobRecord): Promise<Shelter> {
  const { foundation, membership, durabilityRegions, mostDurable } = options
  const counted = countedIn(record, { here: foundation, isCounted: countsIn(membership()) })
  return await foundation.store.snapshot(async (snapshot) => {
    const isLooked = isSettled(await readSuccession(snapshot), membership().epoch)
    const known = await copiesNeeded(snapshot, blob, record, options)
    const needed = await possibleOf(snapshot, blob, record, known ?? durabilityRegions, options)
    if (counted.length < needed) return { isEnough: false, needed, isLooked }
    if (known !== undefined) return { isEnough: true, needed, isLooked }
    // A part of an object: if its bucket asks for more, whoever looks at all objects sees that, or has more copies made.
    const most = possible((await mostDurable?.(snapshot)) ?? durabilityRegions, membership())
    return { isEnough: counted.length >= most || isLooked, needed, isLooked }
  })
}

export interface AskingParts {
  readonly foundation: Pick<Foundation, 'world'>
  readonly transport: Transport
}

/** Undefined: the cell goes by another membership. */
export async function askKeeping(
  { foundation, transport }: AskingParts,
  cell: number,
  request: BlobsRequest,
  until?: AbortSignal,
): Promise<readonly Told[] | undefined> {
  const ask = (signal: AbortSignal) => transport.ask(cell, 'keeping', encodeMessage(request), signal)
  const answer = await within(foundation.world, askMilliseconds, ask, until)
  return decodeMessage<readonly Told[] | null>(answer) ?? undefined
}

/** As `askKeeping`. */
export async function askSheltered(
  { foundation, transport }: AskingParts,
  cell: number,
  request: BlobsRequest,
): Promise<readonly Sheltered[] | undefined> {
  const ask = (signal: AbortSignal) => transport.ask(cell, 'sheltered', encodeMessage(request), signal)
  return (
    decodeMessage<readonly Sheltered[] | null>(await within(foundation.world, shelterMilliseconds, ask)) ?? undefined
  )
}

export async function askToInherit(
  { foundation, transport }: AskingParts,
  cell: number,
  request: BlobsRequest,
): Promise<void> {
  const ask = (signal: AbortSignal) => transport.ask(cell, 'inherit', encodeMessage(request), signal)
  await within(foundation.world, shelterMilliseconds, ask)
}

export async function askToHold(
  { foundation, transport }: AskingParts,
  cell: number,
  request: BlobsRequest,
  until?: AbortSignal,
): Promise<void> {
  const ask = (signal: AbortSignal) => transport.ask(cell, 'copies-wanted', encodeMessage(request), signal)
  await within(foundation.world, askMilliseconds, ask, until)
}
