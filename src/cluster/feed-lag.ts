import { feedStart } from '#src/metadata/cursors.ts'
import { readEntries } from '#src/metadata/feed-reading.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import type { FeedSource } from './feed-pages.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { decodeFeedRequest, encodeFeedRequest, type FeedRequest } from './page-codec.ts'
import type { Method, Transport } from './transport.ts'

/** Entries that are counted at most. */
const countedMost = 10_000

interface Lag {
  readonly entries: number
}

/** `feed-lag`: how many entries are behind the cursors, up to 10,000. */
export function feedLagMethod({ foundation, incarnation }: FeedSource): Method {
  return {
    name: 'feed-lag',
    async answer(bytes) {
      const { cursors, incarnation: asked } = decodeFeedRequest(bytes)
      const isKnown = asked === incarnation && cursors.length === partitions
      const entries = await foundation.store.snapshot(async (snapshot) => {
        let count = 0
        for (let partition = 0; partition < partitions && count < countedMost; partition++) {
          const after = (isKnown ? cursors[partition] : undefined) ?? feedStart
          count += (await readEntries(snapshot, partition, after, countedMost - count)).length
        }
        return count
      })
      return encodeMessage({ entries } satisfies Lag)
    },
  }
}

/** How many entries of a cell's feed are behind the request's cursors, up to 10,000. */
export async function askFeedLag(
  transport: Transport,
  cell: number,
  request: FeedRequest,
  signal: AbortSignal,
): Promise<number> {
  return decodeMessage<Lag>(await transport.ask(cell, 'feed-lag', encodeFeedRequest(request), signal)).entries
}
