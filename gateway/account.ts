import type { Bucket } from '#src/model/bucket.ts'
import type { ObjectVersion } from '#src/model/version.ts'
import type { AccessRequest } from '#src/service/access.ts'
import { isRecorded, type Notes, type Recorded } from './access-log.ts'
import type { Address } from './address.ts'
import type { Incoming } from './incoming.ts'

/** Says whether it was an ACL that let somebody in. */
interface Acls {
  isByAcl?(request: AccessRequest, bucket: Bucket, version: ObjectVersion | undefined): boolean
}

interface Answered {
  readonly notes: Notes
  readonly incoming: Incoming
  readonly address: Address
  readonly bucket: Bucket | undefined
  /** Whether another region carried it out, and tells of it, or was to. */
  readonly elsewhere: 'no' | 'answered' | 'failed'
}

export interface Account {
  /** That it was about, where there is one. */
  readonly bucket?: Bucket
  /** Whether another region carried it out. */
  readonly isElsewhere: boolean
  /** Where requests to the bucket, or to the one that a copy reads, are logged. */
  readonly recorded?: readonly Recorded[]
}

/** Whose request it was, and where it is to be told. */
export function accountOf(acls: Acls, answered: Answered): Account {
  const { notes, address, bucket, elsewhere } = answered
  const isElsewhere = elsewhere !== 'no' || (notes.match === undefined && address.isWebsite !== true)
  const told = bucket === undefined ? { isElsewhere } : { isElsewhere, bucket }
  if (elsewhere === 'answered' || (!isRecorded(bucket) && !isRecorded(notes.source?.bucket))) return told
  const recorded = recordedOf(acls, answered)
  return recorded.length > 0 ? { ...told, recorded } : told
}

/** What is to be recorded of a request, if its bucket, or the source of a copy, is logged. */
function recordedOf(acls: Acls, { notes, incoming, address, bucket }: Answered): readonly Recorded[] {
  const { asked, version, source } = notes
  const recorded: Recorded[] = []
  if (source !== undefined && isRecorded(source.bucket)) {
    const ofSource = { key: source.key, size: source.version?.size }
    recorded.push({ notes, bucket: source.bucket, incoming, address, isByAcl: false, ofSource })
  }
  if (isRecorded(bucket)) {
    const isByAcl = asked !== undefined && asked.action !== 'each' && acls.isByAcl?.(asked, bucket, version) === true
    recorded.push({ notes, bucket, incoming, address, isByAcl })
  }
  return recorded
}
