import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { readSealed } from '#src/metadata/log-records.ts'
import { type LifecycleRule, withLifecycle } from '#src/model/lifecycle.ts'
import type { Logging } from '#src/model/logging.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import { CellListings } from '#src/service/listings.ts'
import { LogDelivery } from '#src/service/log-delivery.ts'
import { CellLogs } from '#src/service/logs.ts'
import type { StoreFault } from '#src/store/memory/memory-store.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

type Cell = Awaited<ReturnType<typeof openCell>>

const guard = (): void => {}
const plain: Omit<Logging, 'modified'> = {
  target: 'logs',
  prefix: 'p/',
  grants: [],
  keyFormat: { kind: 'simple' },
  type: 'Journal',
  isExtended: true,
  rollSeconds: 60,
}

const policy = JSON.stringify({
  Statement: {
    Effect: 'Allow',
    Principal: { Service: 'logging.s3.amazonaws.com' },
    Action: 's3:PutObject',
    Resource: 'arn:aws:s3:::logs/*',
  },
})

async function makeBuckets(cell: Cell, logging: Omit<Logging, 'modified'> = plain): Promise<void> {
  for (const name of ['source', 'logs']) {
    await cell.buckets.create({ name, owner, acl, location: '', hasObjectLock: false })
  }
  await cell.buckets.update('logs', (bucket) => ({ ...bucket, policy }))
  await cell.logs.configure('source', () => logging)
}

const put = (cell: Cell, key: string) =>
  cell.objects.put({
    name: { bucket: 'source', key },
    body: body(Buffer.from('bytes')),
    attributes,
    digests: {},
    conditions: {},
    guard,
  })

const remove = (cell: Cell, key: string) =>
  cell.objects.delete({
    name: { bucket: 'source', key },
    guard,
    conditions: {},
    bypassGovernance: false,
    caller: owner,
  })

async function keysOf(cell: Cell, bucket: string): Promise<readonly string[]> {
  const listings = new CellListings(cell.foundation)
  const { items } = await listings.objects({ bucket, prefix: '', delimiter: '', limit: 1000, guard })
  return items.map(({ key }) => key)
}

/** The lines of all log objects, in the order of their keys. */
async function linesOf(cell: Cell): Promise<readonly (readonly string[])[]> {
  const lines: string[][] = []
  for (const key of await keysOf(cell, 'logs')) {
    const { bytes } = await cell.objects.get({ name: { bucket: 'logs', key }, guard, conditions: {} })
    const text = (await bytesOf(bytes)).toString()
    for (const line of text.split('\n').slice(0, -1)) lines.push(line.replace(/\[.*?\]/, 'time').split(' '))
  }
  return lines
}

const codeOf = async (doing: Promise<unknown>): Promise<string> =>
  await doing.then(
    () => 'done',
    (error: unknown) => (error instanceof Fault ? error.code : String(error)),
  )

test('H1: a change and its record are there together, whatever commits do; H2: each record once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom<StoreFault | undefined>('conflict', 'unknown_committed', 'unknown_lost', undefined), {
        minLength: 30,
        maxLength: 30,
      }),
      async (faults) => {
        let asked = -1
        const cell = await openCell(realWorld, () => (asked < 0 ? undefined : faults[asked++]))
        try {
          await makeBuckets(cell)
          asked = 0
          const keys = Array.from({ length: 12 }, (_, at) => `key${at}`)
          const flushes = [0, 1, 2].map(() => cell.logs.flush('source', guard).catch(() => undefined))
          await Promise.all([...keys.map((key) => put(cell, key).catch(() => undefined)), ...flushes])
          asked = -1
          await cell.logs.flush('source', guard)
          const journaled = (await linesOf(cell)).map(([, , , operation, key]) => `${operation} ${key}`)
          const standing = (await keysOf(cell, 'source')).map((key) => `REST.PUT.OBJECT ${key}`)
          assert.deepEqual(journaled.toSorted(), standing.toSorted())
        } finally {
          await cell.close()
        }
      },
    ),
    { numRuns: 60 },
  )
})

