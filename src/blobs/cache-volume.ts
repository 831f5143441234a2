import type { BlobId } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'
import { CacheIndex, type CachePlace } from './cache-index.ts'
import { CacheSegments, type OwnSegment } from './cache-segments.ts'
import { writeAll } from './files.ts'
import { describeChunk, frameBytes, headerBytes, idBytes, isIntact, parseHeader, placeHeader } from './frame.ts'
import { DiskFailure } from './segment.ts'
import type { Volume } from './volume.ts'
import { VolumeDirectory } from './volume-directory.ts'

/** What waits to be written; more is dropped, so that nobody waits for the disk. */
const pendingBytesMost = 16 * 2 ** 20
/** Written in one go. */
const batchBytes = 2 * 2 ** 20
/** After a write that found no room, or failed, in milliseconds. */
const pauseMilliseconds = 5_000
/** A chunk that is not known here is looked for in other processes' segments, but not more often than this, in milliseconds. */
const lookMilliseconds = 200
/** Read out of the part of the cache that goes next, a chunk is written again: it is hot. */
const hotPart = 0.25

export interface CacheVolumeOptions {
  readonly world: World
  /** What it may take, with the other processes of the node. */
  readonly budget: number
  readonly segmentBytes: number
  /** Nothing stays longer, in milliseconds, but what is read. */
  readonly ageMilliseconds: number
}

interface Cached {
  readonly id: BlobId
  readonly chunk: number
  readonly bytes: Uint8Array
}

/**
 * Cached chunks on one volume, in segments apart from what is durable there, with an identity of their own (C4).
 *
 * K2  a chunk is given only if it is what its header says, and the header is of that chunk of that blob: the index is believed in nothing.
 * K3  all processes together take no more than the budget, and nothing of the volume's reserve (C3).
 * K4  a segment is removed, the oldest first, for want of room or once it is old; a chunk is gone so long after it was last written.
 */
export class CacheVolume {
  readonly budget: number
  readonly #volume: Volume
  readonly #directory: VolumeDirectory
  readonly #options: CacheVolumeOptions
  readonly #index = new CacheIndex()
  readonly #segments: CacheSegments
  #pending: Cached[] = []
  #pendingBytes = 0
  #writing: Promise<void> | undefined
  #pausedUntil = Number.NEGATIVE_INFINITY
  #lookedAt = Number.NEGATIVE_INFINITY
  #isLoaded = false
  /** Segments up to this number go next. */
  #oldUpTo = 0
  #evicted = 0

  private constructor(volume: Volume, directory: VolumeDirectory, options: CacheVolumeOptions) {
    this.budget = options.budget
    this.#volume = volume
    this.#directory = directory
    this.#options = options
    this.#segments = new CacheSegments(directory, this.#index, options.segmentBytes)
  }

  static async open(volume: Volume, options: CacheVolumeOptions): Promise<CacheVolume> {
    const directory = await VolumeDirectory.open(`${volume.path}/cache`, volume.directory.files, options.world)
    return new CacheVolume(volume, directory, options)
  }

  /** Of all processes. */
  get bytes(): number {
    return this.#segments.bytes
  }

  /** Segments that this process removed, for want of room or for their age. */
  get evicted(): number {
    return this.#evicted
  }

