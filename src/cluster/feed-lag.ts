import { feedStart } from '#src/metadata/cursors.ts'
import { readEntries } from '#src/metadata/feed-reading.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import { timeOf } from '#src/model/stamp.ts'
import type { World } from '#src/world.ts'
import type { FeedSource } from './feed-pages.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { decodeFeedRequest, encodeFeedRequest, type FeedRequest } from './page-codec.ts'
import type { Method, Transport } from './transport.ts'

/** Entries that are counted at most. */
const countedMost = 10_000

export interface Lag {
  /** Up to 10,000. */
  readonly entries: number
  /** Since the oldest of them was written, by its stamp and the clock of its cell. */
  readonly seconds: number
}

/** `feed-lag`: how much is behind the cursors. */
export function feedLagMethod({ foundation, incarnation }: FeedSource, world: Pick<World, 'now'>): Method {
  return {
    name: 'feed-lag',
    async answer(bytes) {
      const { cursors, incarnation: asked } = decodeFeedRequest(bytes)
      const isKnown = asked === incarnation && cursors.length === partitions
      const now = world.now()
      const lag = await foundation.store.snapshot(async (snapshot) => {
        let [entries, oldest] = [0, now]
        for (let partition = 0; partition < partitions && entries < countedMost; partition++) {
          const after = (isKnown ? cursors[partition] : undefined) ?? feedStart
          const behind = await readEntries(snapshot, partition, after, countedMost - entries)
          entries += behind.length
          for (const { change } of behind) oldest = Math.min(oldest, timeOf(change.stamp))
        }
        return { entries, seconds: (now - oldest) / 1_000 }
      })
      return encodeMessage(lag satisfies Lag)
    },
  }
}

/** How much of a cell's feed is behind the request's cursors. */
export async function askFeedLag(
  transport: Transport,
  cell: number,
  request: FeedRequest,
  signal: AbortSignal,
): Promise<Lag> {
  return decodeMessage<Lag>(await transport.ask(cell, 'feed-lag', encodeFeedRequest(request), signal))
}
