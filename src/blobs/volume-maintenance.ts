import assert from 'node:assert/strict'
import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'
import { BlobUnreadable } from './blobs.ts'
import { BodyFramer } from './body-framer.ts'
import { writeAll } from './files.ts'
import { chunkBytes, idBytes } from './frame.ts'
import type { FrameRun, RunMemory } from './frame-run.ts'
import { digestOf, readChunks } from './reader.ts'
import { type ScannedFrame, type ScannedHole, scanSegment } from './scan.ts'
import type { Volume } from './volume.ts'
import type { SegmentState } from './volume-directory.ts'

export interface VolumeState {
  readonly id: string
  readonly path: string
  /** Bytes that bodies may still take. */
  readonly room: number
  /** Why it takes no writes, if so. */
  readonly retired?: string
  /** Since when, in milliseconds since the epoch. */
  readonly retiredSince?: number
}

/** An extent of a blob that is to lie elsewhere. */
export interface Piece {
  readonly id: BlobId
  /** All extents of the blob, in order. */
  readonly extents: readonly Extent[]
  /** Which of them is to be copied. */
  readonly index: number
}

/** What stands for the copied extent, durable; or why it could not be read. */
export type Moved = { readonly extents: readonly Extent[] } | { readonly error: BlobUnreadable }

export interface CheckReport {
  readonly segments: number
  readonly frames: number
  /** Frames whose bytes do not match, and holes: harmless where no holder names them, as after a crash. */
  readonly damaged: number
}

/** What sweeping, compaction and scrubbing do to volumes; the transactions around it are the service's (C2). */
export class VolumeMaintenance {
  readonly #volumes: ReadonlyMap<string, Volume>
  readonly #memory: RunMemory
  readonly #choose: (bytes: number) => Promise<Volume>
  readonly #world: World

  constructor(
    volumes: ReadonlyMap<string, Volume>,
    memory: RunMemory,
    choose: (bytes: number) => Promise<Volume>,
    world: World,
  ) {
    this.#volumes = volumes
    this.#memory = memory
    this.#choose = choose
    this.#world = world
  }

  async volumes(): Promise<readonly VolumeState[]> {
    const states: VolumeState[] = []
    for (const volume of this.#volumes.values()) {
      const { id, path } = volume
      const room = await volume.room()
      const { retired } = volume
      const since = retired === undefined ? undefined : await volume.directory.retirement().catch(() => undefined)
      states.push({
        id,
        path,
        room,
        ...(retired !== undefined && { retired }),
        ...(since !== undefined && { retiredSince: since.since }),
      })
    }
    return states
  }

  segments(volume: string): Promise<readonly SegmentState[]> {
    return this.#volume(volume).directory.listSegments()
  }