test('H2: many deliverers of one log write one object, and leave nothing behind', async () => {
  const cell = await openCell()
  try {
    await makeBuckets(cell)
    await cell.buckets.update('logs', (bucket) => ({ ...bucket, versioning: 'enabled' }))
    for (let at = 0; at < 20; at++) await put(cell, `key${at}`)
    const target = await cell.buckets.get('logs')
    await cell.store.transact(async (transaction) => {
      await cell.logs.close(transaction, await cell.buckets.get('source'))
    })
    const [sealed] = await cell.store.snapshot((snapshot) => readSealed(snapshot, 10))
    assert.ok(sealed !== undefined && sealed.target === target.id)
    const deliverers = Array.from({ length: 4 }, () => new LogDelivery(cell.foundation))
    await Promise.all(deliverers.map((each) => each.deliver(sealed)))
    const listings = new CellListings(cell.foundation)
    const { items } = await listings.versions({ bucket: 'logs', prefix: '', delimiter: '', limit: 10, guard })
    assert.deepEqual(
      items.map(({ key }) => key),
      [sealed.key],
      'one version',
    )
    assert.equal((await linesOf(cell)).length, 20)
    const left = await cell.store.snapshot((snapshot) =>
      snapshot.range(Uint8Array.of(0x16), Uint8Array.of(0x18), { limit: 10 }),
    )
    assert.deepEqual(left, [])
  } finally {
    await cell.close()
  }
})

test('H2: a log that is delivered again after its object was deleted does not come back', async () => {
  const cell = await openCell()
  try {
    await makeBuckets(cell)
    await put(cell, 'key')
    const key = await cell.logs.flush('source', guard)
    const name = { bucket: 'logs', key }
    await cell.objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: owner })
    const { id } = await cell.buckets.get('logs')
    await cell.logDelivery.deliver({ target: id, prefix: 'p/', source: 0, number: 1, bucket: 'logs', key, grants: [] })
    assert.deepEqual(await keysOf(cell, 'logs'), [])
  } finally {
    await cell.close()
  }
})

test('H1: what cannot be journaled is not done, but for what removes; H4: the target has the say each time', async () => {
  const cell = await openCell()
  try {
    await makeBuckets(cell)
    await put(cell, 'first')
    await cell.buckets.update('logs', (bucket) => ({ ...bucket, policy: policy.replace('logs/*', 'logs/other') }))
    assert.equal(await codeOf(put(cell, 'second')), 'AccessDenied')
    const change = () => ({ hold: true })
    assert.equal(
      await codeOf(cell.objects.update({ name: { bucket: 'source', key: 'first' }, guard, change })),
      'AccessDenied',
    )
    assert.equal(await codeOf(cell.logs.flush('source', guard)), 'AccessDenied')
    assert.deepEqual(await keysOf(cell, 'source'), ['first'])
    const { version } = await cell.objects.find({ name: { bucket: 'source', key: 'first' }, guard })
    assert.equal(version.hold, undefined)
    assert.equal(await codeOf(remove(cell, 'first')), 'done')
    assert.deepEqual(await keysOf(cell, 'logs'), [])

    await cell.buckets.update('logs', (bucket) => ({ ...bucket, policy }))
    await put(cell, 'third')
    await cell.logs.flush('source', guard)
    assert.deepEqual(
      (await linesOf(cell)).map((fields) => fields[4]),
      ['first', 'third'],
    )
  } finally {
    await cell.close()
  }
})

test('each change of an object has its line, where the filter lets it', async () => {
  const cell = await openCell()
  try {
    const filter = [
      { name: 'prefix', value: 'a/' },
      { name: 'suffix', value: '.txt' },
    ] as const
    await makeBuckets(cell, { ...plain, filter })
    await cell.buckets.update('source', (bucket) => ({ ...bucket, versioning: 'enabled' }))
    for (const key of ['a/b', 'b.txt', 'b/a/.txt']) await put(cell, key)
    const name = { bucket: 'source', key: 'a/1.txt' }
    const { versionId } = await put(cell, name.key)
    await cell.objects.update({ name, guard, change: () => ({ tags: new Map([['k', 'v']]) }) })
    await cell.objects.update({ name, guard, change: () => ({ tags: undefined }) })
    await cell.objects.update({ name, guard, change: () => ({ acl }) })
    await cell.objects.update({ name, guard, change: () => ({ hold: false }) })
    await cell.objects.update({ name, guard, change: () => ({ retention: undefined }) })
    const target = { bucket: 'source', key: 'a/2.txt' }
    await cell.objects.rename({ source: name, target, conditions: {}, sourceConditions: {}, guard, sourceGuard: guard })
    const removed = await remove(cell, target.key)
    await cell.logs.flush('source', guard)
    const lines = await linesOf(cell)
    assert.deepEqual(
      lines.map(([, , , operation, key]) => `${operation} ${key}`),
      [
        'REST.PUT.OBJECT a/1.txt',
        'REST.PUT.OBJECT_TAGGING a/1.txt',
        'REST.DELETE.OBJECT_TAGGING a/1.txt',
        'REST.PUT.ACL a/1.txt',
        'REST.PUT.LEGAL_HOLD a/1.txt',
        'REST.PUT.RETENTION a/1.txt',
        'REST.PUT.OBJECT a/2.txt',
        'REST.DELETE.OBJECT a/1.txt',
        'REST.DELETE.OBJECT a/2.txt',
      ],
    )
    assert.equal(lines[0]?.[6], versionId)
    assert.equal(lines.at(-1)?.[6], removed.versionId)
  } finally {
    await cell.close()
  }
})

