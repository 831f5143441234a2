import assert from 'node:assert/strict'
import { conflictOfRow } from '#src/metadata/conflict-records.ts'
import { keys, subspace } from '#src/metadata/keyspace.ts'
import { decodeTombstone } from '#src/metadata/object-records.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Membership } from '#src/model/region.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { ObjectVersion, Vector, Version } from '#src/model/version.ts'
import type { View } from '#src/store/overlay.ts'
import { TupleReader } from '#src/store/tuple.ts'
import type { Write } from '#src/store/writes.ts'
import { covers, type Disks, heldBy, holds, tagsIn, withSeen } from './bereavement.ts'
import { type Birth, standing, Violation } from './births.ts'
import type { SimulatedBucket } from './content.ts'
import { cellsIn, nameOfBucket } from './places.ts'

/**
 * Keeps books of every commit of every cell, from outside: what was born where, and what stood before. Nothing of the code
 * that is tested decides here what is right.
 */
export class Ledger {
  /** By slot, and by stamp. */
  readonly births = new Map<string, Map<Stamp, Birth>>()
  /** The slots of a key, by bucket and key, in the order of their first births. */
  readonly #slots = new Map<string, ReadonlyMap<Stamp, Birth>[]>()
  /** What clients were about to write, by its ETag. */
  readonly bodies = new Map<string, Uint8Array>()
  /** Conflicts that clients were about to restore: bucket, key and stamp. */
  readonly restored = new Set<string>()
  /** When the tags of a version were last changed: bucket, key, content stamp. */
  readonly tagged = new Map<string, Stamp>()
  /** Blobs that nobody but a region that was lost could give. */
  readonly lostBlobs = new Set<BlobId>()
  /** What was born, and went with a region that was lost: only that one had it. */
  readonly #lost = new Set<Birth>()
  /** What was born before that. */
  readonly #early = new Set<Birth>()
  /** What was acknowledged once several regions had it (C20). */
  readonly #promised = new Set<Birth>()
  readonly #promisedWhole = new Set<Birth>()
  /** Removals that a cell forgot, since all others had them. */
  readonly #forgotten = new Set<string>()
  readonly #seen = new Map<string, Stamp>()
  readonly #largest = new Map<string, Stamp>()
  readonly #fail: (error: Violation) => void

  readonly #membership: (view: View) => Membership

  /** `membership`: as a cell knows it. */
  constructor(membership: (view: View) => Membership, fail: (error: Violation) => void) {
    this.#membership = membership
    this.#fail = fail
  }

