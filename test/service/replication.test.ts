import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Blobs } from '#src/blobs/blobs.ts'
import { under } from '#src/metadata/keyspace.ts'
import { askToReplicate } from '#src/metadata/replication-records.ts'
import { changeTask, readTasks } from '#src/metadata/task-records.ts'
import { type ReplicationRule, withReplication } from '#src/model/replication.ts'
import { formatStamp } from '#src/model/stamp.ts'
import { CellListings } from '#src/service/listings.ts'
import { Replicator } from '#src/service/replication.ts'
import type { TaskFailure } from '#src/service/task-runner.ts'
import type { StoreFault } from '#src/store/memory/memory-store.ts'
import { unpack } from '#src/store/tuple.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

const guard = () => {}
const never = new AbortController().signal

const rule = (target: string, more: Partial<ReplicationRule> = {}): ReplicationRule => ({
  id: target,
  isEnabled: true,
  priority: 1,
  filter: {},
  deleteMarkers: true,
  destination: { bucket: target },
  ...more,
})

async function openReplicated() {
  const clock = { now: 1_000_000_000 }
  const world: World = {
    ...realWorld,
    now: () => clock.now,
    nowMicroseconds: () => BigInt(clock.now) * 1000n,
    sleep: async (_, signal) => {
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
    },
  }
  const fault: { next: () => StoreFault | undefined } = { next: () => undefined }
  const cell = await openCell(world, () => fault.next())
  after(() => cell.close())
  const failures: TaskFailure[] = []
  const troubles: unknown[] = []
  const open = (blobs: Blobs = cell.blobs) =>
    new Replicator(
      { ...cell.foundation, blobs },
      {
        report: (failure) => failures.push(failure),
        failed: (error) => troubles.push(error),
      },
    )
  const replicator = open()
  const listings = new CellListings(cell.foundation)
  for (const name of ['source', 'target', 'other']) {
    await cell.buckets.create({ name, owner, acl, location: '', hasObjectLock: false })
    await cell.buckets.update(name, (bucket) => ({ ...bucket, versioning: 'enabled' }))
  }
  const opened = {
    ...cell,
    clock,
    fault,
    failures,
    troubles,
    open,
    async rules(bucket: string, ...rules: readonly ReplicationRule[]) {
      await cell.buckets.update(bucket, (before) => withReplication(before, { role: '', rules }))
    },
    async put(bucket: string, key: string, size: number) {
      clock.now += 1
      const name = { bucket, key }
      const { version } = await cell.objects.put({
        ...{ name, attributes, digests: {}, conditions: {}, guard },
        body: body(Buffer.alloc(size, `${bucket} ${clock.now} `)),
      })
      return version
    },
    async remove(bucket: string, key: string, versionId?: string) {
      clock.now += 1
      const request = { name: { bucket, key }, guard, conditions: {}, bypassGovernance: false, caller: owner }
      return await cell.objects.delete(versionId === undefined ? request : { ...request, versionId })
    },
    async look(through = replicator) {
      const begun = await through.runner.look(never)
      await through.runner.settled()
      return begun
    },
    /** Until nothing is left to be done. */
    async drain(through = replicator) {
      for (let tries = 0; tries < 300; tries++) {
        await opened.look(through)
        const [task] = await opened.tasks()
        if (task === undefined) return
        if (task.due > clock.now) clock.now = task.due
      }
      throw new Error('it comes to no end')
    },
    tasks: () => cell.store.snapshot((snapshot) => readTasks(snapshot, undefined, 1000)),
    async versions(bucket: string) {
      const { items } = await listings.versions({ bucket, prefix: '', delimiter: '', limit: 1000, guard })
      return await Promise.all(
        items.map(async ({ key, version, versionId }) => {
          if (version.kind === 'marker') return `${key} ${versionId} marker`
          const read = await cell.objects.get({ name: { bucket, key }, versionId, guard, conditions: {} })
          return `${key} ${versionId} ${await bytesOf(read.bytes)}`
        }),
      )
    },
    /** R1, O3: what is kept of bytes is what versions refer to. */
    async checkBlobs() {
      while ((await cell.collector.pass()) > 0);
      const named = async (space: 'blob' | 'reference' | 'part') => {
        const { from, to } = under(space, [])
        const rows = await cell.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 1000 }))
        return rows.map(({ key }) => Buffer.from(unpack(key.subarray(1))[0] as Uint8Array).toString('hex')).sort()
      }
      const blobs = await named('blob')
      assert.deepEqual(blobs, await named('reference'))
      assert.deepEqual(await named('part'), [])
      return blobs
    },
    /** The ETag of what is to be read without an id. */
    current: (bucket: string, key: string) =>
      cell.objects.find({ name: { bucket, key }, guard }).then(
        ({ version }) => version.etag,
        (error: { readonly code: string }) => error.code,
      ),
    status: async (bucket: string, key: string) =>
      (await cell.objects.find({ name: { bucket, key }, guard })).version.replication,
  }
  return opened
}

