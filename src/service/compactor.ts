import type { BlobUnreadable } from '#src/blobs/blobs.ts'
import type { SegmentState } from '#src/blobs/volume-directory.ts'
import type { Moved, Piece, VolumeMaintenance } from '#src/blobs/volume-maintenance.ts'
import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { addDead, blobOfRow, readBlob } from '#src/metadata/blob-records.ts'
import { keys, under } from '#src/metadata/keyspace.ts'
import {
  extentsIn,
  moveExtent,
  raiseGeneration,
  readDead,
  readSegment,
  setDead,
  setSegment,
} from '#src/metadata/segment-records.ts'
import type { BlobId, Extent } from '#src/model/blob.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { Foundation } from './foundation.ts'

/** Live bytes that are copied before their holders are changed: what a crash makes one copy again. */
const batchBytes = 64 * 2 ** 20
/** Blob records read in one snapshot. */
const recordsAhead = 500
/** A segment with a smaller share of live bytes is compacted. */
const liveShareMin = 0.5
/**
 * Between the end of a body and the commit that names its bytes: a segment that was closed more recently may hold such bytes,
 * whose commit a sweep would refuse. (While a body is being sent, its segments are not sealed.)
 */
const quietMilliseconds = 10 * 60_000
const passMilliseconds = 60_000

export type CompactorEvent =
  | {
      readonly kind: 'compacted'
      readonly volume: string
      readonly segment: number
      readonly bytes: number
      readonly live: number
    }
  | { readonly kind: 'unreadable'; readonly error: BlobUnreadable }

interface Segment extends SegmentState {
  readonly volume: string
}

/** Of a blob that is alive, in the segment at hand. */
interface LivePiece extends Piece {
  readonly extent: Extent
}

/**
 * Finds the bytes that nothing names, and gives their space back (C2).
 *
 * G2  only sealed segments are touched, and none before its generation was raised: a commit that comes later fails.
 * G3  a segment is unlinked only once every holder that named it names a durable copy instead.
 */
export class Compactor {
  readonly #foundation: Foundation
  readonly #maintenance: VolumeMaintenance
  readonly #report: (event: CompactorEvent) => void

  constructor(foundation: Foundation, maintenance: VolumeMaintenance, report: (event: CompactorEvent) => void) {
    this.#foundation = foundation
    this.#maintenance = maintenance
    this.#report = report
  }

  /** Until the signal; one process of a node at a time is enough, several do no harm. */
  async run(signal: AbortSignal, failed: (error: unknown) => void): Promise<void> {
    const { world } = this.#foundation
    while (!signal.aborted) {
      await this.pass(signal).catch(failed)
      await world.sleep(passMilliseconds, signal).catch(() => undefined)
    }
  }

