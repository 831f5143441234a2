import {
  mergeConflicts,
  mergeCopies,
  mergeOccupants,
  mergeRemovals,
  type Occupant,
  type Removal,
} from '#src/model/merge.ts'
import type { Stamp } from '#src/model/stamp.ts'
import { blobOf, type ObjectVersion, restrictionOf, type Version } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { addReference, type Sharing } from './blob-records.ts'
import { readConflict, setConflict } from './conflict-records.ts'
import type { Teller } from './feed.ts'
import {
  changed,
  type KeyRows,
  KeySpaces,
  layOut,
  occupantRow,
  type Placed,
  readKeyRows,
  setNumbered,
  setTombstone,
  unchanged,
} from './key-rows.ts'
import { keys, slotOf } from './keyspace.ts'
import {
  entryOf,
  keepsContent,
  type Place,
  readNewest,
  releaseContent,
  releaseRemote,
  stampRow,
} from './object-records.ts'
import { addContent, areBytesOf, type Received, type ReceivedContent } from './received.ts'
import { StoredSums } from './usage-records.ts'

/**
 * Records of other cells, merged into those of this one (model/merge.ts).
 *
 * O5  after the same records, in whatever order and however often, all cells have the same rows (I4); O1 to O4 hold with them.
 * O6  what changes nothing is not written, so it makes no entry, and echoes end.
 * O7  the bucket's row is never read (C13), and no stamp is refused (C8).
 */
export interface Receiving {
  /** This region and its cell. */
  readonly here: Sharing
  /** Milliseconds since the epoch. */
  readonly now: number
  /** How long a version that lost unseen is kept. */
  readonly conflictMilliseconds: number
  /** Whose feed brings the records; absent: they come otherwise, and are told to all. */
  readonly teller?: Teller
  /** Buckets whose records are told to the teller too. */
  readonly moving?: ReadonlySet<number>
}

/** A version that came with what it refers to. */
export interface Arrival extends Place {
  readonly content: Exclude<ReceivedContent, { readonly kind: 'inline' }>
  /** It is for some regions only, which fetch it by themselves. */
  readonly isRestricted: boolean
}

export interface Receipt {
  /** Records that were written. */
  records: number
  /** Conflicts that were found here. */
  conflicts: number
  readonly arrivals: Arrival[]
}

/** Where bytes come from: with the record, or from the `null` slot, where they are now. */
type Source = ReceivedContent | 'here' | undefined

interface Loser {
  readonly version: ObjectVersion
  readonly source: Source
}

type Item<Kind extends Received['kind']> = Extract<Received, { readonly kind: Kind }>

/** In one transaction, which may do more, but must not have written records of these keys. */
export async function receive(to: Transaction, items: readonly Received[], receiving: Receiving): Promise<Receipt> {
  const groups = Map.groupBy(items, ({ bucket, key }) => `${bucket} ${key}`)
  const spaces = new KeySpaces(to, items)
  const loaded = await Promise.all(
    [...groups.values()].map(async (group) => ({ group, rows: await readKeyRows(to, group, spaces) })),
  )
  const receipt: Receipt = { records: 0, conflicts: 0, arrivals: [] }
  const stored = new StoredSums()
  for (const { group, rows } of loaded) {
    if (rows !== undefined) await new Merging({ to, rows, receiving, receipt, stored }).run(group)
  }
  stored.addTo(to)
  return receipt
}

interface MergingParts {
  readonly to: Transaction
  readonly rows: KeyRows
  readonly receiving: Receiving
  readonly receipt: Receipt
  readonly stored: StoredSums
}

/** One key's records. */
class Merging {
  readonly #to: Transaction
  readonly #rows: KeyRows
  readonly #receiving: Receiving
  readonly #receipt: Receipt
  readonly #stored: StoredSums

  constructor({ to, rows, receiving, receipt, stored }: MergingParts) {
    this.#to = to
    this.#rows = rows
    this.#receiving = receiving
    this.#receipt = receipt
    this.#stored = stored
  }

  async run(items: readonly Received[]): Promise<void> {
    const told: Item<'conflict'>[] = []
    const nulls: Item<'version' | 'removal'>[] = []
    const numbered = new Map<Stamp, Item<'version' | 'removal'>[]>()
    for (const item of items) {
      if (item.kind === 'conflict') told.push(item)
      else {
        const slot = item.kind === 'removal' ? item.slot : slotOf(item.version)
        if (slot === 0n) nulls.push(item)
        else numbered.set(slot, [...(numbered.get(slot) ?? []), item])
      }
    }
    const occupant = foldOccupant(this.#rows, nulls)
    // First, also as entries: whoever has read of the winner has read of them (C12).
    await this.#conflicts(told, occupant.losers)
    const placed = await this.#occupy(occupant)
    const versions: Placed[] = []
    for (const [slot, group] of numbered) {
      const version = await this.#number(slot, group)
      if (version !== undefined) versions.push(version)
    }
    if (told.length < items.length) layOut(this.#to, this.#rows, await this.#newest(versions), placed)
  }

  async #conflicts(told: readonly Item<'conflict'>[], losers: readonly Loser[]): Promise<void> {
    const stamps = new Set([
      ...told.map(({ conflict }) => conflict.version.stamp),
      ...losers.map((each) => each.version.stamp),
    ])
    for (const stamp of stamps) {
      await this.#conflict(
        stamp,
        told.filter(({ conflict }) => conflict.version.stamp === stamp),
        losers.find(({ version }) => version.stamp === stamp),
      )
    }
  }

