import { BlobUnreadable } from '#src/blobs/blobs.ts'
import type { VolumeMaintenance } from '#src/blobs/volume-maintenance.ts'
import { type BlobRecord, decodeBlob, type Holder } from '#src/metadata/blob-codec.ts'
import { nameOfInlineRow } from '#src/metadata/blob-names.ts'
import { blobOfRow, readBlob } from '#src/metadata/blob-records.ts'
import { subspace } from '#src/metadata/keyspace.ts'
import { readScrubProgress, type ScrubProgress, setScrubProgress } from '#src/metadata/scrub-progress.ts'
import type { BlobId } from '#src/model/blob.ts'
import { type Entry, StoreError } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { bucketNames, type DamagedObject, nameBlobs } from './damage-names.ts'
import type { Foundation } from './foundation.ts'
import { Throttle } from './throttle.ts'

/** Rows read at once: of the largest kind, some 6 MiB. */
const rowsPerPage = 100
/** How often a blob is looked up again that compaction may have moved. */
const lookups = 4
/** A start is not the time to read the disks. */
const restMilliseconds = 60_000
const saveMilliseconds = 60_000
/** Timers take no more than 24 days; and a clock that was set is noticed. */
const nap = 3_600_000
/** Read faster than the period asks: what is written meanwhile is to be read too. */
const haste = 1.25

const first = Uint8Array.of(Math.min(...Object.values(subspace)))
const end = Uint8Array.of(0xff)

/** What cannot be read any more as it was written. */
export type Damage =
  | { readonly kind: 'blob'; readonly blob: BlobId; readonly error: BlobUnreadable; readonly objects: Objects }
  /** A value of the metadata; `objects` are known where it is a small object's bytes. */
  | { readonly kind: 'row'; readonly row: string; readonly error: StoreError; readonly objects: Objects }

type Objects = readonly DamagedObject[]

export interface ScrubReport {
  readonly rows: number
  readonly blobs: number
  /** Of blobs. */
  readonly bytes: number
  readonly damaged: number
  /** Blobs without a holder in this region or on these volumes: not verified. */
  readonly elsewhere: number
}

export interface ScrubOptions {
  readonly report: (damage: Damage) => void
  /** Told after each page of rows. */
  readonly progress?: (report: ScrubReport, next: Uint8Array | undefined) => Promise<void> | void
  /** Where to begin; undefined: at the beginning. */
  readonly from?: Uint8Array
  /** Undefined: as fast as the disks give. */
  readonly bytesPerSecond?: number
}

/** Where a node shares its cell with others. */
export interface ScrubbedNode {
  /** Its own name for how far it is: each reads what it has. */
  readonly name: string
  /** Whether another node has a volume, and so reads what lies there. */
  readonly isElsewhere: (volume: string) => boolean
}

export interface RoundOptions {
  readonly bytesPerSecondMin: number
  readonly periodMilliseconds: number
  readonly report: (damage: Damage) => void
  /** Told after each page of rows how far the round is. */
  readonly progress?: (report: ScrubReport) => void
  readonly done: (report: ScrubReport) => void
}

/**
 * Reads everything, and tells what is damaged: every value of the metadata, and every blob that has a record.
 *
 * S1  a round that came to its end has verified each blob that was there all the time, and told of each that is damaged.
 * S2  what was deleted or moved meanwhile is not told of.
 *
 * What another region holds takes the place of a damaged copy, some time after it was told of. A damaged copy is never served
 * anyway (B2).
 */
export class Scrubber {
  readonly #foundation: Foundation
  readonly #maintenance: VolumeMaintenance
  readonly #node: ScrubbedNode

  /** `node`: absent where this node has the cell for itself. */
  constructor(foundation: Foundation, maintenance: VolumeMaintenance, node?: ScrubbedNode) {
    this.#foundation = foundation
    this.#maintenance = maintenance
    this.#node = node ?? { name: foundation.region, isElsewhere: () => false }
  }

