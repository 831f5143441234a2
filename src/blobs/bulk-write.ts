import type { Extent } from '#src/model/blob.ts'
import type { FrameRun } from './frame-run.ts'
import type { Segment } from './segment.ts'
import type { SegmentSource } from './shared-appender.ts'

/**
 * Writing back begins after so many bytes, beside the writing: so the fsync at the end of a large body has little left to
 * do, and dirty pages stay few.
 */
const syncEvery = 32 * 1024 * 1024

/** Segments that no large body is being written to, kept open for the next one. More are closed, the fullest first. */
const idleSegments = 16

/** Segments for large bodies: each belongs to one of them at a time, so that a slow client neither blocks others nor scatters its blob. */
export class SegmentPool {
  readonly #source: SegmentSource
  #idle: Segment[] = []
  #hasEnded = false

  constructor(source: SegmentSource) {
    this.#source = source
  }

  /** One with so much room, at least; preferably not a larger one than is needed. */
  async take(bytes: number): Promise<Segment> {
    this.#idle.sort((a, b) => a.room - b.room)
    const index = this.#idle.findIndex((each) => each.room >= bytes)
    const [segment] = index === -1 ? [] : this.#idle.splice(index, 1)
    return segment ?? (await this.#source.openSegment())
  }

  async give(segment: Segment): Promise<void> {
    if (this.#hasEnded) return this.#source.closeSegment(segment)
    this.#idle.push(segment)
    this.#idle.sort((a, b) => b.room - a.room)
    while (this.#idle.length > idleSegments || this.#idle.at(-1)?.room === 0) {
      const fullest = this.#idle.pop()
      if (fullest !== undefined) await this.#source.closeSegment(fullest)
    }
  }

  /** Seals what is idle, and later what is given back. */
  async end(): Promise<void> {
    this.#hasEnded = true
    await this.seal()
  }

  async seal(): Promise<void> {
    const idle = this.#idle
    this.#idle = []
    for (const segment of idle) await this.#source.closeSegment(segment)
  }
}

/**
 * Large bodies, one after the other, on their way into segments of their own.
 *
 * W1  finish resolves only after an fsync of every segment that it wrote to, begun after its last write there.
 * W2  no segment is sealed while bytes in it wait for their holder: it would be swept (C2: a 5 GiB upload takes hours).
 */
export class BulkWrite {
  readonly #source: SegmentSource
  readonly #pool: SegmentPool
  /** Bytes that are still expected, for choosing a segment. */
  #expected: number
  #segment: Segment | undefined
  /** Full ones, synced, to be sealed at the end. */
  readonly #full: Segment[] = []
  readonly #blobs: Extent[][] = [[]]
  #contiguousEnd = -1
  #unsynced = 0
  #writing: Promise<void> = Promise.resolve()
  #syncing: Promise<void> = Promise.resolve()

  constructor(source: SegmentSource, pool: SegmentPool, expected: number) {
    this.#source = source
    this.#pool = pool
    this.#expected = expected
  }

  /** Starts writing a run once the one before it is written; releases it afterwards. */
  async submit(run: FrameRun): Promise<void> {
    await this.#writing
    this.#writing = this.#write(run)
    // The next submit or finish hears of a failure; until then nobody listens.
    this.#writing.catch(() => {})
  }

  /** What is submitted from now on belongs to another blob. */
  async beginNext(): Promise<void> {
    await this.#writing
    this.#blobs.push([])
    this.#contiguousEnd = -1
  }

  /** The extents of each blob, in the order of their beginning. */
  async finish(): Promise<readonly (readonly Extent[])[]> {
    await this.#writing
    await this.#syncing
    await this.#segment?.sync()
    this.#source.checkHealth()
    await this.#letGo()
    return this.#blobs
  }

  /** What was written stays behind as dead bytes. */
  async abandon(): Promise<void> {
    for (const each of await Promise.allSettled([this.#writing, this.#syncing])) {
      if (each.status === 'rejected') this.#source.failed(each.reason)
    }
    await this.#letGo()
  }

  async #write(run: FrameRun): Promise<void> {
    try {
      const segment = await this.#segmentFor(run.length)
      const [extent] = await segment.append([run])
      if (extent !== undefined) this.#record(extent, run.length)
      this.#expected = Math.max(0, this.#expected - run.length)
      this.#unsynced += run.length
      if (this.#unsynced >= syncEvery) await this.#startSync(segment)
    } finally {
      run.release()
    }
  }

  async #segmentFor(bytes: number): Promise<Segment> {
    this.#source.checkHealth()
    if (this.#segment !== undefined && this.#segment.room < bytes) {
      await this.#syncing
      await this.#segment.sync()
      this.#full.push(this.#segment)
      this.#segment = undefined
      this.#unsynced = 0
    }
    this.#segment ??= await this.#pool.take(Math.max(bytes, this.#expected))
    return this.#segment
  }

  async #startSync(segment: Segment): Promise<void> {
    await this.#syncing
    this.#unsynced = 0
    this.#syncing = segment.sync()
    // A disk that fails is out of use at once, even if this body goes on for hours.
    this.#syncing.catch((error: unknown) => this.#source.failed(error))
  }

  /** Runs that follow each other in a segment are one extent. */
  #record(extent: Extent, length: number): void {
    const extents = this.#blobs.at(-1) ?? []
    const last = extents.at(-1)
    if (last?.segment === extent.segment && extent.offset === this.#contiguousEnd) {
      extents[extents.length - 1] = { ...last, size: last.size + extent.size }
    } else extents.push(extent)
    this.#contiguousEnd = extent.offset + length
  }

  async #letGo(): Promise<void> {
    for (const segment of this.#full.splice(0)) await this.#source.closeSegment(segment)
    if (this.#segment !== undefined) await this.#pool.give(this.#segment)
    this.#segment = undefined
  }
}
