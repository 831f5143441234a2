import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { chunkBytes } from '#src/blobs/frame.ts'
import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import { readOutbox } from '#src/metadata/outbox.ts'
import { bucket, type FedRegion, get, inParts, put, three, until } from './fed-regions.ts'

const contentOf = async ({ objects }: FedRegion, key: string) =>
  (await objects.find({ name: { bucket, key }, guard: () => {} })).version.content

async function isHeld(region: FedRegion, key: string): Promise<boolean> {
  const content = await contentOf(region, key)
  assert.ok(content.kind === 'blob')
  const record = await region.foundation.store.snapshot((snapshot) => readBlob(snapshot, content.blob))
  return record?.kind === 'bytes' && copyIn(record, region.member.region) !== undefined
}

const jobsOf = ({ foundation }: FedRegion) =>
  foundation.store.snapshot((snapshot) => readOutbox(snapshot, undefined, 1000))

const arrives = (region: FedRegion, key: string) =>
  until(async () => (await contentOf(region, key).catch(() => undefined)) !== undefined)

describe('a region holds what it is asked for', () => {
  test('what was read three times gets a copy of its own, and what was read twice does not', async () => {
    const { fra, iad, peers } = await three()
    const bytes = randomBytes(2 * chunkBytes)
    await put(fra, 'often', bytes)
    await put(fra, 'twice', bytes)
    await arrives(iad, 'twice')
    await arrives(iad, 'often')
    for (let read = 0; read < 2; read++) await get(iad, 'twice')
    for (let read = 0; read < 3; read++) assert.ok((await get(iad, 'often')).equals(bytes))
    await until(() => isHeld(iad, 'often'))
    await until(async () => (await jobsOf(iad)).length === 0)
    assert.equal(await isHeld(iad, 'twice'), false)
    peers.faultsOf(1).isDown = true
    assert.ok((await get(iad, 'often')).equals(bytes))
    assert.deepEqual(iad.errors, [])
  })

  test('a bucket that asks for it has all it is told in all its regions, before anybody reads', async () => {
    const { fra, iad, peers } = await three()
    await put(fra, 'before', randomBytes(chunkBytes))
    await arrives(iad, 'before')
    for (const { cell } of [fra, iad]) {
      await cell.buckets.update(bucket, (each) => ({ ...each, documents: { accelerate: 'Enabled' } }))
    }
    const [whole, first, second] = [randomBytes(chunkBytes + 5), randomBytes(5 * 2 ** 20), randomBytes(3)]
    await put(fra, 'k', whole)
    await inParts(fra, 'parts', [first, second])
    await arrives(iad, 'k')
    await arrives(iad, 'parts')
    await until(() => isHeld(iad, 'k'))
    await until(async () => (await jobsOf(iad)).length === 0)
    peers.faultsOf(1).isDown = true
    assert.ok((await get(iad, 'k')).equals(whole))
    assert.ok((await get(iad, 'parts')).equals(Buffer.concat([first, second])))
    assert.equal(await isHeld(iad, 'before'), false)
  })

  test('J2: what cannot be fetched now is fetched later', async () => {
    const { fra, iad, peers } = await three()
    await put(fra, 'k', randomBytes(chunkBytes))
    await arrives(iad, 'k')
    for (let read = 0; read < 2; read++) await get(iad, 'k')
    peers.faultsOf(1).isDown = true
    await assert.rejects(get(iad, 'k'))
    await until(async () => (await jobsOf(iad)).some(({ attempts }) => attempts > 0))
    peers.faultsOf(1).isDown = false
    await until(() => isHeld(iad, 'k'))
  })
})