  /** One round, from `from` to the end or the signal. */
  async pass(signal: AbortSignal, options: ScrubOptions): Promise<ScrubReport> {
    const { report, progress, bytesPerSecond } = options
    const { world } = this.#foundation
    const throttle = bytesPerSecond === undefined ? undefined : new Throttle(world, bytesPerSecond)
    let total: ScrubReport = { rows: 0, blobs: 0, bytes: 0, damaged: 0, elsewhere: 0 }
    const volumes = new Set((await this.#maintenance.volumes()).map(({ id }) => id))
    let from: Uint8Array | undefined = options.from ?? first
    while (from !== undefined && !signal.aborted) {
      const page: Page = await this.#page(from)
      const { blobs, bytes, damages, elsewhere } = await this.#verifyPage(page.rows, volumes, signal, throttle)
      if (signal.aborted) break
      const rowDamage = page.damage === undefined ? [] : [await this.#describeRow(page.damage)]
      const all = [...(await this.#describeBlobs(damages)), ...rowDamage]
      for (const damage of all) report(damage)
      total = {
        rows: total.rows + page.rows.length,
        blobs: total.blobs + blobs,
        bytes: total.bytes + bytes,
        damaged: total.damaged + all.length,
        elsewhere: total.elsewhere + elsewhere,
      }
      from = page.next
      await progress?.(total, from)
      await throttle?.spend(rowBytes(page.rows), signal)
    }
    return total
  }

  /** Round after round until the signal: each begins when the period of the one before is over. */
  async run(signal: AbortSignal, options: RoundOptions, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#foundation
    await world.sleep(restMilliseconds, signal).catch(() => undefined)
    while (!signal.aborted) {
      try {
        await this.#round(signal, options)
      } catch (error) {
        failed(error)
      }
      await world.sleep(restMilliseconds, signal).catch(() => undefined)
    }
  }

  async #round(signal: AbortSignal, options: RoundOptions): Promise<void> {
    const { world, store } = this.#foundation
    const { periodMilliseconds, bytesPerSecondMin, report } = options
    let round = await store.snapshot((snapshot) => readScrubProgress(snapshot, this.#node.name))
    // A clock that was set back must not put the next round off for years.
    if (round !== undefined && round.next === undefined) {
      const due = Math.min(round.began, world.now()) + periodMilliseconds
      while (!signal.aborted && world.now() < due) {
        await world.sleep(Math.min(nap, due - world.now()), signal).catch(() => undefined)
      }
      if (signal.aborted) return
      round = undefined
    }
    const began = round?.began ?? world.now()
    const seconds = periodMilliseconds / 1000
    const bytesPerSecond = Math.max(bytesPerSecondMin, ((await this.#size()) / seconds) * haste)
    let saved = world.monotonic()
    const total = await this.pass(signal, {
      report,
      bytesPerSecond,
      ...(round?.next !== undefined && { from: round.next }),
      progress: async (sofar, next) => {
        options.progress?.(sofar)
        if (next !== undefined && world.monotonic() - saved < saveMilliseconds) return
        await this.#save(next === undefined ? { began } : { began, next })
        saved = world.monotonic()
      },
    })
    if (!signal.aborted) options.done(total)
  }

  async #save(progress: ScrubProgress): Promise<void> {
    const { store } = this.#foundation
    await store.transact(async (transaction) => setScrubProgress(transaction, this.#node.name, progress))
  }

  async #size(): Promise<number> {
    let bytes = 0
    for (const { id } of await this.#maintenance.volumes()) {
      const segments = await this.#maintenance.segments(id).catch(() => [])
      for (const { size } of segments) bytes += size
    }
    return bytes
  }

  async #page(from: Uint8Array): Promise<Page> {
    const { store } = this.#foundation
    try {
      const rows = await store.snapshot((snapshot) => snapshot.range(from, end, { limit: rowsPerPage }))
      const last = rows.at(-1)
      return { rows, next: last === undefined ? undefined : afterKey(last.key) }
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error
      const { key } = error
      const nextSpace = Uint8Array.of((from[0] ?? 0) + 1)
      // A page that is broken as a whole tells no key: what else lies in that subspace cannot be walked over.
      if (key === undefined || Buffer.compare(key, from) < 0) {
        const next = (nextSpace[0] ?? 0) > Math.max(...Object.values(subspace)) ? undefined : nextSpace
        return { rows: [], next, damage: { row: from, error } }
      }
      const rows = await store.snapshot((snapshot) => snapshot.range(from, key, { limit: rowsPerPage }))
      return { rows, next: afterKey(key), damage: { row: key, error } }
    }
  }

  async #verifyPage(
    rows: readonly Entry[],
    volumes: ReadonlySet<string>,
    signal: AbortSignal,
    throttle: Throttle | undefined,
  ) {
    const damages: BlobDamage[] = []
    let blobs = 0
    let elsewhere = 0
    let bytes = 0
    const pace = async (count: number): Promise<void> => {
      bytes += count
      await throttle?.spend(count, signal)
      signal.throwIfAborted()
    }
    for (const { key, value } of rows) {
      if (signal.aborted) break
      const record = key[0] === subspace.blob ? decodeBlob(value) : undefined
      if (record?.kind !== 'bytes') continue
      const blob = blobOfRow(key)
      if (this.#holderHere(record, volumes) === undefined) {
        elsewhere += 1
        continue
      }
      blobs += 1
      const error = await this.#verify(blob, record, volumes, pace).catch((thrown: unknown) => {
        if (!signal.aborted) throw thrown
      })
      if (error === undefined) continue
      damages.push({ blob, error })
      this.#foundation.remote?.repair(blob)
    }
    return { blobs, bytes, damages, elsewhere }
  }

  /** What is wrong with a blob's copy here, if something is. */
  async #verify(
    id: BlobId,
    record: BlobRecord,
    volumes: ReadonlySet<string>,
    pace: (bytes: number) => Promise<void>,
  ): Promise<BlobUnreadable | undefined> {
    const { store } = this.#foundation
    let known = record
    for (let attempt = 1; ; attempt++) {
      const holder = this.#holderHere(known, volumes)
      if (holder === undefined) return undefined
      try {
        const { size, digest } = known
        await this.#maintenance.verify({ id, size, digest, extents: holder.extents }, pace)
        return undefined
      } catch (error) {
        if (!(error instanceof BlobUnreadable)) throw error
        // It may have been deleted, or moved, since its record was read (S2).
        const now = await store.snapshot((snapshot) => readBlob(snapshot, id))
        if (now?.kind !== 'bytes') return undefined
        if (attempt === lookups || JSON.stringify(now.holders) === JSON.stringify(known.holders)) return error
        known = now
      }
    }
  }

  /** Also one that names a volume of ours under another region: a node's region may have been named anew. */
  #holderHere({ holders }: BlobRecord, volumes: ReadonlySet<string>): Holder | undefined {
    const isHere = ({ region, extents }: Holder): boolean =>
      extents.some(({ volume }) => volumes.has(volume)) ||
      (region === this.#foundation.region && !extents.some(({ volume }) => this.#node.isElsewhere(volume)))
    return holders.find(isHere)
  }

  async #describeBlobs(damages: readonly BlobDamage[]): Promise<readonly Damage[]> {
    if (damages.length === 0) return []
    const names = await nameBlobs(this.#foundation, new Set(damages.map(({ blob }) => blob)))
    return damages.map(({ blob, error }) => ({ kind: 'blob', blob, error, objects: names.get(blob) ?? [] }))
  }

  async #describeRow({ row, error }: RowDamage): Promise<Damage> {
    const name = row[0] === subspace.inline ? nameOfInlineRow(row) : undefined
    const objects: DamagedObject[] = []
    if (name !== undefined) {
      const buckets = await this.#foundation.store.snapshot((snapshot) => bucketNames(this.#foundation, snapshot))
      objects.push({ ...name, bucket: buckets.get(name.bucket) ?? `#${name.bucket}` })
    }
    return { kind: 'row', row: Buffer.from(row).toString('hex'), error, objects }
  }
}

interface BlobDamage {
  readonly blob: BlobId
  readonly error: BlobUnreadable
}

interface RowDamage {
  readonly row: Uint8Array
  readonly error: StoreError
}

interface Page {
  readonly rows: readonly Entry[]
  /** Undefined: this is the last one. */
  readonly next: Uint8Array | undefined
  readonly damage?: RowDamage
}

function rowBytes(rows: readonly Entry[]): number {
  return rows.reduce((sum, { key, value }) => sum + key.length + value.length, 0)
}
