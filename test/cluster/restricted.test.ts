import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { chunkBytes } from '#src/blobs/frame.ts'
import { Fault } from '#src/errors.ts'
import { copyIn } from '#src/metadata/blob-records.ts'
import { addBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import { changeKeeper } from '#src/metadata/keeping.ts'
import { readOutbox } from '#src/metadata/outbox.ts'
import { attributes, body } from '../service/cell.ts'
import { follow, get as getBytes, openRegions } from './byte-regions.ts'
import { bucket, copy, type FedRegion, get, guard, inParts, only, put, remove, three, until } from './fed-regions.ts'
import { blobsOf, change, find, holding, recordOf } from './holdings.ts'

const jobsOf = ({ foundation }: FedRegion) =>
  foundation.store.snapshot(async (from) => ({
    asked: (await readOutbox(from, undefined, 1000)).length,
    owed: (await readBlobJobs(from, undefined, 1000)).length,
  }))

/** Once all have heard of it, and nothing is left to do. */
async function settled(regions: readonly FedRegion[], key: string): Promise<void> {
  await until(async () => {
    for (const region of regions) if ((await find(region, key)) === undefined) return false
    for (const { bytes } of regions) await bytes.jobs.pass()
    const left = await Promise.all(regions.map(jobsOf))
    return left.every(({ asked, owed }) => asked + owed === 0)
  })
}

const isFault = (code: string) => (error: unknown) => error instanceof Fault && error.code === code

describe('C17: an object that is to be in some regions', () => {
  test('is in each of them before anybody reads, and in no other however often it is read there', async () => {
    const { fra, iad, syd, regions, errors } = { ...(await three()), errors: [] as unknown[] }
    const [small, whole, first, second] = [
      randomBytes(9),
      randomBytes(chunkBytes + 7),
      randomBytes(5 * 2 ** 20),
      randomBytes(5),
    ]
    await put(fra, 'small', small, bucket, only('fra', 'syd'))
    await put(fra, 'k', whole, bucket, only('fra', 'syd'))
    await inParts(fra, 'parts', [first, second], only('fra', 'syd'))
    await put(fra, 'empty', new Uint8Array(0), bucket, only('fra', 'syd'))
    await put(fra, 'free', whole)
    for (const key of ['small', 'k', 'parts', 'free']) await settled(regions, key)
    for (const key of ['small', 'k', 'parts']) {
      assert.equal(await holding(regions, key), 'fra,syd', key)
      // Who only has the record says so, too.
      for (const region of regions) assert.deepEqual((await find(region, key))?.regions, ['fra', 'syd'])
    }
    assert.equal((await get(syd, 'empty')).length, 0)
    for (let read = 0; read < 5; read++) {
      assert.ok((await get(iad, 'k')).equals(whole))
      assert.ok((await get(iad, 'small')).equals(small))
      assert.ok((await get(iad, 'parts')).equals(Buffer.concat([first, second])))
      assert.ok((await get(iad, 'free')).equals(whole))
    }
    await until(async () => (await holding(regions, 'free')) === 'fra,iad')
    for (const each of regions) errors.push(...each.errors)
    for (const key of ['small', 'k', 'parts']) assert.equal(await holding(regions, key), 'fra,syd', key)
    assert.deepEqual(errors, [])
  })

  test('is not held elsewhere by a bucket that has all in all its regions, nor by a listing that asks for it', async () => {
    const { fra, iad, syd, regions } = await three()
    for (const { cell } of regions) {
      await cell.buckets.update(bucket, (each) => ({ ...each, documents: { accelerate: 'Enabled' } }))
    }
    await put(fra, 'k', randomBytes(chunkBytes), bucket, only('fra'))
    await put(fra, 'free', randomBytes(chunkBytes))
    await settled(regions, 'k')
    await until(async () => (await holding(regions, 'free')) === 'fra,iad,syd')
    const [blob] = await blobsOf(iad, 'k')
    assert.ok(blob !== undefined)
    for (const { bytes } of [iad, syd]) await bytes.copies.place(blob)
    assert.equal(await holding(regions, 'k'), 'fra')
  })

  test('leaves nothing in the cache of another region', async () => {
    const { regions, close } = await openRegions({ count: 2, cacheBytes: 2 ** 24 })
    const [fra, iad] = regions
    assert.ok(fra !== undefined && iad !== undefined)
    for (const [key, named] of [
      ['here', ['fra']],
      ['both', ['fra', 'iad']],
    ] as const) {
      const bytes = randomBytes(1000)
      const restriction = { bucket: (await fra.cell.buckets.get('bucket')).id, regions: named }
      const name = { bucket: 'bucket', key }
      await fra.objects.put({ name, attributes, body: body(bytes), digests: {}, conditions: {}, guard, restriction })
      await follow(iad, fra, key)
      for (let read = 0; read < 2; read++) {
        assert.ok((await getBytes(iad, key)).equals(bytes))
        await iad.cache?.settled()
      }
    }
    const fetched = iad.counters.value('blobs.fetchedBytes')
    assert.equal(fetched, 3_000, 'what may be here is fetched once, what may not with every read')
    await close()
  })

  test('goes from the region that wrote it to those that are named, whichever wrote it', async () => {
    const { iad, regions, peers } = await three()
    const [whole, first, second] = [randomBytes(chunkBytes + 7), randomBytes(5 * 2 ** 20), randomBytes(5)]
    peers.faultsOf(3).isDown = true
    await put(iad, 'k', whole, bucket, only('syd'))
    await inParts(iad, 'parts', [first, second], only('fra', 'syd'))
    // What cannot go yet stays where it is.
    for (let pass = 0; pass < 3; pass++) await iad.bytes.jobs.pass()
    assert.match(await holding(regions, 'k'), /iad/)
    assert.ok((await get(iad, 'k')).equals(whole))
    peers.faultsOf(3).isDown = false
    await settled(regions, 'k')
    await settled(regions, 'parts')
    assert.equal(await holding(regions, 'k'), 'syd')
    assert.equal(await holding(regions, 'parts'), 'fra,syd')
    const [blob] = await blobsOf(iad, 'k')
    assert.equal(blob && (await recordOf(iad, blob))?.keeper, 3)
    for (const region of regions) {
      assert.ok((await get(region, 'k')).equals(whole))
      assert.ok((await get(region, 'parts')).equals(Buffer.concat([first, second])))
    }
  })

  test('goes there also where nothing named it for a while in the region that wrote it', async () => {
    const { fra, iad, regions, peers } = await three()
    const whole = randomBytes(chunkBytes)
    peers.faultsOf(3).isDown = true
    await put(iad, 'k', whole, bucket, only('syd'))
    const [blob] = await blobsOf(iad, 'k')
    assert.ok(blob !== undefined)
    await until(async () => (await find(fra, 'k')) !== undefined)
    // What fra makes of it does not come to iad before iad has nothing left of it.
    peers.faultsOf(1).isDown = true
    await copy(fra, 'k', 'copy', only('syd'))
    await remove(iad, 'k')
    for (let pass = 0; pass < 3; pass++) await iad.bytes.jobs.pass()
    assert.equal((await recordOf(iad, blob))?.isUnreferenced, true)
    peers.faultsOf(1).isDown = false
    await until(async () => (await recordOf(iad, blob))?.isUnreferenced === undefined)
    peers.faultsOf(3).isDown = false
    await settled(regions, 'copy')
    assert.deepEqual(await blobsOf(iad, 'copy'), [blob])
    assert.equal(await holding(regions, 'copy'), 'syd')
    for (const region of regions) assert.ok((await get(region, 'copy')).equals(whole))
  })

  test('V8: nothing goes by the word of a keeper that has not heard of it', async () => {
    const { iad, regions } = await three()
    const [, , syd] = regions
    assert.ok(syd !== undefined)
    await syd.stop()
    const whole = randomBytes(1000)
    await put(iad, 'k', whole, bucket, only('syd'))
    const [blob] = await blobsOf(iad, 'k')
    assert.ok(blob !== undefined)
    // As after a change of keepers that only this cell knows of.
    await iad.foundation.store.transact(async (to) => {
      await changeKeeper(to, blob, 3, 'iad')
      addBlobJob(to, { kind: 'yield', blob })
    })
    assert.equal(await recordOf(syd, blob), undefined)
    for (let pass = 0; pass < 3; pass++) await iad.bytes.jobs.pass()
    const kept = await recordOf(iad, blob)
    assert.ok(kept !== undefined && copyIn(kept, 'iad') !== undefined)
    assert.ok((await get(iad, 'k')).equals(whole))
  })
})

describe('C17 C20: durability', () => {
  test('D3: a write that is to be in two regions is in two of those that it names, and refused where it names one', async () => {
    const { fra, iad, syd, regions, peers } = await three(2)
    const whole = randomBytes(2 * chunkBytes)
    await assert.rejects(put(fra, 'one', whole, bucket, only('fra')), isFault('InvalidRequest'))
    await assert.rejects(put(fra, 'one', whole, bucket, only('syd')), isFault('InvalidRequest'))
    await put(fra, 'k', whole, bucket, only('fra', 'syd'))
    await inParts(fra, 'parts', [randomBytes(5 * 2 ** 20), whole], only('fra', 'syd'))
    assert.equal(await holding([fra, syd], 'k'), 'fra,syd', 'when it is answered')
    assert.equal(await holding([fra, syd], 'parts'), 'fra,syd')
    for (const blob of [...(await blobsOf(syd, 'k')), ...(await blobsOf(syd, 'parts'))]) {
      assert.deepEqual((await recordOf(syd, blob))?.restriction?.regions, ['fra', 'syd'])
    }
    await settled(regions, 'k')
    await settled(regions, 'parts')
    assert.equal(await holding(regions, 'k'), 'fra,syd')
    assert.equal(await holding(regions, 'parts'), 'fra,syd')
    peers.faultsOf(3).isDown = true
    await assert.rejects(put(fra, 'k', whole, bucket, only('fra', 'syd')), isFault('ServiceUnavailable'))
    assert.ok((await get(iad, 'k')).equals(whole))
  })
})

describe('C17 C18: copies', () => {
  test('are where their own request says, and share the bytes only where that is where they are', async () => {
    const { fra, regions } = await three()
    const whole = randomBytes(chunkBytes)
    await put(fra, 'k', whole, bucket, only('fra', 'syd'))
    await copy(fra, 'k', 'same', only('fra', 'syd'))
    await copy(fra, 'k', 'other', only('iad'))
    await copy(fra, 'k', 'free')
    await copy(fra, 'free', 'again', only('syd'))
    for (const key of ['same', 'other', 'free', 'again']) await settled(regions, key)
    assert.deepEqual(await blobsOf(fra, 'same'), await blobsOf(fra, 'k'))
    assert.equal(await holding(regions, 'same'), 'fra,syd')
    assert.equal(await holding(regions, 'other'), 'iad')
    assert.equal((await find(fra, 'free'))?.regions, undefined)
    assert.equal(await holding(regions, 'free'), 'fra')
    assert.equal(await holding(regions, 'again'), 'syd')
    for (const region of regions)
      for (const key of ['same', 'other', 'again']) assert.ok((await get(region, key)).equals(whole))
    const source = { bucket, key: 'k' }
    const target = { bucket, key: 'renamed' }
    await fra.objects.rename({ source, target, conditions: {}, sourceConditions: {}, guard, sourceGuard: guard })
    assert.deepEqual((await find(fra, 'renamed'))?.regions, ['fra', 'syd'])
  })
})

describe('C17 C19: regions that go', () => {
  test('I7: what is only in a region that leaves goes to others, and what others of its regions have stays there', async () => {
    const { fra, iad, syd, regions, cluster, peers } = await three()
    const [alone, both, first] = [randomBytes(chunkBytes), randomBytes(chunkBytes), randomBytes(5 * 2 ** 20)]
    await put(syd, 'alone', alone, bucket, only('syd'))
    await inParts(syd, 'parts', [first, alone], only('syd'))
    await put(syd, 'both', both, bucket, only('iad', 'syd'))
    for (const key of ['alone', 'parts', 'both']) await settled(regions, key)
    assert.equal(await holding(regions, 'both'), 'iad,syd')
    change(cluster, 3, 'leaving')
    await until(async () => {
      for (const region of regions) {
        await region.bytes.succession.pass()
        await region.bytes.jobs.pass()
      }
      await syd.departing.step()
      return fra.left.length > 0
    })
    change(cluster, 3, 'removed')
    peers.faultsOf(3).isDown = true
    const left = [fra, iad]
    assert.equal(await holding(left, 'both'), 'iad')
    for (const region of left) {
      assert.ok((await get(region, 'both')).equals(both))
      assert.ok((await get(region, 'alone')).equals(alone))
      assert.ok((await get(region, 'parts')).equals(Buffer.concat([first, alone])))
    }
    // Nobody has its region any more: it is an object like any other, and may be written again.
    for (let read = 0; read < 4; read++) for (const region of left) await get(region, 'alone')
    await until(async () => (await holding(left, 'alone')) === 'fra,iad')
    for (let read = 0; read < 4; read++) await get(fra, 'both')
    assert.equal(await holding(left, 'both'), 'iad')
    await put(fra, 'alone', both, bucket, only('fra'))
    assert.ok((await get(fra, 'alone')).equals(both))
  })

  test('I7: a region that is lost is made up for in those that are named, and nowhere else', async () => {
    const { fra, iad, syd, regions, cluster, peers } = await three()
    const bytes = randomBytes(chunkBytes)
    await put(fra, 'k', bytes, bucket, only('fra', 'syd'))
    await settled(regions, 'k')
    peers.faultsOf(1).isDown = true
    change(cluster, 1, 'removed')
    const left = [iad, syd]
    await until(async () => {
      const isBusy = await Promise.all(left.map(({ bytes: { succession } }) => succession.pass()))
      for (const region of left) await region.bytes.jobs.pass()
      return isBusy.every((each) => !each)
    })
    assert.equal(await holding(left, 'k'), 'syd')
    const [blob] = await blobsOf(iad, 'k')
    assert.equal(blob && (await recordOf(iad, blob))?.keeper, 3, 'the one that is to hold it')
    assert.ok((await get(iad, 'k')).equals(bytes))
  })
})
