import type { Extent } from '#src/model/blob.ts'
import type { FrameRun } from './frame-run.ts'
import type { Segment } from './segment.ts'

/** One write takes at most so many bytes: larger ones do not raise the throughput, but the wait of those in it. */
const maximalBatchBytes = 8 * 1024 * 1024

interface Waiting {
  readonly run: FrameRun
  readonly resolve: (extent: Extent) => void
  readonly reject: (error: unknown) => void
}

/** What the appender needs of its volume. */
export interface SegmentSource {
  openSegment(): Promise<Segment>
  closeSegment(segment: Segment): Promise<void>
  /** Throws where the volume was retired meanwhile: then nothing more is acknowledged on it. */
  checkHealth(): void
  /** What the caller is told about a failure; retires the volume where it must. */
  failed(error: unknown): unknown
}

/**
 * Small bodies of all requests, one segment, one fsync for all that waited while the last one ran.
 *
 * A1  an append resolves only after an fsync that began after its bytes were written succeeded, and no other failed.
 */
export class SharedAppender {
  readonly #source: SegmentSource
  readonly #batchBytes: number
  #waiting: Waiting[] = []
  #segment: Segment | undefined
  #running: Promise<void> | undefined
  #isSealing = false

  constructor(source: SegmentSource, segmentRoom: number) {
    this.#source = source
    this.#batchBytes = Math.min(maximalBatchBytes, segmentRoom)
  }

  append(run: FrameRun): Promise<Extent> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject })
      this.#start()
    })
  }

  /** Closes the segment after all that waits now; a later append opens another. */
  async seal(): Promise<void> {
    this.#isSealing = true
    while (this.#isSealing) {
      this.#start()
      await this.#running
    }
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** Never rejects: failures go to those who wait. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch()
      try {
        const extents = await this.#write(batch.map((each) => each.run))
        for (const [index, each] of batch.entries()) {
          const extent = extents[index]
          if (extent !== undefined) each.resolve(extent)
        }
      } catch (error) {
        // Known before anything is waited for: until then others would be acknowledged (V1).
        const told = this.#source.failed(error)
        await this.#closeSegment()
        for (const each of batch) each.reject(told)
      }
    }
    if (this.#isSealing) await this.#closeSegment()
    this.#isSealing = false
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0
    const end = this.#waiting.findIndex((each) => {
      bytes += each.run.length
      return bytes > this.#batchBytes
    })
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end))
  }

  async #write(runs: readonly FrameRun[]): Promise<readonly Extent[]> {
    this.#source.checkHealth()
    const bytes = runs.reduce((sum, run) => sum + run.length, 0)
    if (this.#segment !== undefined && this.#segment.room < bytes) await this.#closeSegment()
    this.#segment ??= await this.#source.openSegment()
    const extents = await this.#segment.append(runs)
    await this.#segment.sync()
    this.#source.checkHealth()
    return extents
  }

  async #closeSegment(): Promise<void> {
    const segment = this.#segment
    this.#segment = undefined
    if (segment !== undefined) await this.#source.closeSegment(segment)
  }
}
