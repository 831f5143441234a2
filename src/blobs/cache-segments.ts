import type { CacheIndex } from './cache-index.ts'
import { errorCode, writeAll } from './files.ts'
import { frameBytes, headerBytes, parseHeader } from './frame.ts'
import { HandleCache } from './handle-cache.ts'
import { encodeSeal, segmentDataStart } from './segment-header.ts'
import type { VolumeDirectory } from './volume-directory.ts'

interface Known {
  /** Up to here its frames are in the index. */
  readonly end: number
  readonly size: number
  /** Absent: its writer lives and may add to it. */
  readonly sealedAt?: number
}

/** A segment that this process adds to. */
export interface OwnSegment {
  readonly number: number
  readonly file: number
  /** When it was begun, in milliseconds since the epoch. */
  readonly begun: number
  end: number
}

/**
 * The segments of a volume's cache, of whichever process: which there are, what lies in them, which go first.
 *
 * K1  a segment whose writer died without closing it is removed: nothing tells how much of it is whole, and nothing is lost with it.
 */
export class CacheSegments {
  readonly handles: HandleCache
  readonly #directory: VolumeDirectory
  readonly #index: CacheIndex
  readonly #segmentBytes: number
  readonly #known = new Map<number, Known>()
  #own: OwnSegment | undefined
  #looking: Promise<void> | undefined

  constructor(directory: VolumeDirectory, index: CacheIndex, segmentBytes: number) {
    this.#directory = directory
    this.#index = index
    this.#segmentBytes = segmentBytes
    this.handles = new HandleCache(directory)
  }

  get own(): OwnSegment | undefined {
    return this.#own
  }

  /** What all processes take, as this one last saw the others. */
  get bytes(): number {
    let sum = this.#own?.end ?? 0
    for (const [number, { size }] of this.#known) if (number !== this.#own?.number) sum += size
    return sum
  }

  /** The same, with what they may take without asking again. */
  get granted(): number {
    let sum = 0
    for (const { size, sealedAt } of this.#known.values()) {
      sum += sealedAt === undefined ? Math.max(size, this.#segmentBytes) : size
    }
    return sum
  }

  /** Closed ones, the oldest first. */
  get sealed(): readonly { readonly number: number; readonly size: number; readonly sealedAt: number }[] {
    const found = [...this.#known].flatMap(([number, { size, sealedAt }]) =>
      sealedAt === undefined ? [] : [{ number, size, sealedAt }],
    )
    return found.sort((a, b) => a.number - b.number)
  }

  /** Finds out what other processes did. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined
    })
    return this.#looking
  }

  async #look(): Promise<void> {
    const numbers = await this.#directory.segmentNumbers()
    const there = new Set(numbers)
    for (const number of this.#known.keys()) if (!there.has(number)) this.#forget(number)
    // What is newest is asked for soonest.
    for (const number of [...there].sort((a, b) => b - a)) await this.#lookAt(number)
  }

  async #lookAt(number: number): Promise<void> {
    const before = this.#known.get(number)
    if (before?.sealedAt !== undefined || number === this.#own?.number) return
    const state = await this.#directory.segmentState(number)
    if (state === undefined) return this.#forget(number)
    if (state.sealedAt === undefined && !state.hasWriter) return await this.remove(number)
    try {
      const end = await this.#scan(number, before?.end ?? segmentDataStart)
      if (number === this.#own?.number) return
      const { size, sealedAt } = state
      this.#known.set(number, { end, size, ...(sealedAt !== undefined && { sealedAt }) })
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
      this.#forget(number)
    }
  }

  /** Up to where no frame begins (yet): what is behind that is a miss. */
  async #scan(number: number, from: number): Promise<number> {
    const { files } = this.#directory
    const place = this.#directory.place(number)
    const header = Buffer.alloc(headerBytes)
    return await this.handles.use(number, async (file) => {
      for (let offset = from; ; ) {
        const filled = await files.read(file, header, offset)
        const frame = parseHeader(header.subarray(0, filled), place, offset)
        if (frame === undefined) return offset
        this.#index.add(frame.id, frame.chunk, { segment: number, offset })
        offset += frameBytes(frame.length)
      }
    })
  }

  /** Throws where the disk takes none. */
  async begin(now: number): Promise<OwnSegment> {
    const { number, file } = await this.#directory.createSegment()
    this.#own = { number, file, begun: now, end: segmentDataStart }
    this.#known.set(number, { end: segmentDataStart, size: 0 })
    return this.#own
  }

  /** Closes what this process adds to: others may remove it from then on. */
  async seal(now: number): Promise<void> {
    const own = this.#own
    if (own === undefined) return
    this.#own = undefined
    const { files, id } = this.#directory
    const { at, bytes } = encodeSeal(id, own.number, now)
    try {
      await writeAll(files, own.file, [bytes], at)
      this.#known.set(own.number, { end: own.end, size: own.end, sealedAt: now })
    } finally {
      await files.close(own.file)
    }
  }

  /** Lets go of what this process adds to, and of all in it. */
  async abandon(): Promise<void> {
    const own = this.#own
    if (own === undefined) return
    this.#own = undefined
    try {
      await this.#directory.files.close(own.file)
    } finally {
      await this.remove(own.number)
    }
  }

  async remove(number: number): Promise<void> {
    this.#forget(number)
    await this.#directory.removeSegment(number)
  }

  #forget(number: number): void {
    this.#known.delete(number)
    this.#index.dropSegment(number)
    this.handles.forget(number)
  }
}
