import type { Bucket } from './bucket.ts'
import type { Encryption } from './encryption.ts'
import type { ObjectVersion, Tags } from './version.ts'

/**
 * What a bucket copies to others by itself. https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html
 *
 * Q3  a version is copied to each bucket that a rule which meets it names, as the rule of the highest priority says.
 */
export interface ReplicationFilter {
  readonly prefix?: string
  readonly tags?: readonly (readonly [key: string, value: string])[]
}

export interface ReplicationDestination {
  /** Its name. */
  readonly bucket: string
  /** Absent: as that of the source. */
  readonly storageClass?: string
  readonly account?: string
  /** Whether replicas are the destination's owner's. */
  readonly isOwned?: boolean
  /** Of replicas of objects that a KMS's key encrypts. */
  readonly keyId?: string
  /** Told as they were put; every replica is made as soon as it can be, and none is measured. */
  readonly timeMinutes?: number
  readonly metrics?: { readonly isEnabled: boolean; readonly minutes?: number }
}

export interface ReplicationRule {
  readonly id: string
  readonly isEnabled: boolean
  /** Of rules in the old form there is none. */
  readonly priority?: number
  /** The old form: beside the destination, not in a filter. */
  readonly prefix?: string
  readonly filter?: ReplicationFilter & { readonly and?: ReplicationFilter }
  readonly destination: ReplicationDestination
  /** As written; a rule in the old form copies them. */
  readonly deleteMarkers?: boolean
  /** As written: whether objects that a KMS's key encrypts are copied. */
  readonly managedKeys?: boolean
}

export interface Replication {
  /** ARN, as it was put. */
  readonly role: string
  readonly rules: readonly ReplicationRule[]
}

/** Among a bucket's documents. */
const document = 'replication'
const parsed = new WeakMap<Bucket['documents'], Replication>()

/** Parsed once for each state of the bucket: every write asks. */
export function replicationOf({ documents }: Pick<Bucket, 'documents'>): Replication | undefined {
  const kept = documents[document]
  if (kept === undefined) return undefined
  const known = parsed.get(documents)
  if (known !== undefined) return known
  const replication = JSON.parse(kept) as Replication
  parsed.set(documents, replication)
  return replication
}

export function withReplication(bucket: Bucket, replication: Replication | undefined): Bucket {
  const { [document]: _before, ...others } = bucket.documents
  return {
    ...bucket,
    documents: replication === undefined ? others : { ...others, [document]: JSON.stringify(replication) },
  }
}

function meets({ prefix, tags }: ReplicationFilter, key: string, found: Tags | undefined): boolean {
  if (prefix !== undefined && !key.startsWith(prefix)) return false
  return (tags ?? []).every(([name, value]) => found?.get(name) === value)
}

const applies = ({ isEnabled, prefix, filter }: ReplicationRule, key: string, tags: Tags | undefined): boolean =>
  isEnabled &&
  meets({ ...(prefix !== undefined && { prefix }) }, key, tags) &&
  meets(filter ?? {}, key, tags) &&
  meets(filter?.and ?? {}, key, tags)

/** Of each destination that a version goes to, the rule that says how (Q3). */
export function rulesOfObject(
  { rules }: Replication,
  key: string,
  { tags, encryption }: Pick<ObjectVersion, 'tags' | 'encryption'>,
): readonly ReplicationRule[] {
  return best(rules.filter((rule) => applies(rule, key, tags?.value) && takes(rule, encryption)))
}

const takes = ({ managedKeys }: ReplicationRule, encryption: Encryption | undefined): boolean =>
  encryption?.kind !== 'SSE-KMS' || managedKeys === true

/** As `rulesOfObject`, of a delete marker, which has no tags. */
export const rulesOfMarker = ({ rules }: Replication, key: string): readonly ReplicationRule[] =>
  best(rules.filter((rule) => copiesMarkers(rule) && applies(rule, key, undefined)))

const copiesMarkers = ({ deleteMarkers, filter }: ReplicationRule): boolean => deleteMarkers ?? filter === undefined

function best(rules: readonly ReplicationRule[]): readonly ReplicationRule[] {
  const found = new Map<string, ReplicationRule>()
  for (const rule of rules) {
    const { bucket } = rule.destination
    const before = found.get(bucket)
    if (before === undefined || (rule.priority ?? 0) > (before.priority ?? 0)) found.set(bucket, rule)
  }
  return [...found.values()]
}
