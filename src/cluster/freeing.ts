import { freeKept } from '#src/metadata/keeping.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Membership } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Keeper } from './keeper.ts'
import {
  type ConfirmAnswer,
  decodeConfirmAnswer,
  decodeVoteAnswer,
  encodeConfirm,
  encodeVote,
  tokenBytes,
  type VoteAnswer,
  type VoteRequest,
} from './keeper-wire.ts'
import { within } from './patience.ts'
import type { Positions } from './positions.ts'
import type { Transport } from './transport.ts'

export interface FreeingOptions {
  readonly foundation: Foundation
  readonly transport: Transport
  readonly membership: () => Membership
  readonly keeper: Keeper
  readonly positions: Positions
}

const askMilliseconds = 10_000
/** How often, and how far apart, cells are asked whether all has arrived; then the round is given up, and begins again later. */
const confirmations = 20
const confirmMilliseconds = 250

interface Leaving {
  readonly row: Uint8Array
  readonly blob: BlobId
}

/** Frees blobs that this cell keeps, by the two rounds of V3. */
export class Freeing {
  readonly #options: FreeingOptions

  constructor(options: FreeingOptions) {
    this.#options = options
  }

  /** Those that nobody names any more go, with the jobs that ask for it; gives how many did. Rejects where a cell is out of reach. */
  async free(all: readonly Leaving[]): Promise<number> {
    if (all.length === 0) return 0
    const { foundation, membership } = this.#options
    const { epoch, members } = membership()
    const token = foundation.world.randomBytes(tokenBytes)
    const cells = members.filter(({ state }) => state !== 'removed').map(({ cell }) => cell)
    const voted = await this.#vote({ epoch, token, blobs: all.map(({ blob }) => blob) }, cells)
    if (voted === undefined) return 0
    const left = all.filter((_, index) => voted.isGood[index])
    if (left.length === 0) return 0
    const vote = { epoch, token, blobs: left.map(({ blob }) => blob) }
    const isGood = await this.#confirm(vote, voted.heads, cells)
    if (isGood === undefined || membership().epoch !== epoch) return 0
    const agreed = left.filter((_, index) => isGood[index])
    return await foundation.store.transact(async (transaction) => {
      let freed = 0
      for (const { row, blob } of agreed) {
        if (!(await freeKept(transaction, blob, token))) continue
        transaction.clear(row)
        freed += 1
      }
      return freed
    })
  }

  /**
   * Of blobs that this cell names, and tells nobody of any more: which of them no other cell names, nor ever can. By the same two
   * rounds, without this one. Rejects where a cell is out of reach.
   */
  async namedHereOnly(blobs: readonly BlobId[]): Promise<readonly boolean[]> {
    const { foundation, membership, positions } = this.#options
    const { epoch, members } = membership()
    const token = foundation.world.randomBytes(tokenBytes)
    const others = members.filter(({ cell, state }) => cell !== foundation.cell && state !== 'removed')
    const heads = await foundation.store.snapshot((snapshot) => positions.heads(snapshot))
    const request = { epoch, token, blobs }
    const cells = others.map(({ cell }) => cell)
    const voted = await this.#vote(request, cells)
    const isGood = voted && (await this.#confirm(request, [...voted.heads, [foundation.cell, heads]], cells))
    return blobs.map((_, index) => voted?.isGood[index] === true && isGood?.[index] === true)
  }

  async #vote(request: VoteRequest, cells: readonly number[]) {
    const answers = await Promise.all(cells.map((cell) => this.#askVote(cell, request)))
    const heads: (readonly [number, Uint8Array])[] = []
    let isGood = request.blobs.map(() => true)
    for (const [index, cell] of cells.entries()) {
      const answer = answers[index]
      if (answer === undefined) return undefined
      heads.push([cell, answer.heads])
      isGood = isGood.map((good, blob) => good && answer.isGood[blob] === true)
    }
    return { heads, isGood }
  }

  async #askVote(cell: number, request: VoteRequest): Promise<VoteAnswer> {
    const { foundation, transport, keeper } = this.#options
    if (cell === foundation.cell) return await keeper.vote(request)
    const ask = (signal: AbortSignal) => transport.ask(cell, 'vote', encodeVote(request), signal)
    return decodeVoteAnswer(await within(foundation.world, askMilliseconds, ask))
  }

  async #confirm(
    vote: VoteRequest,
    heads: readonly (readonly [number, Uint8Array])[],
    cells: readonly number[],
  ): Promise<readonly boolean[] | undefined> {
    const request = { ...vote, heads }
    const answers = await Promise.all(cells.map((cell) => this.#askConfirm(cell, request)))
    let isGood = vote.blobs.map(() => true)
    for (const answer of answers) {
      if (typeof answer === 'string') return undefined
      isGood = isGood.map((good, blob) => good && answer[blob] === true)
    }
    return isGood
  }

  async #askConfirm(cell: number, request: Parameters<Keeper['confirm']>[0]): Promise<ConfirmAnswer> {
    const { foundation, transport, keeper } = this.#options
    const { world } = foundation
    const ask = (signal: AbortSignal) => transport.ask(cell, 'confirm', encodeConfirm(request), signal)
    for (let attempt = 1; ; attempt++) {
      const answer =
        cell === foundation.cell
          ? await keeper.confirm(request, false)
          : decodeConfirmAnswer(await within(world, askMilliseconds, ask))
      if (answer !== 'wait' || attempt === confirmations) return answer
      await world.sleep(confirmMilliseconds, new AbortController().signal)
    }
  }
}
