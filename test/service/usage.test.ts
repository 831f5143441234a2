import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readStored, readUsage } from '#src/metadata/usage-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { dayMilliseconds, dayOf, parseDay, requestClassOf, type UsageRow } from '#src/model/usage.ts'
import { CellUsage, type UsageQuery } from '#src/service/usage.ts'
import { UsageJournal } from '#src/service/usage-journal.ts'
import { UsageKeeper } from '#src/service/usage-keeper.ts'
import { UsageMeter } from '#src/service/usage-meter.ts'
import { realWorld } from '#src/world.ts'
import { acl, attributes, body, openCell, owner, stoppedWorld } from './cell.ts'

const start = Date.parse('2026-01-30T20:00:00Z')

/** A generator of numbers below 1, the same each time. */
function chances(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

async function openAccounting(context: TestContext) {
  const { clock, world: stopped } = stoppedWorld(start)
  // What is drawn by chance must differ between processes.
  const world = { ...stopped, randomBytes: realWorld.randomBytes }
  const cell = await openCell(world)
  const folder = await mkdtemp(join(tmpdir(), 'meridian-usage-'))
  const { store, foundation } = cell
  const { namespace } = foundation
  const failures: unknown[] = []
  const failed = (error: unknown): void => void failures.push(error)
  const journals: UsageJournal[] = []
  /** Of a process that has not ended. */
  const openMeter = async (name: string) => {
    const journal = await UsageJournal.open(folder, name)
    journals.push(journal)
    return new UsageMeter({ store, world, journal, failed })
  }
  const recovering = await openMeter('recovering')
  const keeper = new UsageKeeper({ store, world, namespace, days: 400, failed, recover: () => recovering.recover() })
  const usage = new CellUsage({ store, namespace, region: 'fra', flush: async () => {} })
  context.after(async () => {
    for (const journal of journals) journal.close()
    await rm(folder, { recursive: true })
    await cell.close()
    assert.deepEqual(failures, [])
  })
  return {
    ...cell,
    world,
    clock,
    folder,
    failures,
    openMeter,
    recovering,
    keeper,
    usage,
    async rows(query: UsageQuery): Promise<readonly UsageRow[]> {
      const found: UsageRow[] = []
      for await (const row of usage.rows(query)) found.push(row)
      return found
    },
    async make(name: string, versioning: Bucket['versioning'] = 'off'): Promise<Bucket> {
      await cell.buckets.create({ name, owner, acl, location: '', hasObjectLock: false })
      return await cell.buckets.update(name, (bucket) => ({ ...bucket, versioning }))
    },
  }
}

type Accounting = Awaited<ReturnType<typeof openAccounting>>

/** Anything that changes what lies in a bucket. */
async function change({ objects, uploads }: Accounting, bucket: string, chance: () => number): Promise<void> {
  const key = `k${Math.floor(chance() * 6)}`
  const name = { bucket, key }
  const guard = () => {}
  const size = Math.floor(chance() * 60)
  const storageClass = chance() < 0.3 ? 'GLACIER_IR' : 'STANDARD'
  const attributed = { ...attributes, storageClass }
  const put = { name, attributes: attributed, body: body(Buffer.alloc(size, 1)), digests: {}, conditions: {}, guard }
  const kind = Math.floor(chance() * 7)
  const found = await objects.find({ name, guard }).catch(() => undefined)
  if (kind <= 1) await objects.put(put)
  else if (kind === 2) {
    await objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: owner })
  } else if (kind === 3) {
    const versionId = found?.versionId
    if (versionId === undefined) return
    await objects.delete({ name, versionId, guard, conditions: {}, bypassGovernance: false, caller: owner })
  } else if (kind === 4) {
    if (found === undefined) return
    const target = { bucket, key: `k${Math.floor(chance() * 6)}` }
    const source = { name, guard, conditions: {} }
    await objects.copy({ source, name: target, attributes: () => attributed, conditions: {}, guard })
  } else if (kind === 5) {
    const upload = await uploads.create({ name, attributes: attributed, initiator: owner })
    const to = { name, uploadId: upload.id }
    const part = await uploads.putPart({ ...to, number: 1, body: body(Buffer.alloc(size + 1, 2)), digests: {} })
    await uploads.complete({ ...to, parts: [{ number: 1, etag: part.etag }], conditions: {}, guard })
  } else if (found !== undefined) {
    await objects.update({ name, guard, change: () => ({ tags: new Map([['a', 'b']]) }) })
  }
}

