import type { Bucket } from '#src/model/bucket.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { RemoteBlobs } from './remote-blobs.ts'
import type { Source } from './source.ts'

/** A version in a cell that has its bucket, as this one does not. */
export interface ForeignVersion {
  readonly version: ObjectVersion
  /** As a read there tells it. */
  readonly versionId: string | undefined
  readonly source: Source
}

/** Objects of buckets that are in other cells only, for those who copy them. */
export interface ForeignObjects {
  /** Their bytes, which are kept nowhere on their way: a bucket stays in its regions. */
  readonly blobs: RemoteBlobs
  /**
   * A version as the nearest cell of the bucket that answers has it. Faults as of a read there; `ServiceUnavailable`: none answers.
   * Whether the caller may read it is for the caller of this to see.
   */
  find(bucket: Bucket, key: string, versionId: string | undefined): Promise<ForeignVersion>
}
