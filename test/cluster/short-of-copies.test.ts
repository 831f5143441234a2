import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { HandingOn } from '#src/cluster/handing-on.ts'
import { decodeLet, encodeCopies, encodeGiven } from '#src/cluster/keeper-wire.ts'
import { neededIn } from '#src/cluster/needed.ts'
import { askSheltered } from '#src/cluster/succession-methods.ts'
import { encodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, dropReference, readBlob } from '#src/metadata/blob-records.ts'
import { addBlobJob, decodeBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import { changeKeeper } from '#src/metadata/keeping.ts'
import { keys, under } from '#src/metadata/keyspace.ts'
import { fetchBlob, readOutbox } from '#src/metadata/outbox.ts'
import { isReserved, reserve } from '#src/metadata/reservations.ts'
import { readLost, readSuccession } from '#src/metadata/succession-records.ts'
import type { Membership } from '#src/model/region.ts'
import { realWorld, type World } from '#src/world.ts'
import { bucket, copyOf, follow, get, pull, put, type Region, remove, withThree } from './byte-regions.ts'

const bytes = randomBytes(1000)
const never = new AbortController().signal

async function recordIn({ foundation }: Region, blob: string) {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? record : undefined
}

const without = ({ epoch, root, members }: Membership, cell: number): Membership => ({
  epoch: epoch + 1,
  root,
  members: members.map((each) => (each.cell === cell ? { ...each, state: 'removed' } : each)),
})

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const begun = Date.now(); !(await isSo()); ) {
    assert.ok(Date.now() - begun < 30_000)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('V7: where too few copies would be left, others take one that name the blob, and then the copy goes', async () => {
  await withThree(
    async (_, fra, iad, syd) => {
      await put(fra, 'k', bytes)
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      assert.ok(await iad.bytes.copies.take(blob))
      await iad.bytes.jobs.pass()
      // As of a bucket that leaves a region: nothing names it there, and elsewhere it goes on.
      await remove(iad, 'k')
      await iad.bytes.jobs.pass()
      assert.ok((await copyOf(iad, blob)) !== undefined, 'it may not go yet')
      const wanted = async () => await syd.foundation.store.snapshot((snapshot) => readOutbox(snapshot, undefined, 10))
      await until(async () => (await wanted()).length > 0)
      assert.deepEqual(
        (await wanted()).map(({ kind, payload }) => ({ kind, payload })),
        [{ kind: fetchBlob, payload: { blob } }],
      )
      await syd.bytes.copies.ensure(blob)
      await syd.bytes.jobs.pass()
      await iad.bytes.jobs.pass()
      assert.equal(await recordIn(iad, blob), undefined)
    },
    { durabilityRegions: 2 },
  )
})

test('V7: however many copies are to go, the others are asked for more one lot at a time, and not once a cell stops', async () => {
  await withThree(
    async ({ peers }, fra, iad, syd) => {
      const keys = ['a', 'b', 'c']
      const copies: { blob: string; copy: number }[] = []
      for (const key of keys) {
        await put(fra, key, bytes)
        const blob = await follow(iad, fra, key)
        await follow(syd, fra, key)
        assert.ok(await iad.bytes.copies.take(blob))
        await iad.bytes.jobs.pass()
        copies.push({ blob, copy: (await copyOf(iad, blob))?.copy ?? 0 })
      }
      for (const key of keys) await remove(iad, key)
      const held = Promise.withResolvers<void>()
      const asked: string[] = []
      peers.between = async (call) => {
        if (!call.endsWith(' keeping')) return
        asked.push(call)
        await held.promise
      }
      const transport = peers.transport(iad.member)
      const release = async (copy: (typeof copies)[number]) =>
        decodeLet(await transport.ask(1, 'release', encodeCopies([copy]), never))
      for (let round = 0; round < 5; round++) {
        for (const copy of copies) assert.deepEqual(await release(copy), ['wait'])
      }
      assert.deepEqual(asked.toSorted(), ['2 keeping', '3 keeping'])
      // Nobody answers, and the stop does not wait for that, but for all that it has begun here.
      await fra.bytes.stop()
      held.resolve()
      for (const copy of copies) assert.deepEqual(await release(copy), ['wait'])
      await new Promise((resolve) => setTimeout(resolve, 50))
      assert.equal(peers.calls.filter((call) => call.endsWith(' keeping')).length, 2)
      assert.ok(!peers.calls.includes('3 copies-wanted'))
      assert.deepEqual(fra.errors, [])
    },
    { durabilityRegions: 2 },
  )
})

test('C20: of what a bucket asks for that is in fewer regions, or that may be in fewer, not more are needed', async () => {
  await withThree(async ({ membership }, { foundation }) => {
    const needed = (cells: readonly number[], regions?: readonly string[]) =>
      foundation.store.snapshot((snapshot) =>
        neededIn(snapshot, 7, regions === undefined ? {} : { restriction: { bucket: 7, regions } }, {
          membership: () => membership,
          durabilityRegions: 1,
          durabilityOf: async () => 3,
          cellsOfBucket: async () => cells,
        }),
      )
    assert.equal(await needed([1, 2, 3]), 3)
    assert.equal(await needed([1, 2]), 2)
    assert.equal(await needed([]), 3, 'it is not known where the bucket is')
    assert.equal(await needed([1, 2, 3], ['fra', 'iad']), 2)
    assert.equal(await needed([1, 3], ['fra', 'iad']), 1)
    assert.equal(await needed([1, 3], ['iad']), 2, 'where none is left, all may')
  })
})

test('C20 L1: a region that leaves waits for as many copies as the regions of the bucket that stay can have', async () => {
  for (const [cellsOfBucket, isEnough] of [
    [[1, 3], true],
    [[1, 2, 3], false],
  ] as const) {
    await withThree(
      async ({ membership, know, peers }, fra, iad, syd) => {
        await put(fra, 'k', bytes)
        const blob = await follow(syd, fra, 'k')
        assert.ok(await syd.bytes.copies.take(blob))
        await syd.bytes.jobs.pass()
        const members = membership.members.map((each) =>
          each.cell === 3 ? { ...each, state: 'leaving' as const } : each,
        )
        const leaving = { ...membership, epoch: 2, members }
        for (const { member } of [fra, iad, syd]) know(member.cell, leaving)
        const asking = { foundation: syd.foundation, transport: peers.transport(syd.member) }
        assert.deepEqual(await askSheltered(asking, 1, { epoch: 2, blobs: [blob] }), [isEnough], String(cellsOfBucket))
      },
      { durability: 2, cellsOfBucket },
    )
  }
})

test('C20: a part of an object needs what its bucket asks for, if the cell that this has left says which it was', async () => {
  await withThree(
    async ({ peers }, fra, iad) => {
      await put(fra, 'k', bytes)
      const blob = await follow(iad, fra, 'k')
      assert.ok(await iad.bytes.copies.take(blob))
      await iad.bytes.jobs.pass()
      // Nothing beside a part names a bucket.
      const { from, to } = under('reference', [Buffer.from(blob, 'hex')])
      await fra.foundation.store.transact(async (transaction) => transaction.clearRange(from, to))
      const { id } = await fra.cell.buckets.get(bucket)
      const copy = (await copyOf(iad, blob))?.copy ?? 0
      const given = async (request: Uint8Array) =>
        decodeLet(await peers.transport(iad.member).ask(1, 'release', request, never))
      assert.deepEqual(await given(encodeCopies([{ blob, copy }])), ['wait'])
      assert.deepEqual(await given(encodeGiven([{ blob, copy, bucket: id }])), ['wait'])
      assert.deepEqual(await given(encodeGiven([{ blob, copy, bucket: id + 1 }])), ['granted'])
    },
    { durability: 2 },
  )
})

test('V6 K2: what no region has is handed on without a copy, once all have said so, and is lost there', async () => {
  await withThree(async ({ peers, membership }, fra, iad) => {
    await put(fra, 'k', bytes)
    const blob = await follow(iad, fra, 'k')
    const record = await recordIn(fra, blob)
    assert.ok(record !== undefined)
    await fra.foundation.store.transact(async (to) => to.set(keys.blob(blob), encodeBlob({ ...record, holders: [] })))
    const handing = (isLost: boolean) =>
      new HandingOn({
        foundation: fra.foundation,
        transport: peers.transport(fra.member),
        membership: () => membership,
        durabilityRegions: 1,
        cellsOfBucket: async () => [2],
        lostOf: async (blobs) => new Set(isLost ? blobs : []),
      })
    await handing(false).hand([{ blob, bucket: 1 }])
    assert.deepEqual([(await recordIn(fra, blob))?.keeper, (await recordIn(iad, blob))?.keeper], [1, 1])
    await handing(true).hand([{ blob, bucket: 1 }])
    assert.deepEqual([(await recordIn(fra, blob))?.keeper, (await recordIn(iad, blob))?.keeper], [2, 2])
    const lost = await iad.foundation.store.snapshot((snapshot) => readLost(snapshot, undefined, 10))
    assert.deepEqual(
      lost.map((each) => each.blob),
      [blob],
    )
    assert.deepEqual((await recordIn(iad, blob))?.holders, [])
  })
})

test('K1: what was handed to a region that leaves, and given back meanwhile, gets a keeper that stays', async () => {
  await withThree(async ({ membership, know }, fra, iad, syd) => {
    await put(syd, 'k', bytes)
    const [blob] = [await follow(iad, syd, 'k'), await follow(fra, syd, 'k')]
    assert.ok(await iad.bytes.copies.take(blob))
    const members = membership.members.map((each) => (each.cell === 2 ? { ...each, state: 'leaving' as const } : each))
    for (const cell of [1, 2, 3]) know(cell, { ...membership, epoch: 2, members })
    // It was kept by syd still as iad was asked to leave, and by iad as syd heard that its offer was taken.
    await iad.foundation.store.transact((to) => changeKeeper(to, blob, 3, 'iad'))
    await syd.foundation.store.transact((to) => changeKeeper(to, blob, 2, 'syd'))
    const regions = [fra, iad, syd]
    const keepers = async () =>
      (await Promise.all(regions.map((each) => recordIn(each, blob)))).map((each) => each?.keeper)
    await until(async () => {
      for (const region of regions) {
        await region.bytes.succession.pass()
        await region.bytes.jobs.pass()
      }
      const [first, ...others] = await keepers()
      return first !== undefined && first !== 2 && others.every((each) => each === first)
    })
    const [keeper] = await keepers()
    const [kept] = regions.filter(({ member }) => member.cell === keeper)
    assert.ok(kept !== undefined && (await get(kept, 'k')).equals(bytes))
  })
})

test('K2: of what no region has it is said so only once all cells have answered', async () => {
  await withThree(async ({ peers }, fra, iad, syd) => {
    await put(fra, 'k', bytes)
    const blob = await follow(iad, fra, 'k')
    const { succession } = iad.bytes
    assert.deepEqual(await succession.lostOf([blob]), new Set(), 'fra has it')
    const record = await recordIn(fra, blob)
    assert.ok(record !== undefined)
    await fra.foundation.store.transact(async (to) => to.set(keys.blob(blob), encodeBlob({ ...record, holders: [] })))
    peers.faultsOf(syd.member.cell).isDown = true
    assert.deepEqual(await succession.lostOf([blob]), new Set())
    peers.faultsOf(syd.member.cell).isDown = false
    assert.deepEqual(await succession.lostOf([blob]), new Set([blob]))
  })
})

test('R3: what writes under way have reserved of a bucket that leaves a cell is reserved there no more', async () => {
  for (const left of [undefined, 'left'] as const) {
    await withThree(async (_, fra) => {
      await put(fra, 'k', bytes)
      const { store } = fra.foundation
      const { id } = await fra.cell.buckets.get(bucket)
      const all = under('blob', [])
      const [row] = await store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 1 }))
      assert.ok(row !== undefined)
      const blob = blobOfRow(row.key)
      const reservation = { blob, token: 5 }
      await store.transact(async (to) => reserve(to, reservation, realWorld.now() + 1_000_000))
      await store.transact((to) =>
        dropReference(to, blob, { bucket: id, key: 'k', slot: 0n }, left === undefined ? undefined : id),
      )
      assert.equal(await store.snapshot((snapshot) => isReserved(snapshot, reservation)), left === undefined)
      assert.equal((await recordIn(fra, blob))?.isUnreferenced, left === undefined ? undefined : true)
      const jobs = await store.snapshot((snapshot) => readBlobJobs(snapshot, undefined, 10))
      const leaving = jobs.map(({ value }) => decodeBlobJob(value)).filter(({ kind }) => kind === 'leave')
      assert.deepEqual(leaving, left === undefined ? [] : [{ kind: 'leave', blob, bucket: id }])
    })
  }
})

