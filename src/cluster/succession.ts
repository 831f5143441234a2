import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, bucketOf, copyIn, readBlob, readManifest } from '#src/metadata/blob-records.ts'
import { becomeKeeper, changeKeeper, forgetCopies } from '#src/metadata/keeping.ts'
import { under } from '#src/metadata/keyspace.ts'
import {
  isSettled,
  noteInherited,
  readSuccession,
  type SuccessionState,
  setSuccession,
} from '#src/metadata/succession-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { isGoing, type Membership, memberOf } from '#src/model/region.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { heirOf, keeperAmong, type ToldBy } from './heirs.ts'
import { copiesNeeded, type NeededOptions, possible, type ShortBlob } from './needed.ts'
import { askAll, countedBy, type Kept, Replenishing, type ReplenishingOptions, type Short } from './replenishing.ts'
import { mayKeep, targetsOf } from './restrictions.ts'
import { askToInherit } from './succession-methods.ts'

export interface SuccessionOptions extends Omit<NeededOptions, 'mostDurable'>, ReplenishingOptions {
  /** After which all is looked at again where blobs are short of copies that their bucket has no region for, in milliseconds. */
  readonly lookAgain?: number
}

/** Blobs that one look is about: what a transaction takes well. */
const blobsTogether = 200
/** Between looks while something is left to do, and while nothing is, in milliseconds. */
const pauses = { busy: 1_000, idle: 5_000 }
/** After which all is looked at again, in milliseconds. */
const period = 86_400_000
/** Their bucket may have come to another region since. */
const lookAgain = 3_600_000

interface Page {
  readonly kept: readonly Kept[]
  /** Those that stand for the parts of objects. */
  readonly manifests: readonly BlobId[]
}

/** A number: of the cell that is to keep it, and does not yet. */
type Settled = 'inherited' | 'told' | 'as it is' | number

/**
 * Takes over what cells leave behind that are going, or gone: blobs that they kept get another keeper, and copies that were theirs are
 * made anew elsewhere.
 *
 * K1  each copy is counted by one keeper at most, which the record beside the copy names; a new keeper counts its own copy, and others
 *     only when they tell it of theirs. So a keeper may know of too few copies, but never of one that another one may let go: and
 *     where two cells took over the same blob, each leaves what a blob needs of those that it counts. One gives way to the other once
 *     it is asked for a copy.
 * K2  a blob is said to be lost only after all cells that there are have said that they have no copy of it.
 * K3  a copy finds who counts it, also where its cell goes by a word that was overtaken by a later one: whom it takes for the keeper may
 *     have forgotten the blob, or take it for the keeper itself. So all are asked in the end, and who says of itself that it is one is.
 */
export class Succession {
  readonly #options: SuccessionOptions
  readonly #replenishing: Replenishing

  constructor(options: SuccessionOptions) {
    this.#options = options
    this.#replenishing = new Replenishing(options)
  }