  /** Looks at every segment of this node once; gives the bytes of the files that went. */
  async pass(signal: AbortSignal): Promise<number> {
    let freed = 0
    const errors: unknown[] = []
    for (const { id, retired } of await this.#maintenance.volumes()) {
      if (retired !== undefined) continue
      // A disk that cannot be read keeps the others from nothing.
      freed += await this.#passVolume(id, signal).catch((error: unknown) => {
        errors.push(error)
        return 0
      })
    }
    if (errors.length > 0) throw errors[0]
    return freed
  }

  async #passVolume(volume: string, signal: AbortSignal): Promise<number> {
    let freed = 0
    for (const state of await this.#maintenance.segments(volume)) {
      if (signal.aborted) return freed
      const segment = { ...state, volume }
      if (await this.#isDue(segment)) freed += await this.compact(segment)
    }
    return freed
  }

  /** Nobody writes to it, and nobody is about to name what was written. */
  isQuiet({ isSealed, hasWriter, sealedAt }: SegmentState): boolean {
    if (!isSealed) return false
    return !hasWriter || sealedAt === undefined || this.#foundation.world.now() - sealedAt >= quietMilliseconds
  }

  async #isDue(segment: Segment): Promise<boolean> {
    const { volume, number, size, isIntact } = segment
    // A damaged header may be all that is wrong: its blobs are the scrubber's, not ours to forget.
    if (!isIntact || !this.isQuiet(segment)) return false
    const { dead, swept } = await this.#foundation.store.snapshot(async (snapshot) => ({
      dead: await readDead(snapshot, volume, number),
      swept: (await readSegment(snapshot, volume, number)).sweptBytes,
    }))
    return size - dead < size * liveShareMin || swept !== size
  }

  /**
   * Counts what is alive in a segment, and moves it elsewhere if that is less than a share of it; gives the bytes of the file if
   * it went.
   */
  async compact(segment: Segment, share: number = liveShareMin): Promise<number> {
    const { volume, number, size } = segment
    await this.#foundation.store.transact((transaction) => raiseGeneration(transaction, volume, number))
    const live = await this.#livePieces(segment)
    const liveBytes = live.reduce((sum, { extent }) => sum + extent.size, 0)
    if (liveBytes >= size * share || !(await this.#moveAll(segment, live))) {
      await this.#foundation.store.transact(async (transaction) => {
        const record = await readSegment(transaction, volume, number)
        setSegment(transaction, volume, number, { ...record, sweptBytes: size })
        setDead(transaction, volume, number, size - liveBytes)
      })
      return 0
    }
    await this.#maintenance.unlink(volume, number)
    await this.#foundation.store.transact(async (transaction) => transaction.clear(keys.dead(volume, number)))
    this.#report({ kind: 'compacted', volume, segment: number, bytes: size, live: liveBytes })
    return size
  }

  async #livePieces({ volume, number }: Segment): Promise<readonly LivePiece[]> {
    const ids = new Set<BlobId>()
    for await (const found of this.#maintenance.scan(volume, number)) {
      // Mostly the torn tail of a crash; but a damaged header may hide a blob, and then only the holders tell of it.
      if (found.kind === 'hole') return await this.#namedPieces(volume, number)
      ids.add(found.id)
    }
    const live: LivePiece[] = []
    const all = [...ids]
    for (let first = 0; first < all.length; first += recordsAhead) {
      const ahead = all.slice(first, first + recordsAhead)
      const records = await this.#foundation.store.snapshot((snapshot) =>
        Promise.all(ahead.map((id) => readBlob(snapshot, id))),
      )
      for (const [index, id] of ahead.entries()) {
        const record = records[index]
        if (record?.kind !== 'bytes') continue
        for (const piece of extentsIn(record, volume, number)) live.push({ id, ...piece })
      }
    }
    return live
  }

  /** What is alive in a segment, by the records of all blobs. */
  async #namedPieces(volume: string, number: number): Promise<readonly LivePiece[]> {
    const live: LivePiece[] = []
    const all = under('blob', [])
    let { from } = all
    for (;;) {
      const page = await this.#foundation.store.snapshot((snapshot) =>
        snapshot.range(from, all.to, { limit: recordsAhead }),
      )
      for (const { key, value } of page) {
        const record = decodeBlob(value)
        if (record.kind !== 'bytes') continue
        const id = blobOfRow(key)
        for (const piece of extentsIn(record, volume, number)) live.push({ id, ...piece })
      }
      const last = page.at(-1)
      if (last === undefined) return live
      from = afterKey(last.key)
    }
  }

  /** Copies, makes durable, and then changes the holders; false if something could not be read and has to stay. */
  async #moveAll({ volume }: Segment, live: readonly LivePiece[]): Promise<boolean> {
    let isWhole = true
    for (let first = 0; first < live.length; ) {
      const batch = nextBatch(live, first)
      first += batch.length
      const moved = await this.#maintenance.copy(batch, volume)
      for (const [index, piece] of batch.entries()) {
        const outcome = moved[index]
        if (outcome === undefined || !(await this.#rename(piece, outcome))) isWhole = false
      }
    }
    return isWhole
  }

  async #rename({ id, extent }: LivePiece, moved: Moved): Promise<boolean> {
    if ('error' in moved) {
      this.#report({ kind: 'unreadable', error: moved.error })
      return false
    }
    await this.#foundation.store.transact(async (transaction) => {
      if (!(await moveExtent(transaction, id, extent, moved.extents))) addDead(transaction, moved.extents)
    })
    return true
  }
}

function nextBatch(live: readonly LivePiece[], first: number): readonly LivePiece[] {
  let bytes = 0
  let end = first
  while (end < live.length && (bytes === 0 || bytes < batchBytes)) bytes += live[end++]?.extent.size ?? 0
  return live.slice(first, end)
}
