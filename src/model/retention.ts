import { Fault } from '#src/errors.ts'
import { type Stamp, timeOf } from './stamp.ts'
import type { ObjectVersion, Retention, Slot, Version } from './version.ts'

/** Whether a version may not be removed for good; `bypassGovernance`: by somebody whom governance lets past. */
export function isLocked(version: Version, now: number, bypassGovernance = false): boolean {
  if (version.kind === 'marker') return false
  const kept = version.retention?.value
  const isRetained = kept !== undefined && kept.until > now && !(kept.mode === 'GOVERNANCE' && bypassGovernance)
  return version.hold?.value === true || isRetained
}

/** Of a version that is about to be written; one that waited long for its parts may have come to its end meanwhile. */
export function checkNewRetention(retention: Retention | undefined, now: number): void {
  if (retention === undefined || retention.until > now) return
  throw new Fault('InvalidArgument', { message: 'The retain until date must be in the future!' })
}

/**
 * What may become of a version's retention. Compliance only ever grows; governance is loosened by whom it lets past.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
 */
export function checkRetentionChange(
  before: Retention | undefined,
  after: Retention | undefined,
  { bypassGovernance, now }: { readonly bypassGovernance: boolean; readonly now: number },
): void {
  checkNewRetention(after, now)
  if (before === undefined || before.until <= now) return
  if (after !== undefined && after.until >= before.until && after.mode === before.mode) return
  if (before.mode === 'GOVERNANCE' && bypassGovernance) return
  throw new Fault('AccessDenied', { message: 'Access Denied because object protected by object lock.' })
}

type Kept = Slot<Retention | undefined>

const rank = (value: Retention | undefined): number => (value === undefined ? 0 : value.mode === 'GOVERNANCE' ? 1 : 2)

function isWeaker(one: Retention | undefined, other: Retention | undefined): boolean {
  if (rank(one) !== rank(other)) return rank(one) < rank(other)
  return one !== undefined && other !== undefined && one.until < other.until
}

/**
 * Of a version whose retention is changed. What grows keeps its stamp, so that of two that grew apart the stronger stands;
 * what is loosened gets a new one, and so wins over what it was.
 */
export function changedRetention(version: ObjectVersion, value: Retention | undefined, stamp: Stamp): Kept {
  const before: Kept = version.retention ?? { stamp: version.stamp, value: undefined }
  if (!isWeaker(value, before.value)) return { stamp: before.stamp, value }
  // The clock that stamps are drawn from may lag a little behind the one that found compliance to be over.
  const isStillBound = before.value?.mode === 'COMPLIANCE' && before.value.until > timeOf(stamp)
  return { stamp: isStillBound ? stampAt(before.value.until, stamp) : stamp, value }
}

const stampAt = (milliseconds: number, stamp: Stamp): Stamp => BigInt(milliseconds) * 1_000_000n + (stamp % 1000n)

/**
 * Of two of one version, the one that stands: the later, unless the earlier is compliance that the later would loosen before its
 * end; of equal stamps the stronger. A total order: no three of them beat each other in a ring.
 */
export function strongerRetention(ours: Kept | undefined, theirs: Kept | undefined): Kept | undefined {
  if (ours === undefined || theirs === undefined) return ours ?? theirs
  if (ours.stamp === theirs.stamp) return isWeaker(ours.value, theirs.value) ? theirs : ours
  const [early, late] = ours.stamp < theirs.stamp ? [ours, theirs] : [theirs, ours]
  const isBound = early.value?.mode === 'COMPLIANCE' && early.value.until > timeOf(late.stamp)
  return isBound && isWeaker(late.value, early.value) ? early : late
}
