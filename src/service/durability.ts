import { addBlob } from '#src/metadata/blob-records.ts'
import { type Reservation, reserve } from '#src/metadata/reservations.ts'
import type { BlobId, Restriction } from '#src/model/blob.ts'
import type { Moment } from '#src/world.ts'
import type { Foundation } from './foundation.ts'
import { discard, type Ingested } from './ingest.ts'
import type { Durability, Spread } from './spread.ts'

interface Asked {
  /** Of what is written. */
  readonly restriction?: Restriction | undefined
  readonly since?: Moment | undefined
}

/** Carries a write out, between what must be so before it and what must be so after it. */
export function durably<Done>(
  foundation: Foundation,
  bucket: string,
  write: (spread: Spread | undefined) => Promise<Done>,
  request: Asked = {},
): Promise<Done> {
  const { durability } = foundation
  return durability === undefined ? write(undefined) : spreading(foundation, durability, bucket, write, request)
}

async function spreading<Done>(
  { store, namespace }: Foundation,
  durability: Durability,
  name: string,
  write: (spread: Spread | undefined) => Promise<Done>,
  { restriction, since }: Asked,
): Promise<Done> {
  const bucket = await store.snapshot((snapshot) => namespace.existingBucket(snapshot, name), since)
  const spread = await durability.begin(bucket, restriction)
  const done = await write(spread)
  await spread?.confirm()
  return done
}

/**
 * Makes what was ingested durable elsewhere, where that is asked for: it has a record then, and is reserved. Where it rejects, it is gone;
 * best effort: its time ends, and the sweep finds what has no record.
 */
export async function spreadOut(
  foundation: Foundation,
  spread: Spread | undefined,
  ingested: Ingested,
): Promise<Ingested> {
  const { restriction } = ingested
  const [kept = ingested] = await spreadParts(foundation, spread, { parts: [ingested], restriction })
  return kept
}

interface PartsToSpread {
  readonly parts: readonly Ingested[]
  /** The manifest that is to name them; absent: versions are. */
  readonly whole?: BlobId
  readonly restriction: Restriction | undefined
}

/** As `spreadOut`, of blobs that one manifest is to name. */
export async function spreadParts(
  foundation: Foundation,
  spread: Spread | undefined,
  { parts, whole, restriction }: PartsToSpread,
): Promise<readonly Ingested[]> {
  if (spread === undefined) return parts
  const blobs = parts.flatMap(({ content }) => (content.kind === 'blob' ? [content.stored] : []))
  if (blobs.length === 0) return parts
  const { store, region, cell } = foundation
  const { token, until } = spread
  const reservationOf = (blob: BlobId): Reservation => ({ blob, token, ...(whole !== undefined && { whole }) })
  const kept = parts.map((each) =>
    each.content.kind === 'blob' ? { ...each, reservation: reservationOf(each.content.stored.id) } : each,
  )
  try {
    await store.transact(async (transaction) => {
      for (const stored of blobs) {
        await addBlob(transaction, stored, region, cell, restriction)
        reserve(transaction, reservationOf(stored.id), until)
      }
    })
    await spread.keep(
      blobs.map(({ id }) => id),
      whole,
    )
  } catch (error) {
    for (const each of kept) await discard(foundation, each)
    throw error
  }
  return kept
}
