import type { Removal } from '#src/model/merge.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { moveEntry, setWithEntry, type Teller } from './feed.ts'
import { keys, slotOf, under } from './keyspace.ts'
import {
  decodeTombstone,
  encodeTombstone,
  type Place,
  type Row,
  readCurrent,
  readNewest,
  readStampRow,
  rowOf,
  stampRow,
  type Tombstone,
} from './object-records.ts'
import type { Received } from './received.ts'
import { encodeVersion, entryOffset } from './version-codec.ts'

/** All rows of a key that records received for it may change, as they are. */
export interface KeyRows extends Place {
  readonly current: Row | undefined
  /** The newest versions that are not `null`, of the newest two rows under `version`. */
  readonly newest: Row | undefined
  /** The `null` version, where that lies under `version`. */
  readonly stowed: Row | undefined
  /** Of the `null` slot. */
  readonly tombstone: Tombstone | undefined
  readonly memory: Stamp
  /** Of the slots that the records are of. */
  readonly versions: ReadonlyMap<Stamp, Row>
  readonly tombstones: ReadonlyMap<Stamp, Tombstone>
}

async function readSome<Kind>(
  slots: ReadonlySet<Stamp>,
  read: (slot: Stamp) => Promise<Kind | undefined>,
): Promise<ReadonlyMap<Stamp, Kind>> {
  const found = new Map<Stamp, Kind>()
  for (const slot of slots) {
    const row = await read(slot)
    if (row !== undefined) found.set(slot, row)
  }
  return found
}

/** For fewer records of a bucket it costs more than it spares. */
const worthLooking = 16

/**
 * Whether buckets have any versions beside `current`, and any tombstones: most have none, and what is nowhere in a bucket need not be
 * looked for key by key. Read in the transaction, which fails where somebody else brings the first (C13: rows, not settings, tell).
 */
export class KeySpaces {
  readonly #from: Transaction
  readonly #records = new Map<number, number>()
  readonly #found = new Map<string, Promise<boolean>>()

  constructor(from: Transaction, items: readonly Received[]) {
    this.#from = from
    for (const { bucket } of items) this.#records.set(bucket, (this.#records.get(bucket) ?? 0) + 1)
  }

