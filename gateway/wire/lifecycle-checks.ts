import { Fault } from '#src/errors.ts'
import type { Filter, LifecycleRule, Moment } from '#src/model/lifecycle.ts'

/** What S3 refuses although the document is well-formed, in its words. */

const idLengthMax = 255
const prefixBytesMax = 1024
/** Classes for what is seldom read take nothing that is younger. */
const daysInStandard = 30
const infrequent: ReadonlySet<string> = new Set(['STANDARD_IA', 'ONEZONE_IA'])

export const invalid = (message: string): Fault => new Fault('InvalidArgument', { message })
const refused = (message: string): Fault => new Fault('InvalidRequest', { message })

export function checkLifecycleRules(rules: readonly LifecycleRule[]): void {
  const ids = new Set<string>()
  for (const rule of rules) {
    if (rule.id.length > idLengthMax) throw invalid(`ID length should not exceed allowed limit of ${idLengthMax}`)
    if (ids.has(rule.id)) throw invalid('Rule ID must be unique. Found same ID for more than one rule')
    ids.add(rule.id)
    checkFilter(rule)
    checkActions(rule)
    checkTransitions(rule)
  }
}

function partsOf({ prefix, filter }: LifecycleRule): readonly Filter[] {
  return [prefix === undefined ? {} : { prefix }, filter ?? {}, filter?.and ?? {}]
}

function checkFilter(rule: LifecycleRule): void {
  for (const { prefix, sizeAbove, sizeBelow } of partsOf(rule)) {
    if (prefix !== undefined && Buffer.byteLength(prefix) > prefixBytesMax) {
      throw refused(`The maximum size of a prefix is ${prefixBytesMax}.`)
    }
    if (sizeAbove !== undefined && sizeBelow !== undefined && sizeBelow <= sizeAbove) {
      throw refused("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")
    }
  }
}

function checkActions(rule: LifecycleRule): void {
  const { expiration, transitions, noncurrentExpiration, noncurrentTransitions, abortDays } = rule
  const actions = [expiration, transitions, noncurrentExpiration, noncurrentTransitions, abortDays]
  if (actions.every((each) => each === undefined)) {
    throw refused('At least one action needs to be specified in a rule.')
  }
  const hasTags = partsOf(rule).some(({ tags }) => tags !== undefined)
  const hasSizes = partsOf(rule).some(({ sizeAbove, sizeBelow }) => sizeAbove !== undefined || sizeBelow !== undefined)
  // Neither uploads nor delete markers have either: the rule would promise what never happens.
  for (const [name, action] of [
    ['AbortIncompleteMultipartUpload', abortDays],
    ['ExpiredObjectDeleteMarker', expiration?.kind === 'marker' ? true : undefined],
  ] as const) {
    if (action === undefined) continue
    if (hasTags) throw refused(`${name} cannot be specified with Tags.`)
    if (hasSizes) throw refused(`${name} cannot be specified with Object Size.`)
  }
}

function checkTransitions(rule: LifecycleRule): void {
  const { expiration, transitions = [], noncurrentExpiration, noncurrentTransitions = [] } = rule
  const moments: readonly Moment[] = [
    ...transitions.map(({ when }) => when),
    ...(expiration === undefined || expiration.kind === 'marker' ? [] : [expiration]),
  ]
  if (new Set(moments.map(({ kind }) => kind)).size > 1) {
    throw refused("Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule.")
  }
  const current = transitions.map(({ when, storageClass }) => ({ after: amount(when), kind: when.kind, storageClass }))
  const noncurrent = noncurrentTransitions.map(({ days, storageClass }) => ({
    after: days,
    kind: 'days' as const,
    storageClass,
  }))
  for (const [name, steps] of [
    ['Days', current],
    ['NoncurrentDays', noncurrent],
  ] as const) {
    if (new Set(steps.map(({ storageClass }) => storageClass)).size < steps.length) {
      throw refused('Found two transitions of one rule to the same storage class.')
    }
    for (const { after, kind, storageClass } of steps) {
      if (kind === 'date' || after >= daysInStandard || !infrequent.has(storageClass)) continue
      throw invalid(
        `'${name}' in Transition action must be greater than or equal to ${daysInStandard} for storageClass '${storageClass}'`,
      )
    }
  }
  const last = expiration === undefined || expiration.kind === 'marker' ? undefined : amount(expiration)
  checkOrder('Expiration', last, current)
  checkOrder('NoncurrentVersionExpiration', noncurrentExpiration?.days, noncurrent)
}

const amount = (when: Moment): number => (when.kind === 'days' ? when.days : when.date)

function checkOrder(name: string, last: number | undefined, steps: readonly { readonly after: number }[]): void {
  if (last === undefined || steps.every(({ after }) => after < last)) return
  throw invalid(`The time of the ${name} action must be greater than that of each of its transitions.`)
}
