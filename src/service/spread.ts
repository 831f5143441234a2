import type { BlobId, Restriction } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'

/**
 * What an acknowledged write survives.
 *
 * D3  a write is acknowledged once its bytes were durable in N regions before its record was committed here, and N − 1 other
 *     cells have committed the record (C20). One that is not is answered with ServiceUnavailable, and may stand all the same.
 *     Where fewer regions are left of N or more that it is restricted to, its bytes were durable in all of these.
 */
export interface Durability {
  /** Throws Fault `InvalidRequest` where what is to be written names fewer regions than it has to be in: also those that are not left count. */
  check(bucket: Bucket, restriction?: Restriction): void
  /**
   * Before a body. Undefined: one region is enough. Rejects with Fault `ServiceUnavailable` where too few regions can be reached,
   * and with `InvalidRequest` where the bucket lives in too few, or `check` says so.
   */
  begin(bucket: Bucket, restriction?: Restriction): Promise<Spread | undefined>
}

/** One write. */
export interface Spread {
  /** Of its reservations: below 2^48, random. */
  readonly token: number
  /** When they are over, in milliseconds since the epoch. */
  readonly until: number
  /**
   * Before the commit: resolves once blobs that have a record here are durable in the other regions. `whole`: the manifest that
   * is to name them. Rejects with Fault `ServiceUnavailable`.
   */
  keep(blobs: readonly BlobId[], whole?: BlobId): Promise<void>
  /** After the commit: resolves once the other cells have it. Rejects with Fault `ServiceUnavailable`. */
  confirm(): Promise<void>
}
