import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { CloudEndpoint, CloudName } from '#src/cloud/endpoint.ts'
import { keys as rows } from '#src/metadata/keyspace.ts'
import type { RemoteWork } from '#src/metadata/remote-records.ts'
import { readTasks, type Task } from '#src/metadata/task-records.ts'
import type { LifecycleRule } from '#src/model/lifecycle.ts'
import { withLifecycle } from '#src/model/lifecycle.ts'
import type { Tier } from '#src/model/tier.ts'
import { CloudTiers } from '#src/service/cloud-tiers.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import type { TaskFailure } from '#src/service/task-runner.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

const day = 1_000_000
const hour = 3_600_000
const guard = () => {}
const never = new AbortController().signal
const tier: Tier = { name: 'CLOUD', bucket: 'far', prefix: '{bucket}/', retainsHead: true, hidesSize: false }

/** A store in memory, which does what it is told to on the way. */
class FakeEndpoint implements CloudEndpoint {
  readonly objects = new Map<string, Buffer>()
  readonly asked: string[] = []
  /** Runs before a call is done; may throw. */
  before: (call: string) => Promise<void> | void = () => {}

  async write({ key }: CloudName, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const sent = await bytesOf(bytes)
    await this.#ask(`write ${key}`)
    this.objects.set(key, sent)
  }

  async read({ key }: CloudName): Promise<AsyncIterable<Uint8Array>> {
    await this.#ask(`read ${key}`)
    const found = this.objects.get(key)
    if (found === undefined) throw new Error('404 NoSuchKey')
    async function* slices(bytes: Buffer) {
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
    }
    return slices(found)
  }

  async delete({ key }: CloudName): Promise<void> {
    await this.#ask(`delete ${key}`)
    this.objects.delete(key)
  }

  async #ask(call: string): Promise<void> {
    this.asked.push(call)
    await this.before(call)
  }

  close(): void {}
}

async function openTiered() {
  const clock = { now: 1_000_000_000 }
  const world: World = {
    ...realWorld,
    now: () => clock.now,
    nowMicroseconds: () => BigInt(clock.now) * 1000n,
    sleep: async (_, signal) => {
      // Renewals wait until their task is over.
      await new Promise<void>((resolve) => {
        if (signal.aborted) resolve()
        else signal.addEventListener('abort', () => resolve(), { once: true })
      })
    },
  }
  const cell = await openCell(world)
  after(() => cell.close())
  const foundation = { ...cell.foundation, tiers: new Map([[tier.name, tier]]), dayMilliseconds: day }
  const endpoint = new FakeEndpoint()
  const failures: TaskFailure[] = []
  const troubles: unknown[] = []
  const failed = (error: unknown) => troubles.push(error)
  const open = () =>
    new CloudTiers(foundation, {
      tiers: new Map([[tier.name, { tier, endpoint }]]),
      report: (failure) => failures.push(failure),
      failed,
    })
  const worker = new LifecycleWorker(
    { ...foundation, world: { ...world, sleep: async () => {} } },
    { dayMilliseconds: day, report: () => {}, failed },
  )
  const tiers = open()
  await cell.buckets.create({ name: 'box', owner, acl, location: '', hasObjectLock: false })
  const name = (key: string) => ({ bucket: 'box', key })
  return {
    ...cell,
    foundation,
    clock,
    endpoint,
    failures,
    tiers,
    open,
    name,
    put: (key: string, bytes: Uint8Array) =>
      cell.objects.put({ name: name(key), attributes, body: body(bytes), digests: {}, conditions: {}, guard }),
    async rules(...rules: readonly LifecycleRule[]) {
      await cell.buckets.update('box', (before) =>
        withLifecycle(before, rules.length === 0 ? undefined : { rules, transitionMinimum: 'varies_by_storage_class' }),
      )
    },
    /** A look at what is due, and all that it began. */
    async look(through = tiers) {
      const begun = await through.runner.look(never)
      await through.runner.settled()
      assert.deepEqual(troubles, [])
      return begun
    },
    async lifecycle() {
      await worker.pass(never)
      assert.deepEqual(troubles, [])
    },
    async read(key: string) {
      const { bytes } = await cell.objects.get({ name: name(key), guard, conditions: {} })
      return await bytesOf(bytes)
    },
    find: async (key: string) => (await cell.objects.find({ name: name(key), guard })).version,
    tasks: () =>
      cell.store.snapshot((snapshot) => readTasks(snapshot, undefined, 100)) as Promise<readonly Task<RemoteWork>[]>,
    async checkNothingIsLeft() {
      while ((await cell.collector.pass()) > 0);
      for (const space of [rows.blob('00'), rows.reference('00', 0, '', 0n)]) {
        const from = space.subarray(0, 1)
        const found = await cell.store.snapshot((snapshot) =>
          snapshot.range(from, Uint8Array.of((from[0] ?? 0) + 1), { limit: 10 }),
        )
        assert.deepEqual(found, [])
      }
    },
  }
}

