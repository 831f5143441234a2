import { BlobUnreadable } from '#src/blobs/blobs.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { bucketOf, copyIn, readBlob } from '#src/metadata/blob-records.ts'
import { hasLeft } from '#src/metadata/departure-records.ts'
import { clearVote, type Held, hold, isVoteGood, type Let, lose, release, vote } from '#src/metadata/keeping.ts'
import type { BlobId } from '#src/model/blob.ts'
import { countsIn, isGoing, memberOf } from '#src/model/region.ts'
import { isWholeHere } from '#src/service/copy-here.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot } from '#src/store/store.ts'
import { decodeBlobId, encodeRegions } from './blob-wire.ts'
import {
  type ConfirmAnswer,
  type ConfirmRequest,
  decodeConfirm,
  decodeCopies,
  decodeGiven,
  decodeVote,
  encodeConfirmAnswer,
  encodeHeld,
  encodeLet,
  encodeVoteAnswer,
  type GivenCopy,
  type NumberedCopy,
  type VoteAnswer,
  type VoteRequest,
} from './keeper-wire.ts'
import { type NeededOptions, neededIn, type ShortBlob } from './needed.ts'
import type { Positions } from './positions.ts'
import { mayCount } from './succession.ts'
import type { Caller, Method } from './transport.ts'

export interface KeeperOptions extends NeededOptions {
  readonly foundation: Foundation
  readonly positions: Positions
  readonly repair: (blob: BlobId) => void
  /** Has more copies made of blobs that this cell keeps, some time later. */
  readonly replenish: (blobs: readonly ShortBlob[]) => void
}

/**
 * What a cell answers about the blobs that it keeps, and to those that keep others.
 *
 * V7  a keeper that names a blob, and has no copy of it, takes one where another wants to go; and where too few would be left, it has
 *     others take one that name the blob: nobody waits for a copy that nobody makes.
 * V3  a keeper frees a blob only after two rounds: each cell said that nothing there names it, and then, once all that any cell
 *     had said before has arrived everywhere, that nothing there named it since. At any moment between the rounds nobody named
 *     it, and what was on its way had arrived: so nobody can name it again (C19).
 */
