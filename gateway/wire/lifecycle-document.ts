import { createHash } from 'node:crypto'
import { all, malformed, optionalBoolean, optionalChild, optionalText, text, type XmlNode } from '#gateway/xml/parse.ts'
import { el, type Xml } from '#gateway/xml/render.ts'
import {
  dayMilliseconds,
  type Filter,
  type LifecycleRule,
  type Moment,
  type Noncurrent,
  type Transition,
  transitionClasses,
} from '#src/model/lifecycle.ts'
import { objectTagsMax } from '#src/model/tags.ts'
import { formatIsoDate, parseIsoDate } from './http-date.ts'
import { checkLifecycleRules, invalid } from './lifecycle-checks.ts'
import { readTagSet } from './tagging-document.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html */
const rulesMax = 1000
const sizeMost = Number.MAX_SAFE_INTEGER
const daysMost = 2 ** 31 - 1

/** `tiers`: storage classes at other endpoints, which rules may lead to as well. */
export function parseLifecycle(document: XmlNode, tiers: ReadonlySet<string>): readonly LifecycleRule[] {
  const nodes = all(document, 'Rule')
  if (nodes.length === 0 || nodes.length > rulesMax) throw malformed()
  const rules = nodes.map(readRule)
  checkClasses(rules, tiers)
  checkLifecycleRules(rules)
  return rules
}

function checkClasses(rules: readonly LifecycleRule[], tiers: ReadonlySet<string>): void {
  for (const { transitions = [], noncurrentTransitions = [] } of rules) {
    for (const { storageClass } of [...transitions, ...noncurrentTransitions]) {
      // Whether this node lets rules lead back to STANDARD is for the operation to say.
      const isKnown = storageClass === 'STANDARD' || transitionClasses.has(storageClass) || tiers.has(storageClass)
      if (!isKnown) throw malformed()
    }
  }
}

function readRule(node: XmlNode, index: number): LifecycleRule {
  const status = text(node, 'Status')
  if (status !== 'Enabled' && status !== 'Disabled') throw malformed()
  const prefix = optionalText(node, 'Prefix')
  const filter = optionalChild(node, 'Filter')
  if ((prefix === undefined) === (filter === undefined)) throw malformed()
  const rule = {
    isEnabled: status === 'Enabled',
    ...(prefix !== undefined && { prefix }),
    ...(filter !== undefined && { filter: readWholeFilter(filter) }),
    ...readActions(node),
  }
  return { id: optionalText(node, 'ID') || nameOf(rule, index), ...rule }
}

/** A rule without a name gets one; the same document gets the same ones. */
const nameOf = (rule: object, index: number): string =>
  createHash('sha256')
    .update(`${index} ${JSON.stringify(rule)}`)
    .digest('base64url')

function readActions(node: XmlNode): Omit<LifecycleRule, 'id' | 'isEnabled' | 'prefix' | 'filter'> {
  const expiration = optionalChild(node, 'Expiration')
  const transitions = all(node, 'Transition').map(readTransition)
  const noncurrent = optionalChild(node, 'NoncurrentVersionExpiration')
  const noncurrentTransitions = all(node, 'NoncurrentVersionTransition').map((each) => ({
    ...readNoncurrent(each, 0),
    storageClass: text(each, 'StorageClass'),
  }))
  const abort = optionalChild(node, 'AbortIncompleteMultipartUpload')
  return {
    ...(expiration !== undefined && { expiration: readExpiration(expiration) }),
    ...(transitions.length > 0 && { transitions }),
    ...(noncurrent !== undefined && { noncurrentExpiration: readNoncurrent(noncurrent, 1) }),
    ...(noncurrentTransitions.length > 0 && { noncurrentTransitions }),
    ...(abort !== undefined && { abortDays: readDays(abort, 'DaysAfterInitiation', 1) }),
  }
}

/**
 * S3 wants one of these, or `And` around several. Clients of other stores send several without it: then all of them must hold,
 * which never takes more than any of them alone.
 */
function readWholeFilter(node: XmlNode): NonNullable<LifecycleRule['filter']> {
  const and = optionalChild(node, 'And')
  if (and === undefined) return readFilter(node)
  const both = readFilter(and)
  // An `And` around nothing would take everything.
  if (Object.keys(both).length === 0) throw malformed()
  return { ...readFilter(node), and: both }
}

function readFilter(node: XmlNode): Filter {
  const prefix = optionalText(node, 'Prefix')
  const tags = [...readTagSet(node, objectTagsMax)]
  const sizeAbove = readSize(node, 'ObjectSizeGreaterThan')
  const sizeBelow = readSize(node, 'ObjectSizeLessThan')
  return {
    ...(prefix !== undefined && { prefix }),
    ...(tags.length > 0 && { tags }),
    ...(sizeAbove !== undefined && { sizeAbove }),
    ...(sizeBelow !== undefined && { sizeBelow }),
  }
}

