import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeLet, encodeCopies } from '#src/cluster/keeper-wire.ts'
import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, readBlob } from '#src/metadata/blob-records.ts'
import { decodeBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import { adoptLost, changeKeeper, hold, release } from '#src/metadata/keeping.ts'
import { under } from '#src/metadata/keyspace.ts'
import { readLost } from '#src/metadata/succession-records.ts'
import type { Transaction } from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import {
  applyPage,
  copy,
  copyOf,
  follow,
  get,
  openRegions,
  type Page,
  pull,
  put,
  type Region,
  readPage,
  remove,
} from './byte-regions.ts'

type Opened = Awaited<ReturnType<typeof openRegions>>

/** Waits a hundredth of what it is asked to between steps, and no less for a region that is slow on a busy machine. */
const world: World = {
  ...realWorld,
  sleep: (milliseconds, signal, options) =>
    realWorld.sleep(milliseconds > 1_000 ? milliseconds : milliseconds / 100, signal, options),
}

async function withRegions(
  count: number,
  work: (all: Opened, ...regions: Region[]) => Promise<void>,
  durabilityRegions = 1,
): Promise<void> {
  const all = await openRegions({ count, world, durabilityRegions })
  try {
    await work(all, ...all.regions)
  } finally {
    await all.close()
  }
}

async function blobsOf({ foundation }: Region) {
  const { from, to } = under('blob', [])
  const rows = await foundation.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 1000 }))
  return rows.map(({ key, value }) => ({ blob: blobOfRow(key), record: decodeBlob(value) }))
}

async function jobsOf({ foundation }: Region): Promise<readonly string[]> {
  const rows = await foundation.store.snapshot((snapshot) => readBlobJobs(snapshot, undefined, 1000))
  return rows.map(({ value }) => decodeBlobJob(value).kind)
}

/** Until nothing changes any more: all follow all, and all jobs are done. */
async function settle(regions: readonly Region[]): Promise<void> {
  for (let round = 0; round < 6; round++) {
    for (const to of regions) for (const from of regions) if (to !== from) await pull(to, from)
    for (const region of regions) await region.bytes.jobs.pass()
  }
}

/** Every blob that somewhere something names has a copy that can be read. */
async function checkNothingLost(regions: readonly Region[], keys: readonly string[]): Promise<void> {
  for (const region of regions) {
    for (const key of keys) {
      const read = await get(region, key).catch((error: unknown) => {
        assert.equal((error as { code?: string }).code, 'NoSuchKey', `${key} in ${region.member.region}: ${error}`)
        return undefined
      })
      if (read !== undefined) assert.equal(read.length, 100)
    }
  }
}

/** The next two transactions of a cell begin together: what either looked at before says nothing of the other. */
function meetBeforeCommits({ cell: { store } }: Region): void {
  const transact = store.transact.bind(store)
  const { promise: met, resolve: meet } = Promise.withResolvers<void>()
  let arrived = 0
  store.transact = async (body) => {
    arrived += 1
    if (arrived === 2) meet()
    await met
    return await transact(body)
  }
}

