import assert from 'node:assert/strict'
import { Fault } from '#src/errors.ts'
import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import type { Blobs, Body, ChunkChecksums } from './blobs.ts'
import { BodyFramer } from './body-framer.ts'
import { type Files, realFiles } from './files.ts'
import { idBytes, laidOutBytes } from './frame.ts'
import { FrameRun, RunMemory, runBytes } from './frame-run.ts'
import { digestOf, readChecksums, readRange } from './reader.ts'
import { segmentDataStart } from './segment-header.ts'
import { Volume, type VolumeEvent } from './volume.ts'
import { VolumeCache, type VolumeCacheOptions } from './volume-cache.ts'
import { VolumeDirectory } from './volume-directory.ts'
import { VolumeMaintenance } from './volume-maintenance.ts'

/** Idle memory for runs that a process keeps: what 32 large, or 480 bodies of 64 KiB at a time use. */
const idleRunBytes = 32 * 1024 * 1024

/** How often removed segments are let go of, and the disks are looked at where nobody writes. */
const tendMilliseconds = 15_000

/**
 * Large enough that a list of a node's segments is short and the largest part (5 GiB) has ten extents; small enough that
 * compacting one needs little of the reserve.
 */
const defaultSegmentBytes = 512 * 1024 * 1024

export interface VolumesOptions {
  readonly world: World
  /** Directories, made where they are missing: one a disk. */
  readonly paths: readonly string[]
  /** Free bytes a volume that bodies leave alone, for metadata and compaction (C3). Undefined: 2 %, at least 1 GiB. */
  readonly reserveBytes?: number
  readonly segmentBytes?: number
  /** Another file system than the real one. */
  readonly files?: Files
  readonly report?: (event: VolumeEvent) => void
  /** Told how long each sync of a volume's files took. */
  readonly synced?: (path: string, milliseconds: number) => void
  /** Told how long each body waits to be on stable storage, with the others that share a sync. */
  readonly tracer?: Tracer | undefined
}

/** The same files; told how long each sync took. */
const timed = (files: Files, world: World, synced: (milliseconds: number) => void): Files => ({
  ...files,
  async sync(file) {
    const began = world.monotonic()
    await files.sync(file)
    synced(world.monotonic() - began)
  },
})

/** Opens the volumes, beside other processes that may have them open. */
export async function openVolumes(options: VolumesOptions): Promise<Volumes> {
  const { world, paths, files = realFiles, segmentBytes = defaultSegmentBytes, report = () => {} } = options
  assert.ok(paths.length > 0, 'a node has at least one volume')
  assert.ok(segmentBytes >= segmentDataStart + laidOutBytes(runBytes), 'a segment holds at least one run')
  const volumes = new Map<string, Volume>()
  try {
    for (const path of paths) {
      const { reserveBytes, synced } = options
      const own = synced === undefined ? files : timed(files, world, (milliseconds) => synced(path, milliseconds))
      const directory = await VolumeDirectory.open(path, own, world)
      const volume = new Volume(directory, { world, segmentBytes, reserveBytes, report })
      const twin = volumes.get(volume.id)
      if (twin === undefined) volumes.set(volume.id, volume)
      else {
        await volume.close()
        throw new Error(`${path} and ${twin.path} are the same volume, or copies of it`)
      }
      await volume.refresh()
    }
  } catch (error) {
    for (const volume of volumes.values()) await volume.close()
    throw error
  }
  return new Volumes(world, volumes, options.tracer)
}

/** All volumes of a node as one place for blobs. A request holds at most two runs (2.1 MiB) of its body. */
export class Volumes implements Blobs {
  readonly maintenance: VolumeMaintenance
  readonly #world: World
  readonly #volumes: ReadonlyMap<string, Volume>
  readonly #memory = new RunMemory(idleRunBytes)
  readonly #closing = new AbortController()
  readonly #writes = new Set<Promise<unknown>>()
  readonly #caches: VolumeCache[] = []
  readonly #tending: Promise<void>
  readonly #tracer: Tracer | undefined

