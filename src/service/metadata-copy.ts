import { createHash } from 'node:crypto'
import { readSelf, setSelf } from '#src/metadata/cluster-records.ts'
import { type Copying, readCopying, setCopying } from '#src/metadata/copying.ts'
import { type Change, decodeChange, entryBytes, setWithEntry } from '#src/metadata/feed.ts'
import { keys, partitionOf, type Subspace, subspace, under } from '#src/metadata/keyspace.ts'
import { readLayout, whyNotRead } from '#src/metadata/layout-records.ts'
import { layouts } from '#src/metadata/layouts.ts'
import { readNodes } from '#src/metadata/node-records.ts'
import type { Entry, Snapshot, Store } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import type { World } from '#src/world.ts'

/**
 * Copies all metadata from one store into another, of whichever driver, while neither is served.
 *
 * V1  versionstamps of one store mean nothing in another. What is ordered by them is appended anew, in the same order, and each record
 *     names its new entry; so what is written later comes behind it, as everywhere (F1).
 * V2  the cell gets a new incarnation: whoever follows its feeds begins at zero (C15). What is known of how far others have followed, of
 *     nodes and of the namespace's feed is left behind.
 * V3  what counts as copied was read again on both sides: as many rows of each kind, and the same bytes but for versionstamps.
 * V4  a target that holds anything else than a copy that was cut short is refused; such a copy is begun anew, and never served.
 */

/** Keys that end with a versionstamp and an order. */
const appended: ReadonlySet<Subspace> = new Set(['feed', 'job', 'logLine'])
/** Values with the entry of their record behind the format. */
const recorded: ReadonlySet<Subspace> = new Set(['current', 'version', 'tombstone', 'conflict'])
/** Belongs to the store, and not to what it keeps. */
const left: ReadonlySet<Subspace> = new Set([
  ...(['passing', 'feedSignal', 'node', 'volume', 'lead', 'copying'] as const),
  ...(['namespaceFeed', 'namespaceEntry', 'namespaceHead', 'namespaceConfirmed'] as const),
])
/** Written anew at the end. */
const rewritten: ReadonlySet<Subspace> = new Set(['self'])
const entryAt = 1

const rowsMost = 500
const bytesMost = 1_000_000

export class CopyRefused extends Error {}

export interface CopyProgress {
  readonly step: 'copying' | 'verifying'
  readonly space: Subspace
  readonly rows: number
}

export interface CopyReport {
  readonly rows: number
  readonly bytes: number
  /** By kind: how many rows, and the SHA-256 over them, the same on both sides. */
  readonly spaces: readonly { readonly space: Subspace; readonly rows: number; readonly digest: string }[]
}

const spaces = (Object.keys(subspace) as Subspace[]).filter((space) => !left.has(space) && !rewritten.has(space))

/** Rows of a kind, page by page, each from a state of its own. */
async function* pagesOf(store: Store, space: Subspace): AsyncGenerator<readonly Entry[]> {
  const all = under(space, [])
  for (let { from } = all; ; ) {
    const page = await store.snapshot((snapshot) => snapshot.range(from, all.to, { limit: rowsMost }))
    const last = page.at(-1)
    if (last === undefined) return
    for (let first = 0; first < page.length; ) {
      let bytes = 0
      let end = first
      while (end < page.length && (bytes === 0 || bytes < bytesMost)) bytes += sizeOf(page[end++])
      yield page.slice(first, end)
      first = end
    }
    from = afterKey(last.key)
  }
}

const sizeOf = (row: Entry | undefined): number => (row === undefined ? 0 : row.key.length + row.value.length)

const everything = [Uint8Array.of(1), Uint8Array.of(0xff)] as const

async function isEmpty(store: Store): Promise<boolean> {
  const rows = await store.snapshot((snapshot) => snapshot.range(...everything, { limit: 1 }))
  return rows.length === 0
}

/** Makes the target ready: what is left of a copy that was cut short goes (V4). */
async function prepare(target: Store, copying: Copying): Promise<void> {
  const before = await target.snapshot(readCopying)
  if (before?.state === 'done') throw new CopyRefused('the target holds a copy that is whole')
  if (before === undefined && !(await isEmpty(target))) {
    throw new CopyRefused('the target is not empty: a copy needs a store that nothing was ever kept in')
  }
  await target.transact(async (transaction) => {
    transaction.clearRange(...everything)
    setCopying(transaction, copying)
  })
}

async function copyPage(target: Store, space: Subspace, page: readonly Entry[]): Promise<void> {
  await target.transact(async (transaction) => {
    for (const { key, value } of page) {
      if (appended.has(space)) transaction.append(key.subarray(0, -entryBytes), value)
      else transaction.set(key, value)
    }
  })
}

/** Where a record may lie that a feed entry names. */
const placesOf = ({ bucket, key, slot, stamp }: Change): readonly Uint8Array[] => [
  keys.current(bucket, key),
  keys.version(bucket, key, stamp),
  ...(slot === 0n || slot === stamp ? [] : [keys.version(bucket, key, slot)]),
  keys.tombstone(bucket, key, slot),
  keys.conflict(bucket, key, stamp),
]

const entryOf = (record: Uint8Array): Uint8Array => record.subarray(entryAt, entryAt + entryBytes)

/** Of a page of the feed: the records that have these entries. */
async function recordsOf(from: Snapshot, page: readonly Entry[]): Promise<readonly (readonly Entry[])[]> {
  return await Promise.all(
    page.map(async ({ key, value }) => {
      const entry = key.subarray(-entryBytes)
      const places = placesOf(decodeChange(value))
      const found = await Promise.all(places.map((place) => from.get(place)))
      return places.flatMap((place, index) => {
        const record = found[index]
        const isIts = record !== undefined && Buffer.compare(entryOf(record), entry) === 0
        return isIts ? [{ key: place, value: record }] : []
      })
    }),
  )
}