export class Keeper {
  readonly #options: KeeperOptions

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  get methods(): readonly Method[] {
    const method = (name: string, answer: (request: Uint8Array, caller: Caller) => Promise<Uint8Array>): Method => ({
      name,
      answer,
    })
    return [
      method('holders', async (request) => encodeRegions(await this.#holders(decodeBlobId(request)))),
      method('hold', (request, caller) => this.#hold(decodeCopies(request), caller)),
      method('release', (request, caller) => this.#release(decodeGiven(request), caller)),
      method('lost', (request, caller) => this.#lose(decodeCopies(request), caller)),
      method('vote', async (request) => encodeVoteAnswer(await this.vote(decodeVote(request)))),
      method('confirm', async (request) => encodeConfirmAnswer(await this.confirm(decodeConfirm(request), true))),
    ]
  }

  async #holders(blob: BlobId): Promise<readonly string[]> {
    const record = await this.#options.foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
    return record?.kind === 'bytes' ? record.holders.map(({ region }) => region) : []
  }

  async #hold(copies: readonly NumberedCopy[], { region }: Caller): Promise<Uint8Array> {
    const { foundation, membership } = this.#options
    return encodeHeld(
      await foundation.store.transact(async (transaction) => {
        // Whoever asks comes again with what is not counted now.
        if (!(await mayCount(transaction, membership(), region)))
          return copies.map(() => ({ word: 'unknown', last: 0 }))
        const answers: Held[] = []
        for (const copy of copies) answers.push(await hold(transaction, { ...copy, region }, foundation.cell))
        return answers
      }),
    )
  }

  async #release(copies: readonly GivenCopy[], caller: Caller): Promise<Uint8Array> {
    const words: Let[] = []
    const short: ShortBlob[] = []
    for (const copy of copies) words.push(await this.#releaseOne(copy, caller, short))
    if (short.length > 0) this.#options.replenish(short)
    return encodeLet(words)
  }

  /** `short`: where those go of which too few others are left. */
  async #releaseOne(copy: GivenCopy, { region }: Caller, short: ShortBlob[]): Promise<Let> {
    const { foundation, membership, repair } = this.#options
    const { store } = foundation
    // Others keep now what was kept here, or will.
    if (isGoing(membership(), foundation.cell)) return 'wait'
    // What is let go must not leave a copy behind that nobody could read; also where nothing names the blob here: another cell may.
    if (!(await this.#isReadable(copy.blob))) return 'wait'
    const { word, isLacking, needed } = await store.transact(async (transaction) => {
      const record = await readBlob(transaction, copy.blob)
      const isDying = record?.kind === 'bytes' && record.isUnreferenced === true
      const needed = isDying ? 1 : await this.#needed(transaction, copy, record)
      const counting = { here: foundation, needed, isCounted: countsIn(membership()) }
      const word = await release(transaction, { ...copy, region }, counting)
      const isKept = record?.kind === 'bytes' && record.keeper === foundation.cell
      const isLacking = isKept && !isDying && copyIn(record, foundation.region) === undefined
      return { word, isLacking, needed: isKept ? needed : 1 }
    })
    // Whoever asks names it no more, as of a bucket that has left its region, and may have the last one that is good.
    if (word === 'wait' && isLacking) repair(copy.blob)
    if (word === 'wait' && needed > 1) short.push({ blob: copy.blob, needed })
    return word
  }

  /** How many copies have to be left. Of a part of an object whose bucket is not told: as many as any bucket asks for. */
  async #needed(
    from: Snapshot,
    { blob, bucket: left }: GivenCopy,
    record: Awaited<ReturnType<typeof readBlob>>,
  ): Promise<number> {
    const { durabilityRegions, mostDurable } = this.#options
    const restricted: Pick<BlobRecord, 'restriction'> = record?.kind === 'bytes' ? record : {}
    const bucket = restricted.restriction?.bucket ?? (await bucketOf(from, blob)) ?? left
    if (bucket !== undefined) return await neededIn(from, bucket, restricted, this.#options)
    return Math.max(1, (await mostDurable?.(from)) ?? durabilityRegions)
  }

  /** Whether the copy here, if there is one, is good. */
  async #isReadable(blob: BlobId): Promise<boolean> {
    const { foundation, repair } = this.#options
    const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
    if (record?.kind !== 'bytes' || copyIn(record, foundation.region) === undefined) return true
    try {
      const isWhole = await isWholeHere(foundation, blob, record)
      if (!isWhole) repair(blob)
      return isWhole
    } catch (error) {
      // The node that has it is away.
      if (!(error instanceof BlobUnreadable)) throw error
      return false
    }
  }

  async #lose(copies: readonly NumberedCopy[], { region }: Caller): Promise<Uint8Array> {
    await this.#options.foundation.store.transact(async (transaction) => {
      for (const copy of copies) await lose(transaction, { ...copy, region })
    })
    return new Uint8Array(0)
  }

  async vote({ epoch, token, blobs }: VoteRequest): Promise<VoteAnswer> {
    const { foundation, membership, positions } = this.#options
    if (membership().epoch !== epoch) return undefined
    return await foundation.store.transact(async (transaction) => {
      const isGood: boolean[] = []
      for (const blob of blobs) isGood.push(await vote(transaction, blob, token))
      return { heads: await positions.heads(transaction), isGood }
    })
  }

  /** `forgets`: this is the last that is asked here about these votes; a round that comes to nothing begins again. */
  async confirm(request: ConfirmRequest, forgets: boolean): Promise<ConfirmAnswer> {
    const { foundation, membership } = this.#options
    const { epoch, token, blobs } = request
    if (membership().epoch !== epoch) return 'other'
    return await foundation.store.transact(async (transaction) => {
      // One that has left applies nothing any more: nothing that is on its way can come to name a blob there.
      if (!(await hasLeft(transaction)) && !(await this.#hasReached(transaction, request))) return 'wait'
      const isGood: boolean[] = []
      for (const blob of blobs) {
        isGood.push(await isVoteGood(transaction, blob, token))
        if (forgets) clearVote(transaction, blob)
      }
      return isGood
    })
  }

  async #hasReached(from: Snapshot, { heads }: ConfirmRequest): Promise<boolean> {
    const { foundation, membership, positions } = this.#options
    for (const [cell, where] of heads) {
      if (cell === foundation.cell || memberOf(membership(), cell)?.state === 'removed') continue
      if (!(await positions.hasReached(from, cell, where))) return false
    }
    return true
  }
}
