import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, describe, test } from 'node:test'
import { chunkBytes } from '#src/blobs/frame.ts'
import { Fault } from '#src/errors.ts'
import { decodeBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import { under } from '#src/metadata/keyspace.ts'
import { attributes, body } from '../service/cell.ts'
import {
  bucket,
  copy,
  type FedRegion,
  get,
  inParts,
  openFedRegions,
  put,
  remove,
  single,
  until,
} from './fed-regions.ts'

type Opened = Awaited<ReturnType<typeof openFedRegions>>
const opened: Opened[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

async function three(durabilityRegions = 2): Promise<Opened & { fra: FedRegion; iad: FedRegion; syd: FedRegion }> {
  const all = await openFedRegions(durabilityRegions)
  opened.push(all)
  const [fra, iad, syd] = all.regions
  assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
  return { ...all, fra, iad, syd }
}

const isFault = (code: string) => (error: unknown) => error instanceof Fault && error.code === code

async function references({ cell }: FedRegion): Promise<number> {
  const all = under('reference', [])
  return (await cell.store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 1000 }))).length
}

async function blobs({ cell }: FedRegion): Promise<number> {
  const all = under('blob', [])
  return (await cell.store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 1000 }))).length
}

const large = 2 * chunkBytes + 99

const append = ({ objects }: FedRegion, key: string, offset: number, bytes: Uint8Array, guard = () => {}) =>
  objects.append({
    name: { bucket, key },
    attributes,
    body: body(bytes),
    digests: {},
    conditions: {},
    guard,
    offset,
    asksEncryption: false,
  })

describe('C20: a bucket of its own mind', () => {
  test('D3: writes to a bucket that asks for two regions are in two, and one that is in fewer refuses them', async () => {
    const { fra, iad, syd, peers } = await three(1)
    for (const { cell } of [fra, iad, syd]) {
      for (const name of [bucket, single]) await cell.buckets.update(name, (each) => ({ ...each, durability: 2 }))
    }
    const bytes = randomBytes(large)
    await put(fra, 'k', bytes)
    await assert.rejects(put(fra, 'k', bytes, single), isFault('InvalidRequest'))
    peers.faultsOf(1).isDown = true
    const reads = await Promise.allSettled([get(iad, 'k'), get(syd, 'k')])
    assert.ok(reads.some((read) => read.status === 'fulfilled' && read.value.equals(bytes)))
  })
})

