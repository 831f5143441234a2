import { addBlob } from '#src/metadata/blob-records.ts'
import { endReservation, type Reservation, reserve } from '#src/metadata/reservations.ts'
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

/** Makes what was ingested durable elsewhere, where that is asked for: it has a record then, and is reserved. */
export async function spreadOut(
  foundation: Foundation,
  spread: Spread | undefined,
  ingested: Ingested,
): Promise<Ingested> {
  const { content, restriction } = ingested
  if (spread === undefined || content.kind === 'inline') return ingested
  const { store, region, cell } = foundation
  const { stored } = content
  const reservation = { blob: stored.id, token: spread.token }
  await store.transact(async (transaction) => {
    await addBlob(transaction, stored, region, cell, restriction)
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

interface PartsToSpread {
  readonly parts: readonly Ingested[]
  /** The manifest that is to name them. */
  readonly whole: BlobId
  readonly restriction: Restriction | undefined
}

/** As `spreadOut`, of blobs that one manifest is to name; where it rejects, they are gone. */
export async function spreadParts(
  foundation: Foundation,
  spread: Spread | undefined,
  { parts, whole, restriction }: PartsToSpread,
): Promise<readonly Ingested[]> {
  if (spread === undefined) return parts
  const { store, region, cell } = foundation
  const blobs = parts.flatMap(({ content }) => (content.kind === 'blob' ? [content.stored] : []))
  const reservationOf = (blob: BlobId): Reservation => ({ blob, token: spread.token, whole })
  const kept = parts.map((each) =>
    each.content.kind === 'blob' ? { ...each, reservation: reservationOf(each.content.stored.id) } : each,
  )
  try {
    await store.transact(async (transaction) => {
      for (const stored of blobs) {
        await addBlob(transaction, stored, region, cell, restriction)
        reserve(transaction, reservationOf(stored.id), spread.until)
      }
    })
  } catch (error) {
    for (const each of parts) await discard(foundation, each)
    throw error
  }
  try {
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
