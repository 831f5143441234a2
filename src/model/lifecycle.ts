import type { Bucket } from './bucket.ts'
import { isLocked } from './retention.ts'
import type { ObjectVersion, Version } from './version.ts'

/**
 * What the rules of a bucket ask for, and when. https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
 *
 * Z1  nothing is due before the days of its rule have passed, rounded up to the next midnight UTC, or before its date.
 * Z2  what a lock protects is never removed.
 * Z3  a transition leads down the waterfall of classes, never up unless the node is set up so, and spares the objects that
 *      are too small for it.
 * Z4  of a version that became noncurrent, the time is that of the version above it; a rule that keeps some newer ones counts
 *      objects only, so that delete markers never use up what it keeps.
 */
export const dayMilliseconds = 86_400_000

/** Since the object was made, or at a date, in milliseconds since the epoch. */
export type Moment = { readonly kind: 'days'; readonly days: number } | { readonly kind: 'date'; readonly date: number }

export interface Filter {
  readonly prefix?: string
  readonly tags?: readonly (readonly [key: string, value: string])[]
  /** In bytes; both bounds are excluded. */
  readonly sizeAbove?: number
  readonly sizeBelow?: number
}

export interface Transition {
  readonly when: Moment
  readonly storageClass: string
}

/** Of versions that are no longer current. */
export interface Noncurrent {
  readonly days: number
  /** So many newer ones are kept whatever their age. */
  readonly newer?: number
}

export interface LifecycleRule {
  readonly id: string
  readonly isEnabled: boolean
  /** The old form: beside the actions, not in a filter. */
  readonly prefix?: string
  readonly filter?: Filter & { readonly and?: Filter }
  /** `marker`: delete markers that hide nothing. */
  readonly expiration?: Moment | { readonly kind: 'marker' }
  readonly transitions?: readonly Transition[]
  readonly noncurrentExpiration?: Noncurrent
  readonly noncurrentTransitions?: readonly (Noncurrent & { readonly storageClass: string })[]
  /** Days after which an upload that was not completed is given up. */
  readonly abortDays?: number
}

/** The sizes below which objects keep their class, where the rule has no bound of its own. */
export const transitionMinimums = ['all_storage_classes_128K', 'varies_by_storage_class'] as const
export type TransitionMinimum = (typeof transitionMinimums)[number]

/** Where transitions may lead: `down` the waterfall, as AWS has it, or to `any` class. */
export type TransitionWay = 'down' | 'any'

export interface Lifecycle {
  readonly rules: readonly LifecycleRule[]
  readonly transitionMinimum: TransitionMinimum
  /** Absent: `down`. */
  readonly way?: TransitionWay
}

/** Among a bucket's documents. */
const document = 'lifecycle'
const parsed = new WeakMap<Bucket['documents'], Lifecycle>()

/** Parsed once for each state of the bucket: every read of an object asks. */
export function lifecycleOf({ documents }: Pick<Bucket, 'documents'>): Lifecycle | undefined {
  const kept = documents[document]
  if (kept === undefined) return undefined
  const known = parsed.get(documents)
  if (known !== undefined) return known
  const lifecycle = JSON.parse(kept) as Lifecycle
  parsed.set(documents, lifecycle)
  return lifecycle
}

/** The document as it is kept: changes exactly when the rules do. */
export const lifecycleText = ({ documents }: Pick<Bucket, 'documents'>): string | undefined => documents[document]

export function withLifecycle(bucket: Bucket, lifecycle: Lifecycle | undefined): Bucket {
  const { [document]: _before, ...others } = bucket.documents
  return {
    ...bucket,
    documents: lifecycle === undefined ? others : { ...others, [document]: JSON.stringify(lifecycle) },
  }
}

/** A version, and its place among those of its key. */
export interface Candidate {
  readonly key: string
  readonly version: Version
  readonly place:
    | { readonly kind: 'current'; readonly isSole: boolean }
    /** `since`: in milliseconds since the epoch; `newer`: noncurrent objects above it. */
    | { readonly kind: 'noncurrent'; readonly since: number; readonly newer: number }
}

/** `expire`: as DELETE without a version would; `remove`: for good. */
export type Due =
  | { readonly kind: 'expire' }
  | { readonly kind: 'remove' }
  | { readonly kind: 'transition'; readonly storageClass: string }

export interface Time {
  readonly now: number
  /** How long a day is. Tests have short ones. */
  readonly day: number
}

const roundUp = (time: number, day: number): number => Math.ceil(time / day) * day

/** When so many days since a time are over (Z1). */
export const endOfDays = (since: number, days: number, day: number): number => roundUp(since + days * day, day)

const dueAt = (when: Moment, since: number, day: number): number =>
  when.kind === 'date' ? when.date : endOfDays(since, when.days, day)