describe('C20: two regions', () => {
  test('D3: what was acknowledged is all in another region, and the region that wrote it is not missed', async () => {
    const { fra, iad, syd, peers } = await three()
    const [small, whole, first, second] = [
      randomBytes(9),
      randomBytes(large),
      randomBytes(5 * 2 ** 20),
      randomBytes(77),
    ]
    await put(fra, 'gone', small)
    await put(fra, 'small', small)
    const tagged = { name: { bucket, key: 'small' }, guard: () => {} }
    const tags = new Map([['kept', 'yes']])
    await put(fra, 'large', whole)
    await copy(fra, 'large', 'copied')
    await inParts(fra, 'parts', [first, second])
    await copy(fra, 'parts', 'copied parts')
    await remove(fra, 'gone')
    await fra.objects.update({ ...tagged, change: () => ({ tags }) })
    await fra.stop()
    peers.faultsOf(1).isDown = true
    // The nearest that was reached has it all at once; the other learns of it, and finds the bytes there.
    const joined = Buffer.concat([first, second])
    const expected = { small, large: whole, copied: whole, parts: joined, 'copied parts': joined }
    for (const [key, bytes] of Object.entries(expected)) assert.ok((await get(iad, key)).equals(bytes), key)
    await assert.rejects(get(iad, 'gone'), isFault('NoSuchKey'))
    assert.deepEqual((await iad.objects.find(tagged)).version.tags?.value, tags)
    assert.equal(iad.counters.value('blobs.failedSources'), 0)
    for (const [key, bytes] of Object.entries(expected)) {
      await until(async () => (await get(syd, key).catch(() => undefined))?.equals(bytes) === true)
    }
  })

  test('D3: so is what was appended, to nothing, to little and to much', async () => {
    const { fra, iad, peers } = await three()
    const [first, second, third] = [randomBytes(9), randomBytes(large), randomBytes(77)]
    await append(fra, 'log', 0, first)
    await append(fra, 'log', first.length, second)
    await append(fra, 'log', first.length + second.length, third)
    const refuse = () => {
      throw new Fault('AccessDenied')
    }
    const whole = Buffer.concat([first, second, third])
    await assert.rejects(append(fra, 'log', whole.length, second, refuse), isFault('AccessDenied'))
    await fra.stop()
    peers.faultsOf(1).isDown = true
    assert.ok((await get(iad, 'log')).equals(whole))
    assert.equal(iad.counters.value('blobs.failedSources'), 0)
    // In the region that wrote it nothing is left but what the one version names.
    await until(async () => {
      await fra.bytes.jobs.pass()
      return (await references(fra)) === 1
    })
  })

  test('D3: nothing is acknowledged before the other region has the record', async () => {
    const { fra, iad, syd } = await three()
    await append(fra, 'log', 0, randomBytes(large))
    await iad.stop()
    await syd.stop()
    let isDone = false
    const writing = put(fra, 'k', randomBytes(large)).then(() => {
      isDone = true
    })
    const appending = append(fra, 'log', large, randomBytes(3)).then(() => {
      isDone = true
    })
    appending.catch(() => {})
    const changing = fra.objects
      .update({ name: { bucket, key: 'log' }, guard: () => {}, change: () => ({ hold: true }) })
      .then(() => {
        isDone = true
      })
    changing.catch(() => {})
    await until(async () => (await get(fra, 'k').catch(() => undefined)) !== undefined)
    await new Promise((resolve) => setTimeout(resolve, 300))
    assert.equal(isDone, false)
    await assert.rejects(writing, isFault('ServiceUnavailable'))
    await assert.rejects(appending, isFault('ServiceUnavailable'))
    await assert.rejects(changing, isFault('ServiceUnavailable'))
    assert.equal((await get(fra, 'k')).length, large, 'it stands all the same')
    assert.equal((await get(fra, 'log')).length, large + 3)
  })

  for (const [who, cell] of [
    ['the region that writes', 0],
    ['the region that is asked', 1],
  ] as const) {
    test(`D3: a region that a bucket has left, as ${who} knows, is none of those that have it`, async () => {
      const { regions, peers } = await three()
      const [fra, knowing] = [regions[0], regions[cell]]
      assert.ok(fra !== undefined && knowing !== undefined)
      const [kept, refused] = [put(fra, 'before', randomBytes(large)), randomBytes(large)]
      await kept
      let isAsked = false
      peers.between = async (call) => {
        if (call !== '2 reached' || isAsked) return
        isAsked = true
        await knowing.cell.buckets.update(bucket, (each) => ({ ...each, location: 'fra,syd' }))
      }
      await assert.rejects(put(fra, 'k', refused), isFault('ServiceUnavailable'))
      assert.ok(isAsked)
      assert.ok((await get(fra, 'k')).equals(refused), 'it stands all the same')
    })
  }

  test('D3: nothing is committed before the bytes are in the other region', async () => {
    const { fra, peers } = await three()
    let isKept = false
    peers.between = async (call) => {
      if (call !== '2 keep') return
      isKept = true
      await new Promise((resolve) => setTimeout(resolve, 200))
      await assert.rejects(get(fra, 'k'), isFault('NoSuchKey'))
    }
    await put(fra, 'k', randomBytes(large))
    assert.ok(isKept)
  })

  test('D3: where too few can be reached, a body is not even read', async () => {
    const { fra, peers } = await three(3)
    await put(fra, 'before', randomBytes(large))
    peers.faultsOf(3).isDown = true
    peers.calls.length = 0
    await assert.rejects(put(fra, 'k', randomBytes(large)), isFault('ServiceUnavailable'))
    assert.deepEqual(
      peers.calls.filter((call) => !call.endsWith('feed')),
      [],
    )
    await assert.rejects(get(fra, 'k'), isFault('NoSuchKey'))
  })

  test('D3: a region that fails while it is asked is followed by the next', async () => {
    const { fra, syd, peers } = await three()
    const bytes = randomBytes(large)
    peers.between = async (call) => {
      if (call === '2 keep') throw new Error('it has just died')
    }
    await put(fra, 'k', bytes)
    peers.faultsOf(1).isDown = true
    peers.faultsOf(2).isDown = true
    assert.ok((await get(syd, 'k')).equals(bytes))
  })

  test('a bucket of one region is refused', async () => {
    const { fra } = await three()
    await assert.rejects(put(fra, 'k', randomBytes(3), single), isFault('InvalidRequest'))
  })

  test('R3: what was reserved is not any more once the write is over, whatever became of it', async () => {
    const { fra, iad } = await three()
    await put(fra, 'k', randomBytes(large))
    await inParts(fra, 'parts', [randomBytes(5 * 2 ** 20), randomBytes(3)])
    await copy(fra, 'parts', 'again')
    assert.equal(await references(fra), 3)
    assert.equal(await references(iad), 3)
    const refuse = () => {
      throw new Fault('AccessDenied')
    }
    const request = {
      name: { bucket, key: 'x' },
      attributes,
      body: body(randomBytes(large)),
      digests: {},
      conditions: {},
    }
    await assert.rejects(fra.objects.put({ ...request, guard: refuse }), isFault('AccessDenied'))
    assert.equal(await references(fra), 3)
    assert.equal(await references(iad), 4, 'it is not told, and waits for its time')
    for (const { foundation } of [fra, iad]) {
      const jobs = await foundation.store.snapshot((snapshot) => readBlobJobs(snapshot, undefined, 1000))
      await foundation.store.transact(async (transaction) => {
        for (const { key, value } of jobs) {
          const job = decodeBlobJob(value)
          if (job.kind !== 'reserved') continue
          transaction.set(key, Buffer.from(JSON.stringify({ ...job, until: 0 })))
        }
      })
    }
    for (let round = 0; round < 5; round++) for (const { bytes } of [fra, iad]) await bytes.jobs.pass()
    assert.equal(await references(iad), 3)
    await until(async () => {
      for (const { bytes } of [fra, iad]) await bytes.jobs.pass()
      return (await blobs(iad)) === 4 && (await blobs(fra)) === 4
    })
    assert.equal(await references(fra), 3)
  })
})
