import { moveCursor, readCursor } from '#src/metadata/cursors.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { allPartitions, askFeed, endsOf, readHeads } from './feed-methods.ts'
import { applyPages, type FeedTarget, type Page, type Reached, type Tally } from './feed-pages.ts'
import type { FeedAnswer, FeedRequest } from './page-codec.ts'
import type { Transport } from './transport.ts'

/**
 * Following a cell's feed, round by round.
 *
 * F8  a page that told nothing new is not worth a commit of its own: the cursor moves over it with the next page that does, or some time
 *     later. What is written here comes back from every cell that followed it; each echo would else hold up who writes.
 */

/** Of a partition: where its cursor is, and up to where all behind it was found to be here already. */
export interface Known {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

/**
 * Who is followed takes down where its follower's own feed ends (C10) every ten seconds; told with each request, it would be read sixteen
 * times for nothing, in each round. In milliseconds.
 */
const headsMilliseconds = 5_000

/** So long may cursors stay behind what is known, in milliseconds: others wait for them where a write has to be in several regions. */
const settleMilliseconds = 100

type Peer = { readonly cell: number; readonly incarnation: string }

/** What whoever follows a cell goes by from one round to the next. All of it may be forgotten: the cursors are in the store. */
export class FeedCourse {
  readonly known = new Map<number, Known>()
  readonly #headsMilliseconds: number
  /** By the monotonic clock: when it was told last where this cell's feed ends. */
  #toldHeads: number | undefined
  #incarnation: string | undefined
  /** By the monotonic clock: when the first of what is known was found. */
  #since: number | undefined
  #next: { readonly answer: Promise<FeedAnswer>; readonly over: AbortController } | undefined

  constructor(every = headsMilliseconds) {
    this.#headsMilliseconds = every
  }