  isGoing(cell: number): boolean {
    return isGoing(this.#options.membership(), cell)
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#options.foundation
    while (!signal.aborted) {
      const isBusy = await this.pass(signal).catch((error: unknown) => {
        failed(error)
        return true
      })
      await world.sleep(isBusy ? pauses.busy : pauses.idle, signal).catch(() => undefined)
    }
  }

  /** Looks at all blobs, if there is a reason to, until the signal. Gives whether something is left to do. */
  async pass(signal?: AbortSignal): Promise<boolean> {
    const { foundation, membership } = this.#options
    const { store, world } = foundation
    const { epoch, members } = membership()
    const gone = members.filter(({ state }) => state === 'removed').map(({ cell }) => cell)
    if (gone.length === 0 && !members.some(({ state }) => state === 'leaving')) return false
    const before = await store.snapshot(readSuccession)
    // One that leaves writes on, until it has left.
    const isDone = isSettled(before, epoch) && !this.isGoing(foundation.cell)
    const pause = (before?.short ?? 0) > 0 ? (this.#options.lookAgain ?? lookAgain) : period
    if (isDone && world.now() - before.at < pause) return false
    const mourned = before?.mourned ?? []
    const total = { blobs: 0, orphans: 0, wanted: 0, lost: 0, short: 0 }
    for await (const page of this.#pages()) {
      const found = await this.#look(
        page,
        gone.filter((cell) => !mourned.includes(cell)),
      )
      if (signal?.aborted === true) return true
      total.blobs += page.kept.length
      total.orphans += found.orphans
      total.wanted += found.wanted
      total.lost += found.lost
      total.short += found.short
    }
    if (membership().epoch !== epoch) return true
    return await store.transact(async (transaction) => {
      const { inherited = 0 } = (await readSuccession(transaction)) ?? {}
      // What was inherited while this went on may lie where it had been already.
      const wanted = total.wanted + inherited - (before?.inherited ?? 0)
      const after: SuccessionState = { epoch, at: world.now(), ...total, wanted, inherited, mourned: gone }
      setSuccession(transaction, after)
      return after.orphans + after.wanted > 0
    })
  }

  async *#pages(): AsyncGenerator<Page> {
    const all = under('blob', [])
    let { from } = all
    for (;;) {
      const rows = await this.#options.foundation.store.snapshot((snapshot) =>
        snapshot.range(from, all.to, { limit: blobsTogether }),
      )
      const last = rows.at(-1)
      if (last === undefined) return
      from = afterKey(last.key)
      const [kept, manifests]: [Kept[], BlobId[]] = [[], []]
      for (const { key, value } of rows) {
        const [blob, record] = [blobOfRow(key), decodeBlob(value)]
        if (record.kind === 'bytes') kept.push({ blob, record })
        else manifests.push(blob)
      }
      yield { kept, manifests }
    }
  }

  async #look({ kept: all, manifests }: Page, gone: readonly number[]) {
    const { foundation, membership } = this.#options
    const { store } = foundation
    const orphans = all.filter(({ record }) => this.isGoing(record.keeper))
    const resolved = orphans.length === 0 ? 0 : await this.resolve(orphans.map(({ blob }) => blob))
    const kept = all.filter(this.#isKept)
    // Asked for while nobody named it, it was not fetched; named again, it is asked for anew.
    for (const { blob, record } of kept) if (record.isUnreferenced) this.#replenishing.forget(blob)
    const regions = new Set(gone.map((each) => memberOf(membership(), each)?.region))
    const mourning = kept.filter(({ record }) => record.holders.some(({ region }) => regions.has(region)))
    if (mourning.length > 0) {
      await store.transact(async (transaction) => {
        for (const { blob } of mourning) {
          await forgetCopies(transaction, blob, foundation, (region) => regions.has(region))
        }
      })
    }
    const found = { orphans: orphans.length - resolved, wanted: 0, lost: 0, short: 0 }
    const add = async (short: readonly Short[]): Promise<void> => {
      if (short.length === 0) return
      const still = await this.#replenishing.replenish(short)
      found.wanted += still.wanted
      found.lost += still.lost
      found.short += still.short
    }
    await add(await this.#shortOf(kept))
    for (const manifest of manifests) for await (const short of this.#shortParts(manifest)) await add(short)
    return found
  }

  #isKept = ({ record }: Kept): boolean => {
    const { cell } = this.#options.foundation
    return record.keeper === cell && !this.isGoing(cell)
  }

  async #shortOf(kept: readonly Kept[]): Promise<readonly Short[]> {
    const { foundation, durabilityRegions, membership } = this.#options
    const named = kept.filter(({ record }) => record.isUnreferenced === undefined)
    return await foundation.store.snapshot(async (snapshot) => {
      const short: Short[] = []
      for (const each of named) {
        const targets = await targetsOf(snapshot, each.record, this.#options)
        const asked =
          targets?.length ?? (await copiesNeeded(snapshot, each.blob, each.record, this.#options)) ?? durabilityRegions
        const found = { ...each, needed: possible(asked, membership()), targets }
        if (this.#isShort(found)) short.push(found)
      }
      return short
    })
  }

  /** Of an object whose bucket asks for more than is usual: nothing beside its parts tells of their bucket. */
  async *#shortParts(manifest: BlobId): AsyncGenerator<readonly Short[]> {
    const { foundation, durabilityRegions, durabilityOf, membership } = this.#options
    const { store } = foundation
    const { asked = 0, parts } = await store.snapshot(async (snapshot) => {
      const bucket = await bucketOf(snapshot, manifest)
      const asked = bucket === undefined ? undefined : await durabilityOf?.(snapshot, bucket)
      return { asked, parts: (asked ?? 0) > durabilityRegions ? await readManifest(snapshot, manifest) : [] }
    })
    const [usual, needed] = [possible(durabilityRegions, membership()), possible(asked, membership())]
    for (let first = 0; first < parts.length; first += blobsTogether) {
      yield await store.snapshot(async (snapshot) => {
        const short: Short[] = []
        for (const { blob } of parts.slice(first, first + blobsTogether)) {
          const record = await readBlob(snapshot, blob)
          if (record?.kind !== 'bytes' || record.isUnreferenced === true) continue
          // What is restricted tells of its bucket itself.
          if (record.restriction !== undefined) continue
          const each = { blob, record, needed, targets: undefined }
          // What lacks more than that is found where it lies itself.
          if (this.#isKept(each) && this.#isShort(each) && !this.#isShort({ ...each, needed: usual })) short.push(each)
        }
        return short
      })
    }
  }

  #isShort = (each: Short): boolean => countedBy(this.#options, each).length < each.needed

  /**
   * Gives blobs another keeper whose keeper is going, or gone. Gives how many have one now; nothing is decided while a cell cannot
   * be asked, which may keep them already.
   */
  async resolve(blobs: readonly BlobId[], isAsked = false): Promise<number> {
    const { foundation, membership } = this.#options
    const { store } = foundation
    const { epoch } = membership()
    const { told, isWhole } = await askAll(this.#options, blobs)
    if (!isWhole || membership().epoch !== epoch) return 0
    const { done, left } = await store.transact(async (transaction) => {
      const settled: Settled[] = []
      for (const [index, blob] of blobs.entries()) {
        settled.push(await this.#settle(transaction, blob, told[index] ?? [], isAsked))
      }
      const inherited = settled.filter((each) => each === 'inherited').length
      if (inherited > 0) await noteInherited(transaction, inherited)
      const left = blobs.flatMap((blob, index) => {
        const heir = settled[index]
        return typeof heir === 'number' ? [{ blob, heir }] : []
      })
      return { done: inherited + settled.filter((each) => each === 'told').length, left }
    })
    // Only those below this one are asked, and so on: that ends. Whoever cannot be asked now is asked with the next look.
    for (const [heir, all] of Map.groupBy(left, (each) => each.heir)) {
      const request = { epoch, blobs: all.map(({ blob }) => blob) }
      await askToInherit(this.#options, heir, request).catch(() => undefined)
    }
    return done
  }

  async #settle(to: Transaction, blob: BlobId, others: readonly ToldBy[], isAsked: boolean): Promise<Settled> {
    const { foundation, membership } = this.#options
    const { cell, region } = foundation
    const record = await readBlob(to, blob)
    if (record?.kind !== 'bytes') return 'as it is'
    // One that handed it to a cell which gave it back meanwhile, since that one leaves: each takes the other for the keeper.
    const isKept = record.keeper === cell || others.some(({ keeps }) => keeps)
    if (!this.isGoing(record.keeper) && !(isAsked && !isKept)) return 'as it is'
    const isActive = memberOf(membership(), cell)?.state === 'active'
    const before = record.keeper
    const names = record.isUnreferenced === undefined
    const mayHold = await mayKeep(to, record, this.#options, foundation)
    const heir = heirOf({ cell, isActive, names, mayHold }, others)
    if (heir === before) return 'as it is'
    if (heir === cell) {
      await becomeKeeper(to, blob, foundation)
      return 'inherited'
    }
    if (!others.some((each) => each.cell === heir && each.keeps)) return heir
    await changeKeeper(to, blob, heir, region)
    return 'told'
  }

  /** Which cells say of themselves that they keep some blobs. Undefined: a cell cannot be asked (K3). */
  async keepersOf(blobs: readonly BlobId[]): Promise<ReadonlyMap<BlobId, number> | undefined> {
    const keepers = new Map<BlobId, number>()
    if (blobs.length === 0) return keepers
    const { told, isWhole } = await askAll(this.#options, blobs)
    // Of two that keep it each cell is to find the same one.
    if (!isWhole) return undefined
    for (const [index, blob] of blobs.entries()) {
      const keeper = keeperAmong(told[index] ?? [])
      if (keeper !== undefined) keepers.set(blob, keeper)
    }
    return keepers
  }

  /** Of some blobs those of which no region has a copy; none while a cell cannot be asked (K2). */
  async lostOf(blobs: readonly BlobId[]): Promise<ReadonlySet<BlobId>> {
    const { store, region } = this.#options.foundation
    const { told, isWhole } = await askAll(this.#options, blobs)
    if (!isWhole) return new Set()
    const elsewhere = blobs.filter((_, index) => (told[index] ?? []).every(({ holds }) => !holds))
    return await store.snapshot(async (snapshot) => {
      const lost = new Set<BlobId>()
      for (const blob of elsewhere) {
        const record = await readBlob(snapshot, blob)
        if (record?.kind === 'bytes' && copyIn(record, region) === undefined) lost.add(blob)
      }
      return lost
    })
  }

  /** Has copies made of blobs that this cell keeps, and of which another copy can go only then. Rejects once the signal is aborted. */
  async replenish(blobs: readonly ShortBlob[], signal: AbortSignal): Promise<void> {
    const { foundation, membership } = this.#options
    const short = await foundation.store.snapshot(async (snapshot) => {
      const found: Short[] = []
      for (const { blob, needed } of blobs) {
        const record = await readBlob(snapshot, blob)
        if (record?.kind !== 'bytes' || record.isUnreferenced === true) continue
        const targets = await targetsOf(snapshot, record, this.#options)
        const each = { blob, record, needed: possible(needed, membership()), targets }
        if (this.#isKept(each)) found.push(each)
      }
      return found
    })
    if (short.length > 0) await this.#replenishing.replenish(short, signal)
  }
}

/** Whether copies of a region that a cell tells of may be counted: not while copies of one before it, which is gone, still are. */
export async function mayCount(from: Snapshot, membership: Membership, region: string): Promise<boolean> {
  const gone = membership.members.filter((each) => each.region === region && each.state === 'removed')
  if (gone.length === 0) return true
  const mourned = (await readSuccession(from))?.mourned ?? []
  return gone.every(({ cell }) => mourned.includes(cell))
}
