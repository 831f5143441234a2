import { Fault } from '#src/errors.ts'
import type { Bucket } from './bucket.ts'
import type { Publisher } from './topic-policy.ts'

/**
 * What a bucket tells of, and to whom. https://docs.aws.amazon.com/AmazonS3/latest/userguide/EventNotifications.html
 *
 * H1  a rule meets exactly the events that it names, itself or by its group, of keys that begin and end as its filter says.
 * H2  no event of a key meets two rules: configurations that would let one are refused.
 */
export interface NotificationRule {
  readonly id: string
  /** How the document calls the destination; all of them name topics here. */
  readonly kind: 'topic' | 'queue' | 'function'
  /** ARN of a topic. */
  readonly topic: string
  /** As S3 names them, groups by `*`: `s3:ObjectCreated:*`. */
  readonly events: readonly string[]
  /** As they were written: an empty filter is told as one. */
  readonly filter?: readonly { readonly name: 'prefix' | 'suffix'; readonly value: string }[]
  /** Who put it; once it is put. */
  readonly publisher?: Publisher
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-event-types-and-destinations.html */
const groups: Readonly<Record<string, readonly string[]>> = {
  ObjectCreated: ['Put', 'Post', 'Copy', 'CompleteMultipartUpload'],
  ObjectRemoved: ['Delete', 'DeleteMarkerCreated'],
  ObjectRestore: ['Post', 'Completed', 'Delete'],
  Replication: [
    'OperationFailedReplication',
    'OperationMissedThreshold',
    'OperationReplicatedAfterThreshold',
    'OperationNotTracked',
  ],
  LifecycleExpiration: ['Delete', 'DeleteMarkerCreated'],
  ObjectTagging: ['Put', 'Delete'],
}
/** Events of no group. */
const singles = ['ReducedRedundancyLostObject', 'LifecycleTransition', 'IntelligentTiering', 'ObjectAcl:Put']

/** What happens to objects here; as the record of an event has it, without `s3:`. */
export type EventName =
  | 'Replication:OperationFailedReplication'
  | `ObjectRestore:${'Post' | 'Completed' | 'Delete'}`
  | `ObjectCreated:${'Put' | 'Post' | 'Copy' | 'CompleteMultipartUpload'}`
  | `${'ObjectRemoved' | 'LifecycleExpiration'}:${'Delete' | 'DeleteMarkerCreated'}`
  | `ObjectTagging:${'Put' | 'Delete'}`
  | 'ObjectAcl:Put'
  | 'LifecycleTransition'

const namesByEvent: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ...Object.entries(groups).flatMap(([group, events]) => [
    [`s3:${group}:*`, events.map((event) => `s3:${group}:${event}`)] as const,
    ...events.map((event) => [`s3:${group}:${event}`, [`s3:${group}:${event}`]] as const),
  ]),
  ...singles.map((event) => [`s3:${event}`, [`s3:${event}`]] as const),
])

export const isEventName = (name: string): boolean => namesByEvent.has(name)

/** All events that a rule meets. */
const metBy = ({ events }: NotificationRule): readonly string[] =>
  events.flatMap((event) => namesByEvent.get(event) ?? [])

const filterValue = ({ filter = [] }: NotificationRule, name: 'prefix' | 'suffix'): string =>
  filter.find((each) => each.name === name)?.value ?? ''

export const rulesFor = (rules: readonly NotificationRule[], event: EventName, key: string): NotificationRule[] =>
  rules.filter((rule) => {
    const [group] = event.split(':', 1)
    const isMet = rule.events.some((each) => each === `s3:${event}` || each === `s3:${group}:*`)
    return isMet && key.startsWith(filterValue(rule, 'prefix')) && key.endsWith(filterValue(rule, 'suffix'))
  })

const rulesMax = 100
const idLengthMax = 255

const invalid = (message: string): Fault => new Fault('InvalidArgument', { message })

/** What S3 refuses of a configuration as a whole (H2). */
export function checkNotificationRules(rules: readonly NotificationRule[]): void {
  if (rules.length > rulesMax) throw invalid(`A bucket has at most ${rulesMax} notification configurations.`)
  if (new Set(rules.map(({ id }) => id)).size < rules.length) {
    throw invalid('Same ID used for multiple configurations. IDs must be unique')
  }
  for (const { id } of rules) if (id.length > idLengthMax) throw invalid('The ID is too long.')
  for (const [at, rule] of rules.entries()) {
    const met = new Set(metBy(rule))
    if (met.size < metBy(rule).length) throw overlapping()
    for (const other of rules.slice(at + 1)) if (overlap(rule, met, other)) throw overlapping()
  }
}

const overlapping = (): Fault =>
  invalid(
    'Configurations overlap. Configurations on the same bucket cannot share a common event type with overlapping prefixes and suffixes.',
  )

/** Whether there is a key, and an event of it, that both meet. */
function overlap(one: NotificationRule, met: ReadonlySet<string>, other: NotificationRule): boolean {
  const [prefix, suffix] = [filterValue(one, 'prefix'), filterValue(one, 'suffix')]
  const [otherPrefix, otherSuffix] = [filterValue(other, 'prefix'), filterValue(other, 'suffix')]
  return (
    (prefix.startsWith(otherPrefix) || otherPrefix.startsWith(prefix)) &&
    (suffix.endsWith(otherSuffix) || otherSuffix.endsWith(suffix)) &&
    metBy(other).some((event) => met.has(event))
  )
}

/** Among a bucket's documents. */
const document = 'notification'
const parsed = new WeakMap<Bucket['documents'], readonly NotificationRule[]>()
const none: readonly NotificationRule[] = []

/** Parsed once for each state of the bucket: every write asks. */
export function notificationsOf({ documents }: Pick<Bucket, 'documents'>): readonly NotificationRule[] {
  const kept = documents[document]
  if (kept === undefined) return none
  const known = parsed.get(documents)
  if (known !== undefined) return known
  const rules = JSON.parse(kept) as readonly NotificationRule[]
  parsed.set(documents, rules)
  return rules
}

export function withNotifications(bucket: Bucket, rules: readonly NotificationRule[]): Bucket {
  const { [document]: _before, ...others } = bucket.documents
  return { ...bucket, documents: rules.length === 0 ? others : { ...others, [document]: JSON.stringify(rules) } }
}
