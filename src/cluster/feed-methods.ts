import { feedStart } from '#src/metadata/cursors.ts'
import { readEntries, readHead } from '#src/metadata/feed-reading.ts'
import { watchFeed } from '#src/metadata/feed-signal.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import type { Snapshot } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { batchEntries, type FeedSource, type Page, readPageFrom } from './feed-pages.ts'
import {
  decodeFeedAnswer,
  decodeFeedRequest,
  decodeHeads,
  encodeFeedAnswer,
  encodeFeedRequest,
  encodeHeads,
  type FeedAnswer,
  type FeedRequest,
  type Heads,
} from './page-codec.ts'
import { isOver } from './patience.ts'
import type { Caller, Method, Transport } from './transport.ts'

/** While a request waits it watches the feed, and all the same looks so often: a watch may end unheard where a cluster recovers. */
const lookMilliseconds = 2_000
/** A request waits no longer, whatever it asks for: what stands between cells may cut silent connections. */
const waitMost = 30_000
const pageEntries = 4_096
const bytesMost = 8 * 2 ** 20

export interface FeedServer extends FeedSource {
  readonly world: World
  /** Told of each request before it is answered: how far that cell has applied this feed, and where its own ended then. */
  readonly passed?: (caller: Caller, request: FeedRequest) => Promise<void>
}

export const allPartitions: readonly number[] = [...new Array(partitions).keys()]

export async function readHeads(from: Snapshot): Promise<readonly Uint8Array[]> {
  return await Promise.all(allPartitions.map((partition) => readHead(from, partition)))
}

/** Pages of all partitions that have entries behind what was asked for, from one state. */
async function readPages(source: FeedSource, request: FeedRequest, forCell: number): Promise<readonly Page[]> {
  const { store } = source.foundation
  const { incarnation, cursors, behind = cursors } = request
  const isKnown = incarnation === source.incarnation && behind.length === partitions
  const starts = allPartitions.map((partition) => (isKnown ? behind[partition] : undefined) ?? feedStart)
  return await store.snapshot(async (snapshot) => {
    const next = await Promise.all(
      starts.map((after, partition) => readEntries(snapshot, partition, after, batchEntries)),
    )
    const waiting = allPartitions.filter((partition) => (next[partition] ?? []).length > 0)
    const bytes = Math.min(request.bytes, bytesMost) / Math.max(1, waiting.length)
    const pages: Page[] = []
    for (const partition of waiting) {
      const after = starts[partition] ?? feedStart
      const asked = { partition, after, bytes, entries: pageEntries, forCell }
      const page = await readPageFrom(source, snapshot, asked, next[partition])
      // A bucket that is not known here yet holds its partition up.
      if (Buffer.compare(page.to, after) !== 0) pages.push(page)
    }
    return pages
  })
}

/** Until the feed has changed, or the time is over. */
async function untilChanged({ foundation, world }: FeedServer, most: number, signal: AbortSignal): Promise<void> {
  await Promise.race([watchFeed(foundation.store, signal), world.sleep(most, signal)])
}

/** Rejects with the reason once it is aborted; `over`: nobody waits for that any more. */
function aborted(signal: AbortSignal, over: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.throwIfAborted()
    signal.addEventListener('abort', () => reject(signal.reason), { signal: over })
  })
}

/** `feed`: entries behind the cursors; waits for some where there are none. */
function feedMethod(server: FeedServer): Method {
  return {
    name: 'feed',
    async answer(bytes, caller, signal) {
      const request = decodeFeedRequest(bytes)
      await server.passed?.(caller, request)
      const { world } = server
      const until = world.monotonic() + Math.min(request.wait, waitMost)
      for (;;) {
        const left = until - world.monotonic()
        const over = new AbortController()
        // First the watch, then the look: what comes in between is not missed.
        const changed = left <= 0 ? undefined : untilChanged(server, Math.min(left, lookMilliseconds), over.signal)
        changed?.catch(() => {})
        try {
          const pages = await readPages(server, request, caller.cell)
          if (pages.length > 0 || changed === undefined) {
            return encodeFeedAnswer({ incarnation: server.incarnation, pages })
          }
          await Promise.race([changed, aborted(signal, over.signal)])
        } finally {
          over.abort(isOver)
        }
      }
    },
  }
}

/** `feed-heads`: where the feed ends. */
function headsMethod({ foundation, incarnation }: FeedSource): Method {
  return {
    name: 'feed-heads',
    answer: async () => encodeHeads({ incarnation, heads: await foundation.store.snapshot(readHeads) }),
  }
}

export const feedMethods = (server: FeedServer): readonly Method[] => [feedMethod(server), headsMethod(server)]

export async function askFeed(
  transport: Transport,
  cell: number,
  request: FeedRequest,
  signal: AbortSignal,
): Promise<FeedAnswer> {
  return decodeFeedAnswer(await transport.ask(cell, 'feed', encodeFeedRequest(request), signal))
}

const nothing = new Uint8Array(0)

export async function askHeads(transport: Transport, cell: number, signal: AbortSignal): Promise<Heads> {
  return decodeHeads(await transport.ask(cell, 'feed-heads', nothing, signal))
}