/** The feed in its order, and each record with its new entry (V1). */
async function copyFeedPage(source: Store, target: Store, page: readonly Entry[]): Promise<void> {
  const records = await source.snapshot((snapshot) => recordsOf(snapshot, page))
  await target.transact(async (transaction) => {
    for (const [index, { key, value }] of page.entries()) {
      const order = transaction.append(key.subarray(0, -entryBytes), value)
      for (const record of records[index] ?? []) {
        setWithEntry(transaction, record.key, Buffer.from(record.value), order, entryAt)
      }
    }
  })
}

/** Fewer than elsewhere: each brings its records along, of up to 16 KiB. */
const feedRowsMost = 50

async function copySpace(source: Store, target: Store, space: Subspace, tell: (rows: number) => void) {
  let rows = 0
  for await (const page of pagesOf(source, space)) {
    if (space !== 'feed') await copyPage(target, space, page)
    else {
      for (let first = 0; first < page.length; first += feedRowsMost) {
        await copyFeedPage(source, target, page.slice(first, first + feedRowsMost))
      }
    }
    rows += page.length
    tell(rows)
  }
}

/** What is compared of a row: all but versionstamps. */
function compared(space: Subspace, { key, value }: Entry): readonly Uint8Array[] {
  if (appended.has(space)) return [key.subarray(0, -entryBytes), value]
  if (!recorded.has(space)) return [key, value]
  return [key, value.subarray(0, entryAt), value.subarray(entryAt + entryBytes)]
}

async function digestOf(store: Store, space: Subspace, tell: (rows: number) => void) {
  const hash = createHash('sha256')
  let [rows, bytes] = [0, 0]
  const length = Buffer.alloc(4)
  for await (const page of pagesOf(store, space)) {
    for (const row of page) {
      for (const piece of compared(space, row)) {
        length.writeUInt32BE(piece.length)
        hash.update(length).update(piece)
      }
      bytes += sizeOf(row)
    }
    rows += page.length
    tell(rows)
  }
  return { rows, bytes, digest: hash.digest('hex') }
}

/** Each record's entry must be in the feed, or nobody ever hears of it. */
async function checkEntries(target: Store, space: Subspace): Promise<void> {
  for await (const page of pagesOf(target, space)) {
    await target.snapshot(async (snapshot) => {
      await Promise.all(
        page.map(async ({ key, value }) => {
          const { bucket, name } = placeOf(key)
          const entry = Buffer.concat([keys.feed(partitionOf(bucket, name)), entryOf(value)])
          if ((await snapshot.get(entry)) === undefined) {
            throw new CopyRefused(`the row ${Buffer.from(key).toString('hex')} has no entry in the copy's feed`)
          }
        }),
      )
    })
  }
}

function placeOf(key: Uint8Array): { readonly bucket: number; readonly name: string } {
  const reader = new TupleReader(key, 1)
  return { bucket: Number(reader.integer()), name: reader.text() }
}

async function verify(source: Store, target: Store, tell: (progress: CopyProgress) => void): Promise<CopyReport> {
  const report = []
  let [rows, bytes] = [0, 0]
  for (const space of spaces) {
    const note = (done: number): void => tell({ step: 'verifying', space, rows: done })
    const [one, other] = await Promise.all([digestOf(source, space, note), digestOf(target, space, () => {})])
    if (one.rows !== other.rows || one.digest !== other.digest) {
      throw new CopyRefused(
        `the copy of ${space} is not what was copied: ${one.rows} rows, and ${other.rows} in the copy`,
      )
    }
    if (recorded.has(space)) await checkEntries(target, space)
    rows += one.rows
    bytes += one.bytes
    report.push({ space, rows: one.rows, digest: one.digest })
  }
  return { rows, bytes, spaces: report }
}

/** Copies and verifies; throws CopyRefused. `state: done` of the target then says that it may be served. */
export async function copyMetadata(
  source: Store,
  target: Store,
  { world, tell = () => {} }: { readonly world: World; readonly tell?: (progress: CopyProgress) => void },
): Promise<CopyReport> {
  const unfinished = await source.snapshot(readCopying)
  if (unfinished?.state === 'copying') throw new CopyRefused('what is to be copied is itself a copy that was cut short')
  const standing = await source.snapshot(readLayout)
  const reason = whyNotRead(standing, layouts)
  if (reason !== undefined) throw new CopyRefused(reason)
  if (standing.raising !== undefined) {
    throw new CopyRefused('the layout of what is to be copied is being raised: serve it until that is done')
  }
  const nodes = await source.snapshot(readNodes)
  if (nodes.size > 1) throw new CopyRefused(`${nodes.size} nodes share what is to be copied: remove all but one first`)
  const copying: Copying = { state: 'copying', began: world.now() }
  await prepare(target, copying)
  for (const space of [...spaces.filter((each) => each !== 'feed'), 'feed' as const]) {
    await copySpace(source, target, space, (rows) => tell({ step: 'copying', space, rows }))
  }
  const report = await verify(source, target, tell)
  const self = await source.snapshot(readSelf)
  await target.transact(async (transaction) => {
    if (self !== undefined) {
      const incarnation = Buffer.from(world.randomBytes(16)).toString('hex')
      setSelf(transaction, { ...self, incarnation, was: self.was ?? self.incarnation })
    }
    setCopying(transaction, { ...copying, state: 'done' })
  })
  return report
}
