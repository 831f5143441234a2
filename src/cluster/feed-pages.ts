import { type Feed, isAtCursor, setCursor } from '#src/metadata/cursors.ts'
import { type FeedEntry, readChanged, readEntries } from '#src/metadata/feed-reading.ts'
import { partitions } from '#src/metadata/keyspace.ts'
import { type Arrival, receive } from '#src/metadata/receive.ts'
import type { Received } from '#src/metadata/received.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot } from '#src/store/store.ts'
import type { BucketCells, Share } from './bucket-cells.ts'

/**
 * Pieces of a cell's feed, and what another cell does with them.
 *
 * F4  a page's records are from one state of the store, which is no older than the page's last entry (C14).
 * F5  a page is applied only if it starts exactly where the cursor is (C10), and is of the layout that is kept here (C15).
 * F6  records of a bucket go only to its cells; the page's end moves on over what was left out (C17, F9).
 * F7  nor does a cell take what comes of a bucket that it is none of the cells of, by its row in the transaction that would (C22):
 *     of one that it becomes a cell of, it copies all there is after its row says so.
 */
export interface Page {
  readonly partition: number
  /** How many partitions the feed has. */
  readonly layout: number
  readonly incarnation: string
  /** Where it was asked to start, and its last entry: positions in the partition, 12 bytes. */
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly hasMore: boolean
  readonly items: readonly PageItem[]
}

export interface PageItem {
  /** Of its entry. */
  readonly position: Uint8Array
  readonly record: Received
}

export interface FeedSource {
  readonly foundation: Pick<Foundation, 'store'>
  readonly cells: BucketCells
  /** Of this cell. */
  readonly incarnation: string
}

export interface PageRequest {
  readonly partition: number
  /** A position: entries behind it are asked for. */
  readonly after: Uint8Array
  /** About so many bytes; one record may be larger. */
  readonly bytes: number
  /** So many entries are looked at. */
  readonly entries: number
  /** The number of the cell that asks. */
  readonly forCell: number
  /** Of that cell: what it told is left out (F9). Absent: nothing is. */
  readonly forIncarnation?: string
}

/** Entries read at a time: an object in 10,000 parts has 2 MB to tell. */
export const batchEntries = 32
/** Of a record without bytes of its own, about. */
const recordBytes = 300

export const sizeOf = (record: Received): number => {
  if (record.kind === 'removal' || record.content === undefined) return recordBytes
  const { content } = record
  if (content.kind === 'inline') return recordBytes + content.bytes.length
  if (content.kind === 'blob') return 2 * recordBytes
  return content.pages.reduce((sum, page) => sum + page.length, recordBytes * (1 + content.blobs.length / 3))
}

export async function readPage(source: FeedSource, request: PageRequest): Promise<Page> {
  return await source.foundation.store.snapshot((snapshot) => readPageFrom(source, snapshot, request))
}

/** One state has one answer for all records of a bucket, in all partitions. */
export type Shares = Map<number, Promise<Share>>

/** What was read of a snapshot already: the first `batchEntries`, and to whom buckets belong. */
export interface ReadBefore {
  readonly first?: readonly FeedEntry[] | undefined
  readonly shares: Shares
}

/** In a snapshot that is the caller's. */
export async function readPageFrom(
  source: FeedSource,
  from: Snapshot,
  request: PageRequest,
  { first, shares }: ReadBefore = { shares: new Map() },
): Promise<Page> {
  const { partition, after, forCell } = request
  const items: PageItem[] = []
  let position = after
  let bytes = 0
  let entries = 0
  let hasMore = true
  const shareOf = (bucket: number): Promise<Share> => {
    const share = shares.get(bucket) ?? source.cells.share(from, bucket, forCell)
    shares.set(bucket, share)
    return share
  }
  reading: while (hasMore && bytes < request.bytes && entries < request.entries) {
    const limit = Math.min(batchEntries, request.entries - entries)
    const begun = entries === 0 && limit === batchEntries ? first : undefined
    const batch = begun ?? (await readEntries(from, partition, position, limit))
    hasMore = batch.length === limit
    for (const { entry, record } of await readRecords(from, batch, request, shareOf)) {
      if (record === 'later' || bytes >= request.bytes) {
        hasMore = record !== 'later'
        break reading
      }
      position = entry.position
      entries++
      if (record === undefined) continue
      bytes += sizeOf(record)
      items.push({ position, record })
    }
  }
  const { incarnation } = source
  return { partition, layout: partitions, incarnation, from: after, to: position, hasMore, items }
}