  committed(cell: number, writes: readonly Write[], before: View, after: View): void {
    try {
      const looked = new Set<string>()
      for (const write of writes) {
        if (write.kind === 'set' || write.kind === 'setStamped' || write.kind === 'clear') {
          this.#row(cell, write.key, before, after, looked)
        }
      }
    } catch (error) {
      this.#fail(
        error instanceof Violation ? error : new Violation('the ledger cannot read a commit', { cause: error }),
      )
    }
  }

  birthsOf(bucket: number, key: string, slot: Stamp): ReadonlyMap<Stamp, Birth> {
    return this.births.get(nameOf(bucket, key, slot)) ?? new Map()
  }

  /** Of a slot: what was born there, but for what was lost with a region. */
  standingBirths(births: ReadonlyMap<Stamp, Birth>): readonly Birth[] {
    return [...births.values()].filter((birth) => !this.#lost.has(birth))
  }

  /**
   * A region that is gone for good was removed. `having`: by bucket, what the cells have that go on with it. What none of them has,
   * and nothing that any of them has had seen, is lost; nothing else may be.
   */
  loses(lost: Disks, alive: readonly Disks[], having: ReadonlyMap<number, readonly View[]>): void {
    for (const births of this.births.values()) {
      const [one] = births.values()
      const views = one === undefined ? [] : (having.get(one.bucket) ?? [])
      const had = [...births.values()].filter(
        (birth) => views.length > 0 && (this.#forgotten.has(idOf(birth)) || views.some((view) => holds(view, birth))),
      )
      const kept = withSeen(births, had)
      for (const birth of births.values()) {
        this.#early.add(birth)
        if (!kept.has(birth)) this.#lose(birth)
      }
    }
    this.tagged.clear()
    for (const [bucket, views] of having)
      for (const [place, stamp] of tagsIn(views, bucket)) this.tagged.set(place, stamp)
    this.#unsee()
    const held = new Set(alive.flatMap((each) => [...heldBy(each)]))
    for (const blob of heldBy(lost)) if (!held.has(blob)) this.lostBlobs.add(blob)
  }

  #lose(birth: Birth): void {
    this.#lost.add(birth)
    if (!this.#promised.has(birth)) return
    const { key, stamp, cell } = birth
    this.#fail(
      new Violation(`${key} at ${stamp} was acknowledged as in several regions, and is lost with cell ${cell}`),
    )
  }

  /**
   * C20: what is acknowledged is in so many regions by now, or what has seen it is. `views`: of all regions. `places`: in how many its
   * bytes may be.
   */
  promises(
    place: Pick<Birth, 'bucket' | 'key' | 'slot' | 'stamp'>,
    regions: number,
    views: readonly View[],
    places: number,
  ): void {
    const births = this.birthsOf(place.bucket, place.key, place.slot)
    const birth = births.get(place.stamp)
    if (birth === undefined) throw new Violation(`${place.key} was acknowledged at ${place.stamp}, which nobody wrote`)
    this.#promised.add(birth)
    if (places >= regions) this.#promisedWhole.add(birth)
    const having = views.filter((view) => {
      const had = [...births.values()].filter((each) => holds(view, each))
      return withSeen(births, had).has(birth)
    })
    if (having.length >= regions) return
    throw new Violation(`${place.key} at ${place.stamp} was acknowledged, and is in ${having.length} regions only`)
  }

  /** Whether its bytes are to be in several regions, too. */
  isPromisedWhole({ bucket, key, slot, stamp }: Pick<Birth, 'bucket' | 'key' | 'slot' | 'stamp'>): boolean {
    const birth = this.birthsOf(bucket, key, slot).get(stamp)
    return birth !== undefined && this.#promisedWhole.has(birth)
  }

  /** Nobody saw what is lost: at most what was there before. */
  #unsee(): void {
    for (const [name, stamp] of this.#seen) {
      const [, bucket, key = ''] = name.split(' ')
      const births = this.birthsOf(Number(bucket), key, 0n)
      const left = this.standingBirths(births).map((birth) => birth.stamp)
      const most =
        left
          .filter((each) => each <= stamp)
          .sort(byStamp)
          .at(-1) ?? 0n
      this.#seen.set(name, most)
    }
  }

  /** It was on its way when the region went that alone had it, or had seen what it says that it had. */
  #found(bucket: number, key: string, slot: Stamp, { stamp, vector }: { stamp: Stamp; vector: Vector }): void {
    if (this.#lost.size === 0) return
    const births = this.birthsOf(bucket, key, slot)
    const birth = births.get(stamp)
    if (birth === undefined) return
    // What is born later, in a cell that began anew, has seen nothing of what that wrote before.
    const tells = slot === 0n && this.#early.has(birth)
    const told = tells ? [...births.values()].filter((each) => covers(vector, each.stamp)) : []
    for (const each of withSeen(births, [birth, ...told])) this.#lost.delete(each)
  }

  slotsOf(bucket: number, key: string): readonly ReadonlyMap<Stamp, Birth>[] {
    return this.#slots.get(`${bucket} ${key}`) ?? []
  }

  /** The stamp that was seen last, in a cell, of a key that has but one slot; 0 of others. */
  seen(cell: number, bucket: SimulatedBucket, key: string): Stamp {
    return this.#seen.get(`${cell} ${bucket.id} ${key}`) ?? 0n
  }

  /** Of all cells: what nobody may fall behind while the bucket is in one cell. */
  seenAnywhere(bucket: SimulatedBucket, key: string): Stamp {
    let most = 0n
    for (const [name, stamp] of this.#seen) if (stamp > most && name.endsWith(` ${bucket.id} ${key}`)) most = stamp
    return most
  }

  sees(cell: number, bucket: SimulatedBucket, key: string, { stamp }: Pick<Version, 'stamp'>): void {
    // Where versions are kept, an older one becomes the newest again when the newest is removed.
    if (bucket.versioning === 'enabled' || stamp <= this.seen(cell, bucket, key)) return
    this.#seen.set(`${cell} ${bucket.id} ${key}`, stamp)
  }

  /** I3, I6: what was read was written under its stamp, and with these bytes. */
  checkRead(bucket: SimulatedBucket, key: string, version: ObjectVersion, bytes: Uint8Array): void {
    const birth = this.birthsOf(bucket.id, key, version.isNull ? 0n : version.stamp).get(version.stamp)
    if (birth === undefined) throw new Violation(`${key} was read at ${version.stamp}, which nobody wrote`)
    if (birth.etag !== version.etag) throw new Violation(`${key} at ${version.stamp} was read with another ETag`)
    const written = this.bodies.get(version.etag)
    if (written === undefined || Buffer.compare(written, bytes) !== 0) {
      throw new Violation(`${key} at ${version.stamp} was read with other bytes than were written`)
    }
  }

  checkSame(one: Stamp, other: Stamp, what: string): void {
    if (one !== other) throw new Violation(`${what} is ${one}, and ${other}`)
  }

  /** `looked`: which keys of this commit have been. */
  #row(cell: number, key: Uint8Array, before: View, after: View, looked: Set<string>): void {
    const space = key[0]
    if (space === subspace.conflict) this.#conflict(cell, key, after)
    if (space !== subspace.current && space !== subspace.version && space !== subspace.tombstone) return
    const reader = new TupleReader(key, 1)
    const place = { bucket: reader.number(), key: reader.text() }
    // Of a bucket that it is no cell of, by its own row, a cell forgets all; and nobody asks it.
    if (!cellsIn(after, nameOfBucket(place.bucket), this.#membership(after)).includes(cell)) {
      this.#checkNotBorn(cell, key, place, before, after)
      return
    }
    const name = `${place.bucket} ${place.key}`
    if (!looked.has(name)) this.#checkStanding(cell, place, before, after)
    looked.add(name)
    const value = after.get(key)
    if (value === undefined) {
      if (space === subspace.tombstone) this.#forgot(place, BigInt(reader.integer()), before.get(key), after)
      return
    }
    if (space === subspace.tombstone) {
      const slot = BigInt(reader.integer())
      const removal = decodeTombstone(value)
      const { stamp } = removal
      this.#found(place.bucket, place.key, slot, removal)
      this.#maybeBorn(cell, { ...place, slot, stamp, kind: 'tombstone', etag: undefined }, before)
      this.#had(cell, place, stamp)
      return
    }
    const version = decodeVersion(value)
    const slot = version.isNull ? 0n : version.stamp
    const etag = version.kind === 'object' ? version.etag : undefined
    this.#found(place.bucket, place.key, slot, version)
    const isNew = this.#maybeBorn(cell, { ...place, slot, stamp: version.stamp, kind: version.kind, etag }, before)
    if (isNew) this.#checkBytes(version, place, after)
    this.#had(cell, place, version.stamp)
    if (version.kind === 'object' && version.tags !== undefined) {
      const tagged = `${name} ${version.stamp}`
      const last = this.tagged.get(tagged) ?? 0n
      if (version.tags.stamp > last) this.tagged.set(tagged, version.tags.stamp)
    }
  }

  #conflict(cell: number, row: Uint8Array, after: View): void {
    const value = this.#lost.size === 0 ? undefined : after.get(row)
    if (value === undefined) return
    const { bucket, key, conflict } = conflictOfRow({ key: row, value })
    const isHere = cellsIn(after, nameOfBucket(bucket), this.#membership(after)).includes(cell)
    if (isHere) this.#found(bucket, key, 0n, conflict.version)
  }

  /** C10: a removal is forgotten once all others have it. What replaced it tells of itself. */
  #forgot(place: { bucket: number; key: string }, slot: Stamp, was: Uint8Array | undefined, after: View): void {
    if (was === undefined) return
    if (slot === 0n && standing(after, place.bucket, place.key) !== undefined) return
    this.#forgotten.add(idOf({ ...place, slot, stamp: decodeTombstone(was).stamp }))
  }

  /** C22: nothing is written in a cell that is none of the bucket's. */
  #checkNotBorn(
    cell: number,
    row: Uint8Array,
    place: { bucket: number; key: string },
    before: View,
    after: View,
  ): void {
    const value = after.get(row)
    if (value === undefined || before.get(row) !== undefined) return
    const stamp = row[0] === subspace.tombstone ? decodeTombstone(value).stamp : decodeVersion(value).stamp
    if (Number(stamp % 1000n) !== cell) return
    if (!this.slotsOf(place.bucket, place.key).some((births) => births.has(stamp)))
      throw new Violation(`cell ${cell} wrote ${place.key} at ${stamp}, of a bucket that is elsewhere`)
  }

  /** I8, C7: what stands in a slot is never followed by what is older. */
  #checkStanding(cell: number, place: { bucket: number; key: string }, before: View, after: View): void {
    const was = standing(before, place.bucket, place.key)
    const is = standing(after, place.bucket, place.key)
    if (was === undefined || (is !== undefined && is.stamp >= was.stamp)) return
    // A tombstone may be collected; the floor of its partition stands for it then.
    if (is === undefined && was.kind === 'tombstone') return
    throw new Violation(`in cell ${cell}, ${place.key} went from ${was.kind} ${was.stamp} to ${is?.kind} ${is?.stamp}`)
  }

  #maybeBorn(cell: number, found: Omit<Birth, 'cell' | 'replaced'>, view: View): boolean {
    if (Number(found.stamp % 1000n) !== cell) return false
    const name = nameOf(found.bucket, found.key, found.slot)
    const all = this.births.get(name) ?? new Map<Stamp, Birth>()
    if (all.has(found.stamp)) return false
    const replaced = found.slot === 0n ? standing(view, found.bucket, found.key) : undefined
    // O4, C7: no stamp is drawn that is not above all that the key ever had in the cell.
    const before = this.#largest.get(`${cell} ${found.bucket} ${found.key}`) ?? 0n
    if (before >= found.stamp) throw new Violation(`cell ${cell} wrote ${found.key} at ${found.stamp} after ${before}`)
    // I5: what a write has seen in its cell is older than it.
    if (replaced !== undefined && replaced.stamp >= found.stamp) {
      throw new Violation(`cell ${cell} wrote ${found.key} at ${found.stamp} over ${replaced.stamp}`)
    }
    if (all.size === 0) this.#addSlot(found, all)
    all.set(found.stamp, { ...found, cell, replaced: replaced?.stamp })
    this.births.set(name, all)
    return true
  }

  #addSlot({ bucket, key }: Pick<Birth, 'bucket' | 'key'>, births: ReadonlyMap<Stamp, Birth>): void {
    const name = `${bucket} ${key}`
    const slots = this.#slots.get(name) ?? []
    slots.push(births)
    this.#slots.set(name, slots)
  }

  #had(cell: number, { bucket, key }: { bucket: number; key: string }, stamp: Stamp): void {
    const name = `${cell} ${bucket} ${key}`
    if (stamp > (this.#largest.get(name) ?? 0n)) this.#largest.set(name, stamp)
  }

  /** I3: bytes that lie beside a new record are those that a client wrote. */
  #checkBytes(version: Version, { bucket, key }: { bucket: number; key: string }, view: View): void {
    if (version.kind !== 'object' || version.content.kind !== 'inline') return
    const bytes = view.get(keys.inline(bucket, key, version.isNull ? 0n : version.stamp))
    assert.ok(bytes !== undefined, 'the bytes of a small object')
    const written = this.bodies.get(version.etag)
    if (written === undefined || Buffer.compare(written, bytes) !== 0) {
      throw new Violation(`${key} was written at ${version.stamp} with bytes that nobody sent`)
    }
  }
}

const byStamp = (one: Stamp, other: Stamp): number => Number(one - other)

const idOf = ({ bucket, key, slot, stamp }: Pick<Birth, 'bucket' | 'key' | 'slot' | 'stamp'>): string =>
  `${bucket} ${slot} ${key} ${stamp}`

const nameOf = (bucket: number, key: string, slot: Stamp): string => `${bucket} ${slot} ${key}`
