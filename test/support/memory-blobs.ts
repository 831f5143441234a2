import { hash } from 'node:crypto'
import { type Blobs, BlobUnreadable, type UnreadableReason } from '#src/blobs/blobs.ts'
import { checksumOf, chunkBytes, chunksOf, idBytes } from '#src/blobs/frame.ts'
import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'

export interface MemoryBlobsOptions {
  readonly world: World
  /** Asked at each read of a chunk; seeded by the simulation. What is `corrupt` or `missing` stays so; `failed` does not. */
  readonly fault?: (id: BlobId, chunk: number) => UnreadableReason | undefined
  /** How long a write takes to be on stable storage, in milliseconds. */
  readonly syncMilliseconds?: () => number
}

interface Stored {
  readonly chunks: readonly Uint8Array[]
  readonly broken: Map<number, UnreadableReason>
}

/** A volume in memory: one segment a blob. Outlives the process that it is given to, but for what was not synced by then. */
export class MemoryBlobs implements Blobs {
  readonly #options: MemoryBlobsOptions
  readonly #stored = new Map<number, Stored>()
  #segment = 0
  #life = 0

  constructor(options: MemoryBlobsOptions) {
    this.#options = options
  }

  /** As kill -9 and a power cut: writes under way never end, and leave nothing. */
  crash(): void {
    this.#life += 1
  }

  async write(id: BlobId, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<StoredBlob> {
    const life = this.#life
    const slices: Uint8Array[] = []
    for await (const slice of body) slices.push(Buffer.from(slice))
    const all = Buffer.concat(slices)
    const { world, syncMilliseconds = () => 0 } = this.#options
    await world.sleep(syncMilliseconds(), new AbortController().signal)
    if (life !== this.#life) await new Promise(() => {})
    const chunks = Array.from({ length: chunksOf(all.length) }, (_, chunk) =>
      all.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes),
    )
    this.#segment += 1
    const segment = this.#segment
    this.#stored.set(segment, { chunks, broken: new Map() })
    const extents = all.length === 0 ? [] : [{ volume: 'memory', segment, generation: 1, offset: 0, size: all.length }]
    return { id, size: all.length, extents, digest: hash('sha256', checksumsOf(id, chunks), 'hex') }
  }

  async *read(id: BlobId, extents: readonly Extent[], from: number, to: number): AsyncGenerator<Uint8Array> {
    for (let chunk = Math.floor(from / chunkBytes); from < to && chunk < chunksOf(to); chunk++) {
      const bytes = this.#chunk(id, extents, chunk)
      const start = chunk * chunkBytes
      yield Buffer.from(bytes.subarray(Math.max(0, from - start), Math.min(bytes.length, to - start)))
    }
  }

  async checksums(id: BlobId, extents: readonly Extent[]): Promise<Uint8Array> {
    const [extent] = extents
    if (extent === undefined) return new Uint8Array(0)
    const stored = this.#stored.get(extent.segment)
    if (stored === undefined) throw new BlobUnreadable('missing', id, extent)
    return checksumsOf(id, stored.chunks)
  }

  #chunk(id: BlobId, extents: readonly Extent[], chunk: number): Uint8Array {
    const [extent] = extents
    if (extent === undefined) throw new Error('a read of what has no extents')
    const stored = this.#stored.get(extent.segment)
    const bytes = stored?.chunks[chunk]
    if (stored === undefined || bytes === undefined) throw new BlobUnreadable('missing', id, extent)
    const reason = stored.broken.get(chunk) ?? this.#options.fault?.(id, chunk)
    if (reason === undefined) return bytes
    if (reason !== 'failed') stored.broken.set(chunk, reason)
    throw new BlobUnreadable(reason, id, extent)
  }
}

function checksumsOf(id: BlobId, chunks: readonly Uint8Array[]): Uint8Array {
  const checksums = Buffer.alloc(4 * chunks.length)
  for (const [chunk, bytes] of chunks.entries())
    checksums.writeUInt32BE(checksumOf(idBytes(id), chunk, bytes), 4 * chunk)
  return checksums
}