  /** Whether the next request is to tell where this cell's own feed ends. */
  tellsHeads(now: number): boolean {
    if (this.#toldHeads !== undefined && now - this.#toldHeads < this.#headsMilliseconds) return false
    this.#toldHeads = now
    return true
  }

  /** With another incarnation, nothing of it counts. */
  begin(incarnation: string): void {
    if (this.#incarnation !== incarnation) this.forget()
    this.#incarnation = incarnation
  }

  /** What was asked for while the last pages were applied. */
  takeAhead(): Promise<FeedAnswer> | undefined {
    const next = this.#next
    this.#next = undefined
    return next?.answer
  }

  askAhead(ask: (signal: AbortSignal) => Promise<FeedAnswer>, signal: AbortSignal): void {
    const over = new AbortController()
    const answer = ask(AbortSignal.any([signal, over.signal]))
    // Whoever takes it hears of that.
    answer.catch(() => {})
    this.#next = { answer, over }
  }

  dropAhead(): void {
    this.#next?.over.abort(new Error('what comes before it was not applied'))
    this.#next = undefined
  }

  note(partition: number, { cursor, reached }: Reached, now: number): void {
    if (cursor === undefined || reached === undefined || isSame(cursor, reached)) this.known.delete(partition)
    else this.known.set(partition, { from: cursor, to: reached })
    if (this.known.size > 0) this.#since ??= now
    else this.#since = undefined
  }

  /** How long the cursors may stay where they are. */
  patience(now: number): number {
    return Math.max(0, (this.#since ?? now) + settleMilliseconds - now)
  }

  forget(): void {
    this.dropAhead()
    this.known.clear()
    this.#since = undefined
    this.#toldHeads = undefined
  }

  /** Moves the cursors to what is known. */
  async settle({ foundation }: Pick<FeedTarget, 'foundation'>, peer: Peer): Promise<void> {
    const known = [...this.known]
    this.known.clear()
    this.#since = undefined
    await foundation.store.transact(async (transaction) => {
      // One that somebody else moved meanwhile stays where that one put it.
      for (const [partition, { from, to }] of known) await moveCursor(transaction, { ...peer, partition }, from, to)
    })
  }
}

/**
 * What a cell asks another next: where it is in that one's feed, and, where that is to be told, where its own ends, in one state. Of what
 * is known, that is forgotten which does not begin at the cursor: somebody else has moved it.
 */
export async function nextRequest(
  { foundation }: { readonly foundation: Pick<Foundation, 'store' | 'world'> },
  peer: Peer,
  { bytes, wait }: Pick<FeedRequest, 'bytes' | 'wait'>,
  course?: FeedCourse,
): Promise<FeedRequest> {
  const { store, world } = foundation
  const { known } = course ?? { known: new Map<number, Known>() }
  const tellsHeads = course?.tellsHeads(world.monotonic()) ?? true
  return await store.snapshot(async (snapshot) => {
    const cursors = await Promise.all(allPartitions.map((partition) => readCursor(snapshot, { ...peer, partition })))
    const heads = tellsHeads ? await readHeads(snapshot) : []
    const request = { incarnation: peer.incarnation, cursors, heads, bytes, wait }
    for (const [partition, { from }] of known) if (!isSame(from, cursors[partition])) known.delete(partition)
    if (known.size === 0) return request
    return { ...request, behind: cursors.map((cursor, at) => known.get(at)?.to ?? cursor) }
  })
}

export interface Followed extends Tally {
  /** Whether the peer has more to tell already. */
  readonly hasMore: boolean
  /** Of the peer, as it is now: the cursors of another start at zero. */
  readonly incarnation: string
}

/**
 * One round of following a cell's feed: asks for what is behind the cursors, waits for it, applies it. With a course, the next round's
 * pages are asked for before this one's are applied, where there are more: reading there, the way and applying take turns otherwise.
 */
export async function follow(
  target: FeedTarget,
  transport: Transport,
  peer: Peer,
  limits: Pick<FeedRequest, 'bytes' | 'wait'>,
  signal: AbortSignal,
  course?: FeedCourse,
): Promise<Followed> {
  course?.begin(peer.incarnation)
  const ask = async (request: FeedRequest, until: AbortSignal) => await askFeed(transport, peer.cell, request, until)
  const asked = course?.takeAhead() ?? ask(await nextRequest(target, peer, limits, course), signal)
  if (course !== undefined) await settleMeanwhile(target, peer, course, asked, signal)
  const { incarnation, pages } = await asked
  course?.begin(incarnation)
  const teller = { cell: peer.cell, incarnation }
  const hasMore = pages.some((page) => page.hasMore)
  if (hasMore && course !== undefined) {
    // Its cursors are what was applied until now (C10): what is on its way counts for nothing yet.
    const next = await nextRequest(target, teller, { bytes: limits.bytes, wait: 0 }, course)
    course.askAhead((until) => ask({ ...next, behind: endsOf(next.behind ?? next.cursors, pages) }, until), signal)
  }
  try {
    const { tally, places } = await applyPages(target, teller, pages, {
      since: (page) => sinceOf(page, course),
      mayWait: course !== undefined,
    })
    const now = target.foundation.world.monotonic()
    for (const place of places) course?.note(place.page.partition, place, now)
    if (places.some(({ page, reached }) => !isSame(page.to, reached))) course?.dropAhead()
    return { ...tally, incarnation, hasMore }
  } catch (error) {
    course?.forget()
    throw error
  }
}

/** Where the cursor of its partition is: where it starts, or before what was found to be here already. */
function sinceOf(page: Page, course: FeedCourse | undefined): Uint8Array {
  const known = course?.known.get(page.partition)
  return known !== undefined && isSame(known.to, page.from) ? known.from : page.from
}

/** Until the answer is there; moves the cursors meanwhile, once they have stayed behind long enough. */
async function settleMeanwhile(
  target: FeedTarget,
  peer: Peer,
  course: FeedCourse,
  asked: Promise<FeedAnswer>,
  signal: AbortSignal,
): Promise<void> {
  if (course.known.size === 0) return
  const { world } = target.foundation
  const over = new AbortController()
  const answered = asked.then(
    () => true,
    () => true,
  )
  const pause = world.sleep(course.patience(world.monotonic()), AbortSignal.any([signal, over.signal]))
  const waited = pause.then(
    () => false,
    () => true,
  )
  try {
    if (!(await Promise.race([answered, waited]))) await course.settle(target, peer)
  } finally {
    over.abort(new Error('nobody waits for that any more'))
  }
}

const isSame = (one: Uint8Array, other: Uint8Array | undefined): boolean =>
  other !== undefined && Buffer.compare(one, other) === 0