function readRecords(
  from: Snapshot,
  batch: readonly FeedEntry[],
  { forCell, forIncarnation }: PageRequest,
  shareOf: (bucket: number) => Promise<Share>,
) {
  return Promise.all(
    batch.map(async (entry) => {
      const { bucket, teller } = entry.change
      if (teller?.cell === forCell && teller.incarnation === forIncarnation) return { entry, record: undefined }
      const share = await shareOf(bucket)
      if (share === 'later') return { entry, record: share }
      return { entry, record: share === 'no' ? undefined : await readChanged(from, entry.change) }
    }),
  )
}

export interface FeedTarget {
  readonly foundation: Pick<Foundation, 'store' | 'world' | 'region' | 'cell' | 'space'>
  /** How long a version that lost unseen is kept. */
  readonly conflictMilliseconds: number
  /** Absent: records of all buckets are taken. */
  readonly cells?: BucketCells
  /** Called after the commit that made them known. */
  readonly arrived?: (arrivals: readonly Arrival[]) => void
}

export interface Reached {
  /** Where the cursor is now; undefined: the page did not start there, and nothing was done. */
  readonly cursor: Uint8Array | undefined
  /** Up to where all there is was applied, or found to be here; undefined: as the cursor. */
  readonly reached: Uint8Array | undefined
}

const nowhere: Reached = { cursor: undefined, reached: undefined }

export interface Tally {
  /** Records that came, and of those (and of the conflicts found) how many were written. */
  readonly received: number
  readonly written: number
  /** Conflicts that were found by applying them. */
  readonly conflicts: number
}

export interface Applied extends Reached, Tally {}

/** What became of a page. */
interface Place extends Reached {
  readonly page: Page
}

/** What one transaction applies. */
const itemsPerTransaction = 500
const bytesPerTransaction = 2_000_000

/** How a page is applied that follows others which told nothing new. */
export interface Applying {
  /** Where the cursor is: all from there to where the page starts is known to be here. */
  readonly since: Uint8Array
  /** Whether the cursor may stay where nothing is written (F8). */
  readonly mayWait: boolean
}

type Peer = Pick<Feed, 'cell' | 'incarnation'>

const isOf = (page: Page, peer: Peer): boolean => page.layout === partitions && page.incarnation === peer.incarnation

export async function applyPage(
  target: FeedTarget,
  peer: Peer,
  page: Page,
  { since, mayWait }: Applying = { since: page.from, mayWait: false },
): Promise<Applied> {
  const total = { received: 0, written: 0, conflicts: 0 }
  let place: Reached = nowhere
  if (!isOf(page, peer)) return { ...place, ...total }
  for (const { to, records } of steps(page)) {
    const { partition } = page
    const { tally, places } = await applySteps(
      target,
      peer,
      [{ partition, from: place.cursor ?? since, to, records }],
      mayWait,
    )
    const [reached] = places
    if (reached?.reached === undefined) break
    place = reached
    add(total, tally)
  }
  return { ...place, ...total }
}

/**
 * The pages of one answer, each of another partition; `since`: of each, where its cursor is. Those that are small are applied together:
 * a transaction costs more than what each of them tells.
 */
export async function applyPages(
  target: FeedTarget,
  peer: Peer,
  pages: readonly Page[],
  { since, mayWait }: { readonly since: (page: Page) => Uint8Array; readonly mayWait: boolean },
): Promise<{ readonly tally: Tally; readonly places: readonly Place[] }> {
  const total = { received: 0, written: 0, conflicts: 0 }
  const found = new Map<Page, Reached>()
  const { together, large } = sorted(pages.filter((page) => isOf(page, peer)))
  // At once: partitions have nothing in common, and their commits share a sync.
  await Promise.all([
    ...large.map(async (page) => {
      const applied = await applyPage(target, peer, page, { since: since(page), mayWait })
      found.set(page, applied)
      add(total, applied)
    }),
    ...together.map(async (bundle) => {
      const parts = bundle.map(({ page, records }) => {
        const { partition, to } = page
        return { partition, from: since(page), to, records }
      })
      const { tally, places } = await applySteps(target, peer, parts, mayWait)
      for (const [at, { page }] of bundle.entries()) found.set(page, places[at] ?? nowhere)
      add(total, tally)
    }),
  ])
  return { tally: total, places: pages.map((page) => ({ page, ...(found.get(page) ?? nowhere) })) }
}

function add(total: { received: number; written: number; conflicts: number }, tally: Tally): void {
  total.received += tally.received
  total.written += tally.written
  total.conflicts += tally.conflicts
}

