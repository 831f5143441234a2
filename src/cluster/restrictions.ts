import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { type Membership, targetCells } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot } from '#src/store/store.ts'

/** What tells where blobs are to be that are restricted to regions (model/region.ts). */
export interface RestrictionOptions {
  readonly membership: () => Membership
  /** The cells that a bucket is in; none: it is no more, or not known yet. Absent: buckets never leave a cell. */
  readonly cellsOfBucket?: (from: Snapshot, bucket: number) => Promise<readonly number[]>
}

type Restricted = Pick<BlobRecord, 'restriction'>

/** The cells that are to hold a blob durably; undefined: it is restricted to none. */
export async function targetsOf(
  from: Snapshot,
  { restriction }: Restricted,
  { membership, cellsOfBucket }: RestrictionOptions,
): Promise<readonly number[] | undefined> {
  if (restriction === undefined) return undefined
  const known = membership()
  const standing = (await cellsOfBucket?.(from, restriction.bucket)) ?? []
  const cells = standing.length > 0 ? standing : known.members.map(({ cell }) => cell)
  return targetCells(restriction.regions, cells, known)
}

/** Whether a region may have a copy of a blob, durable or cached. One that is named always may: its bucket may be about to come. */
export async function mayKeep(
  from: Snapshot,
  record: Restricted,
  options: RestrictionOptions,
  { region }: Pick<Foundation, 'region'>,
): Promise<boolean> {
  const { restriction } = record
  if (restriction === undefined || restriction.regions.includes(region)) return true
  return (await targetsOf(from, record, options)) === undefined
}
