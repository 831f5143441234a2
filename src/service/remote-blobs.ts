import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import type { BlobId } from '#src/model/blob.ts'

/** Bytes that other regions hold, where this one has none, or none that can be read. */
export interface RemoteBlobs {
  /**
   * Bytes [from, to) of a blob, each of them verified to be what its record promises. Rejects with Fault
   * `ServiceUnavailable` where no region that can be reached gives them (C21).
   */
  read(blob: BlobId, record: BlobRecord, from: number, to: number): AsyncGenerator<Uint8Array>
  /** The copy here cannot be read: one of another region takes its place, some time later. */
  repair(blob: BlobId): void
}
