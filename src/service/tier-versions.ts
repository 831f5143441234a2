import { addManifest, readManifest } from '#src/metadata/blob-records.ts'
import { type KeyState, type Row, readStamped } from '#src/metadata/object-records.ts'
import type { VersionName } from '#src/metadata/remote-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { ObjectVersion, Part } from '#src/model/version.ts'
import { manifestOf } from '#src/model/version.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { checkTakesWrites } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'
import { type ContentKey, checkSeal, openContentKey, sealedBy } from './object-encryption.ts'
import { randomId } from './random-words.ts'

/** A version that a task names, as it is now. */
export interface TieredVersion {
  readonly bucket: Bucket
  readonly key: string
  readonly state: KeyState
  readonly row: Row<ObjectVersion>
  /** Of an object in parts. */
  readonly parts: readonly Part[] | undefined
}

/** Undefined where it, or its bucket, is gone. */
export async function readTiered(
  foundation: Foundation,
  from: Snapshot,
  name: VersionName,
): Promise<TieredVersion | undefined> {
  const bucket = await foundation.namespace.bucket(from, name.bucket)
  if (bucket === undefined || bucket.id !== name.bucketId || bucket.state !== 'active') return undefined
  if (foundation.hasBucket?.(bucket) === false) return undefined
  // What is done about it is written to it in the end: that is tried again.
  checkTakesWrites(foundation, bucket)
  const { key } = name
  const place = { bucket: bucket.id, key }
  const { state, row } = await readStamped(from, place, BigInt(name.stamp), bucket.versioning !== 'off')
  const version = row?.version
  if (row === undefined || version?.kind !== 'object') return undefined
  const manifest = manifestOf(version.content)
  const parts = manifest === undefined ? undefined : await readManifest(from, manifest.blob)
  return { bucket, key, state, row: { version, bytes: row.bytes }, parts }
}

/** The key of a version that the store itself can read; undefined: it is not encrypted. */
export async function openTiered(
  foundation: Foundation,
  { bucket, key, row: { version }, parts }: TieredVersion,
): Promise<ContentKey | undefined> {
  const { encryption } = version
  if (encryption === undefined) return undefined
  const contentKey = await openContentKey(foundation, bucket.id, encryption, undefined)
  checkSeal(contentKey, encryption, { ...version, key, ...(parts !== undefined && { parts }) })
  return contentKey
}

/** The version with its bytes elsewhere, and the seal that goes with that. */
export function withContent(
  version: ObjectVersion,
  content: ObjectVersion['content'],
  key: string,
  contentKey: ContentKey | undefined,
  parts: readonly Part[] | undefined,
): ObjectVersion {
  const moved = { ...version, content }
  if (contentKey === undefined) return moved
  return { ...moved, encryption: sealedBy(contentKey, { ...moved, key, ...(parts !== undefined && { parts }) }) }
}

/** The blob of a part whose bytes are not here: none has this id. */
const nowhere = '0'.repeat(32)

/** What is kept of a version whose bytes are at its endpoint alone; of one in parts, what the parts are. */
export function withoutBytes(
  foundation: Foundation,
  to: Transaction,
  { key, row: { version }, parts }: TieredVersion,
  contentKey: ContentKey | undefined,
): ObjectVersion {
  if (parts === undefined) return withContent(version, { kind: 'remote' }, key, contentKey, undefined)
  const hollow = parts.map((part) => ({ ...part, blob: nowhere }))
  const manifest = { blob: randomId(foundation.world), parts: parts.length }
  addManifest(to, manifest.blob, hollow)
  return withContent(version, { kind: 'remote', manifest }, key, contentKey, hollow)
}
