import type { Extent } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'
import { writeAll } from './files.ts'
import type { FrameRun } from './frame-run.ts'
import { encodeSeal, segmentDataStart } from './segment-header.ts'
import type { VolumeDirectory } from './volume-directory.ts'

/** Which step failed decides what it means for the volume (Volume.failed). */
export class DiskFailure extends Error {
  readonly step: 'create' | 'sync' | 'write'

  constructor(step: 'create' | 'sync' | 'write', cause: unknown) {
    super(`could not ${step} a segment`, { cause })
    this.step = step
  }
}

async function step<T>(name: 'create' | 'sync' | 'write', action: Promise<T>): Promise<T> {
  try {
    return await action
  } catch (error) {
    throw new DiskFailure(name, error)
  }
}

/** Segments start at generation 1; only metadata raises it, and only of segments that no process writes to (C2). */
export const firstGeneration = 1

/** A segment that this process created and writes to, one write at a time. */
export class Segment {
  readonly number: number
  readonly #directory: VolumeDirectory
  readonly #file: number
  readonly #limit: number
  #end = segmentDataStart
  #failure: unknown

  private constructor(directory: VolumeDirectory, number: number, file: number, limit: number) {
    this.number = number
    this.#directory = directory
    this.#file = file
    this.#limit = limit
  }

  static async create(directory: VolumeDirectory, limit: number): Promise<Segment> {
    const { number, file } = await step('create', directory.createSegment())
    return new Segment(directory, number, file, limit)
  }

  /** Bytes of frames that still fit. Nothing fits after a failure: what the file then holds is not known. */
  get room(): number {
    return this.#failure !== undefined ? 0 : Math.max(0, this.#limit - this.#end)
  }

  get isEmpty(): boolean {
    return this.#end === segmentDataStart
  }

  /** Appends runs in one write. They are durable once a sync that began afterwards resolved. */
  async append(runs: readonly FrameRun[]): Promise<readonly Extent[]> {
    this.#checkUsable()
    const place = this.#directory.place(this.number)
    const start = this.#end
    const buffers: Buffer[] = []
    const extents = runs.map((run): Extent => {
      const offset = this.#end
      buffers.push(run.place(place, offset))
      this.#end += run.length
      return { volume: this.#directory.id, segment: this.number, generation: firstGeneration, offset, size: run.size }
    })
    await this.#guard(step('write', writeAll(this.#directory.files, this.#file, buffers, start)))
    return extents
  }

  async sync(): Promise<void> {
    this.#checkUsable()
    await this.#guard(step('sync', this.#directory.files.sync(this.#file)))
  }

  /** Nothing more is written to it; others may sweep it. Never fails: unsealed, it waits for the end of this process. */
  async close(world: World): Promise<void> {
    const { at, bytes } = encodeSeal(this.#directory.id, this.number, world.now())
    try {
      await writeAll(this.#directory.files, this.#file, [bytes], at)
    } catch {
      // The disk that did not take this has been, or will be, noticed by a write that matters.
    }
    try {
      await this.#directory.files.close(this.#file)
    } catch {
      // Nothing that was acknowledged rests on the result of close: it comes after the fsync.
    }
  }

  /** A failed fsync is never asked again, on whoever's behalf: the second would succeed without the bytes. */
  #checkUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  async #guard(action: Promise<void>): Promise<void> {
    try {
      await action
    } catch (error) {
      this.#failure = error
      throw error
    }
  }
}