  scan(volume: string, segment: number): AsyncGenerator<ScannedFrame | ScannedHole> {
    return scanSegment(this.#volume(volume).directory, segment)
  }

  /**
   * Copies pieces, one after the other, into segments of this process, on a volume with room, else on `fallback`, where
   * they may use the reserve (C3). All are durable when this resolves; the old ones stay as they are.
   */
  async copy(pieces: readonly Piece[], fallback: string): Promise<readonly Moved[]> {
    const bytes = pieces.reduce((sum, { extents, index }) => sum + (extents[index]?.size ?? 0), 0)
    const volume = await this.#choose(bytes).catch(() => this.#volume(fallback))
    volume.checkHealth()
    const bulk = volume.bulkWrite(bytes)
    const errors: (BlobUnreadable | undefined)[] = []
    try {
      for (const [index, piece] of pieces.entries()) {
        if (index > 0) await bulk.beginNext()
        errors.push(await this.#copyPiece(piece, (run) => bulk.submit(run)))
      }
      const copies = await bulk.finish()
      return errors.map((error, index) => (error === undefined ? { extents: copies[index] ?? [] } : { error }))
    } catch (error) {
      await bulk.abandon()
      throw volume.failed(error)
    }
  }

  /**
   * Reads a whole blob. Throws BlobUnreadable where a chunk is, or the chunks are not those that the digest tells of. `pace` is
   * told what was read, and makes the rest wait.
   */
  async verify({ id, size, extents, digest }: StoredBlob, pace?: (bytes: number) => Promise<void>): Promise<void> {
    const checksums: number[] = []
    const last = Math.ceil(size / chunkBytes) - 1
    for await (const { checksum, bytes } of readChunks(this.#volumes, id, extents, 0, last)) {
      checksums.push(checksum)
      await pace?.(bytes.length)
    }
    const [extent] = extents
    if (extent !== undefined && digestOf(checksums) !== digest) throw new BlobUnreadable('corrupt', id, extent)
  }

  /** Removes a sealed segment that no holder names any more. Readers that have it open may finish. */
  async unlink(volume: string, segment: number): Promise<void> {
    const { directory, handles } = this.#volume(volume)
    const state = await directory.segmentState(segment)
    if (state === undefined) return
    assert.ok(state.isSealed, 'a segment that a process may write to is not removed')
    await directory.removeSegment(segment)
    handles.forget(segment)
  }

  /** Has a volume take no writes, in any process, until it is checked. */
  async withdraw(volume: string, reason: string): Promise<void> {
    const withdrawn = this.#volume(volume)
    await withdrawn.directory.markRetired(reason)
    await withdrawn.refresh()
  }

  /**
   * Reads all that lies on a volume, and tries to write. If the disk does both, a retired volume takes writes again; rejects
   * with the disk's error otherwise. Damaged frames do not keep it retired: scrubbing says which blobs they belong to.
   */
  async check(volume: string, progress: (done: number, of: number) => void = () => {}): Promise<CheckReport> {
    const checked = this.#volume(volume)
    await this.#probe(checked)
    const report = { segments: 0, frames: 0, damaged: 0 }
    const segments = await checked.directory.listSegments()
    for (const { number } of segments) {
      report.segments += 1
      progress(report.segments, segments.length)
      for await (const found of scanSegment(checked.directory, number)) {
        if (found.kind === 'frame') report.frames += 1
        if (found.kind === 'hole' || !found.isIntact) report.damaged += 1
      }
    }
    await checked.recovered()
    return report
  }

  async #copyPiece(
    { id, extents, index }: Piece,
    submit: (run: FrameRun) => Promise<void>,
  ): Promise<BlobUnreadable | undefined> {
    const extent = extents[index]
    assert.ok(extent !== undefined, 'a piece names one of its extents')
    const before = extents.slice(0, index).reduce((sum, each) => sum + each.size, 0)
    const first = before / chunkBytes
    const last = Math.ceil((before + extent.size) / chunkBytes) - 1
    const framer = new BodyFramer(this.#memory, idBytes(id), extent.size, first)
    try {
      for await (const { bytes } of readChunks(this.#volumes, id, extents, first, last)) await framer.add(bytes, submit)
      const rest = framer.takeLast()
      if (rest !== undefined) await submit(rest)
      return undefined
    } catch (error) {
      framer.takeLast()?.release()
      if (error instanceof BlobUnreadable) return error
      throw error
    }
  }

  async #probe({ directory }: Volume): Promise<void> {
    const { files } = directory
    const path = `${directory.path}/${Buffer.from(this.#world.randomBytes(16)).toString('hex')}.probe`
    const file = await files.open(path, 'create')
    try {
      await writeAll(files, file, [this.#world.randomBytes(64 * 1024)], 0)
      await files.sync(file)
    } finally {
      await files.close(file)
      await files.unlink(path)
    }
  }

  #volume(id: string): Volume {
    const volume = this.#volumes.get(id)
    assert.ok(volume !== undefined, `there is no volume ${id} here`)
    return volume
  }
}