test('C20: what is short of copies, and has no region to be in, is looked at again after an hour; else after a day', async () => {
  let ahead = 0
  const hour = 3_600_000
  const world: World = { ...realWorld, now: () => realWorld.now() + ahead }
  await withThree(
    async (all, fra, iad) => {
      await put(fra, 'k', bytes)
      all.know(1, without(all.membership, 3))
      all.know(2, without(all.membership, 3))
      const look = async () => {
        await fra.bytes.succession.pass()
        return await fra.foundation.store.snapshot(readSuccession)
      }
      const first = await look()
      assert.deepEqual([first?.short, first?.wanted], [1, 0], 'nobody else names it')
      assert.equal((await look())?.at, first?.at)
      ahead += hour
      await pull(iad, fra)
      const second = await look()
      assert.ok(second !== undefined && second.at > (first?.at ?? 0))
      assert.deepEqual([second.short, second.wanted], [0, 1])
      const asked = await iad.foundation.store.snapshot((snapshot) => readOutbox(snapshot, undefined, 10))
      assert.equal(asked.length, 1)
      const [job] = asked
      await iad.bytes.copies.ensure(String(job?.payload['blob']))
      await iad.bytes.jobs.pass()
      const third = await look()
      assert.deepEqual([third?.short, third?.wanted], [0, 0])
      ahead += hour
      assert.equal((await look())?.at, third?.at)
      ahead += 23 * hour
      assert.ok(((await look())?.at ?? 0) > (third?.at ?? 0))
    },
    { durabilityRegions: 2, world },
  )
})