describe('the keeper of a blob', () => {
  test('C19 V1: counts a copy once it was told of it, and names it to those who ask', async () => {
    await withRegions(3, async ({ peers }, fra, iad, syd) => {
      assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
      const bytes = randomBytes(1000)
      await put(fra, 'k', bytes)
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      assert.ok(await iad.bytes.copies.take(blob))
      assert.deepEqual(await jobsOf(iad), ['hold'])
      peers.faultsOf(1).isDown = true
      await iad.bytes.jobs.pass()
      assert.deepEqual(await jobsOf(iad), ['hold'], 'a keeper that cannot be reached is asked again')
      peers.faultsOf(1).isDown = false
      await iad.bytes.jobs.pass()
      assert.deepEqual(await jobsOf(iad), [])
      const kept = (await blobsOf(fra)).find((each) => each.blob === blob)
      assert.ok(kept?.record.kind === 'bytes')
      assert.deepEqual(kept.record.holders.map(({ region }) => region).sort(), ['fra', 'iad'])
    })
  })

  test('V4: nothing goes while a cell cannot be reached, and then all of it does', async () => {
    await withRegions(3, async ({ peers }, fra, iad, syd) => {
      assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
      await put(fra, 'k', randomBytes(1000))
      await pull(iad, fra)
      await pull(syd, fra)
      const [{ blob } = { blob: '' }] = await blobsOf(fra)
      assert.ok(await iad.bytes.copies.take(blob))
      await iad.bytes.jobs.pass()
      await remove(fra, 'k')
      peers.faultsOf(3).isDown = true
      await pull(iad, fra)
      for (const region of [fra, iad]) await region.bytes.jobs.pass()
      assert.equal((await blobsOf(fra)).length, 1)
      peers.faultsOf(3).isDown = false
      await settle([fra, iad, syd])
      for (const region of [fra, iad, syd]) {
        assert.deepEqual(await blobsOf(region), [])
        assert.deepEqual(await jobsOf(region), [])
        const { from, to } = under('vote', [])
        const votes = await region.foundation.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10 }))
        assert.deepEqual(votes, [])
      }
    })
  })

  test('C19 V2: of two holders that want to go at once, one stays where both are too many', async () => {
    await withRegions(
      3,
      async (_, fra, iad, syd) => {
        assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
        await put(fra, 'k', randomBytes(1000))
        const blob = await follow(iad, fra, 'k')
        await follow(syd, fra, 'k')
        for (const region of [iad, syd]) {
          assert.ok(await region.bytes.copies.take(blob))
          await region.bytes.jobs.pass()
        }
        meetBeforeCommits(fra)
        const release = fra.bytes.methods.find(({ name }) => name === 'release')
        const answers = await Promise.all(
          [iad, syd].map(async (region) => {
            const copy = (await copyOf(region, blob))?.copy ?? 0
            const answer = release?.answer(encodeCopies([{ blob, copy }]), region.member, new AbortController().signal)
            assert.ok(answer instanceof Promise)
            return decodeLet(await answer)[0]
          }),
        )
        assert.deepEqual(answers.sort(), ['granted', 'wait'])
        const kept = await fra.foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
        assert.ok(kept?.kind === 'bytes' && kept.holders.length === 2)
      },
      2,
    )
  })

  test('V6 K2: what was kept here without a copy, and is kept elsewhere now, is forgotten once nothing names it', async () => {
    await withRegions(2, async (_, fra, iad) => {
      assert.ok(fra !== undefined && iad !== undefined)
      await put(fra, 'k', randomBytes(100_000))
      const blob = await follow(iad, fra, 'k')
      const { store } = iad.foundation
      const adopted = await store.transact((transaction) =>
        adoptLost(transaction, blob, { here: iad.foundation, now: 1 }),
      )
      assert.equal(adopted, 'adopted')
      await remove(iad, 'k')
      assert.equal((await store.snapshot((snapshot) => readBlob(snapshot, blob)))?.kind, 'bytes', 'kept here, it stays')
      await store.transact((transaction) => changeKeeper(transaction, blob, fra.member.cell, 'iad'))
      await iad.bytes.jobs.pass()
      assert.deepEqual([await blobsOf(iad), await jobsOf(iad)], [[], []])
      assert.deepEqual(await store.snapshot((snapshot) => readLost(snapshot, undefined, 10)), [])
    })
  })

  test('V1: a message about a copy that was given up does not count it again, however late it comes', async () => {
    await withRegions(2, async (_, fra, iad) => {
      assert.ok(fra !== undefined && iad !== undefined)
      await put(fra, 'k', randomBytes(1000))
      const blob = await follow(iad, fra, 'k')
      const word = (change: (to: Transaction) => Promise<string>) => fra.foundation.store.transact(change)
      const at = (copy: number) => ({ blob, region: 'iad', copy })
      const counting = { here: fra.member, needed: 1, isCounted: () => true }
      const held = (copy: number) => fra.foundation.store.transact((to) => hold(to, at(copy), fra.member.cell))
      assert.deepEqual(await held(5), { word: 'held', last: 0 })
      assert.equal(await word((to) => release(to, at(5), counting)), 'granted')
      assert.deepEqual(await held(5), { word: 'stale', last: 5 })
      assert.deepEqual(await held(6), { word: 'held', last: 0 })
      assert.equal(await word((to) => release(to, at(5), counting)), 'granted')
      const kept = await fra.foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
      assert.ok(kept?.kind === 'bytes' && kept.holders.some(({ region }) => region === 'iad'))
    })
  })

  test('C19 V3: a blob whose name wanders from key to key, ahead of the keeper, is not freed', async () => {
    await withRegions(3, async (_, keeper, a, c) => {
      assert.ok(keeper !== undefined && a !== undefined && c !== undefined)
      const bytes = randomBytes(100)
      await put(keeper, 'k', bytes)
      await pull(a, keeper)
      await pull(c, keeper)
      await copy(a, 'k', 'dst')
      await pull(c, a)
      await remove(keeper, 'k')
      await pull(a, keeper)
      await pull(c, keeper)
      // Both have passed the deletion. The name goes on in c, and disappears where the keeper could have seen it.
      await copy(c, 'dst', 'dst2')
      await remove(a, 'dst')
      await pull(c, a)
      await pull(keeper, a)
      await keeper.bytes.jobs.pass()
      assert.ok((await get(c, 'dst2')).equals(bytes))
      await settle([keeper, a, c])
      for (const region of [keeper, a, c]) assert.ok((await get(region, 'dst2')).equals(bytes))
    })
  })

  /** `k` was written by its keeper and copied to `dst` by a; then the keeper deleted it, and all have heard of that. */
  async function openWandering(keeper: Region, a: Region, c: Region): Promise<Buffer> {
    const bytes = randomBytes(100)
    await put(keeper, 'k', bytes)
    for (const each of [a, c]) await pull(each, keeper)
    await copy(a, 'k', 'dst')
    await remove(keeper, 'k')
    for (const each of [a, c]) await pull(each, keeper)
    return bytes
  }

  /** Runs once, before a call is answered the first time. */
  function before(peers: Opened['peers'], hooks: Readonly<Record<string, () => Promise<void>>>): void {
    const ran = new Set<string>()
    peers.between = async (call) => {
      if (ran.has(call)) return
      ran.add(call)
      await hooks[call]?.()
    }
  }

  test('V3: a cell that names a blob at the first question does not vouch for it by naming it no more at the second', async () => {
    await withRegions(3, async ({ peers }, keeper, a, c) => {
      assert.ok(keeper !== undefined && a !== undefined && c !== undefined)
      const bytes = await openWandering(keeper, a, c)
      const { head } = a.feed
      let pulled = () => {}
      const hasPulled = new Promise<void>((resolve) => {
        pulled = resolve
      })
      before(peers, {
        '3 confirm': async () => {
          await copy(a, 'dst', 'dst3')
          await remove(a, 'dst')
          for (const each of [keeper, c]) await pull(each, a, head)
          for (const each of [a, c]) await pull(keeper, each, each === a ? head : undefined)
          await pull(a, c)
          // While c's answer is on its way.
          setImmediate(async () => {
            await new Promise((resolve) => setTimeout(resolve, 20))
            await pull(c, a)
            pulled()
          })
        },
        '2 confirm': async () => {
          await hasPulled
          await remove(a, 'dst3')
        },
      })
      await keeper.bytes.jobs.pass()
      // The first question already told that a names it.
      if (!peers.calls.includes('3 confirm')) return assert.ok((await get(a, 'dst')).equals(bytes))
      assert.ok((await get(c, 'dst3')).equals(bytes))
    })
  })

  test('V3: what a cell said before it voted has arrived everywhere before the second question is answered', async () => {
    await withRegions(3, async ({ peers }, keeper, a, c) => {
      assert.ok(keeper !== undefined && a !== undefined && c !== undefined)
      const bytes = await openWandering(keeper, a, c)
      const late = await readPage(c, a)
      await remove(a, 'dst')
      await pull(keeper, a)
      await pull(keeper, c)
      await pull(a, c)
      await keeper.bytes.jobs.pass()
      assert.ok(peers.calls.includes('3 confirm'))
      await applyPage(c, a, late)
      assert.ok((await get(c, 'dst')).equals(bytes))
    })
  })

  test('V3: a cell that named a blob for a moment between the questions takes its word back', async () => {
    await withRegions(3, async ({ peers }, keeper, a, c) => {
      assert.ok(keeper !== undefined && a !== undefined && c !== undefined)
      const bytes = await openWandering(keeper, a, c)
      const toC = await readPage(c, a)
      await remove(a, 'dst')
      await pull(a, c)
      const heads = c.feed.head
      let late: Page | undefined
      before(peers, {
        '3 confirm': async () => {
          await applyPage(c, a, toC)
          late = await readPage(a, c)
          await pull(c, a)
          await pull(keeper, a)
          await pull(keeper, c, heads)
        },
      })
      await keeper.bytes.jobs.pass()
      assert.ok(late !== undefined && late.records.length > 0)
      a.feed.early.clear()
      const record = late.records.find(([key]) => key === 'dst')?.[1]
      assert.ok(record?.version !== undefined)
      // Under a later stamp, as if it had been copied on: the tombstone of its own key would hide it.
      const stamp = record.version.stamp + 10_000_000_000_000n
      const version = { ...record.version, stamp }
      await applyPage(a, c, { ...late, records: [['dst', { ...record, version }]] })
      assert.ok((await get(a, 'dst')).equals(bytes))
    })
  })

  test('I7 V3 C19: whatever happens between the steps of freeing, what is named can be read', async () => {
    const keys = ['k0', 'k1', 'k2', 'k3']
    const action = fc.record(
      {
        kind: fc.constantFrom('put', 'put', 'copy', 'copy', 'remove', 'remove', 'pull', 'pull', 'take', 'jobs'),
        region: fc.nat(2),
        other: fc.nat(2),
        key: fc.constantFrom(...keys),
        target: fc.constantFrom(...keys),
      },
      { noNullPrototype: true },
    )
    let freed = 0
    let rounds = 0
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 10, maxLength: 60 }), async (actions) => {
        await withRegions(3, async ({ peers }, ...regions) => {
          const queue = [...actions]
          let written = 0
          const step = async (isInside: boolean): Promise<void> => {
            const next = queue.shift()
            if (next === undefined) return
            const region = regions[next.region]
            const other = regions[next.other]
            assert.ok(region !== undefined && other !== undefined)
            const ignore = () => {}
            if (next.kind === 'put') {
              await put(region, next.key, randomBytes(100))
              written += 1
            }
            if (next.kind === 'copy') await copy(region, next.key, next.target).catch(ignore)
            if (next.kind === 'remove') await remove(region, next.key)
            if (next.kind === 'pull' && region !== other) await pull(region, other)
            if (isInside) return
            if (next.kind === 'jobs') await region.bytes.jobs.pass()
            const { blob } = (await blobsOf(region)).find(({ record }) => record.kind === 'bytes') ?? {}
            if (next.kind === 'take' && blob !== undefined && (await copyOf(region, blob)) === undefined) {
              await region.bytes.copies.take(blob).catch(ignore)
            }
          }
          peers.between = async () => {
            rounds += 1
            await step(true)
          }
          while (queue.length > 0) await step(false)
          await settle(regions)
          await checkNothingLost(regions, keys)
          const named = await Promise.all(regions.map(blobsOf))
          for (const [index, all] of named.entries()) {
            for (const { record } of all) {
              assert.ok(record.kind === 'bytes')
              assert.equal(record.isUnreferenced, undefined, `what nobody names is gone in ${index}`)
            }
          }
          const left = new Set(named.flat().map(({ blob }) => blob))
          freed += written - left.size
        })
      }),
      { numRuns: 25 },
    )
    assert.ok(freed > 20 && rounds > 100, `${freed} blobs were freed, with ${rounds} chances between`)
  })
})