test('V10: what is stored is what counting every version gives, after anything that was done', async (context) => {
  const accounting = await openAccounting(context)
  const buckets = [
    await accounting.make('plain'),
    await accounting.make('versioned', 'enabled'),
    await accounting.make('suspended', 'enabled'),
  ]
  const chance = chances(7)
  let seen = 0n
  for (let step = 0; step < 600; step++) {
    if (step % 50 === 49) {
      const versioning = step % 100 === 49 ? 'suspended' : 'enabled'
      await accounting.buckets.update('suspended', (each) => ({ ...each, versioning }))
    }
    const bucket = buckets[step % buckets.length]
    assert.ok(bucket !== undefined)
    await change(accounting, bucket.name, chance)
    if (step % 20 === 19) {
      for (const each of buckets) {
        const recount = await accounting.keeper.recount(each, false)
        assert.deepEqual(recount?.off, new Map(), `${each.name} after ${step}`)
        for (const { objects } of recount?.counted.values() ?? []) seen += objects
      }
    }
  }
  assert.ok(seen > 500n, 'there was something to count')
})

test('V10: a recount mends what is off, and says by how much', async (context) => {
  const accounting = await openAccounting(context)
  const bucket = await accounting.make('plain')
  const put = { attributes, digests: {}, conditions: {}, guard: () => {} }
  await accounting.objects.put({ ...put, name: { bucket: 'plain', key: 'a' }, body: body(Buffer.from('12345')) })
  // As a store that was there before anything was counted.
  await accounting.store.transact(async (transaction) =>
    transaction.clearRange(Uint8Array.of(0x52), Uint8Array.of(0x53)),
  )
  const off = new Map([['STANDARD', { objects: 1n, bytes: 5n }]])
  assert.deepEqual((await accounting.keeper.recount(bucket, false))?.off, off)
  const mended = await accounting.keeper.recount(bucket, true)
  assert.deepEqual([mended?.off, mended?.isMended], [off, true])
  assert.deepEqual((await accounting.keeper.recount(bucket, false))?.off, new Map())
  assert.deepEqual(await accounting.store.snapshot((snapshot) => readStored(snapshot, bucket.id)), off)
})

test('V11, V12: forty days of traffic, with processes that die, add up to what was done, by day and by month', async (context) => {
  const accounting = await openAccounting(context)
  const { clock, folder } = accounting
  const buckets = [await accounting.make('one'), await accounting.make('two', 'enabled')]
  const chance = chances(11)
  const expected = new Map<string, bigint>()
  let meter = await accounting.openMeter('0')
  let deaths = 0
  let killed = 0
  for (let hour = 0; hour < 40 * 24; hour++) {
    for (const bucket of buckets) {
      const requests = Math.floor(chance() * 4)
      for (let request = 0; request < requests; request++) {
        const bytes = Math.floor(chance() * 1_000_000)
        const kind = requestClassOf(['GetObject', 'PutObject', 'DeleteObject'][Math.floor(chance() * 3)] ?? '')
        meter.count(bucket, [
          [`requests ${kind}`, 1],
          ['bytes out', bytes],
        ])
        for (const [metric, value] of [[`requests:${kind}`, 1n] as const, ['bytes out:', BigInt(bytes)] as const]) {
          const id = `${dayOf(clock.now)} ${bucket.name} ${metric}`
          expected.set(id, (expected.get(id) ?? 0n) + value)
        }
      }
      if (chance() < 0.1) await change(accounting, bucket.name, chance)
    }
    const fate = chance()
    if (fate < 0.3) await meter.flush()
    else if (fate < 0.5) {
      // kill -9, after what was counted was written down: before it was added, or after it, but before it was struck out.
      meter.keep()
      const [file] = (await readdir(folder)).filter((name) => name === `${deaths}.json`)
      if (file !== undefined) {
        killed++
        const left = await readFile(join(folder, file))
        if (fate < 0.4) await meter.flush()
        await rm(join(folder, file), { force: true })
        // No process has claimed this name.
        await writeFile(join(folder, `dead-${deaths}.json`), left)
      } else await meter.flush()
      deaths++
      meter = await accounting.openMeter(String(deaths))
      if (chance() < 0.5) await accounting.recovering.recover()
    }
    if (hour % 6 === 0) await accounting.keeper.tick()
    clock.now += dayMilliseconds / 24
  }
  await meter.flush()
  await accounting.recovering.recover()
  assert.ok(killed > 50, `${killed} of ${deaths} with something left to add`)
  const days = { from: dayOf(start), to: dayOf(clock.now) }
  const found = new Map<string, bigint>()
  const rows = await accounting.rows({ ...days, by: 'day' })
  for (const { period, bucket, metric, class: kind, value } of rows) {
    if (metric === 'requests' || metric === 'bytes out') {
      found.set(`${parseDay(period)} ${bucket} ${metric}:${kind}`, value)
    }
  }
  for (const [id, value] of expected) if (value === 0n) expected.delete(id)
  assert.deepEqual(new Map([...found].sort()), new Map([...expected].sort()))

  const sumOf = (all: readonly UsageRow[], metric: string, bucket: string, period = '') =>
    all
      .filter((row) => row.metric === metric && row.bucket === bucket && row.period.startsWith(period))
      .reduce((sum, { value }) => sum + value, 0n)
  const before = await accounting.rows({ ...days, by: 'month' })
  assert.deepEqual([...new Set(before.map(({ period }) => period))], ['2026-01', '2026-02', '2026-03'])
  // Days older than ten are folded, and nothing of the months changes.
  const folding = new UsageKeeper({
    store: accounting.store,
    world: accounting.world,
    namespace: accounting.foundation.namespace,
    days: 10,
    failed: (error) => accounting.failures.push(error),
    recover: async () => {},
  })
  await folding.fold()
  const after = await accounting.rows({ ...days, by: 'month' })
  for (const metric of ['requests', 'bytes out', 'byte-seconds', 'stored', 'objects']) {
    for (const { name } of buckets) {
      for (const month of ['2026-01', '2026-02', '2026-03']) {
        assert.equal(
          sumOf(after, metric, name, month),
          sumOf(before, metric, name, month),
          `${metric} ${name} ${month}`,
        )
      }
      assert.ok(sumOf(after, metric, name) > 0n)
    }
  }
  const kept = await accounting.rows({ ...days, by: 'day' })
  assert.ok(new Set(kept.map(({ period }) => period)).size <= 10)

  for (const bucket of buckets) {
    const recount = await accounting.keeper.recount(bucket, false)
    assert.deepEqual(recount?.off, new Map())
    await accounting.keeper.tick()
    const today = { from: dayOf(clock.now), to: dayOf(clock.now), by: 'day', bucket: bucket.name } as const
    const stored = (await accounting.rows(today)).filter(({ metric }) => metric === 'stored')
    for (const [name, { bytes }] of recount?.counted ?? []) {
      assert.equal(stored.find((row) => row.class === name)?.value, bytes)
    }
  }
})

