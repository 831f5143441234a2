import { addBlob } from '#src/metadata/blob-records.ts'
import { endReservation, reserve } from '#src/metadata/reservations.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Foundation } from './foundation.ts'
import type { Ingested } from './ingest.ts'

/**
 * What an acknowledged write survives.
 *
 * D3  a write is acknowledged once its bytes were durable in N regions before its record was committed here, and N − 1 other
 *     cells have committed the record (C20). One that is not is answered with ServiceUnavailable, and may stand all the same.
 */
export interface Durability {
  /**
   * Before a body. Undefined: one region is enough. Rejects with Fault `ServiceUnavailable` where too few regions can be reached,
   * and with `InvalidRequest` where the bucket lives in too few.
   */
  begin(bucket: Bucket): Promise<Spread | undefined>
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

/** Carries a write out, between what must be so before it and what must be so after it. */
export function durably<Done>(
  foundation: Foundation,
  bucket: string,
  write: (spread: Spread | undefined) => Promise<Done>,
): Promise<Done> {
  const { durability } = foundation
  return durability === undefined ? write(undefined) : spreading(foundation, durability, bucket, write)
}

async function spreading<Done>(
  { store, namespace }: Foundation,
  durability: Durability,
  name: string,
  write: (spread: Spread | undefined) => Promise<Done>,
): Promise<Done> {
  const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, name))
  const spread = await durability.begin(bucket)
  const done = await write(spread)
  await spread?.confirm()
  return done
}

/** Makes what was ingested durable elsewhere, where that is asked for: it has a record then, and is reserved. */
export async function spreadOut(
  foundation: Foundation,
  spread: Spread | undefined,
  ingested: Ingested,
): Promise<Ingested> {
  const { content } = ingested
  if (spread === undefined || content.kind === 'inline') return ingested
  const { store, region, cell } = foundation
  const { stored } = content
  const reservation = { blob: stored.id, token: spread.token }
  await store.transact(async (transaction) => {
    await addBlob(transaction, stored, region, cell)
    reserve(transaction, reservation, spread.until)
  })
  try {
    await spread.keep([stored.id])
  } catch (error) {
    // Best effort: its time ends.
    await store.transact((transaction) => endReservation(transaction, reservation)).catch(() => undefined)
    throw error
  }
  return { ...ingested, reservation }
}
