import { Fault } from '#src/errors.ts'
import type { Retention, Version } from './version.ts'

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