  async read(id: BlobId, chunk: number, length: number): Promise<Uint8Array | undefined> {
    const place = this.#index.find(id, chunk) ?? (await this.#findWritten(id, chunk))
    if (place === undefined) return undefined
    const bytes = await this.#readFrame(id, chunk, length, place).catch(() => undefined)
    if (bytes === undefined) this.#index.drop(id, chunk, place)
    else if (place.segment <= this.#oldUpTo) this.#take({ id, chunk, bytes })
    return bytes
  }

  add(id: BlobId, chunk: number, bytes: Uint8Array): void {
    if (this.#index.find(id, chunk) === undefined) this.#take({ id, chunk, bytes })
  }

  /** Once nothing waits to be written. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  /** Looks after other processes' segments, what is old, and how full the disk is. Never rejects. */
  async tend(): Promise<void> {
    const { world, ageMilliseconds } = this.#options
    try {
      await this.#segments.look()
      this.#isLoaded = true
      const { own } = this.#segments
      // Closed after half the time and removed after the other half: whatever lies in it.
      if (own !== undefined && world.now() - own.begun > ageMilliseconds / 2) await this.#run(() => this.#seal())
      for (const { number, sealedAt } of this.#segments.sealed) {
        if (world.now() - sealedAt > ageMilliseconds / 2) await this.#evict(number)
      }
      while ((await this.#volume.room()) === 0 && (await this.#evictOldest()));
      this.#measure()
      await this.#segments.handles.dropRemoved()
    } catch (error) {
      this.#fail(error)
    }
  }

  async close(): Promise<void> {
    await this.settled()
    await this.#seal().catch(() => undefined)
    await this.#segments.handles.close()
    this.#directory.release()
  }

  /** What another process may have written since this one looked. */
  async #findWritten(id: BlobId, chunk: number): Promise<CachePlace | undefined> {
    const now = this.#options.world.monotonic()
    if (!this.#isLoaded || now - this.#lookedAt < lookMilliseconds) return undefined
    this.#lookedAt = now
    await this.#segments.look().catch(() => undefined)
    return this.#index.find(id, chunk)
  }

  async #readFrame(
    id: BlobId,
    chunk: number,
    length: number,
    { segment, offset }: CachePlace,
  ): Promise<Uint8Array | undefined> {
    const buffer = Buffer.allocUnsafeSlow(headerBytes + length)
    const { files } = this.#directory
    const filled = await this.#segments.handles.use(segment, (file) => files.read(file, buffer, offset))
    const header = buffer.subarray(0, Math.min(filled, headerBytes))
    const bytes = buffer.subarray(headerBytes, filled)
    const frame = parseHeader(header, this.#directory.place(segment), offset)
    const isRight = frame?.id === id && frame.chunk === chunk && frame.length === length
    return isRight && isIntact(header, frame, bytes) ? bytes : undefined
  }

  #take(cached: Cached): void {
    const { length } = cached.bytes
    if (this.#pendingBytes + length > pendingBytesMost || this.#isPaused()) return
    this.#pending.push(cached)
    this.#pendingBytes += length
    void this.#run(() => this.#writePending())
  }

  #isPaused(): boolean {
    return this.#volume.retired !== undefined || this.#options.world.monotonic() < this.#pausedUntil
  }

  /** One thing at a time is done to what this process writes. Never rejects. */
  #run(step: () => Promise<void>): Promise<void> {
    const before = this.#writing ?? Promise.resolve()
    const running = before
      .then(step)
      .catch((error: unknown) => this.#failWriting(error))
      .finally(() => {
        if (this.#writing === running) this.#writing = undefined
      })
    this.#writing = running
    return running
  }

  async #writePending(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#takeBatch()
      const length = batch.reduce((sum, { bytes }) => sum + frameBytes(bytes.length), 0)
      const own = await this.#segmentFor(length)
      if (own === undefined) return this.#pause()
      await this.#write(own, batch)
    }
  }

  #takeBatch(): readonly Cached[] {
    let bytes = 0
    const end = this.#pending.findIndex((each) => {
      bytes += frameBytes(each.bytes.length)
      return bytes > Math.min(batchBytes, this.#options.segmentBytes / 2)
    })
    const batch = this.#pending.splice(0, end === -1 ? this.#pending.length : Math.max(1, end))
    this.#pendingBytes -= batch.reduce((sum, each) => sum + each.bytes.length, 0)
    return batch
  }

  async #write(own: OwnSegment, batch: readonly Cached[]): Promise<void> {
    const place = this.#directory.place(own.number)
    const buffers: Buffer[] = []
    const places: CachePlace[] = []
    let offset = own.end
    for (const { id, chunk, bytes } of batch) {
      const header = Buffer.alloc(headerBytes)
      describeChunk(header, idBytes(id), chunk, bytes)
      placeHeader(header, place, offset)
      const padding = Buffer.alloc(frameBytes(bytes.length) - headerBytes - bytes.length)
      buffers.push(header, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), padding)
      places.push({ segment: own.number, offset })
      offset += frameBytes(bytes.length)
    }
    try {
      await writeAll(this.#directory.files, own.file, buffers, own.end)
    } catch (error) {
      throw new DiskFailure('write', error)
    }
    this.#volume.spend(offset - own.end)
    own.end = offset
    for (const [index, { id, chunk }] of batch.entries()) {
      const at = places[index]
      if (at !== undefined) this.#index.add(id, chunk, at)
    }
  }

  /** Undefined: there is no room. */
  async #segmentFor(bytes: number): Promise<OwnSegment | undefined> {
    const { segmentBytes, world } = this.#options
    const { own } = this.#segments
    if (own !== undefined && own.end + bytes <= segmentBytes) return own
    await this.#seal()
    await this.#segments.look()
    while (await this.#isTight(segmentBytes)) if (!(await this.#evictOldest())) return undefined
    const begun = await this.#segments.begin(world.now())
    await this.#segments.look()
    this.#measure()
    // Another process began one at the same time: neither may stay (K3).
    if (this.#segments.granted <= this.budget) return begun
    await this.#segments.abandon()
    return undefined
  }

  async #isTight(bytes: number): Promise<boolean> {
    return this.#segments.granted + bytes > this.budget || (await this.#volume.room()) < 2 * bytes
  }

  async #evictOldest(): Promise<boolean> {
    const [oldest] = this.#segments.sealed
    if (oldest === undefined) return false
    await this.#evict(oldest.number)
    await this.#volume.refresh()
    return true
  }

  async #evict(number: number): Promise<void> {
    await this.#segments.remove(number)
    this.#evicted += 1
  }

  #measure(): void {
    const { world, ageMilliseconds } = this.#options
    const { sealed, granted } = this.#segments
    let going = granted - this.budget * (1 - hotPart)
    this.#oldUpTo = 0
    for (const { number, size, sealedAt } of sealed) {
      const isOld = world.now() - sealedAt > (ageMilliseconds / 2) * (1 - hotPart)
      if (going <= 0 && !isOld) return
      going -= size
      this.#oldUpTo = number
    }
  }

  async #seal(): Promise<void> {
    await this.#segments.seal(this.#options.world.now())
  }

  async #failWriting(error: unknown): Promise<void> {
    this.#fail(error)
    await this.#segments.abandon().catch(() => undefined)
  }

  #fail(error: unknown): void {
    this.#volume.failed(error)
    this.#pause()
  }

  #pause(): void {
    this.#pending = []
    this.#pendingBytes = 0
    this.#pausedUntil = this.#options.world.monotonic() + pauseMilliseconds
  }
}
