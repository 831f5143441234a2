import { Fault } from '#src/errors.ts'
import type { Bucket, MoveStep } from '#src/model/bucket.ts'

/** A bucket that is there, or one that is about to be. */
export type PlacedBucket = Pick<Bucket, 'name' | 'location' | 'move' | 'durability'>

/** The regions that buckets can be in. */
export interface Regions {
  /** A location from regions by their codes, with commas between, one geography, or `global`: no location. Fault `InvalidArgument`. */
  chosen(text: string): string
  /** As `chosen`; what names no region at all is another store's constraint, and stays. Fault `InvalidLocationConstraint`. */
  constrained(location: string): string
  /**
   * The regions that are to keep an object of a bucket, by their codes, from a text like that of `chosen`, where several geographies
   * may stand too: of each, its nearest region. Undefined: it names none. Fault `InvalidArgument`.
   */
  keeping(bucket: Bucket, text: string): readonly string[] | undefined
  /** Home of a bucket that is created through a region, or here: undefined where that region is none of the bucket's (C23). */
  homeOfNew(location: string, region: string | undefined): Bucket['home']
  /** A bucket that is asked to be at another location, from `chosen`. Fault `OperationAborted`: not now. */
  moved(bucket: Bucket, location: string): Bucket
  /** A bucket whose writes have to be in so many regions before they are acknowledged. Fault `InvalidRequest`: it has fewer. */
  durable<Kind extends PlacedBucket>(bucket: Kind, regions: number): Kind
  /** How far a bucket's change of location is, as the root knows it; undefined: it is where it is to be. */
  progress(bucket: Bucket): Promise<MoveProgress | undefined>
}

/** Those there are. Fault `InvalidRequest`: what was asked for needs several. */
export function several(regions: Regions | undefined): Regions {
  if (regions !== undefined) return regions
  throw new Fault('InvalidRequest', { message: 'There are no other regions: this server is in no cluster.' })
}

export interface MoveProgress {
  readonly step: MoveStep
  /** When it began, in milliseconds since the epoch. */
  readonly since: number
  readonly from: string
  readonly to: string
  /** Those that come to the bucket, or leave it. */
  readonly regions: readonly RegionProgress[]
}

export interface RegionProgress {
  readonly region: string
  readonly isDone: boolean
  /** Copied so far. */
  readonly records?: number
}