const toCloud: LifecycleRule = {
  id: 'cloud',
  isEnabled: true,
  filter: {},
  transitions: [{ when: { kind: 'days', days: 1 }, storageClass: 'CLOUD' }],
}

/** An object that a rule asks to be moved. */
async function openAsked(bytes: Uint8Array) {
  const opened = await openTiered()
  await opened.put('k', bytes)
  await opened.rules(toCloud)
  opened.clock.now += 2 * day
  await opened.lifecycle()
  return opened
}

const some = (size: number) => Buffer.alloc(size, 'some bytes ')

test('J2: however often a rule asks for a move, one task waits', async () => {
  const { lifecycle, clock, tasks, find, endpoint, look } = await openAsked(some(3000))
  endpoint.before = () => {
    throw new Error('down')
  }
  for (let round = 1; round <= 3; round++) {
    clock.now += 2 * hour
    await lifecycle()
    assert.equal(await look(), 1)
    // Asked again, it is neither begun anew nor twice.
    assert.deepEqual(
      (await tasks()).map(({ work, attempts }) => [work.kind, attempts]),
      [['move', round]],
    )
  }
  assert.equal((await find('k')).storageClass, 'STANDARD')
})

for (const size of [5, 3000]) {
  test(`U2: of ${size} bytes nothing is given up until what is there was read and found the same`, async () => {
    const opened = await openAsked(some(size))
    const { endpoint, look, find, read, failures, clock } = opened
    endpoint.before = (call) => {
      if (call.startsWith('read')) endpoint.objects.set('box/k', Buffer.from('others'))
    }
    assert.equal(await look(), 1)
    assert.equal((await find('k')).storageClass, 'STANDARD')
    assert.deepEqual(await read('k'), some(size))
    assert.match(failures[0]?.reason ?? '', /does not give the bytes/)
    endpoint.before = () => {}
    clock.now += hour
    assert.equal(await look(), 1)
    const moved = await find('k')
    assert.deepEqual([moved.storageClass, moved.content.kind], ['CLOUD', 'remote'])
    assert.deepEqual(endpoint.objects.get('box/k'), some(size))
    await assert.rejects(read('k'), { code: 'InvalidObjectState' })
    await opened.checkNothingIsLeft()
  })
}

test('U2: a version that was overwritten, or whose rule went, while it was sent is not moved, and leaves nothing there', async () => {
  for (const change of ['overwrite', 'unrule', 'rule others', 'delete'] as const) {
    const opened = await openAsked(some(3000))
    const { endpoint, look, clock, tasks } = opened
    endpoint.before = async (call) => {
      if (!call.startsWith('read')) return
      if (change === 'overwrite') await opened.put('k', some(2000))
      if (change === 'unrule') await opened.rules()
      if (change === 'rule others') await opened.rules({ ...toCloud, filter: { prefix: 'other' } })
      if (change === 'delete') {
        const request = { name: opened.name('k'), guard, conditions: {}, bypassGovernance: false, caller: owner }
        await opened.objects.delete(request)
      }
    }
    await look()
    endpoint.before = () => {}
    if (change !== 'delete') {
      assert.deepEqual(await opened.read('k'), some(change === 'overwrite' ? 2000 : 3000), change)
      assert.equal((await opened.find('k')).storageClass, 'STANDARD')
    }
    assert.deepEqual(
      (await tasks()).map(({ work }) => work.kind),
      ['delete'],
    )
    clock.now += 1
    await look()
    assert.equal(endpoint.objects.size, 0, change)
  }
})

test('U1: a name is free again only an hour after its copy was deleted, when it was deleted once more', async () => {
  const opened = await openAsked(some(3000))
  const { endpoint, look, clock, tasks, store } = opened
  const isTaken = async () =>
    (await store.snapshot((from) => from.get(rows.remoteName('CLOUD', 'far', 'box/k')))) !== undefined
  await look()
  await opened.put('k', some(10))
  assert.ok(await isTaken())
  clock.now += 1
  await look()
  assert.equal(endpoint.objects.size, 0)
  // What was under way to it arrives late.
  endpoint.objects.set('box/k', some(1))
  clock.now += hour - 10
  assert.equal(await look(), 0)
  assert.ok(await isTaken())
  clock.now += 20
  assert.equal(await look(), 1)
  assert.equal(endpoint.objects.size, 0)
  assert.equal(await isTaken(), false)
  assert.deepEqual(await tasks(), [])
})