  /** True where nobody looked. */
  async has(space: 'version' | 'tombstone', bucket: number): Promise<boolean> {
    if ((this.#records.get(bucket) ?? 0) < worthLooking) return true
    const name = `${space} ${bucket}`
    const known = this.#found.get(name) ?? this.#look(space, bucket)
    this.#found.set(name, known)
    return await known
  }

  async #look(space: 'version' | 'tombstone', bucket: number): Promise<boolean> {
    const { from, to } = under(space, [bucket])
    // First relaxed: where there are some, nothing hangs on which is the first, and the transaction must not fail for it.
    const seen = await this.#from.relaxed.range(from, to, { limit: 1 })
    return seen.length > 0 || (await this.#from.range(from, to, { limit: 1 })).length > 0
  }
}

/** Reads before anything is written: a transaction does not see records that it wrote with their entries. */
export async function readKeyRows(
  from: Transaction,
  items: readonly Received[],
  spaces: KeySpaces,
): Promise<KeyRows | undefined> {
  const [first] = items
  if (first === undefined) return undefined
  const { bucket, key } = first
  const place = { bucket, key }
  const slots = new Set<Stamp>()
  for (const item of items) {
    if (item.kind !== 'conflict') slots.add(item.kind === 'removal' ? item.slot : slotOf(item.version))
  }
  const hasNull = slots.delete(0n)
  const [hasVersions, hasTombstones] = [await spaces.has('version', bucket), await spaces.has('tombstone', bucket)]
  const [current, top, nullBytes, tombstoneBytes, memory] = await Promise.all([
    readCurrent(from, place),
    hasVersions ? readNewest(from, place, 2) : [],
    // It names a row under `version`.
    hasVersions ? from.get(keys.nullVersion(bucket, key)) : undefined,
    hasNull && hasTombstones ? from.get(keys.tombstone(bucket, key, 0n)) : undefined,
    slots.size > 0 ? from.get(keys.memory(bucket, key)) : undefined,
  ])
  const readRow = async (stamp: Stamp) => {
    const bytes = await from.get(keys.version(bucket, key, stamp))
    return bytes === undefined ? undefined : rowOf(bytes)
  }
  const readTombstone = async (slot: Stamp) => {
    const bytes = await from.get(keys.tombstone(bucket, key, slot))
    return bytes === undefined ? undefined : decodeTombstone(bytes)
  }
  const nullStamp = readStampRow(nullBytes)
  const kept = top.find(({ version }) => version.stamp === nullStamp)
  return {
    ...place,
    current,
    newest: top.find(({ version }) => !version.isNull),
    stowed: nullStamp === undefined ? undefined : (kept ?? (await readRow(nullStamp))),
    tombstone: tombstoneBytes === undefined ? undefined : decodeTombstone(tombstoneBytes),
    memory: readStampRow(memory) ?? 0n,
    versions: hasVersions ? await readSome(slots, readRow) : new Map(),
    tombstones: hasTombstones ? await readSome(slots, readTombstone) : new Map(),
  }
}

/** The `null` version, wherever it lies. */
export const occupantRow = ({ current, stowed }: KeyRows): Row | undefined =>
  current?.version.isNull === true ? current : stowed

/** A record on its way to its rows; `order`: of its new entry, where it was changed. */
export interface Placed {
  readonly version: Version
  readonly bytes: Uint8Array
  readonly order: number | undefined
}

export const unchanged = (row: Row): Placed => ({ ...row, order: undefined })

export function changed(
  to: Transaction,
  { bucket, key }: Place,
  version: Version,
  before: Uint8Array | undefined,
  teller: Teller | undefined,
): Placed {
  const change = { bucket, key, slot: slotOf(version), stamp: version.stamp, ...(teller && { teller }) }
  const order = moveEntry(to, change, before)
  return { version, bytes: encodeVersion(version), order }
}

function setPlaced(to: Transaction, row: Uint8Array, { bytes, order }: Placed): void {
  if (order === undefined) to.set(row, bytes)
  else setWithEntry(to, row, Buffer.from(bytes), order, entryOffset)
}

/** Of a slot that is not `null`. */
export function setNumbered(to: Transaction, { bucket, key }: Place, placed: Placed): void {
  setPlaced(to, keys.version(bucket, key, placed.version.stamp), placed)
}

export function setTombstone(
  to: Transaction,
  { bucket, key }: Place,
  slot: Stamp,
  removal: Removal,
  before: Uint8Array | undefined,
  teller: Teller | undefined,
): void {
  const order = moveEntry(to, { bucket, key, slot, stamp: removal.stamp, ...(teller && { teller }) }, before)
  setWithEntry(to, keys.tombstone(bucket, key, slot), encodeTombstone(removal), order, entryOffset)
}

/**
 * Puts the newest version under `current`, and the `null` version where it belongs beside it (O1, decision 002). `newest`: of those
 * that are not `null`; `occupant`: the `null` version, if there is one.
 */
export function layOut(to: Transaction, rows: KeyRows, newest: Placed | undefined, occupant: Placed | undefined): void {
  const { bucket, key, current, stowed } = rows
  const isNullNewest = occupant !== undefined && (newest === undefined || occupant.version.stamp > newest.version.stamp)
  const top = isNullNewest ? occupant : newest
  if (top === undefined || top.version.kind === 'marker') {
    if (current !== undefined) to.clear(keys.current(bucket, key))
  } else if (top.order !== undefined || top.version.stamp !== current?.version.stamp) {
    setPlaced(to, keys.current(bucket, key), top)
  }
  const isStowed = occupant !== undefined && !(isNullNewest && occupant.version.kind === 'object')
  const stowedAt = isStowed ? occupant.version.stamp : undefined
  if (stowed !== undefined && stowed.version.stamp !== stowedAt) {
    to.clear(keys.version(bucket, key, stowed.version.stamp))
    if (stowedAt === undefined) to.clear(keys.nullVersion(bucket, key))
  }
  if (!isStowed) return
  if (stowed?.version.stamp !== stowedAt) to.set(keys.nullVersion(bucket, key), stampRow(occupant.version.stamp))
  if (occupant.order !== undefined || stowed?.version.stamp !== stowedAt) {
    setPlaced(to, keys.version(bucket, key, occupant.version.stamp), occupant)
  }
}
