import { Fault } from '#src/errors.ts'
import type { Extent } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'
import { BulkWrite, SegmentPool } from './bulk-write.ts'
import { errorCode } from './files.ts'
import type { FrameRun } from './frame-run.ts'
import { lookMilliseconds, reserveOf } from './free-space.ts'
import { HandleCache } from './handle-cache.ts'
import { DiskFailure, Segment } from './segment.ts'
import { segmentDataStart } from './segment-header.ts'
import { type SegmentSource, SharedAppender } from './shared-appender.ts'
import type { VolumeDirectory } from './volume-directory.ts'

/** What a body of unknown size is taken for, when a segment is chosen for it. */
const unknownBytes = 64 * 1024 * 1024

/** A volume at the edge of its reserve is not told of again and again. */
const roomyFactor = 1.1

const fullCodes: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT'])
/** Of this process, not of the disk. */
const busyCodes: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'])

/** Why a volume is retired that is emptied for its disk to be taken out: nothing failed. */
export const beingEmptied = 'it is being emptied'

/**
 * What happened to a volume that an operator should hear of: `full`, it takes no writes for want of space, until it is
 * `roomy`; `retired`, it takes none for a failure of the disk, until it is `restored`; `emptying`, it takes none as somebody
 * empties it, also until then; `unreadable`, a read failed.
 */
export interface VolumeEvent {
  readonly kind: 'emptying' | 'full' | 'restored' | 'retired' | 'roomy' | 'unreadable'
  readonly volume: string
  readonly path: string
  readonly reason: string
}

export interface VolumeOptions {
  readonly world: World
  readonly segmentBytes: number
  /** Free bytes that writes of bodies leave alone: for metadata and compaction (C3). Undefined: 2 %, at least 1 GiB. */
  readonly reserveBytes: number | undefined
  readonly report: (event: VolumeEvent) => void
}

/**
 * One volume, as this process writes and reads it.
 *
 * V1  after a failed fsync, or a write that failed for want of anything but space, nothing is written to the volume by this
 *     process, and nothing that was waiting is acknowledged, until `recovered` was called (C3). Reads go on.
 * V2  a disk without space refuses writes, loses none that was acknowledged, and takes writes again when there is space.
 */
export class Volume implements SegmentSource {
  readonly directory: VolumeDirectory
  readonly handles: HandleCache
  readonly #options: VolumeOptions
  #appender: SharedAppender
  #pool: SegmentPool
  readonly #open = new Set<Segment>()
  #retired: string | undefined
  /** The mark in the directory was seen, or made. */
  #isMarked = false
  #free = 0
  #reserve = 0
  #isFull = false
  #sampledAt = Number.NEGATIVE_INFINITY
  #sampling: Promise<void> | undefined
  /** Room promised to bodies that are still coming. */
  #promised = 0

  constructor(directory: VolumeDirectory, options: VolumeOptions) {
    this.directory = directory
    this.#options = options
    this.handles = new HandleCache(directory)
    this.#appender = new SharedAppender(this, options.segmentBytes - segmentDataStart)
    this.#pool = new SegmentPool(this)
  }

  get id(): string {
    return this.directory.id
  }

  get path(): string {
    return this.directory.path
  }

  /** Why it takes no writes, or undefined. */
  get retired(): string | undefined {
    return this.#retired
  }

