import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import type { Walk } from './key-ranges.ts'
import { keys } from './keyspace.ts'

/** How far a cell that becomes one of a bucket's has copied what the others have of it. */
export interface BucketCopy {
  /** Of the change of location that it is made for. */
  readonly move: number
  /** The cell that it copies from, and what that was called. */
  readonly source: number
  readonly incarnation: string
  /** Where to go on; absent: it has not begun, or it is whole. */
  readonly at?: Walk
  readonly isWhole: boolean
  /** Copied so far. */
  readonly records: number
}

interface Row extends Omit<BucketCopy, 'at'> {
  readonly at?: { readonly space: Walk['space']; readonly row?: string }
}

const format = 1

export async function readBucketCopy(from: Snapshot, bucket: number): Promise<BucketCopy | undefined> {
  const bytes = await from.get(keys.bucketCopy(bucket))
  if (bytes === undefined) return undefined
  const { at, ...copy } = decodeJson<Row>(format, bytes)
  if (at === undefined) return copy
  const { space, row } = at
  return { ...copy, at: row === undefined ? { space } : { space, row: Buffer.from(row, 'hex') } }
}

export function setBucketCopy(to: Transaction, bucket: number, { at, ...copy }: BucketCopy): void {
  const row: Row =
    at === undefined
      ? copy
      : {
          ...copy,
          at: { space: at.space, ...(at.row !== undefined && { row: Buffer.from(at.row).toString('hex') }) },
        }
  to.set(keys.bucketCopy(bucket), encodeJson(format, row))
}

export function clearBucketCopy(to: Transaction, bucket: number): void {
  to.clear(keys.bucketCopy(bucket))
}
