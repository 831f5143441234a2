import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { decodePublished, readPublished } from '#src/metadata/notification-records.ts'
import { type Lifecycle, withLifecycle } from '#src/model/lifecycle.ts'
import { withNotifications } from '#src/model/notification.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import type { Store } from '#src/store/store.ts'
import { acl, attributes, body, openCell, owner, stoppedWorld } from './cell.ts'

/** What of a change lies in the outbox, before anybody looks at it. */

const day = 50
const guard = () => {}

interface Told {
  readonly eventName: string
  readonly userIdentity: { readonly principalId: string }
  readonly s3: { readonly object: { readonly key: string; readonly versionId?: string } }
}

async function open(isTelling: boolean, versioning: 'off' | 'enabled' | 'suspended' = 'off') {
  const { clock, world } = stoppedWorld(1_000_000)
  const cell = await openCell(world)
  after(() => cell.close())
  const bucket = 'box'
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  const events = ['s3:ObjectCreated:*', 's3:ObjectRemoved:*', 's3:LifecycleExpiration:*', 's3:LifecycleTransition']
  const rule = { id: 'all', kind: 'topic', topic: 'arn:aws:sns:fra:me:topic', events } as const
  await cell.buckets.update(bucket, (before) => withNotifications({ ...before, versioning }, isTelling ? [rule] : []))
  const put = async (key: string, bytes = 'x') =>
    await cell.objects.put({
      name: { bucket, key },
      attributes,
      body: body(Buffer.from(bytes)),
      digests: {},
      conditions: {},
      guard,
    })
  const outbox = async () =>
    (await cell.store.snapshot((snapshot) => readPublished(snapshot, 100))).map(({ value }) => {
      const { message } = decodePublished(value)
      const [record] = (JSON.parse(message.text) as { Records: readonly [Told] }).Records
      return record
    })
  const shown = async () => (await outbox()).map(({ eventName, s3: { object } }) => `${eventName} ${object.key}`)
  const rules = async (...given: Lifecycle['rules']) => {
    const lifecycle: Lifecycle = { rules: given, transitionMinimum: 'varies_by_storage_class' }
    await cell.buckets.update(bucket, (before) => withLifecycle(before, lifecycle))
    clock.now += 3 * day
    const failed = (error: unknown) => assert.fail(String(error))
    const worker = new LifecycleWorker(cell.foundation, { dayMilliseconds: day, report: () => {}, failed })
    await worker.pass(new AbortController().signal)
  }
  return { ...cell, bucket, put, outbox, shown, rules }
}

test('H7: what rules of the bucket do is told as theirs, by the store itself', async () => {
  for (const versioning of ['off', 'enabled', 'suspended'] as const) {
    const { put, outbox, shown, rules } = await open(true, versioning)
    await put('old')
    await put('cold')
    await rules(
      { id: 'expire', isEnabled: true, filter: { prefix: 'old' }, expiration: { kind: 'days', days: 1 } },
      {
        id: 'move',
        isEnabled: true,
        filter: { prefix: 'cold' },
        transitions: [{ when: { kind: 'days', days: 1 }, storageClass: 'GLACIER' }],
      },
    )
    const how = versioning === 'off' ? 'Delete' : 'DeleteMarkerCreated'
    assert.deepEqual((await shown()).toSorted(), [
      `LifecycleExpiration:${how} old`,
      'LifecycleTransition cold',
      'ObjectCreated:Put cold',
      'ObjectCreated:Put old',
    ])
    const own = (await outbox()).filter(({ eventName }) => eventName.startsWith('Lifecycle'))
    assert.deepEqual([...new Set(own.map(({ userIdentity }) => userIdentity.principalId))], ['s3.amazonaws.com'])
  }
})

test('H7: a rename is told as what was made and what is gone', async () => {
  for (const versioning of ['off', 'enabled', 'suspended'] as const) {
    const { put, objects, bucket, shown } = await open(true, versioning)
    await put('from')
    await objects.rename({
      source: { bucket, key: 'from' },
      target: { bucket, key: 'to' },
      conditions: {},
      sourceConditions: {},
      guard,
      sourceGuard: guard,
    })
    const how = versioning === 'off' ? 'Delete' : 'DeleteMarkerCreated'
    assert.deepEqual(await shown(), ['ObjectCreated:Put from', 'ObjectCreated:Copy to', `ObjectRemoved:${how} from`])
  }
})

test('H7: what a refused or repeated request did not do is not in the outbox', async () => {
  const { put, objects, bucket, shown } = await open(true)
  await put('key')
  const name = { bucket, key: 'key' }
  const refused = () => {
    throw new Error('refused')
  }
  const gone = { name, conditions: {}, bypassGovernance: false, caller: owner }
  await assert.rejects(objects.delete({ ...gone, guard: refused }))
  await assert.rejects(
    objects.delete({ ...gone, guard, conditions: { ifMatch: ['other'] } } as Parameters<typeof objects.delete>[0]),
  )
  await objects.delete({ ...gone, guard })
  await objects.delete({ ...gone, guard })
  assert.deepEqual(await shown(), ['ObjectCreated:Put key', 'ObjectRemoved:Delete key'])
})

/** How often a store is read and written, by whatever transaction. */
function counting(store: Store) {
  const counts = { reads: 0, writes: 0 }
  const transact = store.transact.bind(store)
  store.transact = async (work) =>
    await transact(async (transaction) => {
      const counted = new Proxy(transaction, {
        get(target, name) {
          if (name === 'get' || name === 'range') counts.reads++
          if (name === 'set' || name === 'append' || name === 'setStamped' || name === 'clear') counts.writes++
          const value: unknown = Reflect.get(target, name, target)
          return typeof value === 'function' ? value.bind(target) : value
        },
      })
      return await work(counted)
    })
  return counts
}

test('H7: a bucket that tells nothing is not read or written once more; one that tells, written once and read not at all', async () => {
  const told: Record<string, { reads: number; writes: number }> = {}
  for (const isTelling of [true, false]) {
    const { put, store, objects, bucket } = await open(isTelling)
    const counts = counting(store)
    await put('key')
    await objects.delete({
      name: { bucket, key: 'key' },
      guard,
      conditions: {},
      bypassGovernance: false,
      caller: owner,
    })
    told[String(isTelling)] = counts
  }
  const { true: telling, false: silent } = told
  assert.ok(silent !== undefined && telling !== undefined && silent.reads > 0 && silent.writes > 0)
  assert.deepEqual(telling, { reads: silent.reads, writes: silent.writes + 2 })
})
