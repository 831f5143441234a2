/** 16 random bytes, in hexadecimal. */
export type BlobId = string

/** A contiguous run of a blob's frames in one segment of one volume. */
export interface Extent {
  /** The volume's own random id, which stays with its directory. */
  readonly volume: string
  /** Unique on the volume, never reused. */
  readonly segment: number
  /** Of the segment, when the bytes were written: a commit that names it checks that it is still so (C2). */
  readonly generation: number
  /** Of the first frame's header in the segment's file, in bytes. */
  readonly offset: number
  /** Of the bytes that the frames carry, without their headers. */
  readonly size: number
}

/** Which regions keep a blob: of those of its bucket, and with no durable copy in another. Stays as it is, as the bytes do. */
export interface Restriction {
  /** By its id. */
  readonly bucket: number
  /** Their codes. */
  readonly regions: readonly string[]
}

/** What a finished write tells: where the bytes are, and what they are. */
export interface StoredBlob {
  readonly id: BlobId
  readonly size: number
  readonly extents: readonly Extent[]
  /** SHA-256 over the chunks' checksums in order, in hexadecimal: ties the frames to the metadata (C6). */
  readonly digest: string
}
