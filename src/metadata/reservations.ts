import type { BlobId } from '#src/model/blob.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { addReference, dropReference, readBlob } from './blob-records.ts'
import { addBlobJob } from './jobs.ts'
import { keys } from './keyspace.ts'

/**
 * Blobs that writes under way need, and no version names yet (C20).
 *
 * R3  what is reserved is named, in the sense of R1, until the write has come to its end here, or its time is over.
 */
export interface Reservation {
  readonly blob: BlobId
  /** Of the write: below 2^48, random. */
  readonly token: number
  /** The manifest that is to name the blob; absent: a version does. */
  readonly whole?: BlobId
}

/** No bucket has this number. */
const noBucket = 0

const referenceOf = (token: number) => ({ bucket: noBucket, key: '', slot: BigInt(token) })

/** `until`: milliseconds since the epoch. The blob has a record already, or gets one in the same transaction. */
export function reserve(to: Transaction, reservation: Reservation, until: number): void {
  addReference(to, reservation.blob, referenceOf(reservation.token))
  addBlobJob(to, { kind: 'reserved', ...reservation, until })
}

export async function isReserved(from: Snapshot, { blob, token }: Reservation): Promise<boolean> {
  return (await from.get(keys.reference(blob, noBucket, '', BigInt(token)))) !== undefined
}

/** What nothing names by now is freed. A repeat does nothing. */
export async function endReservation(to: Transaction, reservation: Reservation): Promise<void> {
  const { blob, token, whole } = reservation
  if (!(await isReserved(to, reservation))) return
  const isNamedByWhole = whole !== undefined && (await readBlob(to, whole)) !== undefined
  if (isNamedByWhole) to.clear(keys.reference(blob, noBucket, '', BigInt(token)))
  else await dropReference(to, blob, referenceOf(token))
}
