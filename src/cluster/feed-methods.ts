import { feedStart, readCursor } from '#src/metadata/cursors.ts'
import { readEntries, readHead } from '#src/metadata/feed-reading.ts'
import { watchFeed } from '#src/metadata/feed-signal.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import type { Snapshot } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import { type Applied, applyPage, type FeedSource, type FeedTarget, type Page, readPageFrom } from './feed-pages.ts'
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

const all = [...new Array(partitions).keys()]

export async function readHeads(from: Snapshot): Promise<readonly Uint8Array[]> {
  return await Promise.all(all.map((partition) => readHead(from, partition)))
}

/** Pages of all partitions that have entries behind what was asked for, from one state. */
async function readPages(source: FeedSource, request: FeedRequest, forCell: number): Promise<readonly Page[]> {
  const { store } = source.foundation
  const { incarnation, cursors, behind = cursors } = request
  const isKnown = incarnation === source.incarnation && behind.length === partitions
  const starts = all.map((partition) => (isKnown ? behind[partition] : undefined) ?? feedStart)
  return await store.snapshot(async (snapshot) => {
    const next = await Promise.all(starts.map((after, partition) => readEntries(snapshot, partition, after, 1)))
    const waiting = all.filter((partition) => (next[partition] ?? []).length > 0)
    const bytes = Math.min(request.bytes, bytesMost) / Math.max(1, waiting.length)
    const pages: Page[] = []
    for (const partition of waiting) {
      const after = starts[partition] ?? feedStart
      const page = await readPageFrom(source, snapshot, { partition, after, bytes, entries: pageEntries, forCell })
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

/** What a cell asks another next: where it is in that one's feed, and where its own ends, in one state. */
export async function nextRequest(
  { foundation }: Pick<FeedTarget, 'foundation'>,
  peer: { readonly cell: number; readonly incarnation: string },
  { bytes, wait }: Pick<FeedRequest, 'bytes' | 'wait'>,
): Promise<FeedRequest> {
  return await foundation.store.snapshot(async (snapshot) => {
    const cursors = await Promise.all(all.map((partition) => readCursor(snapshot, { ...peer, partition })))
    return { incarnation: peer.incarnation, cursors, heads: await readHeads(snapshot), bytes, wait }
  })
}

export interface Followed extends Omit<Applied, 'cursor'> {
  /** Whether the peer has more to tell already. */
  readonly hasMore: boolean
  /** Of the peer, as it is now: the cursors of another start at zero. */
  readonly incarnation: string
}

/** What a cell was asked for while the pages before it are applied: reading there, the way and applying here take turns otherwise. */
export class ReadAhead {
  #next:
    | { readonly incarnation: string; readonly answer: Promise<FeedAnswer>; readonly over: AbortController }
    | undefined

  take(incarnation: string): Promise<FeedAnswer> | undefined {
    const next = this.#next
    if (next?.incarnation !== incarnation) this.drop()
    this.#next = undefined
    return next?.incarnation === incarnation ? next.answer : undefined
  }

  begin(incarnation: string, ask: (signal: AbortSignal) => Promise<FeedAnswer>, signal: AbortSignal): void {
    this.drop()
    const over = new AbortController()
    const answer = ask(AbortSignal.any([signal, over.signal]))
    // Whoever takes it hears of that.
    answer.catch(() => {})
    this.#next = { incarnation, answer, over }
  }

  drop(): void {
    this.#next?.over.abort(new Error('what comes before it was not applied'))
    this.#next = undefined
  }
}

/**
 * One round of following a cell's feed: asks for what is behind the cursors, waits for it, applies it. `ahead`, of the rounds before
 * this one: where there is more, it is asked for before this round's pages are applied.
 */
export async function follow(
  target: FeedTarget,
  transport: Transport,
  peer: { readonly cell: number; readonly incarnation: string },
  limits: Pick<FeedRequest, 'bytes' | 'wait'>,
  signal: AbortSignal,
  ahead?: ReadAhead,
): Promise<Followed> {
  const ask = async (request: FeedRequest, until: AbortSignal) => await askFeed(transport, peer.cell, request, until)
  const asked = ahead?.take(peer.incarnation) ?? ask(await nextRequest(target, peer, limits), signal)
  const { incarnation, pages } = await asked
  const hasMore = pages.some((page) => page.hasMore)
  if (hasMore && ahead !== undefined) {
    // Its cursors are what was applied until now (C10): what is on its way counts for nothing yet.
    const next = await nextRequest(target, { cell: peer.cell, incarnation }, { bytes: limits.bytes, wait: 0 })
    ahead.begin(incarnation, (until) => ask({ ...next, behind: endsOf(next.cursors, pages) }, until), signal)
  }
  const total = { received: 0, written: 0, conflicts: 0, incarnation, hasMore }
  let isWhole = false
  try {
    // At once: partitions have nothing in common, and their commits share a sync.
    const done = await Promise.all(pages.map((page) => applyPage(target, { cell: peer.cell, incarnation }, page)))
    for (const applied of done) {
      total.received += applied.received
      total.written += applied.written
      total.conflicts += applied.conflicts
    }
    isWhole = done.every(({ cursor }, at) => cursor !== undefined && isSame(cursor, pages[at]?.to))
  } finally {
    if (!isWhole) ahead?.drop()
  }
  return total
}

const isSame = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(one, other) === 0

/** Of each partition, where its page ends, or else where its cursor is. */
const endsOf = (cursors: readonly Uint8Array[], pages: readonly Page[]): readonly Uint8Array[] =>
  cursors.map((cursor, at) => pages.find(({ partition }) => partition === at)?.to ?? cursor)