test('a log is closed by the first record after its time, or a while later by itself', async () => {
  let now = Date.UTC(2026, 0, 1, 12)
  const failed = (error: unknown) => assert.fail(String(error))
  const cell = await openCell({ ...realWorld, now: () => now })
  try {
    await makeBuckets(cell)
    await put(cell, 'first')
    now += 60_000
    await cell.logDelivery.pass(failed)
    assert.deepEqual(await keysOf(cell, 'logs'), [], 'a record that comes now may still close it')
    await put(cell, 'second')
    await cell.logDelivery.pass(failed)
    assert.deepEqual(
      (await linesOf(cell)).map((fields) => fields[4]),
      ['first'],
    )
    now += 119_999
    await cell.logDelivery.pass(failed)
    assert.equal((await linesOf(cell)).length, 1)
    now += 1
    await cell.logDelivery.pass(failed)
    assert.deepEqual(
      (await linesOf(cell)).map((fields) => fields[4]),
      ['first', 'second'],
    )
    await cell.logDelivery.pass(failed)
    assert.equal((await keysOf(cell, 'logs')).length, 2, 'nothing more is written where nothing happens')
  } finally {
    await cell.close()
  }
})

test('what is named by the day of its events holds one day', async () => {
  let now = Date.UTC(2026, 0, 1, 23, 59, 50)
  const cell = await openCell({ ...realWorld, now: () => now })
  try {
    await makeBuckets(cell, { ...plain, keyFormat: { kind: 'partitioned', date: 'EventTime' } })
    await put(cell, 'first')
    now += 10_000
    await put(cell, 'second')
    await cell.logs.flush('source', guard)
    await cell.logDelivery.pass(() => {})
    const keys = await keysOf(cell, 'logs')
    const days = keys.map((key) => /^p\/owner\/fra\/source\/(....\/..\/..)\/....-..-..-00-00-00-/.exec(key)?.[1])
    assert.deepEqual(days, ['2026/01/01', '2026/01/02'])
  } finally {
    await cell.close()
  }
})

test('a log that has grown large is closed before its time', async () => {
  const cell = await openCell()
  try {
    const foundation = { ...cell.foundation, logs: { rollSeconds: 300, bytesMax: 5_000 } }
    const logs = new CellLogs(foundation, new LogDelivery(foundation), (error) => assert.fail(String(error)))
    await makeBuckets(cell, { ...plain, type: 'Standard' })
    const bucket = await cell.buckets.get('source')
    for (let at = 0; at < 12; at++) await logs.record(bucket, `${at} `.padEnd(999, 'x').concat('\n'))
    assert.deepEqual(
      (await linesOf(cell)).map(([number]) => number),
      ['0', '1', '2', '3', '4', '5'],
    )
    await logs.flush('source', guard)
    assert.deepEqual(
      (await linesOf(cell)).map(([number]) => number),
      Array.from({ length: 12 }, (_, at) => `${at}`),
    )
  } finally {
    await cell.close()
  }
})