test('Q5: a task that is taken over while it runs makes one replica; one that was deleted meanwhile is not made again', async () => {
  for (const meanwhile of ['nothing', 'deleted'] as const) {
    const opened = await openReplicated()
    const { put, look, versions, remove, clock, troubles, blobs } = opened
    await opened.rules('source', rule('target'))
    const version = await put('source', 'k', 3000)
    let isFirst = true
    const slow = opened.open({
      write: async (...args: Parameters<Blobs['write']>) => {
        if (isFirst) {
          isFirst = false
          // The first one stands still for longer than its lease; the other does it all, and then the first goes on.
          clock.now += 60_000
          await look()
          assert.equal(await opened.status('source', 'k'), 'COMPLETED')
          assert.deepEqual(await versions('target'), await versions('source'))
          if (meanwhile === 'deleted') await remove('target', 'k', formatStamp(version.stamp))
        }
        return await blobs.write(...args)
      },
      read: (...args: Parameters<Blobs['read']>) => blobs.read(...args),
      checksums: (...args: Parameters<Blobs['checksums']>) => blobs.checksums(...args),
    })
    await look(slow)
    assert.equal(isFirst, false)
    assert.deepEqual(troubles, [])
    assert.equal((await versions('target')).length, meanwhile === 'deleted' ? 0 : 1)
    assert.deepEqual(await opened.tasks(), [])
    if (meanwhile === 'nothing') continue
    // Nor by a change of the source.
    const name = { bucket: 'source', key: 'k' }
    await opened.objects.update({ name, guard, change: () => ({ tags: new Map([['a', 'b']]) }) })
    await opened.drain()
    assert.deepEqual(await versions('target'), [])
    assert.equal(await opened.status('source', 'k'), 'COMPLETED')
  }
})

test('Q5: a status is PENDING until all destinations have it, and FAILED if one does not take it', async () => {
  const opened = await openReplicated()
  await opened.rules('source', rule('target'), rule('other', { priority: 2 }))
  await opened.put('source', 'k', 10)
  assert.equal(await opened.status('source', 'k'), 'PENDING')
  const [first] = await opened.tasks()
  assert.ok(first !== undefined)
  // One of the two waits.
  await opened.store.transact(async (transaction) => {
    await changeTask(transaction, first, (task) => ({ ...task, due: opened.clock.now + 1_000_000 }))
  })
  await opened.look()
  assert.equal(await opened.status('source', 'k'), 'PENDING')
  await opened.drain()
  assert.equal(await opened.status('source', 'k'), 'COMPLETED')
  await opened.buckets.update('other', (bucket) => ({ ...bucket, versioning: 'suspended' }))
  await opened.put('source', 'k', 11)
  await opened.drain()
  assert.equal(await opened.status('source', 'k'), 'FAILED')
  assert.equal((await opened.versions('target')).length, 2)
  assert.equal((await opened.versions('other')).length, 1)
  assert.deepEqual(opened.failures, [])
})

test('Q5: what no rule asks for any more has failed; what is there already is not written again', async () => {
  const opened = await openReplicated()
  await opened.rules('source', rule('target'))
  await opened.put('source', 'unruled', 3000)
  await opened.rules('source', rule('other'))
  await opened.drain()
  assert.equal(await opened.status('source', 'unruled'), 'FAILED')
  assert.deepEqual(await opened.versions('target'), [])
  const version = await opened.put('source', 'there', 3000)
  await opened.drain()
  const before = await opened.versions('other')
  const blobs = await opened.checkBlobs()
  const source = await opened.buckets.get('source')
  const named = { bucket: 'source', bucketId: source.id, key: 'there', stamp: formatStamp(version.stamp) }
  await opened.store.transact((to) => askToReplicate(to, 'version', named, ['other'], opened.clock.now))
  await opened.drain()
  assert.deepEqual(await opened.versions('other'), before)
  assert.equal(await opened.status('source', 'there'), 'COMPLETED')
  assert.deepEqual(await opened.checkBlobs(), blobs)
})

test('Q4: a write that does not come to be asks for nothing', async () => {
  const opened = await openReplicated()
  await opened.rules('source', rule('target'))
  await assert.rejects(
    opened.objects.put({
      ...{ name: { bucket: 'source', key: 'k' }, attributes, digests: {}, guard },
      body: body(Buffer.alloc(10)),
      conditions: { ifMatch: ['none'] },
    }),
  )
  assert.deepEqual(await opened.tasks(), [])
})

/** Some of ten times something goes wrong. */
const faults: readonly StoreFault[] = ['unknown_committed', 'unknown_lost', 'conflict']

interface Step {
  readonly kind: 'put' | 'delete' | 'work'
  readonly bucket: 'source' | 'target'
  readonly key: 'a' | 'b'
  readonly size: number
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'work'),
    bucket: fc.constantFrom('source', 'source', 'target'),
    key: fc.constantFrom('a', 'b'),
    size: fc.constantFrom(3, 3000),
  }),
  { minLength: 1, maxLength: 12 },
)

test('Q5, Q6: buckets that replicate to each other end alike, whatever fails on the way', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.array(fc.nat(9), { maxLength: 40 }), async (todo, chances) => {
      const opened = await openReplicated()
      await opened.rules('source', rule('target'))
      await opened.rules('target', rule('source'))
      const left = [...chances]
      const fail = (): StoreFault | undefined => faults[left.shift() ?? faults.length]
      for (const { kind, bucket, key, size } of todo) {
        if (kind === 'put') await opened.put(bucket, key, size)
        else if (kind === 'delete') await opened.remove(bucket, key)
        else {
          opened.fault.next = fail
          await opened.look().catch(() => undefined)
          opened.fault.next = () => undefined
        }
      }
      opened.clock.now += 3_600_000
      await opened.drain()
      const written = todo.filter(({ kind }) => kind !== 'work').length
      const all = await opened.versions('source')
      assert.deepEqual(await opened.versions('target'), all)
      for (const key of ['a', 'b'])
        assert.equal(await opened.current('target', key), await opened.current('source', key))
      assert.equal(all.length, written)
      await opened.checkBlobs()
    }),
    { numRuns: 40 },
  )
})
