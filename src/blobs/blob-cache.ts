import type { BlobId } from '#src/model/blob.ts'

/**
 * Copies of chunks of blobs that other regions hold (C4). What is in it may go at any time; it is not durable, and nothing
 * that decides anything looks at it: whether a blob exists, its record says.
 */
export interface BlobCache {
  /** A chunk of `length` bytes that matches its checksum, or undefined: it is not here, or not whole. Never rejects. */
  read(id: BlobId, chunk: number, length: number): Promise<Uint8Array | undefined>
  /** Takes a chunk in that was verified, if it may. Never rejects. */
  add(id: BlobId, chunk: number, bytes: Uint8Array): Promise<void>
  /** Overwrites what is here of a blob that was deleted. */
  erase(id: BlobId): Promise<void>
  /** Blobs of which something is here. */
  ids(): readonly BlobId[]
}