test('reading fills no disk: what is kept in reserve takes no records', async () => {
  const cell = await openCell()
  try {
    let isFull = true
    const check = () => {
      if (isFull) throw new Fault('ServiceUnavailable')
    }
    const foundation = { ...cell.foundation, space: { check } }
    const logs = new CellLogs(foundation, cell.logDelivery, () => {})
    await makeBuckets(cell, { ...plain, type: 'Standard' })
    const bucket = await cell.buckets.get('source')
    await logs.record(bucket, 'dropped\n')
    isFull = false
    await logs.record(bucket, 'kept\n')
    await logs.flush('source', guard)
    assert.deepEqual((await linesOf(cell)).flat(), ['kept'])
  } finally {
    await cell.close()
  }
})

test('records of many pages become one object, in the order in which they were committed', async () => {
  // Requests do not wait long for their records, which is long enough only where the machine has nothing else to do.
  const patient: World = { ...realWorld, sleep: (time, ...more) => realWorld.sleep(100 * time, ...more) }
  const cell = await openCell(patient)
  try {
    await makeBuckets(cell, { ...plain, type: 'Standard' })
    const bucket = await cell.buckets.get('source')
    await Promise.all(Array.from({ length: 1_234 }, (_, at) => cell.logs.record(bucket, `${at}\n`)))
    const key = await cell.logs.flush('source', guard)
    assert.deepEqual(await keysOf(cell, 'logs'), [key])
    assert.deepEqual(
      (await linesOf(cell)).flat(),
      Array.from({ length: 1_234 }, (_, at) => `${at}`),
    )
  } finally {
    await cell.close()
  }
})

test('a bucket takes its log along when it goes, and what was to come to it goes with it', async () => {
  const cell = await openCell()
  try {
    await makeBuckets(cell)
    await put(cell, 'key')
    await remove(cell, 'key')
    await cell.buckets.delete('source')
    assert.equal((await linesOf(cell)).length, 2)

    await cell.buckets.create({ name: 'source', owner, acl, location: '', hasObjectLock: false })
    await cell.logs.configure('source', () => plain)
    await put(cell, 'other')
    for (const key of await keysOf(cell, 'logs')) {
      const name = { bucket: 'logs', key }
      await cell.objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: owner })
    }
    await cell.buckets.delete('logs')
    const rows = await cell.store.snapshot((snapshot) =>
      snapshot.range(Uint8Array.of(0x15), Uint8Array.of(0x18), { limit: 10 }),
    )
    assert.deepEqual(rows, [])
    assert.equal(await codeOf(put(cell, 'third')), 'AccessDenied')
  } finally {
    await cell.close()
  }
})

test('what lifecycle rules do is told as AWS tells it', async () => {
  const day = 1_000
  let now = Date.UTC(2026, 0, 1)
  const cell = await openCell({ ...realWorld, now: () => now })
  try {
    await makeBuckets(cell, { ...plain, type: 'Standard' })
    const one = { kind: 'days', days: 1 } as const
    const ruled = (prefix: string, actions: Partial<LifecycleRule>): LifecycleRule => ({
      id: prefix,
      isEnabled: true,
      filter: { prefix },
      ...actions,
    })
    const rules = [
      ruled('gone', { expiration: one }),
      ruled('cold', { transitions: [{ storageClass: 'DEEP_ARCHIVE', when: one }] }),
      ruled('part', { abortDays: 1 }),
    ]
    await cell.buckets.update('source', (bucket) =>
      withLifecycle(bucket, { rules, transitionMinimum: 'varies_by_storage_class' }),
    )
    for (const key of ['gone', 'cold']) await put(cell, key)
    await cell.uploads.create({ name: { bucket: 'source', key: 'part' }, attributes, initiator: owner })
    now += 10 * day
    const options = { dayMilliseconds: day, report: () => {}, failed: (error: unknown) => assert.fail(String(error)) }
    await new LifecycleWorker(cell.foundation, options).pass(new AbortController().signal)
    await cell.logs.flush('source', guard)
    const told = (await linesOf(cell)).map((fields) => [fields.length, fields[4], fields[6], fields[7], fields[12]])
    assert.deepEqual(told.toSorted(), [
      [26, 'AmazonS3', 'S3.DELETE.UPLOAD', 'part', '-'],
      [26, 'AmazonS3', 'S3.EXPIRE.OBJECT', 'gone', '5'],
      [26, 'AmazonS3', 'S3.TRANSITION_GDA.OBJECT', 'cold', '5'],
    ])
  } finally {
    await cell.close()
  }
})
