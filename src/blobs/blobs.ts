import type { BlobId, Extent, StoredBlob } from '#src/model/blob.ts'

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
   * the body throws, and then leaves dead bytes only.
   */
  write(id: BlobId, body: AsyncIterable<Uint8Array>, expected?: number): Promise<StoredBlob>
  /** Bytes [from, to) of a blob. Throws BlobUnreadable where a chunk is missing or does not match its checksum. */
  read(id: BlobId, extents: readonly Extent[], from: number, to: number): AsyncIterable<Uint8Array>
}
