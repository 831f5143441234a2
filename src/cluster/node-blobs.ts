import { type Blobs, BlobUnreadable, type Body, type ChunkChecksums } from '#src/blobs/blobs.ts'
import { chunkBytes, chunkLength, chunksOf } from '#src/blobs/frame.ts'
import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'
import type { World } from '#src/world.ts'
import { encodeChunksRequest, isHere } from './blob-wire.ts'
import { ByteStream } from './byte-stream.ts'
import type { CellNodes } from './cell-nodes.ts'
import type { Transport } from './transport.ts'

/** Milliseconds without a byte after which the other node counts as away. */
const patience = 10_000

export interface NodeBlobsParts {
  /** The volumes of this node. */
  readonly own: Blobs
  readonly nodes: Pick<CellNodes, 'node' | 'ownerOf' | 'peerOf' | 'refresh'>
  readonly transport: Pick<Transport, 'streamFrom'>
  readonly world: World
}

/** Consecutive extents on volumes of one node. */
interface Stretch {
  readonly owner: string | undefined
  readonly extent: Extent
  readonly from: number
  readonly to: number
}

/**
 * The volumes of all nodes of a cell: written to are those of this one, read are those of others too, through the node that has them.
 *
 * N4  a byte of another node's volume was verified by that node (B2), and came over a connection that is sealed; where the node does
 *     not give it, the read fails as `away`, and never with a byte.
 */
export class NodeBlobs implements Blobs {
  readonly #parts: NodeBlobsParts

  constructor(parts: NodeBlobsParts) {
    this.#parts = parts
  }

  write(id: BlobId, body: Body, expected?: number): Promise<StoredBlob> {
    return this.#parts.own.write(id, body, expected)
  }

  read(id: BlobId, extents: readonly Extent[], from: number, to: number, lends = false): AsyncIterable<Uint8Array> {
    const { nodes, own } = this.#parts
    if (extents.every(({ volume }) => nodes.ownerOf(volume) === nodes.node))
      return own.read(id, extents, from, to, lends)
    return this.#read(id, extents, from, to, lends)
  }

  async checksums(id: BlobId, extents: readonly Extent[]): Promise<ChunkChecksums> {
    const { nodes, own } = this.#parts
    await this.#know(extents)
    const elsewhere = extents.find(({ volume }) => this.#isElsewhere(nodes.ownerOf(volume)))
    if (elsewhere === undefined) return await own.checksums(id, extents)
    const size = extents.reduce((sum, extent) => sum + extent.size, 0)
    const { stream, over } = this.#ask(nodes.ownerOf(elsewhere.volume), id, elsewhere, 0, 0, true)
    try {
      return await this.#take(stream, 4 * chunksOf(size), id, elsewhere)
    } finally {
      over.abort()
    }
  }

  async *#read(
    id: BlobId,
    extents: readonly Extent[],
    from: number,
    to: number,
    lends: boolean,
  ): AsyncGenerator<Uint8Array> {
    await this.#know(extents)
    for (const stretch of this.#stretches(extents, from, to)) {
      if (this.#isElsewhere(stretch.owner)) yield* this.#fetch(id, extents, stretch)
      else yield* this.#parts.own.read(id, extents, stretch.from, stretch.to, lends)
    }
  }

  #isElsewhere(owner: string | undefined): boolean {
    return owner !== undefined && owner !== this.#parts.nodes.node
  }

  /** A volume that is new is not known to all at once. */
  async #know(extents: readonly Extent[]): Promise<void> {
    const { nodes } = this.#parts
    if (extents.some(({ volume }) => nodes.ownerOf(volume) === undefined)) await nodes.refresh()
  }

  *#stretches(extents: readonly Extent[], from: number, to: number): Generator<Stretch> {
    let open: Stretch | undefined
    let start = 0
    for (const extent of extents) {
      const [first, last] = [Math.max(from, start), Math.min(to, start + extent.size)]
      start += extent.size
      if (first >= last) continue
      const owner = this.#parts.nodes.ownerOf(extent.volume)
      if (open !== undefined && open.owner === owner) open = { ...open, to: last }
      else {
        if (open !== undefined) yield open
        open = { owner, extent, from: first, to: last }
      }
    }
    if (open !== undefined) yield open
  }

  async *#fetch(
    id: BlobId,
    extents: readonly Extent[],
    { owner, extent, from, to }: Stretch,
  ): AsyncGenerator<Uint8Array> {
    const size = extents.reduce((sum, each) => sum + each.size, 0)
    const [first, last] = [Math.floor(from / chunkBytes), chunksOf(to) - 1]
    const { stream, over } = this.#ask(owner, id, extent, first, last, false)
    try {
      for (let chunk = first; chunk <= last; chunk++) {
        const start = chunk * chunkBytes
        const bytes = await this.#take(stream, chunkLength(size, chunk), id, extent, chunk === first)
        yield bytes.subarray(Math.max(0, from - start), Math.min(bytes.length, to - start))
      }
    } finally {
      over.abort()
    }
  }

  #ask(owner: string | undefined, id: BlobId, extent: Extent, first: number, last: number, wantsChecksums: boolean) {
    const { nodes, transport, world } = this.#parts
    const peer = owner === undefined ? undefined : nodes.peerOf(owner)
    if (peer === undefined || transport.streamFrom === undefined) throw new BlobUnreadable('away', id, extent)
    const over = new AbortController()
    const request = encodeChunksRequest({ blob: id, first, last, wantsChecksums })
    return { stream: new ByteStream(transport.streamFrom(peer, 'blob', request, over.signal), world, patience), over }
  }

  async #take(stream: ByteStream, count: number, id: BlobId, extent: Extent, isFirst = true): Promise<Uint8Array> {
    try {
      if (isFirst && (await stream.take(1))[0] !== isHere) throw new Error('the node does not have the blob')
      return await stream.take(count)
    } catch (cause) {
      throw new BlobUnreadable('away', id, extent, { cause })
    }
  }
}
