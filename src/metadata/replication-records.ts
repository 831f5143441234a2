import type { Transaction } from '#src/store/store.ts'
import type { VersionName } from './remote-records.ts'
import { addTask, readTask, taskId } from './task-records.ts'

/** Work of the replication between buckets. */
export interface ReplicationWork {
  /** `version`: makes the replica, of an object or a delete marker; `slots`: makes its tags, ACL and locks what the source's are. */
  readonly kind: 'version' | 'slots'
  readonly source: VersionName
  /** Name of the destination. */
  readonly target: string
  /** All destinations: the source's status tells of all. */
  readonly targets: readonly string[]
  /** Of an object in parts: under which upload the parts are kept until all are there. */
  readonly staging?: string
}

const prefix = 'replication '
export const isReplicationLane = (lane: string): boolean => lane.startsWith(prefix)
const laneOf = (target: string): string => `${prefix}${target}`

const idOf = (kind: ReplicationWork['kind'], { bucketId, key, stamp }: VersionName, target: string): string =>
  taskId(kind, bucketId, key, stamp, target)

export async function askToReplicate(
  to: Transaction,
  kind: ReplicationWork['kind'],
  source: VersionName,
  targets: readonly string[],
  since: number,
): Promise<void> {
  for (const target of targets) {
    const work: ReplicationWork = { kind, source, target, targets }
    await addTask(to, { lane: laneOf(target), id: idOf(kind, source, target), work, since })
  }
}

/** Whether anything else is still to be done of a version. */
export async function isStillReplicating(
  to: Transaction,
  { kind, source, target, targets }: ReplicationWork,
): Promise<boolean> {
  for (const each of new Set([...targets, target])) {
    for (const other of ['version', 'slots'] as const) {
      if (each === target && other === kind) continue
      if ((await readTask(to, laneOf(each), idOf(other, source, each))) !== undefined) return true
    }
  }
  return false
}