  /** Bytes that may be written before the reserve is touched; 0 for a retired volume. */
  room(): number | Promise<number> {
    const age = this.#options.world.monotonic() - this.#sampledAt
    if (age > lookMilliseconds(this.#free)) return this.refresh().then(() => this.#room())
    return this.#room()
  }

  #room(): number {
    return this.#retired === undefined ? Math.max(0, this.#free - this.#reserve - this.#promised) : 0
  }

  /** Looks at the disk, and at what other processes found out about it. */
  refresh(): Promise<void> {
    this.#sampling ??= this.#sample().finally(() => {
      this.#sampling = undefined
    })
    return this.#sampling
  }

  /** Keeps room for a body that is still coming; less than nothing gives it back. */
  promise(bytes: number): void {
    this.#promised += bytes
  }

  /** Counts what is written until the next look at the disk, which then knows it by itself. */
  spend(bytes: number): void {
    this.#free -= bytes
  }

  /** Throws where writing on would touch the reserve, whoever used the space up (C3). */
  async checkSpace(): Promise<void> {
    await this.room()
    this.checkHealth()
    if (this.#free <= this.#reserve) throw unavailable(new Error('the volume is full but for its reserve'))
  }

  append(run: FrameRun): Promise<Extent> {
    return this.#appender.append(run)
  }

  bulkWrite(expected: number | undefined): BulkWrite {
    return new BulkWrite(this, this.#pool, Math.min(expected ?? unknownBytes, this.#options.segmentBytes / 2))
  }

  async openSegment(): Promise<Segment> {
    const segment = await Segment.create(this.directory, this.#options.segmentBytes)
    this.#open.add(segment)
    return segment
  }

  async closeSegment(segment: Segment): Promise<void> {
    await segment.close(this.#options.world)
    this.#open.delete(segment)
  }

  checkHealth(): void {
    if (this.#retired !== undefined) throw unavailable(this.#retired)
  }

  failed(error: unknown): unknown {
    if (!(error instanceof DiskFailure)) return error
    const code = errorCode(error.cause)
    if (error.step !== 'sync' && fullCodes.has(code)) {
      this.#free = 0
      this.#sampledAt = this.#options.world.monotonic()
      this.#noteSpace(code ?? '')
    } else if (error.step === 'sync' || !busyCodes.has(code)) {
      this.#retire(`could not ${error.step}: ${code ?? String(error.cause)}`)
    }
    return unavailable(error)
  }

  reportUnreadable(reason: string): void {
    this.#report('unreadable', reason)
  }

  /** The volume was verified: it takes writes again, into new segments. */
  async recovered(): Promise<void> {
    await this.directory.clearRetired()
    this.#isMarked = false
    this.#restore()
    this.#sampledAt = Number.NEGATIVE_INFINITY
  }

  /** Closes all segments that nothing is being written to. */
  async seal(): Promise<void> {
    await this.#appender.seal()
    await this.#pool.seal()
  }

  async close(): Promise<void> {
    await this.seal()
    await this.handles.close()
    this.directory.release()
  }

  async #sample(): Promise<void> {
    try {
      const { free, total } = await this.directory.files.space(this.path)
      this.#free = free
      this.#reserve = reserveOf(total, this.#options.reserveBytes)
      const marked = await this.directory.retirement()
      if (marked !== undefined && this.#retired === undefined) this.#withdraw(marked.reason)
      // Another process had it checked, and lifted the mark. A retirement whose mark could not be written stays, and the
      // mark is tried again: once the disk takes it, a check can lift it.
      if (marked === undefined && this.#isMarked) this.#restore()
      else if (marked === undefined && this.#retired !== undefined) this.#mark(this.#retired)
      this.#isMarked = marked !== undefined
      this.#sampledAt = this.#options.world.monotonic()
      this.#noteSpace('only the reserve is left')
    } catch (error) {
      if (!busyCodes.has(errorCode(error))) this.#retire(`could not look at it: ${errorCode(error) ?? String(error)}`)
    }
  }

  #retire(reason: string): void {
    if (this.#retired !== undefined) return
    this.#withdraw(reason)
    this.#mark(reason)
  }

  /** The disk may not take the mark either. Then another look tries again, or the next process's first write decides. */
  #mark(reason: string): void {
    this.directory.markRetired(reason).then(
      () => {
        this.#isMarked = true
      },
      () => {},
    )
  }

  /** What is open is left as it is: segments that were written to before a failure are never written to again. */
  #withdraw(reason: string): void {
    this.#retired = reason
    const { segmentBytes } = this.#options
    const [appender, pool] = [this.#appender, this.#pool]
    this.#appender = new SharedAppender(this, segmentBytes - segmentDataStart)
    this.#pool = new SegmentPool(this)
    void appender.seal().then(() => pool.end())
    this.#report(reason === beingEmptied ? 'emptying' : 'retired', reason)
  }

  #restore(): void {
    const was = this.#retired
    this.#retired = undefined
    if (was !== undefined) this.#report('restored', was)
  }

  /** Told once, when it begins and when it ends: not at each write that is refused. */
  #noteSpace(reason: string): void {
    if (!this.#isFull && this.#free <= this.#reserve) {
      this.#isFull = true
      this.#report('full', reason)
      // Only sealed segments are compacted: on a full disk, what was deleted from these could never be given back.
      void this.seal()
    } else if (this.#isFull && this.#free > this.#reserve * roomyFactor) {
      this.#isFull = false
      this.#report('roomy', '')
    }
  }

  #report(kind: VolumeEvent['kind'], reason: string): void {
    this.#options.report({ kind, volume: this.id, path: this.path, reason })
  }
}

const unavailable = (cause: unknown): Fault => new Fault('ServiceUnavailable', {}, { cause })
