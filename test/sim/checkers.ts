import { Fault } from '#src/errors.ts'
import { conflictOfRow } from '#src/metadata/conflict-records.ts'
import { keys, partitionOf, type subspace, under } from '#src/metadata/keyspace.ts'
import { entryOf } from '#src/metadata/object-records.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import { formatStamp, type Stamp } from '#src/model/stamp.ts'
import type { Objects } from '#src/service/services.ts'
import type { View } from '#src/store/overlay.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { type Birth, standing, Violation } from './births.ts'
import { placesOf } from './blob-checkers.ts'
import { buckets, bytesOf, guard } from './content.ts'
import type { Ledger } from './ledger.ts'
import type { QuietCell } from './quiet-cell.ts'
import type { Region, RegionServices } from './region.ts'
import type { Timeline } from './timeline.ts'

const everything = Number.POSITIVE_INFINITY

/** I4: all cells of a bucket hold the same records, and no other cell holds any (C22). */
export function checkConverged(cells: readonly QuietCell[]): void {
  for (const { id } of buckets) {
    const [first, ...others] = cells
      .filter(({ here }) => here.has(id))
      .map((cell) => ({ ...cell, rows: rowsOf(cell, id) }))
    for (const cell of cells) {
      const [row] = cell.here.has(id) ? [] : rowsOf(cell, id).keys()
      if (row !== undefined) throw new Violation(`${row}: ${cell.name} holds it, and is none of the bucket's cells`)
    }
    if (first === undefined) throw new Violation(`the bucket ${id} is nowhere`)
    for (const other of others) {
      for (const [key, value] of first.rows) {
        const there = other.rows.get(key)
        if (there !== value) throw new Violation(`${key}: ${first.name} holds ${value}, ${other.name} holds ${there}`)
      }
      for (const key of other.rows.keys()) {
        if (!first.rows.has(key)) throw new Violation(`${key}: only ${other.name} holds it`)
      }
    }
  }
}

const rowsOf = ({ rows }: QuietCell, bucket: number): ReadonlyMap<string, string> =>
  new Map([...rows].filter(([key]) => key.startsWith(`${bucket} `)))

/** I1, I6, I8, C9, C12: every write stands, or was followed by one that had seen it, or is kept as a conflict; nothing returns. */
export function checkNothingLost(ledger: Ledger, { name, view, here }: QuietCell): void {
  for (const births of ledger.births.values()) {
    const [one] = births.values()
    if (one === undefined || !here.has(one.bucket)) continue
    // What only a region had that was lost is as if it had never been; and so nothing of it may stand.
    const counted = ledger.standingBirths(births)
    if (one.slot === 0n) checkNullSlot(name, view, one, counted)
    else checkVersion(name, view, one, counted)
  }
}

function checkNullSlot(cell: string, view: View, { bucket, key }: Birth, births: readonly Birth[]): void {
  const stands = standing(view, bucket, key)
  const [first] = births
  if (first === undefined) {
    if (stands !== undefined) throw new Violation(`${cell}: ${key} stands at ${stands.stamp}, which was lost`)
    return
  }
  const newest = births.reduce((most, each) => (each.stamp > most.stamp ? each : most), first)
  if (stands === undefined) {
    if (newest.kind !== 'tombstone') throw new Violation(`${cell}: ${key} at ${newest.stamp} is lost`)
  } else if (stands.stamp !== newest.stamp) {
    throw new Violation(`${cell}: ${key} stands at ${stands.stamp}, but the last was ${newest.kind} ${newest.stamp}`)
  }
  const replaced = new Set(births.map((each) => each.replaced))
  for (const birth of births) {
    if (birth === newest || birth.kind !== 'object' || replaced.has(birth.stamp)) continue
    if (!isKept(view, birth)) throw new Violation(`${cell}: ${key} at ${birth.stamp} lost, and nobody keeps it`)
  }
}

const isKept = (view: View, { bucket, key, stamp }: Birth): boolean =>
  view.get(keys.conflict(bucket, key, stamp)) !== undefined

function checkVersion(cell: string, view: View, { bucket, key, slot }: Birth, births: readonly Birth[]): void {
  const isRemoved = births.some(({ kind }) => kind === 'tombstone')
  const isWritten = births.some(({ kind }) => kind !== 'tombstone')
  const row = view.get(keys.version(bucket, key, slot))
  if (isWritten && !isRemoved && row === undefined) throw new Violation(`${cell}: version ${slot} of ${key} is lost`)
  if (row !== undefined && isRemoved) throw new Violation(`${cell}: version ${slot} of ${key} was removed, and is back`)
  if (row !== undefined && !isWritten) throw new Violation(`${cell}: version ${slot} of ${key} is back, and was lost`)
}

/**
 * C12, Q1: a conflict is kept only of what some later write of the slot had not seen, and settled only where somebody restored
 * it. Seen: what stood in the cell when a write was made, and all that had been seen by that.
 */
export function checkConflicts(ledger: Ledger, { name, view }: QuietCell): void {
  const all = under('conflict', [])
  for (const row of view.range(all.from, all.to, everything, false)) {
    const { bucket, key, conflict } = conflictOfRow(row)
    const { stamp } = conflict.version
    if (conflict.isSettled && !ledger.restored.has(`${bucket} ${key} ${formatStamp(stamp)}`)) {
      throw new Violation(`${name}: the conflict ${stamp} of ${key} is settled, and nobody restored it`)
    }
    const births = ledger.birthsOf(bucket, key, 0n)
    // One that was lost too: it may have told of what it replaced before it could tell of itself.
    const isUnseen = [...births.values()].some((later) => later.stamp > stamp && !hasSeen(births, later, stamp))
    if (!isUnseen) throw new Violation(`${name}: ${key} at ${stamp} is kept, and all that came later had seen it`)
  }
}

