import { bucketOf } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Membership } from '#src/model/region.ts'
import type { Snapshot } from '#src/store/store.ts'

/** In how many regions blobs have to be (C20). */
export interface NeededOptions {
  /** Those that somebody names, at least, where their bucket does not say. */
  readonly durabilityRegions: number
  /** What is in a bucket, where that says so; undefined: as above. Absent: none does. */
  readonly durabilityOf?: (from: Snapshot, bucket: number) => Promise<number | undefined>
  /** The cells that a bucket is in; none: it is no more. Absent: buckets are in all cells. */
  readonly cellsOfBucket?: (from: Snapshot, bucket: number) => Promise<readonly number[]>
  /** The most that any bucket asks for. Absent: none does. */
  readonly mostDurable?: (from: Snapshot) => Promise<number>
}

/** In how many regions what is in a bucket has to be: as many as it asks for, as far as it is in so many. */
export async function neededIn(
  from: Snapshot,
  bucket: number,
  { durabilityRegions, durabilityOf, cellsOfBucket }: NeededOptions,
): Promise<number> {
  const asked = (await durabilityOf?.(from, bucket)) ?? durabilityRegions
  const cells = (await cellsOfBucket?.(from, bucket)) ?? []
  return Math.max(1, cells.length === 0 ? asked : Math.min(asked, cells.length))
}

/** How many copies a blob needs, by its bucket; undefined: nothing beside it tells of one, as of the parts of an object. */
export async function copiesNeeded(
  from: Snapshot,
  blob: BlobId,
  { durabilityRegions, durabilityOf }: NeededOptions,
): Promise<number | undefined> {
  const bucket = await bucketOf(from, blob)
  if (bucket === undefined) return undefined
  return (await durabilityOf?.(from, bucket)) ?? durabilityRegions
}

/** In how many regions a blob can be that is to be in so many. */
export function possible(needed: number, { members }: Membership): number {
  const active = members.filter(({ state }) => state === 'active')
  return Math.max(1, Math.min(needed, active.length))
}
