import { decodeBucket } from '#src/metadata/namespace-codec.ts'
import { bucketKey } from '#src/metadata/namespace-keys.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, type Membership } from '#src/model/region.ts'
import type { View } from '#src/store/overlay.ts'
import { buckets } from './content.ts'

/** A row of the store in memory is the same bytes as long as nobody writes it: decoded once. */
const decoded = new WeakMap<Uint8Array, Bucket>()

/** What a cell's own row says of a bucket; undefined: it has none yet. */
export function rowOf(view: View, name: string): Bucket | undefined {
  const row = view.get(keyOf(name))
  if (row === undefined) return undefined
  const bucket = decoded.get(row) ?? decodeBucket(row)
  decoded.set(row, bucket)
  return bucket
}

/** The cells that a bucket is in, as a cell has it. */
export function cellsIn(view: View, name: string, membership: Membership): readonly number[] {
  const bucket = rowOf(view, name)
  return bucket === undefined ? [] : cellsOf(bucket.location, membership)
}

const bucketKeys = new Map<string, Uint8Array>()

function keyOf(name: string): Uint8Array {
  const key = bucketKeys.get(name) ?? bucketKey(name)
  bucketKeys.set(name, key)
  return key
}

export const nameOfBucket = (id: number): string => buckets.find((each) => each.id === id)?.name ?? ''
