import type { BlobId } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'
import type { BlobCache } from './blob-cache.ts'
import { CacheVolume } from './cache-volume.ts'
import { chunkBytes, frameBytes } from './frame.ts'
import { segmentDataStart } from './segment-header.ts'
import type { Volume } from './volume.ts'

/** Of what is free when it is opened. */
const defaultPart = 0.1
/** A budget has so many segments, unless they would be too large or too small. */
const segmentsPerBudget = 32
const segmentBytesMost = 512 * 2 ** 20
const segmentBytesLeast = segmentDataStart + 4 * frameBytes(chunkBytes)
/** How often what is old is looked for, in milliseconds. */
const tendMilliseconds = 2_000

export interface VolumeCacheOptions {
  readonly world: World
  /** Of the node, in bytes; undefined: a tenth of what is free. */
  readonly budget?: number
  /** Nothing stays longer, in milliseconds, but what is read. */
  readonly ageMilliseconds: number
}

/** The cache of a node, on all its volumes: a blob belongs to one of them, by chance in proportion to their budgets. */
export class VolumeCache implements BlobCache {
  readonly #world: World
  readonly #volumes: readonly CacheVolume[]
  readonly #closing = new AbortController()
  readonly #tending: Promise<void>

  private constructor(world: World, volumes: readonly CacheVolume[]) {
    this.#world = world
    this.#volumes = volumes
    this.#tending = this.#tendAgain()
  }

  static async open(volumes: readonly Volume[], options: VolumeCacheOptions): Promise<VolumeCache> {
    const { world, budget, ageMilliseconds } = options
    const rooms = await Promise.all(volumes.map((volume) => volume.room()))
    const total = rooms.reduce((sum, room) => sum + room, 0)
    const opened: CacheVolume[] = []
    for (const [index, volume] of volumes.entries()) {
      const room = rooms[index] ?? 0
      const part = budget === undefined ? room * defaultPart : total === 0 ? 0 : budget * (room / total)
      const share = Math.floor(part)
      const segmentBytes = Math.floor(
        Math.min(segmentBytesMost, Math.max(segmentBytesLeast, share / segmentsPerBudget)),
      )
      try {
        opened.push(await CacheVolume.open(volume, { world, budget: share, segmentBytes, ageMilliseconds }))
      } catch (error) {
        // A disk that takes no cache may still give what it holds.
        volume.reportUnreadable(`no cache could be opened: ${String(error)}`)
      }
    }
    return new VolumeCache(world, opened)
  }

  /** `bytes` and `budget` of the node, `evicted` segments by this process. */
  get use(): { readonly bytes: number; readonly budget: number; readonly evicted: number } {
    const sum = (of: (volume: CacheVolume) => number): number => this.#volumes.reduce((all, each) => all + of(each), 0)
    return {
      bytes: sum(({ bytes }) => bytes),
      budget: sum(({ budget }) => budget),
      evicted: sum(({ evicted }) => evicted),
    }
  }

  async read(id: BlobId, chunk: number, length: number): Promise<Uint8Array | undefined> {
    for (const volume of this.#volumes) {
      const bytes = await volume.read(id, chunk, length)
      if (bytes !== undefined) return bytes
    }
    return undefined
  }

  add(id: BlobId, chunk: number, bytes: Uint8Array): void {
    const total = this.#volumes.reduce((sum, { budget }) => sum + budget, 0)
    let point = (Number.parseInt(id.slice(0, 8), 16) / 2 ** 32) * total
    const chosen = this.#volumes.find(({ budget }) => {
      point -= budget
      return point < 0
    })
    chosen?.add(id, chunk, bytes)
  }

  /** Once nothing waits to be written. */
  async settled(): Promise<void> {
    for (const volume of this.#volumes) await volume.settled()
  }

  /** Looks after what is old, and what other processes did, as it does by itself every now and then. */
  async tend(): Promise<void> {
    for (const volume of this.#volumes) await volume.tend()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#tending
    for (const volume of this.#volumes) await volume.close()
  }

  async #tendAgain(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      await this.tend()
      await this.#world.sleep(tendMilliseconds, signal).catch(() => undefined)
    }
  }
}
