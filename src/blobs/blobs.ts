import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'

/** A stream, or the pieces of a body that is held whole, of one run (1 MiB) at most. */
export type Body = AsyncIterable<Uint8Array> | readonly Uint8Array[]

/**
 * Immutable bytes on this node's volumes.
 *
 * B1  a blob that `write` returned is on stable storage (data and directory entry).
 * B2  `read` never yields a byte that does not match the checksum of its chunk, bound to the blob's id and the chunk's number.
 * B3  nothing is ever written into a segment by another process than the one that created it, nor after a failed fsync.
 */
export interface Blobs {
  /**
   * Streams a body onto a volume. `expected` is the size if it is known: it places large bodies in segments of their own.
   * Rejects with Fault `ServiceUnavailable` where every volume is below its reserve or retired (C3); rejects with whatever
   * the body throws, and then leaves dead bytes only. The slices of a stream are not held beyond the next one.
   */
  write(id: BlobId, body: Body, expected?: number): Promise<StoredBlob>
  /**
   * Bytes [from, to) of a blob. Throws BlobUnreadable where a chunk is missing or does not match its checksum. Where it
   * `lends`, the memory of a chunk is used again once the chunk after the next one is asked for.
   */
  read(id: BlobId, extents: readonly Extent[], from: number, to: number, lends?: boolean): AsyncIterable<Uint8Array>
  /** The checksums of a blob's chunks, as their frames' headers tell them. Throws BlobUnreadable. */
  checksums(id: BlobId, extents: readonly Extent[]): Promise<ChunkChecksums>
}

/** The checksums of a blob's chunks in order, 4 bytes each, big endian: what its digest is over. */
export type ChunkChecksums = Uint8Array

/**
 * `missing`: the volume is not here, or the segment is gone: compaction may have moved the blob, so read its holder again
 * (C2). `corrupt`: the bytes are not those that were written. `failed`: the disk would not read them. `away`: the node that has
 * the volume does not give them; it may come back.
 */
export type UnreadableReason = 'away' | 'corrupt' | 'failed' | 'missing'

/** A copy of a blob, or a part of it, that cannot be had. Nothing of the chunk in question was yielded. */
export class BlobUnreadable extends Error {
  /** What tells it from a bug, to those who answer for it. */
  readonly code = 'unreadable'
  readonly reason: UnreadableReason
  readonly id: BlobId
  readonly extent: Extent

  constructor(reason: UnreadableReason, id: BlobId, extent: Extent, options?: ErrorOptions) {
    super(`blob ${id} is ${reason} in segment ${extent.segment} of volume ${extent.volume}`, options)
    this.reason = reason
    this.id = id
    this.extent = extent
  }
}
