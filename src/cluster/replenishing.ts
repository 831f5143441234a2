import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn } from '#src/metadata/blob-records.ts'
import { countedIn } from '#src/metadata/keeping.ts'
import { noteFound, noteLost } from '#src/metadata/succession-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { countsIn, type Membership, memberIn } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { ToldBy } from './heirs.ts'
import type { ShortBlob } from './needed.ts'
import { askForCopies, askKeeping, askToHold } from './succession-methods.ts'
import { askedFor, isAmong } from './takers.ts'
import type { Transport } from './transport.ts'

export interface ReplenishingOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world' | 'region' | 'cell'>
  readonly transport: Transport
  readonly membership: () => Membership
  /** After which a copy that was asked for, and is not there, is asked for again, in milliseconds. */
  readonly askAgain?: number
}

const askAgain = 600_000
const askedMost = 100_000

export interface Kept {
  readonly blob: BlobId
  readonly record: BlobRecord
}

/** What there are too few copies of: at most as many are needed as there are regions. */
export interface Short extends Kept, ShortBlob {
  /** The cells that are to hold it; undefined: all may. */
  readonly targets: readonly number[] | undefined
}

/** What came of a look at blobs that are short of copies: of how many more were asked for, are lost, or can have no more. */
export interface Replenished {
  readonly wanted: number
  readonly lost: number
  readonly short: number
}

/** What the other cells say of blobs. `isWhole`: all did, and go by the same membership. */
export async function askAll(
  options: ReplenishingOptions,
  blobs: readonly BlobId[],
  until?: AbortSignal,
): Promise<{ told: readonly (readonly ToldBy[])[]; isWhole: boolean }> {
  const { foundation, membership } = options
  const { epoch, members } = membership()
  const others = members.filter(({ cell, state }) => cell !== foundation.cell && state !== 'removed')
  const answers = await Promise.all(
    others.map(async ({ cell, state }) => {
      const told = await askKeeping(options, cell, { epoch, blobs }, until).catch(() => undefined)
      return told?.map((each) => ({ ...each, cell, isActive: state === 'active' }))
    }),
  )
  const told = blobs.map((_, index) => answers.flatMap((answer) => answer?.[index] ?? []))
  return { told, isWhole: !answers.includes(undefined) }
}

/** The cells whose copies count, of those that are to hold it, as the blob's keeper knows them. */
export function countedBy(
  { foundation, membership }: ReplenishingOptions,
  { record, targets }: Pick<Short, 'record' | 'targets'>,
): readonly number[] {
  const counted = countedIn(record, { here: foundation, isCounted: countsIn(membership()) })
  const cells = counted.flatMap((region) => memberIn(membership(), region)?.cell ?? [])
  return cells.filter((cell) => isAmong(cell, targets))
}

/** Has copies made of blobs that this cell keeps, here or in other cells that name them. */
export class Replenishing {
  readonly #options: ReplenishingOptions
  readonly #asked = new Map<string, number>()

  constructor(options: ReplenishingOptions) {
    this.#options = options
  }

  /** A copy here may be asked for anew. */
  forget(blob: BlobId): void {
    this.#asked.delete(`${this.#options.foundation.cell} ${blob}`)
  }

  /** Has more copies made of what is short of them. Rejects with the signal's reason once that is aborted. */
  async replenish(short: readonly Short[], until?: AbortSignal): Promise<Replenished> {
    const { cell, region } = this.#options.foundation
    const blobs = short.map(({ blob }) => blob)
    const { told, isWhole } = await askAll(this.#options, blobs, until)
    until?.throwIfAborted()
    const wantedOf = new Map<number, BlobId[]>()
    const [lost, found]: [BlobId[], BlobId[]] = [[], []]
    let [wanted, unplaced] = [0, 0]
    for (const [index, each] of short.entries()) {
      const { blob, record, needed, targets } = each
      const others = told[index] ?? []
      const holds = copyIn(record, region) !== undefined
      if (!holds && !others.some((other) => other.holds)) {
        if (isWhole) lost.push(blob)
        else wanted += 1
        continue
      }
      found.push(blob)
      const asked = askedFor({ cell, holds, needed, targets, counted: countedBy(this.#options, each) }, others)
      if (asked === undefined) unplaced += 1
      else wanted += 1
      for (const taker of asked ?? []) wantedOf.set(taker, [...(wantedOf.get(taker) ?? []), blob])
    }
    await this.#noteLost(lost, found)
    for (const [taker, blobs] of wantedOf) {
      await (taker === cell ? this.#fetchHere(blobs) : this.#fetchThere(taker, blobs, until))
    }
    return { wanted, lost: lost.length, short: unplaced }
  }

  async #noteLost(lost: readonly BlobId[], found: readonly BlobId[]): Promise<void> {
    const { store, world } = this.#options.foundation
    await store.transact(async (transaction) => {
      for (const blob of lost) await noteLost(transaction, blob, world.now())
      for (const blob of found) noteFound(transaction, blob)
    })
  }

  /** Those that were not asked for lately, which they are from now on. */
  #unasked(cell: number, blobs: readonly BlobId[]): readonly BlobId[] {
    const now = this.#options.foundation.world.monotonic()
    if (this.#asked.size > askedMost) this.#asked.clear()
    return blobs.filter((blob) => {
      const name = `${cell} ${blob}`
      const asked = this.#asked.get(name)
      if (asked !== undefined && now - asked < (this.#options.askAgain ?? askAgain)) return false
      this.#asked.set(name, now)
      return true
    })
  }

  async #fetchHere(blobs: readonly BlobId[]): Promise<void> {
    const { store, world, cell } = this.#options.foundation
    const unasked = this.#unasked(cell, blobs)
    await store.transact(async (transaction) => askForCopies(transaction, unasked, world.now()))
  }

  async #fetchThere(cell: number, blobs: readonly BlobId[], until?: AbortSignal): Promise<void> {
    const unasked = this.#unasked(cell, blobs)
    if (unasked.length === 0) return
    const request = { epoch: this.#options.membership().epoch, blobs: unasked }
    // One that cannot be asked now is asked again with the next look.
    await askToHold(this.#options, cell, request, until).catch(() => {
      for (const blob of unasked) this.#asked.delete(`${cell} ${blob}`)
    })
  }
}