/** A delete marker has neither tags nor a size. */
function meets({ prefix, tags, sizeAbove, sizeBelow }: Filter, key: string, version: Version): boolean {
  if (prefix !== undefined && !key.startsWith(prefix)) return false
  if (version.kind === 'marker') return (tags ?? []).length === 0 && sizeAbove === undefined && sizeBelow === undefined
  if (sizeAbove !== undefined && version.size <= sizeAbove) return false
  if (sizeBelow !== undefined && version.size >= sizeBelow) return false
  return (tags ?? []).every(([name, value]) => version.tags?.value.get(name) === value)
}

/** All that a rule's filter asks for, wherever it is written. */
function applies({ isEnabled, prefix, filter }: LifecycleRule, key: string, version: Version): boolean {
  if (!isEnabled) return false
  if (prefix !== undefined && !key.startsWith(prefix)) return false
  return meets(filter ?? {}, key, version) && meets(filter?.and ?? {}, key, version)
}

/** What is to become of a version now, if anything; deleting goes before a change of class. */
export function dueAction(
  lifecycle: Lifecycle,
  bucket: Pick<Bucket, 'versioning' | 'hasObjectLock'>,
  candidate: Candidate,
  time: Time,
): Due | undefined {
  const { key, version, place } = candidate
  const rules = lifecycle.rules.filter((rule) => applies(rule, key, version))
  if (rules.length === 0) return undefined
  if (place.kind === 'noncurrent') {
    const isOver = rules.some(({ noncurrentExpiration }) => isPast(noncurrentExpiration, place, time))
    if (isOver && !isLocked(version, time.now)) return { kind: 'remove' }
  } else if (version.kind === 'marker') {
    return place.isSole && rules.some((rule) => isMarkerOver(rule, version, time)) ? { kind: 'remove' } : undefined
  } else if (rules.some(({ expiration }) => isObjectOver(expiration, version, time))) {
    // Without versions this is for good; a bucket with locks that has none is nothing that we would touch (Z2).
    if (bucket.versioning === 'enabled' || !bucket.hasObjectLock) return { kind: 'expire' }
  }
  if (version.kind === 'marker') return undefined
  return dueTransition(lifecycle, rules, { ...candidate, version }, time)
}

function isPast(
  noncurrent: Noncurrent | undefined,
  { since, newer }: { readonly since: number; readonly newer: number },
  { now, day }: Time,
): boolean {
  if (noncurrent === undefined || newer < (noncurrent.newer ?? 0)) return false
  return endOfDays(since, noncurrent.days, day) <= now
}

function isObjectOver(expiration: LifecycleRule['expiration'], { modified }: Version, { now, day }: Time): boolean {
  return expiration !== undefined && expiration.kind !== 'marker' && dueAt(expiration, modified, day) <= now
}

/** A rule that expires objects takes the markers along that it leaves behind, in their time. */
const isMarkerOver = ({ expiration }: LifecycleRule, version: Version, time: Time): boolean =>
  expiration?.kind === 'marker' || isObjectOver(expiration, version, time)

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html */
const waterfall: readonly string[] = [
  'STANDARD',
  'REDUCED_REDUNDANCY',
  'STANDARD_IA',
  'INTELLIGENT_TIERING',
  'ONEZONE_IA',
  'GLACIER_IR',
  'GLACIER',
  'DEEP_ARCHIVE',
]

/** What a rule may lead to, beside classes at other endpoints. */
export const transitionClasses: ReadonlySet<string> = new Set(waterfall.slice(2))

/**
 * How far down a class is; transitions only ever lead further down. Classes that S3 does not know are those of other endpoints: below
 * all others.
 */
export function depthOf(storageClass: string): number {
  const depth = waterfall.indexOf(storageClass)
  return depth < 0 ? waterfall.length : depth
}
/** Whether a rule leads where none may on AWS: back to STANDARD. */
export const leadsToStandard = ({ transitions = [], noncurrentTransitions = [] }: LifecycleRule): boolean =>
  [...transitions, ...noncurrentTransitions].some(({ storageClass }) => storageClass === 'STANDARD')

function leadsDown(from: string, to: string): boolean {
  if (from === 'ONEZONE_IA' && to === 'GLACIER_IR') return false
  return depthOf(to) > depthOf(from)
}

const smallBytes = 131_072
const archives: ReadonlySet<string> = new Set(['GLACIER', 'DEEP_ARCHIVE'])
const isArchive = (storageClass: string): boolean => archives.has(storageClass) || isElsewhere(storageClass)

/** Whether a class is that of another endpoint. */
export const isElsewhere = (storageClass: string): boolean => !waterfall.includes(storageClass)

interface Step {
  readonly storageClass: string
  readonly at: number
  /** Whether the rule itself bounds the size, and the default does not count. */
  readonly isBounded: boolean
}

