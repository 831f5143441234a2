import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { bucketOf } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { isGoing, type Membership } from '#src/model/region.ts'
import type { Snapshot } from '#src/store/store.ts'
import { type RestrictionOptions, targetsOf } from './restrictions.ts'

/** In how many regions blobs have to be (C20). */
export interface NeededOptions extends RestrictionOptions {
  /** Those that somebody names, at least, where their bucket does not say. */
  readonly durabilityRegions: number
  /** What is in a bucket, where that says so; undefined: as above. Absent: none does. */
  readonly durabilityOf?: (from: Snapshot, bucket: number) => Promise<number | undefined>
  /** The most that any bucket asks for. Absent: none does. */
  readonly mostDurable?: (from: Snapshot) => Promise<number>
}

/** What there are too few copies of. */
export interface ShortBlob {
  readonly blob: BlobId
  /** How many copies there are to be. */
  readonly needed: number
}

/** In how many regions what is in a bucket has to be: as many as it asks for, as far as it is in so many, and may be. */
export async function neededIn(
  from: Snapshot,
  bucket: number,
  record: Pick<BlobRecord, 'restriction'>,
  options: NeededOptions,
): Promise<number> {
  const { durabilityRegions, durabilityOf, cellsOfBucket } = options
  const asked = (await durabilityOf?.(from, bucket)) ?? durabilityRegions
  const cells = (await targetsOf(from, record, options)) ?? (await cellsOfBucket?.(from, bucket)) ?? []
  return Math.max(1, cells.length === 0 ? asked : Math.min(asked, cells.length))
}

/**
 * How many copies a blob needs, by its bucket, and by the regions that it is restricted to, if there are fewer. Undefined: nothing
 * beside it tells of a bucket, as of the parts of an object.
 */
export async function copiesNeeded(
  from: Snapshot,
  blob: BlobId,
  record: Pick<BlobRecord, 'restriction'>,
  options: NeededOptions,
): Promise<number | undefined> {
  const { durabilityRegions, durabilityOf } = options
  const bucket = record.restriction?.bucket ?? (await bucketOf(from, blob))
  if (bucket === undefined) return undefined
  const needed = (await durabilityOf?.(from, bucket)) ?? durabilityRegions
  const targets = await targetsOf(from, record, options)
  return Math.min(needed, targets?.length ?? needed)
}

/**
 * In how many regions a blob can be that is to be in so many: no more than its bucket is in that stay. Those of its bucket that come to it
 * later get their copies then.
 */
export async function possibleOf(
  from: Snapshot,
  blob: BlobId,
  record: Pick<BlobRecord, 'restriction'>,
  needed: number,
  { membership, cellsOfBucket }: NeededOptions,
): Promise<number> {
  const most = possible(needed, membership())
  const bucket = record.restriction?.bucket ?? (await bucketOf(from, blob))
  const cells = bucket === undefined ? undefined : await cellsOfBucket?.(from, bucket)
  if (cells === undefined) return most
  return Math.max(1, Math.min(most, cells.filter((cell) => !isGoing(membership(), cell)).length))
}

/** As `possibleOf`, whatever its bucket. */
export function possible(needed: number, { members }: Membership): number {
  const active = members.filter(({ state }) => state === 'active')
  return Math.max(1, Math.min(needed, active.length))
}