  async #conflict(stamp: Stamp, told: readonly Item<'conflict'>[], loser: Loser | undefined): Promise<void> {
    const before = await readConflict(this.#to, this.#rows, stamp)
    let conflict = before?.conflict
    let source: Source
    for (const item of told) {
      if (conflict !== undefined) conflict = mergeConflicts(conflict, item.conflict)
      // What is over here is over: whoever still has it lets it go in its own time.
      else if (item.conflict.expires > this.#receiving.now) {
        conflict = item.conflict
        source = item.content
      }
    }
    if (loser !== undefined && conflict !== undefined) {
      conflict = mergeConflicts(conflict, { ...conflict, version: loser.version, isSettled: false })
    } else if (loser !== undefined) {
      const expires = this.#receiving.now + this.#receiving.conflictMilliseconds
      conflict = { version: loser.version, expires, isSettled: false }
      source = loser.source
      this.#receipt.conflicts++
    }
    if (conflict === undefined || conflict === before?.conflict) return
    const asTold = told.some((item) => item.conflict === conflict)
    setConflict(this.#to, this.#rows, conflict, before?.entry, this.#tellerIf(asTold))
    this.#receipt.records++
    if (before === undefined && !conflict.isSettled) await this.#store(stamp, conflict.version, source)
    const isNews = before !== undefined && !before.conflict.isSettled && conflict.isSettled
    if (isNews) await releaseContent(this.#to, this.#rows, conflict.version, stamp)
  }

  /** Of a record that came just as it is here now: what a merge made of it is news for everybody. */
  #tellerIf(isAsTold: boolean): Teller | undefined {
    const { teller, moving } = this.#receiving
    return isAsTold && moving?.has(this.#rows.bucket) !== true ? teller : undefined
  }

  /** Fills the `null` slot with what came out of it. Undefined: with no version. */
  async #occupy({ standing, source, isAsTold }: Occupied): Promise<Placed | undefined> {
    const { tombstone } = this.#rows
    const row = occupantRow(this.#rows)
    const before = row?.version ?? this.#rows.tombstone
    if (standing === before) return row === undefined ? undefined : unchanged(row)
    if (standing === undefined) return undefined
    const entry = row === undefined ? tombstone?.entry : entryOf(row.bytes)
    this.#receipt.records++
    this.#stored.recount(this.#rows.bucket, row?.version, standing.kind === 'removal' ? undefined : standing)
    if (source !== 'here') {
      if (standing.kind === 'object') await this.#store(0n, standing, source)
      const old = row?.version
      const isKept = old?.kind === 'object' && standing.kind !== 'removal' && keepsContent(old, standing)
      if (old?.kind === 'object' && !isKept) await releaseContent(this.#to, this.#rows, old)
      if (old?.kind === 'object' && old.stamp !== standing.stamp) await releaseRemote(this.#to, this.#rows, old)
    }
    if (standing.kind === 'removal') {
      setTombstone(this.#to, this.#rows, 0n, standing, entry, this.#tellerIf(isAsTold))
      return undefined
    }
    if (tombstone !== undefined) this.#to.clear(keys.tombstone(this.#rows.bucket, this.#rows.key, 0n))
    return changed(this.#to, this.#rows, standing, entry, this.#tellerIf(isAsTold))
  }

  /** Gives the version of another slot, if it is new or was changed. */
  async #number(slot: Stamp, items: readonly Item<'version' | 'removal'>[]): Promise<Placed | undefined> {
    const { bucket, key, versions, tombstones } = this.#rows
    const row = versions.get(slot)
    const tombstone = tombstones.get(slot)
    const { removal, version, source } = foldNumbered(row?.version, tombstone, items)
    const teller = this.#tellerIf(items.some((item) => recordOf(item) === (removal ?? version)))
    const entry = tombstone?.entry ?? (row && entryOf(row.bytes))
    if (removal !== undefined) {
      if (row !== undefined) this.#to.clear(keys.version(bucket, key, slot))
      this.#stored.recount(bucket, row?.version, undefined)
      if (row?.version.kind === 'object') {
        await releaseContent(this.#to, this.#rows, row.version)
        await releaseRemote(this.#to, this.#rows, row.version)
      }
      if (removal === tombstone) return undefined
      this.#receipt.records++
      setTombstone(this.#to, this.#rows, slot, removal, entry, teller)
      this.#remember(removal.stamp)
      return undefined
    }
    if (version === undefined || version === row?.version) return undefined
    this.#receipt.records++
    this.#stored.recount(bucket, row?.version, version)
    if (version.kind === 'object' && source !== 'here') await this.#store(slot, version, source)
    const placed = changed(this.#to, this.#rows, version, entry, teller)
    setNumbered(this.#to, this.#rows, placed)
    return placed
  }

  #remembered = 0n

  /** What a key remembers includes the stamps of what was removed (C7). */
  #remember(stamp: Stamp): void {
    const { bucket, key, memory } = this.#rows
    if (stamp <= memory || stamp <= this.#remembered) return
    this.#remembered = stamp
    this.#to.set(keys.memory(bucket, key), stampRow(stamp))
  }

  /** The newest version that is not `null`, among those there are and those that came. */
  async #newest(came: readonly Placed[]): Promise<Placed | undefined> {
    // Read again: what was removed is cleared by now, and what came is not seen yet.
    const rows = this.#rows.versions.size === 0 ? undefined : await readNewest(this.#to, this.#rows, 2)
    const kept = rows === undefined ? this.#rows.newest : rows.find(({ version }) => !version.isNull)
    const there = kept === undefined ? [] : [unchanged(kept)]
    return [...there, ...came].reduce<Placed | undefined>(
      (most, each) => (most === undefined || each.version.stamp >= most.version.stamp ? each : most),
      undefined,
    )
  }

  /** Puts bytes, or a reference to them, under the slot of a version. */
  async #store(slot: Stamp, version: ObjectVersion, source: Source): Promise<void> {
    const { bucket, key } = this.#rows
    if (version.content.kind === 'inline') {
      const row = keys.inline(bucket, key, slot)
      const bytes = source === 'here' ? await this.#to.get(keys.inline(bucket, key, 0n)) : inlineOf(source)
      if (bytes !== undefined) this.#to.set(row, bytes)
      else {
        // The sender had lost them; what lies here may be what is left of them, but nothing else must be taken for them.
        const there = await this.#to.get(row)
        if (there !== undefined && areBytesOf(version, there) !== true) this.#to.clear(row)
      }
      return
    }
    const blob = blobOf(version.content)
    if (blob !== undefined) addReference(this.#to, blob, { bucket, key, slot })
    if (source === 'here' || source === undefined || source.kind === 'inline') return
    const restriction = restrictionOf(bucket, version)
    await addContent(this.#to, source, this.#receiving, restriction)
    this.#receipt.arrivals.push({ bucket, key, content: source, isRestricted: restriction !== undefined })
  }
}

const inlineOf = (content: ReceivedContent | undefined): Uint8Array | undefined =>
  content?.kind === 'inline' ? content.bytes : undefined

const recordOf = (item: Item<'version' | 'removal'>): Occupant =>
  item.kind === 'removal' ? item.removal : item.version

interface Occupied {
  readonly standing: Occupant | undefined
  readonly source: Source
  /** Whether it is what one of the records brought, unchanged. */
  readonly isAsTold: boolean
  readonly losers: readonly Loser[]
}

/** What fills the `null` slot in the end, and who lost it on the way. */
function foldOccupant(rows: KeyRows, items: readonly Item<'version' | 'removal'>[]): Occupied {
  const losers: Loser[] = []
  let standing: Occupant | undefined = occupantRow(rows)?.version ?? rows.tombstone
  let source: Source = 'here'
  for (const item of items) {
    const theirs = recordOf(item)
    const brought = item.kind === 'removal' ? undefined : item.content
    if (standing === undefined) {
      standing = theirs
      source = brought
      continue
    }
    const outcome = mergeOccupants(standing, theirs)
    const isOver = outcome.standing.stamp !== standing.stamp
    if (outcome.conflict !== undefined) {
      losers.push({ version: outcome.conflict, source: isOver ? source : brought })
    }
    if (isOver) source = brought
    standing = outcome.standing
  }
  return { standing, source, losers, isAsTold: items.some((item) => recordOf(item) === standing) }
}

interface Folded {
  readonly removal: Removal | undefined
  readonly version: Version | undefined
  readonly source: Source
}

/** Of a slot that is not `null`: a removal wins whatever its stamp (C9). */
function foldNumbered(
  there: Version | undefined,
  removed: Removal | undefined,
  items: readonly Item<'version' | 'removal'>[],
): Folded {
  let removal = removed
  let version = there
  let source: Source = 'here'
  for (const item of items) {
    if (item.kind === 'removal') removal = removal === undefined ? item.removal : mergeRemovals(removal, item.removal)
    else if (version !== undefined) version = mergeCopies(version, item.version)
    else {
      version = item.version
      source = item.content
    }
  }
  return { removal, version, source }
}
