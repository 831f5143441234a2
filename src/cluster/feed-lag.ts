import { feedStart, readCursor } from '#src/metadata/cursors.ts'
import { readEntries } from '#src/metadata/feed-reading.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import { readFeedLag, setFeedLag } from '#src/metadata/watch-records.ts'
import { timeOf } from '#src/model/stamp.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { bytesOf, decodeMessage, encodeMessage, textOf } from './messages.ts'
import { within } from './patience.ts'
import type { Method, Transport } from './transport.ts'

interface BehindRequest {
  readonly incarnation: string
  readonly cursors: readonly string[]
}

interface BehindAnswer {
  readonly entries: number
  readonly seconds: number
}

export interface FeedLagOptions {
  readonly foundation: Pick<Foundation, 'store' | 'world'>
  readonly transport: Transport
  readonly peers: () => readonly { readonly cell: number; readonly incarnation: string }[]
}

const everyMilliseconds = 10_000
const askMilliseconds = 5_000
/** Of one partition; of more, nobody wants to know how many exactly. */
const countedMost = 2_000

const all = [...new Array(partitions).keys()]

/** `feed-behind`: how much lies behind these cursors. */
export const feedBehindMethod = (
  { store, world }: Pick<Foundation, 'store' | 'world'>,
  incarnation: string,
): Method => ({
  name: 'feed-behind',
  async answer(request) {
    const { incarnation: known, cursors } = decodeMessage<BehindRequest>(request)
    const behind = await store.snapshot((snapshot) =>
      Promise.all(
        all.map((partition) => {
          const cursor = cursors[partition]
          const after = known !== incarnation || cursor === undefined ? feedStart : bytesOf(cursor)
          return readEntries(snapshot, partition, after, countedMost)
        }),
      ),
    )
    const entries = behind.flat()
    const oldest = Math.min(world.now(), ...entries.map(({ change }) => timeOf(change.stamp)))
    const answer: BehindAnswer = { entries: entries.length, seconds: (world.now() - oldest) / 1_000 }
    return encodeMessage(answer)
  },
})

/** Notes how far this cell is behind each other one, for people to see. */
export class FeedLagWatch {
  readonly #options: FeedLagOptions

  constructor(options: FeedLagOptions) {
    this.#options = options
  }

  /** Until the signal; in one process of a cell. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#options.foundation
    while (!signal.aborted) {
      await this.look().catch(failed)
      await world.sleep(everyMilliseconds, signal).catch(() => undefined)
    }
  }

  async look(): Promise<void> {
    await Promise.all(this.#options.peers().map((peer) => this.#lookAt(peer)))
  }

  async #lookAt(peer: { readonly cell: number; readonly incarnation: string }): Promise<void> {
    const { foundation, transport } = this.#options
    const { store, world } = foundation
    const { cell, incarnation } = peer
    const cursors = await store.snapshot((snapshot) =>
      Promise.all(all.map(async (partition) => textOf(await readCursor(snapshot, { ...peer, partition })))),
    )
    const request = encodeMessage({ incarnation, cursors } satisfies BehindRequest)
    const answer = await within(world, askMilliseconds, (signal) =>
      transport.ask(cell, 'feed-behind', request, signal),
    ).catch(() => undefined)
    await store.transact(async (transaction) => {
      const before = await readFeedLag(transaction, cell)
      const { entries, seconds } =
        answer === undefined ? (before ?? { entries: 0, seconds: 0 }) : decodeMessage<BehindAnswer>(answer)
      setFeedLag(transaction, cell, { at: world.now(), isAway: answer === undefined, entries, seconds })
    })
  }
}