function dueTransition(
  { transitionMinimum, way }: Lifecycle,
  rules: readonly LifecycleRule[],
  { version, place }: Candidate & { readonly version: ObjectVersion },
  { now, day }: Time,
): Due | undefined {
  const isLarge = ({ storageClass, isBounded }: Step) =>
    isBounded ||
    version.size >= smallBytes ||
    storageClass === 'STANDARD' ||
    (transitionMinimum === 'varies_by_storage_class' && isArchive(storageClass))
  const from = version.storageClass
  // Its bytes are not here to be kept otherwise.
  if (isElsewhere(from)) return undefined
  const last = rules
    .flatMap((rule) => stepsOf(rule, version, place, day))
    .filter((step) => step.at <= now && isLarge(step) && (way === 'any' || leadsDown(from, step.storageClass)))
    .sort((one, other) => one.at - other.at || depthOf(one.storageClass) - depthOf(other.storageClass))
    .at(-1)
  if (last === undefined || last.storageClass === from) return undefined
  return { kind: 'transition', storageClass: last.storageClass }
}

function stepsOf(
  rule: LifecycleRule,
  { modified }: ObjectVersion,
  place: Candidate['place'],
  day: number,
): readonly Step[] {
  const bounds = [rule.filter, rule.filter?.and]
  const isBounded = bounds.some((each) => each?.sizeAbove !== undefined || each?.sizeBelow !== undefined)
  if (place.kind === 'current') {
    return (rule.transitions ?? []).map(({ when, storageClass }) => ({
      storageClass,
      at: dueAt(when, modified, day),
      isBounded,
    }))
  }
  return (rule.noncurrentTransitions ?? [])
    .filter(({ newer }) => place.newer >= (newer ?? 0))
    .map(({ days, storageClass }) => ({ storageClass, at: endOfDays(place.since, days, day), isBounded }))
}

/** What is told of something that a rule will take: when, and which. */
export interface Expiry {
  readonly at: number
  readonly ruleId: string
}

const earliest = (all: readonly Expiry[]): Expiry | undefined =>
  all.reduce<Expiry | undefined>((first, each) => (first === undefined || each.at < first.at ? each : first), undefined)

/** When a current object expires. Dates that are told have days of 24 h, whatever `Time.day` is: they are dates. */
export function expiryOf(bucket: Pick<Bucket, 'documents'>, key: string, version: ObjectVersion): Expiry | undefined {
  const lifecycle = lifecycleOf(bucket)
  if (lifecycle === undefined) return undefined
  return earliest(
    lifecycle.rules.flatMap((rule) => {
      const { expiration, id } = rule
      if (expiration === undefined || expiration.kind === 'marker' || !applies(rule, key, version)) return []
      return [{ at: dueAt(expiration, version.modified, dayMilliseconds), ruleId: id }]
    }),
  )
}

/** When an upload is given up. Rules with tags or sizes cannot say it: an upload has neither yet. */
export function abortOf(
  { rules }: Lifecycle,
  { key, initiated }: { readonly key: string; readonly initiated: number },
  day: number,
): Expiry | undefined {
  return earliest(
    rules.flatMap(({ id, isEnabled, abortDays, prefix, filter }) => {
      const prefixes = [prefix, filter?.prefix, filter?.and?.prefix]
      if (!isEnabled || abortDays === undefined || !prefixes.every((each) => key.startsWith(each ?? ''))) return []
      return [{ at: endOfDays(initiated, abortDays, day), ruleId: id }]
    }),
  )
}

const longest = ({ prefix, filter }: LifecycleRule): string =>
  [prefix, filter?.prefix, filter?.and?.prefix].reduce<string>(
    (most, each) => (each !== undefined && each.length > most.length ? each : most),
    '',
  )

/** The prefixes under which all keys lie that a rule may concern, in byte order, none within another. */
export function concernedPrefixes(rules: readonly LifecycleRule[]): readonly string[] {
  const all = [...new Set(rules.filter(({ isEnabled }) => isEnabled).map(longest))]
  return all
    .filter((each) => !all.some((other) => other !== each && each.startsWith(other)))
    .sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
}

/** Whether a rule does anything with versions, and not with uploads alone. */
export const concernsVersions = (rule: LifecycleRule): boolean =>
  rule.expiration !== undefined ||
  rule.transitions !== undefined ||
  rule.noncurrentExpiration !== undefined ||
  rule.noncurrentTransitions !== undefined

/** The most newer versions that any rule counts. */
export const newerMost = ({ rules }: Lifecycle): number =>
  rules.reduce(
    (most, { noncurrentExpiration, noncurrentTransitions }) =>
      [noncurrentExpiration, ...(noncurrentTransitions ?? [])].reduce(
        (each, noncurrent) => Math.max(each, noncurrent?.newer ?? 0),
        most,
      ),
    0,
  )