test('U1: what two do at once, or one does twice after a crash, ends in one copy that is the version’s own (I10)', async () => {
  const opened = await openAsked(some(3000))
  const { endpoint, look, clock, find, open, tasks } = opened
  const other = open()
  let isFirst = true
  endpoint.before = async (call) => {
    if (!call.startsWith('read') || !isFirst) return
    isFirst = false
    // The first one stands still for longer than its lease; the other does it all, and then the first goes on.
    clock.now += 60_000
    await look(other)
    assert.equal((await find('k')).storageClass, 'CLOUD')
  }
  await opened.tiers.runner.look(never)
  await opened.tiers.runner.settled()
  assert.deepEqual(await tasks(), [])
  assert.deepEqual([...endpoint.objects.keys()], ['box/k'])
  assert.equal((await find('k')).storageClass, 'CLOUD')
  assert.equal(endpoint.asked.filter((call) => call === 'write box/k').length, 2)
})

test('U3: bytes that are not those that were sent are not taken; once they are, they are', async () => {
  const opened = await openAsked(some(3000))
  const { endpoint, look, clock, find, read, objects, name, failures } = opened
  await look()
  const sent = endpoint.objects.get('box/k') ?? Buffer.alloc(0)
  assert.deepEqual(await objects.restore({ name: name('k'), guard, days: 3 }), { isHere: false })
  await assert.rejects(objects.restore({ name: name('k'), guard, days: 3 }), { code: 'RestoreAlreadyInProgress' })
  for (const wrong of [Buffer.from('short'), Buffer.concat([sent, sent]), Buffer.alloc(3000, 'x')]) {
    endpoint.objects.set('box/k', wrong)
    clock.now += hour
    assert.equal(await look(), 1)
    assert.equal((await find('k')).content.kind, 'remote')
  }
  assert.equal(failures.length, 3)
  endpoint.objects.delete('box/k')
  clock.now += hour
  await look()
  assert.equal(failures.at(-1)?.reason, 'Error: 404 NoSuchKey')
  endpoint.objects.set('box/k', sent)
  clock.now += hour
  await look()
  assert.deepEqual(await read('k'), some(3000))
})

test('U4: a restored copy is not read after its time, whether or not it is still here; then it goes', async () => {
  const opened = await openAsked(some(3000))
  const { endpoint, look, clock, find, read, objects, name, tiers } = opened
  await look()
  await objects.restore({ name: name('k'), guard, days: 2 })
  clock.now += 1
  await look()
  const { restore } = await find('k')
  const until = restore?.kind === 'done' ? restore.until : 0
  assert.equal(until, Math.ceil((clock.now + 2 * day) / day) * day)
  clock.now = until - 1
  assert.equal(await tiers.restores.expire(), 0)
  assert.deepEqual(await read('k'), some(3000))
  clock.now = until
  await assert.rejects(read('k'), { code: 'InvalidObjectState' })
  const told = await objects.head({ name: name('k'), guard, conditions: {} })
  assert.equal(told.version.restore, undefined)
  assert.notEqual((await find('k')).content.kind, 'remote')
  assert.equal(await tiers.restores.expire(), 1)
  assert.equal((await find('k')).content.kind, 'remote')
  await opened.checkNothingIsLeft()
  assert.ok(endpoint.objects.has('box/k'))
  // Asked for once more, its time is extended where it is here, and never shortened behind its back by what was before.
  await objects.restore({ name: name('k'), guard, days: 1 })
  clock.now += 1
  await look()
  assert.deepEqual(await objects.restore({ name: name('k'), guard, days: 9 }), { isHere: true })
  clock.now += 4 * day
  assert.equal(await tiers.restores.expire(), 0)
  assert.deepEqual(await read('k'), some(3000))
})

test('J3: what fails is tried later and later, without end, and is done once it can be', async () => {
  const opened = await openAsked(some(3000))
  const { endpoint, look, clock, failures, tasks, find } = opened
  endpoint.before = () => {
    throw new Error('down')
  }
  const pauses: number[] = []
  for (let tries = 0; tries < 20; ) {
    if ((await look()) === 1) {
      tries++
      const [task] = await tasks()
      assert.equal(task?.attempts, tries)
      assert.equal(task?.reason, 'Error: down')
      pauses.push((task?.due ?? 0) - clock.now)
    }
    clock.now += 1000
    const [next] = await tasks()
    if (next !== undefined && next.due > clock.now) clock.now = next.due
  }
  assert.equal(failures.length, 20)
  assert.ok(pauses.every((pause) => pause >= 500 && pause <= 20 * 60_000))
  assert.ok((pauses.at(-1) ?? 0) >= 10 * 60_000)
  endpoint.before = () => {}
  clock.now += hour
  await look()
  assert.equal((await find('k')).storageClass, 'CLOUD')
})
