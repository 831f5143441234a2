import type { Bucket } from '#src/model/bucket.ts'
import type { Guard } from '#src/model/guard.ts'
import type { Restore } from '#src/model/tier.ts'
import type { Upload } from '#src/model/upload.ts'
import type { DeleteMarker, ObjectSummary } from '#src/model/version.ts'

export interface ListQuery {
  readonly bucket: string
  readonly prefix: string
  /** Empty: none. */
  readonly delimiter: string
  /** At most 1,000. */
  readonly limit: number
  readonly guard: Guard
  /** Whether to tell what was restored, which is read for it alone. */
  readonly showsRestores?: boolean
  /** Of a bucket with a shadow: what is here alone, or there alone. Default: here, and there too where it is written through. */
  readonly source?: 'here' | 'shadow'
}

export interface Listed {
  readonly key: string
  readonly version: ObjectSummary
  readonly restore?: Restore
}

export interface ListedVersion {
  readonly key: string
  readonly version: ObjectSummary | DeleteMarker
  readonly restore?: Restore
  /** `null` or a stamp. */
  readonly versionId: string
  readonly isLatest: boolean
}

export interface Listing<Item> {
  readonly items: readonly Item[]
  readonly prefixes: readonly string[]
  readonly isTruncated: boolean
  /** The last key or prefix of this page, where it was cut: the next page starts after it. */
  readonly nextKey?: string
  /** A stamp, also of a `null` version. */
  readonly nextVersionId?: string
  readonly nextUploadId?: string
}

/** What lies in a bucket: current objects, and their bytes. */
export interface BucketSize {
  readonly objects: number
  readonly bytes: number
}

/** Ordered by UTF-8 bytes; costs grow with the answer, never with the bucket, but for `measure`. */
export interface Listings {
  /** Counts, key by key; undefined: there are more objects than `most`. What changes meanwhile is counted or not. */
  measure(bucket: Bucket, most: number): Promise<BucketSize | undefined>
  /** `after`: keys, and prefixes, greater than this only. */
  objects(query: ListQuery & { readonly after?: string }): Promise<Listing<Listed>>
  versions(
    query: ListQuery & { readonly keyMarker?: string; readonly versionIdMarker?: string },
  ): Promise<Listing<ListedVersion>>
  uploads(
    query: ListQuery & { readonly keyMarker?: string; readonly uploadIdMarker?: string },
  ): Promise<Listing<Upload>>
}