/** What is told between two places of one partition. */
interface Part {
  readonly partition: number
  readonly from: Uint8Array
  readonly to: Uint8Array
  readonly records: readonly Received[]
}

/** In one transaction: of those partitions whose cursor is where their part begins, what it tells. */
async function applySteps(
  target: FeedTarget,
  peer: Peer,
  parts: readonly Part[],
  mayWait: boolean,
): Promise<{ readonly tally: Tally; readonly places: readonly Reached[] }> {
  const { foundation, conflictMilliseconds, arrived } = target
  const { store, world, region, cell, space } = foundation
  space?.check()
  const feedOf = ({ partition }: Part): Feed => ({ ...peer, partition })
  const receiving = { here: { region, cell }, now: world.now(), conflictMilliseconds, teller: peer }
  const { isThere, receipt, isMoved } = await store.transact(async (transaction) => {
    const isThere = await Promise.all(parts.map((part) => isAtCursor(transaction, feedOf(part), part.from)))
    const here = parts.filter((_, at) => isThere[at])
    const { records, moving } = await taken(
      target,
      transaction,
      here.flatMap((part) => part.records),
    )
    const receipt = await receive(transaction, records, { ...receiving, moving })
    const isMoved = receipt.records > 0 || !mayWait
    for (const part of isMoved ? here : []) {
      if (Buffer.compare(part.from, part.to) !== 0) setCursor(transaction, feedOf(part), part.to)
    }
    return { isThere, receipt, isMoved }
  })
  if (receipt.arrivals.length > 0) arrived?.(receipt.arrivals)
  const received = parts.reduce((sum, { records }, at) => sum + (isThere[at] ? records.length : 0), 0)
  return {
    tally: { received, written: receipt.records, conflicts: receipt.conflicts },
    places: parts.map(({ from, to }, at) => (isThere[at] ? { cursor: isMoved ? to : from, reached: to } : nowhere)),
  }
}

interface Taken {
  readonly records: readonly Received[]
  /** The buckets that are on their way to other cells, or back: what one of them told, it may since have let go (F9). */
  readonly moving: ReadonlySet<number>
}

/** Those of the records that this cell takes, in the transaction that applies them. */
export async function taken(
  { cells, foundation }: Pick<FeedTarget, 'cells' | 'foundation'>,
  from: Snapshot,
  records: readonly Received[],
): Promise<Taken> {
  const [refused, moving] = [new Set<number>(), new Set<number>()]
  if (cells === undefined) return { records, moving }
  for (const bucket of new Set(records.map((record) => record.bucket))) {
    const { isTaken, isMoving } = await cells.taking(from, bucket, foundation.cell)
    if (!isTaken) refused.add(bucket)
    if (isMoving) moving.add(bucket)
  }
  const own = refused.size === 0 ? records : records.filter(({ bucket }) => !refused.has(bucket))
  return { records: own, moving }
}

interface Step {
  readonly to: Uint8Array
  readonly records: readonly Received[]
}

interface Small {
  readonly page: Page
  readonly records: readonly Received[]
}

/** Pages that are one step, by those that fit one transaction together; and the others. */
function sorted(pages: readonly Page[]): { readonly together: readonly Small[][]; readonly large: readonly Page[] } {
  const together: Small[][] = []
  const large: Page[] = []
  let [items, bytes] = [0, 0]
  for (const page of pages) {
    const records = page.items.map(({ record }) => record)
    const size = records.reduce((sum, record) => sum + sizeOf(record), 0)
    if (records.length >= itemsPerTransaction || size >= bytesPerTransaction) {
      large.push(page)
      continue
    }
    const isFull = items + records.length > itemsPerTransaction || bytes + size > bytesPerTransaction
    const bundle = isFull ? undefined : together.at(-1)
    if (bundle === undefined) {
      together.push([{ page, records }])
      ;[items, bytes] = [records.length, size]
    } else {
      bundle.push({ page, records })
      items += records.length
      bytes += size
    }
  }
  return { together, large }
}

/** Each moves the cursor over what it applies. */
function steps({ to, items }: Page): readonly Step[] {
  const found: Step[] = []
  let records: Received[] = []
  let bytes = 0
  for (const { position, record } of items) {
    records.push(record)
    bytes += sizeOf(record)
    if (records.length < itemsPerTransaction && bytes < bytesPerTransaction) continue
    found.push({ to: position, records })
    records = []
    bytes = 0
  }
  found.push({ to, records })
  return found
}
