import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { afterEach, test } from 'node:test'
import { chunkBytes } from '#src/blobs/frame.ts'
import { Prefetching } from '#src/cluster/prefetching.ts'
import type { BlobId } from '#src/model/blob.ts'
import { bucket, type FedRegion, inParts, only, openFedRegions, put, single, until } from './fed-regions.ts'

type Opened = Awaited<ReturnType<typeof openFedRegions>>
const opened: Opened[] = []
afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

async function two(
  siblings: number,
  pieces: () => AsyncIterable<unknown> = async function* () {
    yield 'all of it'
  },
) {
  const all = await openFedRegions(1)
  opened.push(all)
  const [fra, iad] = all.regions
  assert.ok(fra !== undefined && iad !== undefined)
  const held: BlobId[] = []
  const cached: BlobId[] = []
  const prefetching = new Prefetching({
    foundation: iad.foundation,
    membership: () => all.cluster.membership,
    hold: async (blobs) => {
      held.push(...blobs)
    },
    cache(blob) {
      cached.push(blob)
      return pieces()
    },
    siblings,
  })
  return { fra, iad, held, cached, prefetching }
}

async function blobOf({ objects }: FedRegion, key: string): Promise<BlobId> {
  const { content } = (await objects.find({ name: { bucket, key }, guard: () => {} })).version
  assert.ok(content.kind === 'blob')
  return content.blob
}

const arrives = (region: FedRegion, key: string) =>
  until(async () => (await blobOf(region, key).catch(() => undefined)) !== undefined)

test('what a listing showed is held here, once, also of objects in parts; what is here already is not asked for', async () => {
  const { fra, iad, held, prefetching } = await two(0)
  await put(fra, 'far', randomBytes(chunkBytes))
  await put(fra, 'small', randomBytes(5))
  await put(iad, 'near', randomBytes(chunkBytes))
  await inParts(fra, 'parts', [randomBytes(5 * 2 ** 20), randomBytes(100)])
  await arrives(iad, 'far')
  await until(
    async () =>
      (await iad.objects.find({ name: { bucket, key: 'parts' }, guard: () => {} }).catch(() => undefined)) !==
      undefined,
  )
  const listed = ['far', 'near', 'none', 'parts', 'small']
  await prefetching.listed(bucket, listed)
  assert.equal(held.length, 3)
  assert.ok(held.includes(await blobOf(iad, 'far')))
  await prefetching.listed(bucket, listed)
  assert.equal(held.length, 3)
  await put(fra, 'k', randomBytes(chunkBytes), single)
  await prefetching.listed(single, ['k'])
  assert.equal(held.length, 3)
})

test('C17: what is to be in other regions is neither held nor fetched ahead', async () => {
  const { fra, iad, held, cached, prefetching } = await two(3)
  const keys = Array.from({ length: 8 }, (_, index) => `a/${index}`)
  for (const key of keys)
    await put(fra, key, randomBytes(chunkBytes), bucket, Number(key.at(-1)) > 4 ? only('fra') : {})
  await put(fra, 'here', randomBytes(chunkBytes), bucket, only('fra', 'iad'))
  for (const key of [...keys, 'here']) await arrives(iad, key)
  for (const key of keys.slice(0, 4)) await prefetching.read(await blobOf(iad, key))
  await until(async () => cached.length === 1)
  assert.deepEqual(cached, [await blobOf(iad, 'a/4')])
  await prefetching.listed(bucket, ['a/5', 'a/6', 'a/7'])
  assert.deepEqual(held, [])
})

test('what stands behind keys of a prefix that is read is fetched ahead, and no more than asked', async () => {
  const { fra, iad, cached, prefetching } = await two(3)
  const keys = Array.from({ length: 12 }, (_, index) => `a/${String(index).padStart(2, '0')}`)
  for (const key of [...keys, 'b/0']) await put(fra, key, randomBytes(100))
  for (const key of [...keys, 'b/0']) await arrives(iad, key)
  const ahead = async (): Promise<string[]> => {
    const names = new Map(
      await Promise.all([...keys, 'b/0'].map(async (key) => [await blobOf(iad, key), key] as const)),
    )
    return cached.map((blob) => names.get(blob) ?? '')
  }
  for (const key of keys.slice(0, 3)) await prefetching.read(await blobOf(iad, key))
  assert.deepEqual(await ahead(), [], 'the prefix is not hot yet')
  await prefetching.read(await blobOf(iad, 'a/03'))
  await until(async () => cached.length === 3)
  assert.deepEqual(await ahead(), ['a/04', 'a/05', 'a/06'])
  // Not once more what was fetched, and nothing of another prefix.
  await prefetching.read(await blobOf(iad, 'a/10'))
  await until(async () => cached.length === 4)
  assert.deepEqual((await ahead()).slice(3), ['a/11'])
})

test('what is being fetched ahead is given up by a stop, which waits for it, and nothing is fetched after that', async () => {
  const held = Promise.withResolvers<void>()
  const given: string[] = []
  const { fra, iad, cached, prefetching } = await two(3, async function* () {
    try {
      await held.promise
      yield 'a piece'
      given.push('all of it')
    } finally {
      given.push('over')
    }
  })
  const keys = Array.from({ length: 9 }, (_, index) => `a/${index}`)
  for (const key of keys) await put(fra, key, randomBytes(100))
  for (const key of keys) await arrives(iad, key)
  for (const key of keys.slice(0, 4)) await prefetching.read(await blobOf(iad, key))
  await until(async () => cached.length === 2)
  const stopped = prefetching.stop()
  held.resolve()
  await stopped
  assert.deepEqual(given, ['over', 'over'])
  await prefetching.read(await blobOf(iad, 'a/5'))
  assert.equal(cached.length, 2)
})
