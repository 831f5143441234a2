import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import { type Adopted, adopt, adoptLost, keptBy } from '#src/metadata/keeping.ts'
import type { BlobId } from '#src/model/blob.ts'
import { isWholeHere } from '#src/service/copy-here.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Copies } from './copies.ts'
import { decodeKeptBy, decodeOffer, encodeAdopted, type KeptBy, type Offer } from './keeper-wire.ts'
import type { Method } from './transport.ts'

export interface AdoptingOptions {
  readonly foundation: Foundation
  readonly copies: Pick<Copies, 'ensure' | 'place' | 'repair'>
  readonly failed: (error: unknown) => void
}

/** Copies that are taken at the same time on behalf of others. */
const takenAtOnce = 4
/** An answer comes about so soon; what was not copied by then is asked for again. In milliseconds. */
const answerMilliseconds = 5_000

/** What a cell does for one that keeps blobs of a bucket which is not there any more (V5). */
export class Adopting {
  readonly #options: AdoptingOptions
  readonly #taking = new Map<BlobId, Promise<void>>()

  constructor(options: AdoptingOptions) {
    this.#options = options
  }

  get methods(): readonly Method[] {
    return [
      { name: 'adopt', answer: async (request) => encodeAdopted(await this.#adopt(decodeOffer(request))) },
      { name: 'kept-by', answer: async (request) => await this.#keptBy(decodeKeptBy(request)) },
    ]
  }

  /** Resolves once nothing is being copied. */
  async settled(): Promise<void> {
    while (this.#taking.size > 0) await Promise.all(this.#taking.values())
  }

  async #adopt({ blobs, lost }: Offer): Promise<readonly Adopted[]> {
    const { world } = this.#options.foundation
    const until = world.monotonic() + answerMilliseconds
    const words = new Map<BlobId, Adopted>()
    const waiting = [...blobs]
    const some = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        words.set(next, world.monotonic() < until ? await this.#adoptOne(next, lost.has(next)) : 'wait')
      }
    }
    await Promise.all(Array.from({ length: takenAtOnce }, some))
    return blobs.map((blob) => words.get(blob) ?? 'wait')
  }

  /** `isLost`: no region has a copy, so that none is waited for. */
  async #adoptOne(blob: BlobId, isLost: boolean): Promise<Adopted> {
    const { foundation, copies } = this.#options
    const { store, region, world } = foundation
    const record = await store.snapshot((snapshot) => readBlob(snapshot, blob))
    if (record?.kind !== 'bytes' || record.isUnreferenced === true) return 'unnamed'
    const isHere = copyIn(record, region) !== undefined
    if (!isHere && isLost) {
      return await store.transact((transaction) => adoptLost(transaction, blob, { here: foundation, now: world.now() }))
    }
    if (!isHere) await this.#take(blob, 'ensure')
    else if (!(await isWholeHere(foundation, blob, record))) {
      copies.repair(blob)
      return 'wait'
    }
    return await store.transact((transaction) => adopt(transaction, blob, foundation))
  }

  /** Once at a time, however often it is asked for. That it failed is noted; whoever asked asks again. */
  async #take(blob: BlobId, how: 'ensure' | 'place'): Promise<void> {
    const { copies, failed } = this.#options
    const under = this.#taking.get(blob)
    const taking =
      under ??
      copies[how](blob)
        .catch(failed)
        .finally(() => this.#taking.delete(blob))
    this.#taking.set(blob, taking)
    await taking
  }

  async #keptBy({ keeper, holds, blobs }: KeptBy): Promise<Uint8Array> {
    const { foundation } = this.#options
    await foundation.store.transact(async (transaction) => {
      for (const blob of blobs) await keptBy(transaction, blob, keeper, foundation)
    })
    if (holds) {
      for (const blob of blobs) if (this.#taking.size < takenAtOnce) void this.#take(blob, 'place')
    }
    return new Uint8Array(0)
  }
}