test('V12: what is left is taken where its process ended, though another has its number now, and only there', async (context) => {
  const accounting = await openAccounting(context)
  const { folder, store } = accounting
  const bucket = await accounting.make('plain')
  const living = await accounting.openMeter('living')
  living.count(bucket, [['bytes out', 1]])
  living.keep()
  const script = `
    import { UsageJournal } from '#src/service/usage-journal.ts'
    const journal = await UsageJournal.open(process.argv[1], 'killed')
    journal.write([{ process: 'killed', sequence: 1, counts: JSON.parse(process.argv[2]) }])
    process.kill(process.pid, 'SIGKILL')`
  const counts = [{ bucket: bucket.id, name: 'plain', account: owner, day: 20_000, values: { 'bytes out': '10' } }]
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', script, folder, JSON.stringify(counts)], {
    timeout: 60_000,
  })
  assert.equal(child.signal, 'SIGKILL', String(child.stderr))
  // As in a container that began anew: the one who looks has the number of the one who was killed.
  await rename(join(folder, 'killed.json'), join(folder, `${process.pid}-killed.json`))
  assert.equal(await accounting.recovering.recover(), 1)
  assert.equal(await accounting.recovering.recover(), 0)
  const told = () =>
    store.snapshot((snapshot) => readUsage(snapshot, 'usageDay', bucket.id, { from: 0, to: 30_000 }, 9))
  assert.deepEqual(
    (await told()).map(({ value }) => value),
    [10n],
  )
  await living.flush()
  assert.equal(
    (await told()).reduce((sum, { value }) => sum + value, 0n),
    11n,
  )
})

test('how long how much lay there is told in byte-seconds, of each day its own', async (context) => {
  const accounting = await openAccounting(context)
  const { clock, keeper } = accounting
  await accounting.make('plain')
  const put = { attributes, digests: {}, conditions: {}, guard: () => {} }
  await accounting.objects.put({ ...put, name: { bucket: 'plain', key: 'a' }, body: body(Buffer.alloc(100)) })
  await keeper.tick()
  // From 20:00 to 02:00.
  clock.now += 6 * 3_600_000
  await keeper.tick()
  const rows = await accounting.rows({ from: dayOf(start), to: dayOf(clock.now), by: 'day' })
  const told = rows.filter(({ metric }) => metric === 'byte-seconds').map(({ period, value }) => [period, value])
  assert.deepEqual(told, [
    ['2026-01-30', 100n * 4n * 3_600n],
    ['2026-01-31', 100n * 2n * 3_600n],
  ])
})