test('a look at all jobs, or at all blobs, ends at the signal, and is not taken for a whole one', async () => {
  await withThree(async (all, fra) => {
    const { store } = fra.foundation
    await put(fra, 'k', bytes)
    const { from, to: end } = under('blob', [])
    const [row] = await store.snapshot((snapshot) => snapshot.range(from, end, { limit: 1 }))
    assert.ok(row !== undefined)
    const many = Array.from({ length: 450 }, () => randomBytes(16).toString('hex'))
    await store.transact(async (to) => {
      for (const blob of many) {
        to.set(keys.blob(blob), row.value)
        addBlobJob(to, { kind: 'hold', blob: randomBytes(16).toString('hex') })
      }
    })
    const jobs = async () => (await store.snapshot((snapshot) => readBlobJobs(snapshot, undefined, 1_000))).length
    assert.equal(await jobs(), many.length)
    all.know(1, without(all.membership, 3))
    const unheard = () => assert.fail('nothing fails')
    // Whatever reads or writes next is the last that is begun.
    const { transact, snapshot } = store
    const stopping = () => {
      const over = new AbortController()
      store.transact = (...asked) => {
        over.abort()
        return transact.apply(store, asked) as never
      }
      return over.signal
    }
    await fra.bytes.jobs.run(stopping(), unheard)
    assert.equal(await jobs(), many.length - 200, 'the first lot is done')
    let reads = 0
    const over = new AbortController()
    store.transact = transact
    store.snapshot = (...asked) => {
      reads += 1
      over.abort()
      return snapshot.apply(store, asked) as never
    }
    assert.equal(await fra.bytes.succession.pass(over.signal), true, 'there is more to do')
    store.snapshot = snapshot
    assert.ok(reads < 5, `${reads}`)
    assert.equal(await store.snapshot(readSuccession), undefined)
    await fra.bytes.succession.pass()
    assert.equal((await store.snapshot(readSuccession))?.blobs, many.length + 1)
  })
})
