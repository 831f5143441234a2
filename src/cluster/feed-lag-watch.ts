import { readFeedLag, setFeedLag } from '#src/metadata/watch-records.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { nextRequest } from './feed-following.ts'
import { askFeedLag } from './feed-lag.ts'
import { within } from './patience.ts'
import type { Transport } from './transport.ts'

interface Peer {
  readonly cell: number
  readonly incarnation: string
}

export interface FeedLagWatchOptions {
  readonly foundation: Foundation
  readonly transport: Transport
  readonly peers: () => readonly Peer[]
}

const everyMilliseconds = 10_000
const askMilliseconds = 5_000

/** Notes how far this cell is behind each other one, for people to see. */
export class FeedLagWatch {
  readonly #options: FeedLagWatchOptions

  constructor(options: FeedLagWatchOptions) {
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

  async #lookAt(peer: Peer): Promise<void> {
    const { foundation, transport } = this.#options
    const { store, world } = foundation
    const request = await nextRequest({ foundation }, peer, { bytes: 0, wait: 0 })
    const lag = await within(world, askMilliseconds, (signal) =>
      askFeedLag(transport, peer.cell, request, signal),
    ).catch(() => undefined)
    await store.transact(async (transaction) => {
      const { entries, seconds } = lag ?? (await readFeedLag(transaction, peer.cell)) ?? { entries: 0, seconds: 0 }
      setFeedLag(transaction, peer.cell, { at: world.now(), isAway: lag === undefined, entries, seconds })
    })
  }
}
