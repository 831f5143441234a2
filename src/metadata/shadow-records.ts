import type { Migration, MigrationProgress } from '#src/model/shadow.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys } from './keyspace.ts'

/** What is known of the shadows of buckets, and the work that they make. */

const format = 1

export type ShadowWork =
  /** Copies everything that the shadow has, and this bucket does not know of. */
  | { readonly kind: 'migrate'; readonly bucket: string; readonly bucketId: number; readonly shadow: string }
  /** Brings one object. */
  | {
      readonly kind: 'import'
      readonly bucket: string
      readonly bucketId: number
      readonly shadow: string
      readonly key: string
    }
  /** Has the shadow hold of one key what is here; `generation` grows with each change. */
  | {
      readonly kind: 'pass'
      readonly bucket: string
      readonly bucketId: number
      readonly shadow: string
      readonly key: string
      readonly generation: number
    }

export const laneOfShadow = (bucketId: number): string => `shadow ${bucketId}`
export const isShadowLane = (lane: string): boolean => lane.startsWith('shadow ')

export async function readMigration(from: Snapshot, bucket: number): Promise<Migration | undefined> {
  const bytes = await from.get(keys.migration(bucket))
  return bytes === undefined ? undefined : decodeJson<Migration>(format, bytes)
}

export function setMigration(to: Transaction, bucket: number, migration: Migration): void {
  to.set(keys.migration(bucket), encodeJson(format, migration))
}

async function readCount(from: Snapshot, bucket: number, shadow: string, what: string): Promise<number> {
  const bytes = await from.get(keys.imported(bucket, shadow, what))
  return bytes === undefined ? 0 : Number(Buffer.from(bytes).readBigInt64LE())
}

/** Counts what was brought, in the transaction that does it: exact, also after crashes. */
export function countImport(to: Transaction, bucket: number, shadow: string, size: number): void {
  to.add(keys.imported(bucket, shadow, 'objects'), 1n)
  to.add(keys.imported(bucket, shadow, 'bytes'), BigInt(size))
}

/** Of the shadow that the bucket has now. */
export async function readProgress(from: Snapshot, bucket: number, shadow: string): Promise<MigrationProgress> {
  const [migration, objects, bytes] = await Promise.all([
    readMigration(from, bucket),
    readCount(from, bucket, shadow, 'objects'),
    readCount(from, bucket, shadow, 'bytes'),
  ])
  return { migration: migration?.shadow === shadow ? migration : undefined, imported: { objects, bytes } }
}