function readExpiration(node: XmlNode): NonNullable<LifecycleRule['expiration']> {
  const marker = optionalBoolean(node, 'ExpiredObjectDeleteMarker')
  if (marker === undefined) return readMoment(node, 'Expiration', 1)
  if (!marker || optionalChild(node, 'Days') !== undefined || optionalChild(node, 'Date') !== undefined) {
    throw malformed()
  }
  return { kind: 'marker' }
}

const readTransition = (node: XmlNode): Transition => ({
  when: readMoment(node, 'Transition', 0),
  storageClass: text(node, 'StorageClass'),
})

function readNoncurrent(node: XmlNode, daysMin: number): Noncurrent {
  const days = readDays(node, 'NoncurrentDays', daysMin)
  const written = optionalText(node, 'NewerNoncurrentVersions')
  if (written === undefined) return { days }
  const newer = readNumber(written)
  if (newer < 1 || newer > 100) throw invalid("'NewerNoncurrentVersions' must be from 1 to 100")
  return { days, newer }
}

function readMoment(node: XmlNode, action: string, daysMin: number): Moment {
  const date = optionalText(node, 'Date')
  const hasDays = optionalChild(node, 'Days') !== undefined
  if ((date === undefined) !== hasDays) throw malformed()
  return date === undefined
    ? { kind: 'days', days: readDays(node, 'Days', daysMin, action) }
    : { kind: 'date', date: readDate(date.trim()) }
}

function readDays(node: XmlNode, name: string, min: number, action = node.name): number {
  const days = readNumber(text(node, name))
  if (days >= min && days <= daysMost) return days
  throw invalid(`'${name}' for ${action} action must be a ${min === 0 ? 'nonnegative' : 'positive'} integer`)
}

function readNumber(written: string): number {
  if (!/^-?\d{1,15}$/.test(written.trim())) throw malformed()
  return Number(written)
}

function readSize(node: XmlNode, name: string): number | undefined {
  const written = optionalText(node, name)
  if (written === undefined) return undefined
  const size = readNumber(written)
  if (size < 0 || size > sizeMost) throw invalid(`'${name}' must be a nonnegative integer`)
  return size
}

function readDate(written: string): number {
  const date = parseIsoDate(/^\d{4}-\d{2}-\d{2}$/.test(written) ? `${written}T00:00:00Z` : written)
  if (date === undefined) throw malformed()
  if (date % dayMilliseconds !== 0) throw invalid("'Date' must be at midnight GMT")
  return date
}

export const lifecycleElement = (rules: readonly LifecycleRule[]): Xml =>
  el('LifecycleConfiguration', ...rules.map(ruleElement))

function ruleElement(rule: LifecycleRule): Xml {
  const { id, isEnabled, prefix, filter, expiration, transitions, abortDays } = rule
  const { noncurrentExpiration, noncurrentTransitions } = rule
  return el(
    'Rule',
    ...optional('ID', id),
    ...optional('Prefix', prefix),
    filter === undefined ? undefined : el('Filter', ...filterElements(filter), ...andElement(filter.and)),
    el('Status', isEnabled ? 'Enabled' : 'Disabled'),
    expiration === undefined ? undefined : el('Expiration', expirationElement(expiration)),
    ...(transitions ?? []).map(({ when, storageClass }) =>
      el('Transition', momentElement(when), el('StorageClass', storageClass)),
    ),
    noncurrentExpiration === undefined
      ? undefined
      : el('NoncurrentVersionExpiration', ...noncurrentElements(noncurrentExpiration)),
    ...(noncurrentTransitions ?? []).map(({ storageClass, ...each }) =>
      el('NoncurrentVersionTransition', ...noncurrentElements(each), el('StorageClass', storageClass)),
    ),
    abortDays === undefined ? undefined : el('AbortIncompleteMultipartUpload', el('DaysAfterInitiation', abortDays)),
  )
}

const optional = (name: string, value: string | number | undefined): readonly Xml[] =>
  value === undefined ? [] : [el(name, value)]

const filterElements = ({ prefix, tags, sizeAbove, sizeBelow }: Filter): readonly Xml[] => [
  ...optional('Prefix', prefix),
  ...(tags ?? []).map(([key, value]) => el('Tag', el('Key', key), el('Value', value))),
  ...optional('ObjectSizeGreaterThan', sizeAbove),
  ...optional('ObjectSizeLessThan', sizeBelow),
]

const andElement = (and: Filter | undefined): readonly Xml[] =>
  and === undefined ? [] : [el('And', ...filterElements(and))]

const momentElement = (when: Moment): Xml =>
  when.kind === 'days' ? el('Days', when.days) : el('Date', formatIsoDate(when.date))

const expirationElement = (expiration: NonNullable<LifecycleRule['expiration']>): Xml =>
  expiration.kind === 'marker' ? el('ExpiredObjectDeleteMarker', true) : momentElement(expiration)

const noncurrentElements = ({ days, newer }: Noncurrent): readonly Xml[] => [
  el('NoncurrentDays', days),
  ...optional('NewerNoncurrentVersions', newer),
]
