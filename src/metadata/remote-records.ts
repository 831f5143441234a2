import type { Stamp } from '#src/model/stamp.ts'
import type { RemoteName } from '#src/model/tier.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { keys, under } from './keyspace.ts'
import { addTask, taskId } from './task-records.ts'

/**
 * Copies of objects at other endpoints, and what is asked of them.
 *
 * U1  a name at an endpoint is one version's from before the first byte is sent until after it was deleted there for the last
 *     time: no copy is ever written over another, and none is deleted for another.
 */

/** Which version, as a task names it. */
export interface VersionName {
  readonly bucket: string
  readonly bucketId: number
  readonly key: string
  /** In decimal digits: JSON knows no such integers. */
  readonly stamp: string
}

export type RemoteWork =
  /** Takes a version to its tier. */
  | {
      readonly kind: 'move'
      readonly version: VersionName
      /** Once it was begun: repeated under the same name, with the same bytes. */
      readonly to?: RemoteName
      readonly sealedAs?: string
      /** Whether a version that is to leave nothing here was hidden by a delete marker. */
      readonly isHidden?: boolean
    }
  /** Brings its bytes back. */
  | {
      readonly kind: 'restore'
      readonly version: VersionName
      /** Of an object in parts: under which upload the parts are kept until all are there. */
      readonly staging?: string
    }
  /** Deletes a copy that nothing names any more; `isLast`: it was already, and its name becomes free. */
  | { readonly kind: 'delete'; readonly remote: RemoteName; readonly isLast?: boolean }

export const laneOfTier = (tier: string): string => `tier ${tier}`

/** Undefined: a lane of something else. */
export const tierOfLane = (lane: string): string | undefined =>
  lane.startsWith('tier ') ? lane.slice('tier '.length) : undefined

export async function askForVersion(
  to: Transaction,
  tier: string,
  kind: 'move' | 'restore',
  version: VersionName,
  since: number,
): Promise<boolean> {
  const id = taskId(kind, version.bucketId, version.key, version.stamp)
  return await addTask(to, { lane: laneOfTier(tier), id, work: { kind, version } satisfies RemoteWork, since })
}

/** Has a copy deleted that no record names any more. */
export async function forgetRemote(to: Transaction, { tier, bucket, key }: RemoteName): Promise<void> {
  const work: RemoteWork = { kind: 'delete', remote: { tier, bucket, key } }
  // At once: no clock is needed for what is due since ever.
  await addTask(to, { lane: laneOfTier(tier), id: taskId('delete', bucket, key), work, since: 0 })
}

/** Takes the first of the names that is free (U1). */
export async function takeName(to: Transaction, names: readonly RemoteName[]): Promise<RemoteName> {
  for (const name of names) {
    const at = keys.remoteName(name.tier, name.bucket, name.key)
    if ((await to.get(at)) !== undefined) continue
    to.set(at, new Uint8Array(0))
    return name
  }
  throw new Error('a name that only one version can have is taken')
}

export function freeName(to: Transaction, { tier, bucket, key }: RemoteName): void {
  to.clear(keys.remoteName(tier, bucket, key))
}

/** A version whose bytes are here for a while. */
export interface RestoredRow {
  readonly until: number
  readonly bucketId: number
  readonly key: string
  readonly stamp: Stamp
  readonly bucket: string
}

export function setRestored(to: Transaction, { until, bucketId, key, stamp, bucket }: RestoredRow): void {
  to.set(keys.restored(until, bucketId, key, stamp), Buffer.from(bucket))
}

export function clearRestored(to: Transaction, { until, bucketId, key, stamp }: Omit<RestoredRow, 'bucket'>): void {
  to.clear(keys.restored(until, bucketId, key, stamp))
}

/** Those whose time is over, the longest first. */
export async function readOver(from: Snapshot, now: number, limit: number): Promise<readonly RestoredRow[]> {
  const entries = await from.range(under('restored', []).from, under('restored', [now]).to, { limit })
  return entries.map(({ key, value }) => {
    const reader = new TupleReader(key, 1)
    const until = Number(reader.integer())
    const row = { until, bucketId: Number(reader.integer()), key: reader.text(), stamp: BigInt(reader.integer()) }
    return { ...row, bucket: Buffer.from(value).toString() }
  })
}