function hasSeen(births: ReadonlyMap<Stamp, Birth>, later: Birth, stamp: Stamp): boolean {
  let seen = later.replaced
  while (seen !== undefined && seen > stamp) seen = births.get(seen)?.replaced
  return seen === stamp
}

/** C11: of the tags that any cell ever gave a version, it has those that came last. */
export function checkTags(ledger: Ledger, { name, view }: QuietCell): void {
  for (const space of ['current', 'version'] as const) {
    const all = under(space, [])
    for (const { key: row, value } of view.range(all.from, all.to, everything, false)) {
      const version = decodeVersion(value)
      if (version.kind !== 'object') continue
      const reader = new TupleReader(row, 1)
      const place = `${reader.number()} ${reader.text()} ${version.stamp}`
      const last = ledger.tagged.get(place)
      if (last !== version.tags?.stamp) {
        throw new Violation(`${name}: ${place} has tags of ${version.tags?.stamp}, and the last were of ${last}`)
      }
    }
  }
}

/** F1: each record has its entry in the feed, and no entry is left that no record has. */
export function checkFeed({ name, view }: QuietCell): void {
  const wanted = new Set<string>()
  for (const space of ['current', 'version', 'tombstone', 'conflict'] as const) {
    const all = under(space, [])
    for (const { key, value } of view.range(all.from, all.to, everything, false)) {
      const reader = new TupleReader(key, 1)
      const partition = keys.feed(partitionOf(reader.number(), reader.text()))
      wanted.add(Buffer.concat([partition, entryOf(value)]).toString('hex'))
    }
  }
  const feed = under('feed', [])
  for (const { key } of view.range(feed.from, feed.to, everything, false)) {
    const entry = Buffer.from(key).toString('hex')
    if (!wanted.delete(entry)) throw new Violation(`${name}: an entry of the feed that no record has: ${entry}`)
  }
  for (const entry of wanted) throw new Violation(`${name}: a record whose entry is not in the feed: ${entry}`)
}

/**
 * C21, I3: all that stands can be read in every cell, and is what was written; every old version too that is asked for. `lost`: blobs
 * that nobody has any more.
 */
export async function checkReadable(
  region: Region,
  ledger: Ledger,
  timeline: Timeline,
  lost: ReadonlySet<string>,
): Promise<void> {
  const { services, member } = region
  if (services === undefined) throw new Error(`${member.region} is down`)
  const unreadable = lost.size === 0 ? lost : placesOf(region.store.view, lost)
  for (const bucket of buckets) {
    if (!region.has(bucket.name)) continue
    const query = { bucket: bucket.name, prefix: '', delimiter: '', limit: 1000, guard }
    const { items } = await services.listings.versions(query)
    for (const { key, versionId, version, isLatest } of items) {
      if (version.kind === 'marker' || !(isLatest || Number(version.stamp / 1000n) % oldVersionsRead === 0)) continue
      const request = { name: { bucket: bucket.name, key }, versionId, guard, conditions: {} }
      const slot = version.isNull ? 0n : version.stamp
      if (unreadable.has(`${bucket.id} ${key} ${slot}`)) {
        if (ledger.isPromisedWhole({ bucket: bucket.id, key, slot, stamp: version.stamp })) {
          throw new Violation(`${key} at ${versionId} was acknowledged as in several regions, and its bytes are lost`)
        }
        await checkRefused(services, request, `${member.region}: ${key} at ${versionId}`)
        continue
      }
      const read = await insisting(timeline, async () => {
        const found = await services.objects.get(request)
        return { version: found.version, bytes: await bytesOf(found) }
      }).catch((error: unknown) => {
        throw new Violation(`${member.region}: ${key} at ${versionId} cannot be read`, { cause: error })
      })
      ledger.checkRead(bucket, key, read.version, read.bytes)
    }
  }
}

/** C21: that its bytes are lost does not make it one that is not there. */
async function checkRefused(
  { objects }: RegionServices,
  request: Parameters<Objects['get']>[0],
  what: string,
): Promise<void> {
  const outcome = await objects
    .get(request)
    .then(bytesOf)
    .then(
      () => 'read',
      (error: unknown) => (error instanceof Fault ? error.code : String(error)),
    )
  if (outcome !== 'ServiceUnavailable') throw new Violation(`${what}, which is lost: ${outcome}`)
}

/** One in so many. */
const oldVersionsRead = 20
/** A read may join one that began while something was wrong, and wait with it until it gives up. */
const attempts = 3
const pauseMilliseconds = 15_000

async function insisting<T>(timeline: Timeline, read: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await read()
    } catch (error) {
      if (attempt === attempts || !(error instanceof Fault) || error.code !== 'ServiceUnavailable') throw error
      await timeline.sleep(pauseMilliseconds)
    }
  }
}

/** What a subspace holds, for those who want to see that something was cleaned up. */
export function countRows(view: View, space: keyof typeof subspace): number {
  const all = under(space, [])
  return view.range(all.from, all.to, everything, false).length
}