  constructor(world: World, volumes: ReadonlyMap<string, Volume>, tracer?: Tracer) {
    this.#world = world
    this.#tracer = tracer
    this.#volumes = volumes
    this.maintenance = new VolumeMaintenance(volumes, this.#memory, (bytes) => this.#choose(bytes), world)
    this.#tending = this.#tend()
  }

  async write(id: BlobId, body: Body, expected?: number): Promise<StoredBlob> {
    if (this.#closing.signal.aborted) throw new Fault('ServiceUnavailable')
    const writing = isHeld(body) ? this.#writeHeld(id, body) : this.#write(id, body, expected)
    this.#writes.add(writing)
    try {
      return await writing
    } finally {
      this.#writes.delete(writing)
    }
  }

  read(id: BlobId, extents: readonly Extent[], from: number, to: number, lends = false): AsyncGenerator<Uint8Array> {
    return readRange(this.#volumes, id, extents, { from, to }, lends)
  }

  checksums(id: BlobId, extents: readonly Extent[]): Promise<ChunkChecksums> {
    return readChecksums(this.#volumes, id, extents)
  }

  /** Begins to keep copies of what other regions hold, until the volumes are closed. */
  async openCache(options: Omit<VolumeCacheOptions, 'world'>): Promise<VolumeCache> {
    const cache = await VolumeCache.open([...this.#volumes.values()], { world: this.#world, ...options })
    this.#caches.push(cache)
    return cache
  }

  /** Closes all segments that nothing is being written to, so that they can be compacted. */
  async seal(): Promise<void> {
    await Promise.all([...this.#volumes.values()].map((volume) => volume.seal()))
  }

  /** Refuses new writes, waits for those under way, lets go of the volumes. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#writes)
    await this.#tending
    await Promise.all(this.#caches.map((cache) => cache.close()))
    await Promise.all([...this.#volumes.values()].map((volume) => volume.close()))
  }

  /**
   * As `#write`, of what needs no waiting for its next piece: one run, and one append. Its pieces are still here where a volume fails,
   * or is taken out of use meanwhile: another one takes them.
   */
  async #writeHeld(id: BlobId, pieces: readonly Uint8Array[]): Promise<StoredBlob> {
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0)
    assert.ok(size > 0 && size <= runBytes, 'a body that is held whole is one run')
    let volume = await this.#choose(size)
    for (let tries = 1; ; tries++) {
      const run = new FrameRun(this.#memory, idBytes(id), 0, size)
      for (const piece of pieces) run.add(piece)
      run.finish()
      volume.spend(size)
      try {
        return { id, size, extents: [await this.#append(volume, run)], digest: digestOf(run.checksums) }
      } catch (error) {
        const failure = volume.failed(error)
        if (tries === this.#volumes.size || !isUnavailable(failure)) throw failure
        volume = await this.#choose(size).catch(() => {
          throw failure
        })
      }
    }
  }

  #append(volume: Volume, run: FrameRun): Promise<Extent> {
    return this.#tracer === undefined ? appendOnce(volume, run) : tracedAppend(this.#tracer, volume, run)
  }

  #finish(bulk: ReturnType<Volume['bulkWrite']>): Promise<readonly (readonly Extent[])[]> {
    return this.#tracer === undefined ? bulk.finish() : tracedFinish(this.#tracer, bulk)
  }

  async #write(id: BlobId, body: AsyncIterable<Uint8Array>, expected: number | undefined): Promise<StoredBlob> {
    const idInBytes = idBytes(id)
    const volume = await this.#choose(expected ?? 0)
    const framer = new BodyFramer(this.#memory, idInBytes, expected ?? 0)
    let owed = expected ?? 0
    volume.promise(owed)
    const pay = ({ size }: FrameRun): void => {
      const part = Math.min(owed, size)
      owed -= part
      volume.promise(-part)
      volume.spend(size)
    }
    let bulk: ReturnType<Volume['bulkWrite']> | undefined
    const submit = async (run: FrameRun): Promise<void> => {
      pay(run)
      await volume.checkSpace()
      bulk ??= volume.bulkWrite(expected)
      await bulk.submit(run)
    }
    try {
      for await (const slice of body) await framer.add(slice, submit)
      const last = framer.takeLast()
      let extents: readonly Extent[] = []
      if (bulk !== undefined) {
        if (last !== undefined) await submit(last)
        extents = (await this.#finish(bulk))[0] ?? []
      } else if (last !== undefined) {
        pay(last)
        extents = [await this.#append(volume, last)]
      }
      return { id, size: framer.size, extents, digest: digestOf(framer.checksums) }
    } catch (error) {
      // Known before anything is waited for: until then others would be acknowledged (V1).
      const failure = volume.failed(error)
      framer.takeLast()?.release()
      await bulk?.abandon()
      throw failure
    } finally {
      volume.promise(-owed)
    }
  }

  /** A volume with room, by chance in proportion to it: so disks of different sizes fill up alike. */
  async #choose(bytes: number): Promise<Volume> {
    const fitting: (readonly [Volume, number])[] = []
    let total = 0
    for (const volume of this.#volumes.values()) {
      const known = volume.room()
      // Asked of the disk a moment ago, mostly.
      const room = typeof known === 'number' ? known : await known
      if (room <= bytes) continue
      fitting.push([volume, room])
      total += room
    }
    let point = fitting.length === 1 ? 0 : this.#chance() * total
    for (const [volume, room] of fitting) {
      point -= room
      if (point <= 0) return volume
    }
    throw new Fault('ServiceUnavailable', {}, { cause: new Error('no volume takes writes') })
  }

  #chance(): number {
    return Buffer.from(this.#world.randomBytes(4)).readUInt32BE(0) / 2 ** 32
  }

  async #tend(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        await this.#world.sleep(tendMilliseconds, signal)
      } catch {
        return
      }
      for (const volume of this.#volumes.values()) {
        await volume.refresh()
        await volume.handles.dropRemoved()
      }
    }
  }
}

const isUnavailable = (error: unknown): boolean => error instanceof Fault && error.code === 'ServiceUnavailable'

const isHeld = (body: Body): body is readonly Uint8Array[] => Array.isArray(body)

async function appendOnce(volume: Volume, run: FrameRun): Promise<Extent> {
  try {
    return await volume.append(run)
  } finally {
    run.release()
  }
}

const tracedAppend = (tracer: Tracer, volume: Volume, run: FrameRun): Promise<Extent> =>
  tracer.inSpan('blob sync', { attributes: { 'meridian.sync': 'shared' } }, () => appendOnce(volume, run))

const tracedFinish = (tracer: Tracer, bulk: ReturnType<Volume['bulkWrite']>): ReturnType<typeof bulk.finish> =>
  tracer.inSpan('blob sync', { attributes: { 'meridian.sync': 'own' } }, () => bulk.finish())
