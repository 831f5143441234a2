import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { chunkBytes } from '#src/blobs/frame.ts'
import { askSheltered } from '#src/cluster/succession-methods.ts'
import { Fault } from '#src/errors.ts'
import { readBlob, receiveBlob } from '#src/metadata/blob-records.ts'
import { keptWith, renumber } from '#src/metadata/keeping.ts'
import { realWorld } from '#src/world.ts'
import {
  bucket,
  copy,
  copyOf,
  follow,
  get,
  guard,
  openRegions,
  pull,
  put,
  type Region,
  remove,
} from './byte-regions.ts'

type Opened = Awaited<ReturnType<typeof openRegions>>
const opened: Opened[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

async function three(cacheBytes?: number): Promise<Opened & { fra: Region; iad: Region; syd: Region }> {
  const all = await openRegions({ count: 3, ...(cacheBytes !== undefined && { cacheBytes }) })
  opened.push(all)
  const [fra, iad, syd] = all.regions
  assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
  return { ...all, fra, iad, syd }
}

const isUnavailable = (error: unknown) => error instanceof Fault && error.code === 'ServiceUnavailable'

const large = 5 * chunkBytes + 777

/** Spoils the bytes of all frames on a region's volume, but not their headers. */
async function spoil(region: Region, folder = 'segments'): Promise<void> {
  for (const { path } of await region.cell.blobs.maintenance.volumes()) {
    for (const name of await readdir(join(path, folder))) {
      const file = join(path, folder, name)
      const bytes = await readFile(file)
      for (let at = 4096 + 300; at < bytes.length; at += 512) bytes[at] = 255 - (bytes[at] ?? 0)
      await writeFile(file, bytes)
    }
  }
}

describe('bytes that another region holds', () => {
  test('Y1: are read whole and in ranges, and every byte is right', async () => {
    const { fra, iad } = await three()
    for (const size of [17, chunkBytes - 1, chunkBytes, chunkBytes + 1, large]) {
      const bytes = randomBytes(size)
      await put(fra, `key-${size}`, bytes)
      await follow(iad, fra, `key-${size}`)
      assert.ok((await get(iad, `key-${size}`)).equals(bytes), `${size} bytes`)
      for (const [from, to] of [
        [0, 0],
        [size >> 1, size - 1],
        [size - 1, size - 1],
      ] as const) {
        const part = await get(iad, `key-${size}`, from, to)
        assert.ok(part.equals(bytes.subarray(from, to + 1)), `${from} to ${to} of ${size}`)
      }
    }
    assert.deepEqual(iad.errors, [])
  })

  test('a range of a large blob brings the chunks that it covers, and the list of checksums', async () => {
    const { fra, iad } = await three()
    const bytes = randomBytes(40 * chunkBytes)
    await put(fra, 'k', bytes)
    await follow(iad, fra, 'k')
    const from = 20 * chunkBytes + 5
    assert.ok((await get(iad, 'k', from, from + chunkBytes)).equals(bytes.subarray(from, from + chunkBytes + 1)))
    assert.equal(iad.counters.value('blobs.fetchedBytes'), 2 * chunkBytes)
  })

  test('Y3: many readers at once cost one fetch', async () => {
    const { fra, iad, peers } = await three()
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    await follow(iad, fra, 'k')
    const all = await Promise.all(Array.from({ length: 20 }, () => get(iad, 'k')))
    assert.ok(all.every((each) => each.equals(bytes)))
    assert.deepEqual(peers.calls, ['1 blob'])
    assert.equal(iad.counters.value('blobs.fetchedBytes'), large)
  })

  test('Y2: a source that breaks off in the middle is followed by the next one, at the same offset', async () => {
    const { fra, iad, syd, peers } = await three()
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    const blob = await follow(iad, fra, 'k')
    await follow(syd, fra, 'k')
    assert.ok(await iad.bytes.copies.take(blob))
    await syd.foundation.store.transact(async (transaction) => {
      const record = await readBlob(transaction, blob)
      assert.ok(record?.kind === 'bytes')
      await receiveBlob(transaction, blob, { ...record, regions: ['iad'] }, syd.member)
    })
    peers.calls.length = 0
    peers.faultsOf(1).breaksAfter = 3 * chunkBytes
    assert.ok((await get(syd, 'k')).equals(bytes))
    assert.deepEqual(peers.calls, ['1 blob', '2 blob'])
    assert.equal(syd.counters.value('blobs.fetchedBytes'), large)
  })

  test('Y1: a source that sends other bytes, or another list of checksums, is not believed', async () => {
    for (const at of [5, 4 * 6 + 40]) {
      const { fra, iad, peers } = await three()
      await put(fra, 'k', randomBytes(large))
      await follow(iad, fra, 'k')
      let seen = 0
      peers.faultsOf(1).alter = (bytes) => {
        const index = at - seen
        seen += bytes.length
        if (index >= 0 && index < bytes.length) bytes[index] = 255 - (bytes[index] ?? 0)
        return bytes
      }
      await assert.rejects(get(iad, 'k'), isUnavailable)
      assert.equal(iad.counters.value('blobs.fetchedBytes'), 0)
    }
  })

  test('Y2 C21: that nobody gives are 503, and their keeper was asked who has them', async () => {
    const { fra, iad, syd, peers } = await three()
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    const blob = await follow(iad, fra, 'k')
    await follow(syd, fra, 'k')
    peers.faultsOf(1).isDown = true
    await assert.rejects(get(syd, 'k'), isUnavailable)
    assert.deepEqual(peers.calls, ['1 blob', '1 holders', '2 blob'])
    peers.faultsOf(1).isDown = false
    assert.ok(await iad.bytes.copies.take(blob))
    assert.ok((await get(syd, 'k')).equals(bytes))
  })

  test('I3 Y4: a copy that is damaged is not served: another region serves, and its copy takes the place of it', async () => {
    const { fra, iad, peers } = await three()
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    const blob = await follow(iad, fra, 'k')
    assert.ok(await iad.bytes.copies.take(blob))
    const before = await copyOf(iad, blob)
    await iad.cell.blobs.seal()
    await spoil(iad)
    assert.ok((await get(iad, 'k')).equals(bytes))
    await iad.bytes.copies.settled()
    const after = await copyOf(iad, blob)
    assert.notDeepEqual(after, before)
    assert.equal(iad.counters.value('blobs.repaired'), 1)
    peers.faultsOf(1).isDown = true
    assert.ok((await get(iad, 'k')).equals(bytes))
    assert.deepEqual(iad.errors, [])
  })

  test('I3: a damaged copy that no other region can replace is an error, and stays named', async () => {
    const { fra, iad } = await three()
    await put(fra, 'k', randomBytes(large))
    const blob = await follow(iad, fra, 'k')
    await fra.cell.blobs.seal()
    await spoil(fra)
    await assert.rejects(get(fra, 'k'), isUnavailable)
    await fra.bytes.copies.settled()
    assert.equal(fra.errors.length, 1)
    assert.ok((await copyOf(fra, blob)) !== undefined)
    await assert.rejects(get(iad, 'k'), isUnavailable)
  })

  test('C4: are read a second time without asking anybody', async () => {
    const { fra, iad, peers } = await three(64 * 2 ** 20)
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    await follow(iad, fra, 'k')
    assert.ok((await get(iad, 'k')).equals(bytes))
    await iad.cache?.settled()
    assert.deepEqual(peers.calls, ['1 blob'])
    assert.equal(iad.counters.value('cache.hits'), 0)
    peers.calls.length = 0
    assert.ok((await get(iad, 'k')).equals(bytes))
    assert.ok((await get(iad, 'k', chunkBytes - 5, large - 1)).equals(bytes.subarray(chunkBytes - 5)))
    assert.deepEqual(peers.calls, [])
    assert.equal(iad.counters.value('cache.hits'), 12)
    assert.equal(iad.counters.value('blobs.fetchedBytes'), large)
    assert.equal(
      await copyOf(iad, (await follow(iad, fra, 'k')) ?? ''),
      undefined,
      'what is cached is no copy that counts',
    )
  })

  test('C4: a chunk that was damaged in the cache is fetched again, and never given', async () => {
    const { fra, iad, peers } = await three(64 * 2 ** 20)
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    await follow(iad, fra, 'k')
    assert.ok((await get(iad, 'k')).equals(bytes))
    await iad.cache?.settled()
    await spoil(iad, 'cache/segments')
    peers.faultsOf(1).isDown = true
    await assert.rejects(get(iad, 'k'), isUnavailable)
    peers.faultsOf(1).isDown = false
    assert.ok((await get(iad, 'k')).equals(bytes))
    // What comes along with a chunk is not looked for in the cache: it is found to be damaged by a later read.
    for (let round = 0; round < 6; round++) {
      await iad.cache?.settled()
      peers.calls.length = 0
      assert.ok((await get(iad, 'k')).equals(bytes))
    }
    assert.deepEqual(peers.calls, [])
  })

  test('C4 C21: what was deleted cannot be read from the cache', async () => {
    const { fra, iad } = await three(64 * 2 ** 20)
    await put(fra, 'k', randomBytes(large))
    await follow(iad, fra, 'k')
    await get(iad, 'k')
    await iad.cache?.settled()
    await remove(iad, 'k')
    await assert.rejects(get(iad, 'k'), (error: unknown) => error instanceof Fault && error.code === 'NoSuchKey')
  })

  test('C19 I7: no copy goes while its keeper cannot read its own, also where the keeper names the blob no more', async () => {
    const { fra: keeper, iad, syd } = await three()
    const bytes = randomBytes(large)
    await put(keeper, 'k', bytes)
    for (const each of [iad, syd]) await pull(each, keeper)
    const { version } = await keeper.objects.find({ name: { bucket, key: 'k' }, guard })
    assert.ok(version.content.kind === 'blob')
    const { blob } = version.content
    assert.ok(await iad.bytes.copies.take(blob))
    await iad.bytes.jobs.pass()
    // The name goes on in syd, which the keeper has not heard of, and nothing names it in the two that hold it.
    await copy(syd, 'k', 'dst')
    await remove(keeper, 'k')
    await pull(iad, keeper)
    await keeper.cell.blobs.seal()
    await spoil(keeper)
    await iad.bytes.jobs.pass()
    assert.ok((await get(syd, 'dst')).equals(bytes))
  })

  describe('L1 C21: a region that leaves waits for its keeper again', () => {
    /** A blob of the first region, which keeps it and has read its copy of it; the other copy is in the second, which leaves. */
    async function leaving() {
      const { fra: keeper, iad, peers, membership, know } = await three()
      await put(keeper, 'k', randomBytes(large))
      const blob = await follow(iad, keeper, 'k')
      assert.ok(await iad.bytes.copies.take(blob))
      await iad.bytes.jobs.pass()
      const members = membership.members.map((each) =>
        each.cell === 2 ? { ...each, state: 'leaving' as const } : each,
      )
      for (const cell of [1, 2, 3]) know(cell, { ...membership, epoch: 2, members })
      const asking = { foundation: iad.foundation, transport: peers.transport(iad.member) }
      const isSheltered = async () => (await askSheltered(asking, 1, { epoch: 2, blobs: [blob] }))?.[0]
      const { store } = keeper.foundation
      const record = async () => {
        const found = await store.snapshot((snapshot) => readBlob(snapshot, blob))
        assert.ok(found?.kind === 'bytes')
        return found
      }
      const damage = async () => {
        await keeper.cell.blobs.seal()
        await spoil(keeper)
      }
      return { keeper, blob, faults: peers.faultsOf(2), store, isSheltered, record, damage }
    }

    test('once that one finds that what it had read is damaged', async () => {
      const { keeper, blob, faults, isSheltered, damage } = await leaving()
      assert.equal(await isSheltered(), true)
      await damage()
      faults.isDown = true
      await assert.rejects(get(keeper, 'k'), isUnavailable)
      await keeper.bytes.copies.settled()
      assert.equal(await isSheltered(), false, 'the one that leaves has the last good copy')
      faults.isDown = false
      assert.ok(await keeper.bytes.copies.take(blob))
      assert.equal(await isSheltered(), true)
    })

    test('also where its store does not take what it found', async () => {
      const { keeper, faults, store, isSheltered, damage } = await leaving()
      assert.equal(await isSheltered(), true)
      await damage()
      faults.isDown = true
      store.transact = () => Promise.reject(new Error('no writes'))
      await assert.rejects(get(keeper, 'k'), isUnavailable)
      assert.equal(await isSheltered(), false)
      await keeper.bytes.stop()
    })

    test('what it found is written down once its store takes it, for other processes of its cell', async () => {
      const { keeper, blob, faults, store, record, damage } = await leaving()
      const before = keptWith(await record(), keeper.member)
      await damage()
      faults.isDown = true
      const transact = store.transact.bind(store)
      store.transact = () => {
        store.transact = transact
        return Promise.reject(new Error('no writes'))
      }
      keeper.bytes.copies.repair(blob)
      await keeper.bytes.copies.settled()
      assert.notEqual(keptWith(await record(), keeper.member), before)
    })

    test('once another process of its cell finds that', async () => {
      const { blob, store, keeper, isSheltered, damage } = await leaving()
      assert.equal(await isSheltered(), true)
      await damage()
      await store.transact((to) => renumber(to, blob, keeper.member.region, realWorld.now()))
      assert.equal(await isSheltered(), false)
    })

    test('also where that is found while it reads', async () => {
      const { keeper, blob, faults, isSheltered, record, damage } = await leaving()
      const { copies } = keeper.bytes
      faults.isDown = true
      const reading = copies.isGood(blob, await record())
      copies.repair(blob)
      assert.equal(await reading, true)
      await copies.settled()
      await damage()
      assert.equal(await isSheltered(), false)
    })
  })

  test('C19: a copy that could not be read for a moment, and which nobody replaces, counts again', async () => {
    const { fra: keeper, iad, peers } = await three()
    const bytes = randomBytes(large)
    await put(keeper, 'k', bytes)
    const blob = await follow(iad, keeper, 'k')
    assert.ok(await iad.bytes.copies.take(blob))
    await iad.bytes.jobs.pass()
    for (const each of [keeper, iad]) {
      await each.cell.blobs.seal()
      await spoil(each)
    }
    // Spoilt twice, bytes are as they were: the disk recovers once its copy was called lost.
    let isLost = false
    peers.between = async (call) => {
      if (call !== '1 lost' || isLost) return
      isLost = true
      await spoil(iad)
    }
    await assert.rejects(get(iad, 'k'), isUnavailable)
    await iad.bytes.copies.settled()
    assert.ok(isLost)
    await iad.bytes.jobs.pass()
    // Reads find it also where nobody counts it; what the keeper goes by when others want to go is what it counts.
    const record = await keeper.foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
    assert.ok(record?.kind === 'bytes' && record.holders.some(({ region }) => region === 'iad'))
    assert.ok((await get(keeper, 'k')).equals(bytes))
  })
})

test('a stop waits for the repair that is under way, and for none of those that wait', async () => {
  const { peers, fra, iad } = await three()
  const blobs: string[] = []
  for (const key of ['a', 'b', 'c']) {
    await put(fra, key, randomBytes(1000))
    blobs.push(await follow(iad, fra, key))
  }
  let stopped: Promise<void> | undefined
  peers.faultsOf(1).alter = (bytes) => {
    stopped ??= iad.bytes.stop()
    return bytes
  }
  for (const blob of blobs) iad.bytes.copies.repair(blob)
  while (stopped === undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  await stopped
  const [first, ...others] = await Promise.all(blobs.map((blob) => copyOf(iad, blob)))
  assert.ok(first !== undefined, 'it is whole when the store is closed')
  assert.deepEqual(others, [undefined, undefined])
  iad.bytes.copies.repair(blobs[1] ?? '')
  await iad.bytes.copies.settled()
  assert.equal(await copyOf(iad, blobs[1] ?? ''), undefined)
})
