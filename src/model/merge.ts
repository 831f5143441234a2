import { depthOf } from './lifecycle.ts'
import { type ReplicationStatus, replicationStatuses } from './replication-status.ts'
import { strongerRetention } from './retention.ts'
import type { Stamp } from './stamp.ts'
import type { ObjectVersion, Slot, Vector, Version } from './version.ts'

/**
 * What becomes of two records of one key that met: docs/merge.md has the table.
 *
 * M2  merging is commutative, associative and idempotent, so cells may hear of writes in any order, any number of times (I4).
 * M3  what stands was written by somebody, and nothing that was merged is later (I6).
 * M4  slots move only between records of one content stamp (C11).
 * M5  a loser is a conflict exactly where it has content and the winner had not seen it (C12).
 *
 * Each gives its first argument itself, not a copy, where the second adds nothing: then nothing has to be written.
 */

/** That a version was removed for good; of the `null` version, also that nothing is there. */
export interface Removal {
  readonly kind: 'removal'
  readonly stamp: Stamp
  readonly vector: Vector
}

/** What the `null` slot of a key holds. */
export type Occupant = Version | Removal

/** A version that lost to one that had not seen it. */
export interface Conflict {
  readonly version: ObjectVersion
  /** Milliseconds since the epoch; the latest that any cell said. */
  readonly expires: number
  /** Somebody took care of it: its content is gone, and does not come back. */
  readonly isSettled: boolean
}

/** The number of the cell that drew a stamp. */
const cellOf = (stamp: Stamp): number => Number(stamp % 1000n)

/** Records that say the same have the same bytes only if their vectors are in one order. */
export const sortedVector = (vector: Iterable<readonly [cell: number, stamp: Stamp]>): Vector =>
  [...vector].sort(([one], [other]) => one - other)

/** For each cell the larger stamp. */
export function joinVectors(ours: Vector, theirs: Vector): Vector {
  const joined = new Map(ours)
  let isMore = false
  for (const [cell, stamp] of theirs) {
    if ((joined.get(cell) ?? 0n) >= stamp) continue
    joined.set(cell, stamp)
    isMore = true
  }
  return isMore ? sortedVector(joined) : ours
}

const hasSeen = (vector: Vector, stamp: Stamp): boolean =>
  vector.some(([cell, last]) => cell === cellOf(stamp) && last >= stamp)

function withVector<Kind extends { readonly vector: Vector }>(record: Kind, other: Vector): Kind {
  const vector = joinVectors(record.vector, other)
  return vector === record.vector ? record : { ...record, vector }
}

const laterSlot = <Value>(ours: Slot<Value> | undefined, theirs: Slot<Value> | undefined): Slot<Value> | undefined =>
  theirs !== undefined && (ours === undefined || theirs.stamp > ours.stamp) ? theirs : ours

/** In the order in which a status may follow another. */
function laterStatus(
  ours: ReplicationStatus | undefined,
  theirs: ReplicationStatus | undefined,
): ReplicationStatus | undefined {
  const order = (status: ReplicationStatus | undefined) =>
    status === undefined ? -1 : replicationStatuses.indexOf(status)
  return order(theirs) > order(ours) ? theirs : ours
}

/** Two copies of one version, which has one content: slot by slot. Throws where they are not of one content stamp. */
export function mergeCopies<Kind extends Version>(ours: Kind, theirs: Version): Kind
export function mergeCopies(ours: Version, theirs: Version): Version {
  if (ours.stamp !== theirs.stamp || ours.kind !== theirs.kind) throw new Error('two versions, merged as copies of one')
  const merged = withVector(ours, theirs.vector)
  if (merged.kind === 'marker' || ours.kind === 'marker' || theirs.kind === 'marker') return merged
  const tags = laterSlot(ours.tags, theirs.tags)
  const acl = theirs.acl.stamp > ours.acl.stamp ? theirs.acl : ours.acl
  const hold = laterSlot(ours.hold, theirs.hold)
  const retention = strongerRetention(ours.retention, theirs.retention)
  const isDeeper = depthOf(theirs.storageClass) > depthOf(ours.storageClass)
  const storageClass = isDeeper ? theirs.storageClass : ours.storageClass
  const replication = laterStatus(ours.replication, theirs.replication)
  const isSame = tags === ours.tags && acl === ours.acl && hold === ours.hold && retention === ours.retention
  if (isSame && !isDeeper && replication === ours.replication) return merged
  return {
    ...merged,
    acl,
    storageClass,
    ...(tags !== undefined && { tags }),
    ...(hold !== undefined && { hold }),
    ...(retention !== undefined && { retention }),
    ...(replication !== undefined && { replication }),
  }
}

/** Two removals of one version, or of what was `null`. */
export function mergeRemovals(ours: Removal, theirs: Removal): Removal {
  const [later, earlier] = theirs.stamp > ours.stamp ? [theirs, ours] : [ours, theirs]
  return withVector(later, earlier.vector)
}

export interface Outcome {
  readonly standing: Occupant
  /** What lost without having been seen, if it has content. */
  readonly conflict?: ObjectVersion
}

/** Two that fill the `null` slot: the later stands, and has then seen what the other had. */
export function mergeOccupants(ours: Occupant, theirs: Occupant): Outcome {
  if (ours.kind === 'removal' && theirs.kind === 'removal') return { standing: mergeRemovals(ours, theirs) }
  if (ours.stamp === theirs.stamp) {
    if (ours.kind === 'removal' || theirs.kind === 'removal') throw new Error('a version and a removal of one stamp')
    return { standing: mergeCopies(ours, theirs) }
  }
  const [winner, loser] = theirs.stamp > ours.stamp ? [theirs, ours] : [ours, theirs]
  const standing = withVector(winner, loser.vector)
  if (loser.kind !== 'object' || hasSeen(winner.vector, loser.stamp)) return { standing }
  return { standing, conflict: loser }
}

/** Two that tell of one loser. */
export function mergeConflicts(ours: Conflict, theirs: Conflict): Conflict {
  const version = mergeCopies(ours.version, theirs.version)
  const expires = Math.max(ours.expires, theirs.expires)
  const isSettled = ours.isSettled || theirs.isSettled
  const isSame = version === ours.version && expires === ours.expires && isSettled === ours.isSettled
  return isSame ? ours : { version, expires, isSettled }
}
