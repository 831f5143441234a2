import { decodeBucket } from '#src/metadata/namespace-codec.ts'
import { bucketKey } from '#src/metadata/namespace-keys.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, type Membership } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import { buckets } from './content.ts'

/** What a cell's own row says of a bucket; undefined: it has none yet. */
export function rowOf(view: View, name: string): Bucket | undefined {
  const row = view.get(bucketKey(name))
  return row === undefined ? undefined : decodeBucket(row)
}

/** The cells that a bucket is in, as a cell has it. */
export function cellsIn(view: View, name: string, membership: Membership): readonly number[] {
  const bucket = rowOf(view, name)
  return bucket === undefined ? [] : cellsOf(bucket.location, membership)
}

export const nameOfBucket = (id: number): string => buckets.find((each) => each.id === id)?.name ?? ''
