import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import {
  checkNotificationRules,
  type EventName,
  isEventName,
  type NotificationRule,
  notificationsOf,
  rulesFor,
  withNotifications,
} from './notification.ts'

const told: readonly EventName[] = [
  'ObjectCreated:Put',
  'ObjectCreated:Post',
  'ObjectCreated:Copy',
  'ObjectCreated:CompleteMultipartUpload',
  'ObjectRemoved:Delete',
  'ObjectRemoved:DeleteMarkerCreated',
  'LifecycleExpiration:Delete',
  'LifecycleExpiration:DeleteMarkerCreated',
  'LifecycleTransition',
  'ObjectTagging:Put',
  'ObjectTagging:Delete',
  'ObjectAcl:Put',
]
const written = [
  ...told.map((event) => `s3:${event}`),
  's3:ObjectCreated:*',
  's3:ObjectRemoved:*',
  's3:LifecycleExpiration:*',
  's3:ObjectTagging:*',
]

test('H1: every event that is told can be asked for, by itself or by its group, and no other name can', () => {
  for (const event of written) assert.ok(isEventName(event), event)
  for (const bad of [
    's3:*',
    '*',
    's3:ObjectCreated',
    'ObjectCreated:Put',
    's3:ObjectCreated:put',
    's3:ObjectAcl:*',
    's3:LifecycleTransition:*',
    's3:TestEvent',
    '',
  ]) {
    assert.equal(isEventName(bad), false, bad)
  }
})

/** Few letters, so that what begins and ends alike is common. */
const text = fc.string({ unit: fc.constantFrom('a', 'b', '/'), maxLength: 3 })
const key = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 6 })
const rule = (id: string) =>
  fc
    .record({
      events: fc.uniqueArray(fc.constantFrom(...written), { minLength: 1, maxLength: 3 }),
      prefix: fc.option(text, { nil: undefined }),
      suffix: fc.option(text, { nil: undefined }),
    })
    .map(({ events, prefix, suffix }): NotificationRule & { prefix: string; suffix: string } => ({
      id,
      kind: 'topic',
      topic: 'arn:aws:sns:loc:me:topic',
      events,
      filter: [
        ...(prefix === undefined ? [] : [{ name: 'prefix' as const, value: prefix }]),
        ...(suffix === undefined ? [] : [{ name: 'suffix' as const, value: suffix }]),
      ],
      prefix: prefix ?? '',
      suffix: suffix ?? '',
    }))

/** As a reader of the documentation would say it: a pattern with a star at its end. */
const names = (asked: string, event: EventName): boolean =>
  new RegExp(`^${asked.replace('*', '.*')}$`).test(`s3:${event}`)

test('H1: a rule meets what a naive reading of it meets', () => {
  let met = 0
  fc.assert(
    fc.property(rule('one'), fc.constantFrom(...told), key, (one, event, of) => {
      const isNamed = one.events.some((each) => names(each, event))
      const fits =
        of.slice(0, one.prefix.length) === one.prefix &&
        of.slice(Math.max(0, of.length - one.suffix.length)) === one.suffix
      const isMet = isNamed && fits && of.length >= Math.max(one.prefix.length, one.suffix.length)
      if (isMet) met++
      assert.equal(rulesFor([one], event, of).length, isMet ? 1 : 0)
    }),
    { numRuns: 5_000 },
  )
  assert.ok(met > 100, `only ${met} were met`)
})

const isTaken = (rules: readonly NotificationRule[]): boolean => {
  try {
    checkNotificationRules(rules)
    return true
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'InvalidArgument')
    return false
  }
}

test('H2: of rules that are taken, no event of any key meets two', () => {
  let taken = 0
  fc.assert(
    fc.property(
      rule('one'),
      rule('two'),
      rule('three'),
      fc.constantFrom(...told),
      key,
      (one, two, three, event, of) => {
        const rules = [one, two, three]
        if (!isTaken(rules)) return
        taken++
        assert.ok(rulesFor(rules, event, of).length <= 1)
      },
    ),
    { numRuns: 20_000 },
  )
  assert.ok(taken > 300, `only ${taken} were taken`)
})

test('H2: what is refused has a key and an event that would meet two, or one event twice', () => {
  let refused = 0
  fc.assert(
    fc.property(rule('one'), rule('two'), (one, two) => {
      if (isTaken([one, two])) return
      refused++
      const isTwice = [one, two].some(({ events }) =>
        told.some((event) => events.filter((each) => names(each, event)).length > 1),
      )
      // Long enough for both ends not to meet in the middle.
      const longer = (a: string, b: string): string => (a.length > b.length ? a : b)
      const of = `${longer(one.prefix, two.prefix)}-${longer(one.suffix, two.suffix)}`
      assert.ok(isTwice || told.some((event) => rulesFor([one, two], event, of).length === 2))
    }),
    { numRuns: 5_000 },
  )
  assert.ok(refused > 100, `only ${refused} were refused`)
})

test('a bucket keeps its rules among its documents, and loses them with the last', () => {
  const bucket = { documents: { website: 'kept' } } as unknown as Parameters<typeof withNotifications>[0]
  const rules: readonly NotificationRule[] = [
    { id: 'one', kind: 'topic', topic: 'arn', events: ['s3:ObjectCreated:*'] },
  ]
  const telling = withNotifications(bucket, rules)
  assert.deepEqual(notificationsOf(telling), rules)
  assert.equal(notificationsOf(telling), notificationsOf(telling), 'parsed once')
  assert.deepEqual(withNotifications(telling, []).documents, { website: 'kept' })
  assert.deepEqual(notificationsOf(bucket), [])
})
