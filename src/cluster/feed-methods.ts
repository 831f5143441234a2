import { feedStart } from '#src/metadata/cursors.ts'
import { type FeedEntry, readEntries, readHead } from '#src/metadata/feed-reading.ts'
import { watchFeed } from '#src/metadata/feed-signal.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import type { Snapshot } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { batchEntries, type FeedSource, type Page, readPageFrom, type Shares } from './feed-pages.ts'
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
/**
 * Entries that the asking cell is not told, its own above all, are worth no answer, and no look at each of them; nor are those that another
 * cell told this one, which tells it to all others itself, and sooner. In milliseconds, the time between two looks, and that after which
 * all is told, and how far the asking cell is, which tombstones (C10) and measured lag wait for.
 */
const unhurried = { look: 50, tell: 250 } as const
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

/** Of each partition, behind what entries are asked for. */
function startsOf(source: FeedSource, { incarnation, cursors, behind = cursors }: FeedRequest): readonly Uint8Array[] {
  const isKnown = incarnation === source.incarnation && behind.length === partitions
  return allPartitions.map((partition) => (isKnown ? behind[partition] : undefined) ?? feedStart)
}

interface Found {
  readonly pages: readonly Page[]
  /** There are entries, and what they tell comes from other cells as well. */
  readonly isUnhurried: boolean
}

const isWorthTelling = ({ pages, isUnhurried }: Found): boolean => pages.length > 0 && !isUnhurried

const isOfOthers = (entries: readonly FeedEntry[]): boolean =>
  entries.length < batchEntries && entries.every(({ change }) => change.teller !== undefined)

/** Pages of all partitions that have entries behind these, of about so many bytes together, from one state. `isDue`: of all entries. */
async function readPages(
  source: FeedSource,
  starts: readonly Uint8Array[],
  bytesWanted: number,
  { cell: forCell, incarnation: forIncarnation }: Caller,
  isDue: boolean,
): Promise<Found> {
  return await source.foundation.store.snapshot(async (snapshot) => {
    const next = await Promise.all(
      starts.map((after, partition) => readEntries(snapshot, partition, after, batchEntries)),
    )
    const waiting = allPartitions.filter((partition) => (next[partition] ?? []).length > 0)
    if (!isDue && waiting.length > 0 && next.every(isOfOthers)) return { pages: [], isUnhurried: true }
    const bytes = Math.min(bytesWanted, bytesMost) / Math.max(1, waiting.length)
    const pages: Page[] = []
    const shares: Shares = new Map()
    for (const partition of waiting) {
      const after = starts[partition] ?? feedStart
      const asked = { partition, after, bytes, entries: pageEntries, forCell, forIncarnation }
      const page = await readPageFrom(source, snapshot, asked, { first: next[partition], shares })
      // A bucket that is not known here yet holds its partition up.
      if (Buffer.compare(page.to, after) !== 0) pages.push(page)
    }
    return { pages, isUnhurried: pages.length > 0 && !pages.some(({ items, hasMore }) => hasMore || items.length > 0) }
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

/** Of each partition, where its page ends, or else where it was asked for. */
export const endsOf = (starts: readonly Uint8Array[], pages: readonly Page[]): readonly Uint8Array[] =>
  starts.map((start, at) => pages.find(({ partition }) => partition === at)?.to ?? start)

/** `feed`: entries behind the cursors; waits for some where there are none. */
function feedMethod(server: FeedServer): Method {
  const { world, incarnation } = server
  /** Once there is something to tell, or the time is over. */
  async function read(request: FeedRequest, caller: Caller, signal: AbortSignal): Promise<readonly Page[]> {
    const starts = startsOf(server, request)
    const wait = Math.min(request.wait, waitMost)
    const isDue = wait <= 0
    // Of a stream of writes there is something to tell already: setting up a watch would cost more than this look.
    const first = await readPages(server, starts, request.bytes, caller, isDue)
    if (isDue || isWorthTelling(first)) return first.pages
    const until = world.monotonic() + wait
    /** Since when there are entries that may wait. */
    let since = Number.POSITIVE_INFINITY
    for (;;) {
      const now = world.monotonic()
      const left = Math.min(until - now, since + unhurried.tell - now)
      const over = new AbortController()
      // First the watch, then the look: what comes in between is not missed.
      const changed = left <= 0 ? undefined : untilChanged(server, Math.min(left, lookMilliseconds), over.signal)
      changed?.catch(() => {})
      try {
        const found = await readPages(server, starts, request.bytes, caller, changed === undefined)
        if (changed === undefined || isWorthTelling(found)) return found.pages
        since = found.isUnhurried ? Math.min(since, now) : Number.POSITIVE_INFINITY
        const pause = found.isUnhurried ? world.sleep(Math.min(left, unhurried.look), over.signal) : changed
        pause.catch(() => {})
        await Promise.race([pause, aborted(signal, over.signal)])
      } finally {
        over.abort(isOver)
      }
    }
  }
  return {
    name: 'feed',
    async answer(bytes, caller, signal) {
      const request = decodeFeedRequest(bytes)
      await server.passed?.(caller, request)
      return encodeFeedAnswer({ incarnation, pages: await read(request, caller, signal) })
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
