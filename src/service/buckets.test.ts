import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'
import { Fault, type FaultCode } from '#src/errors.ts'
import { DecodedRows } from '#src/metadata/decoded-rows.ts'
import { decodeJob, readJobs } from '#src/metadata/jobs.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { decodeBucket, encodeBucket } from '#src/metadata/namespace-codec.ts'
import { setUpload } from '#src/metadata/upload-records.ts'
import { cannedAcl } from '#src/model/acl.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { NamespaceBuckets } from './buckets.ts'
import type { CreateBucket } from './services.ts'

let store = new MemoryStore({ world: realWorld })
let namespace = new Namespace()
let buckets: NamespaceBuckets
/** Ids of buckets that something lies in. */
const filled = new Set<number>()

beforeEach(() => {
  store = new MemoryStore({ world: realWorld })
  namespace = new Namespace()
  filled.clear()
  const isEmpty = async (_: unknown, bucket: Bucket) => !filled.has(bucket.id)
  buckets = new NamespaceBuckets({ store, world: realWorld, namespace, isEmpty })
})

const wanted = (name: string, change: Partial<CreateBucket> = {}): CreateBucket => ({
  name,
  owner: 'ann',
  acl: cannedAcl('private', { id: 'ann', displayName: 'Ann' }),
  location: '',
  hasObjectLock: false,
  ...change,
})

const fails = async (code: FaultCode, promise: Promise<unknown>) =>
  await assert.rejects(promise, (error) => error instanceof Fault && error.code === code)

const names = (all: readonly Bucket[]) => all.map((each) => each.name)

test('a bucket is there once created, with what was asked for, and gone once deleted', async () => {
  const made = await buckets.create(wanted('box', { ownership: 'BucketOwnerPreferred', location: 'fra' }))
  assert.deepEqual(await buckets.get('box'), made)
  assert.equal(made.versioning, 'off')
  assert.equal(made.location, 'fra')
  await buckets.delete('box')
  await fails('NoSuchBucket', buckets.get('box'))
  await fails('NoSuchBucket', buckets.delete('box'))
  await fails(
    'NoSuchBucket',
    buckets.update('box', (bucket) => bucket),
  )
  assert.deepEqual(await buckets.list('ann', { limit: 10 }), { items: [] })
})

test('a bucket with object lock is versioned from the start', async () => {
  assert.equal((await buckets.create(wanted('box', { hasObjectLock: true }))).versioning, 'enabled')
})

test('a name that no bucket may have is refused; asking for it finds nothing', async () => {
  for (const name of ['', 'ab', 'Box', 'a..b', 'x'.repeat(64)])
    await fails('InvalidBucketName', buckets.create(wanted(name)))
  for (const name of ['', '\0', '\ud800', 'x'.repeat(100_000)]) await fails('NoSuchBucket', buckets.get(name))
})

test('creating it again: the same is the same, anything else is a conflict', async () => {
  const made = await buckets.create(wanted('box'))
  assert.deepEqual(await buckets.create(wanted('box')), made)
  const acl = cannedAcl('public-read', { id: 'ann', displayName: 'Ann' })
  await fails('BucketAlreadyExists', buckets.create(wanted('box', { acl })))
  await fails('BucketAlreadyExists', buckets.create(wanted('box', { owner: 'bob' })))
  await fails('BucketAlreadyOwnedByYou', buckets.create(wanted('box', { location: 'fra' })))
  await fails('BucketAlreadyOwnedByYou', buckets.create(wanted('box', { hasObjectLock: true })))
  await fails('BucketAlreadyOwnedByYou', buckets.create(wanted('box', { ownership: 'ObjectWriter' })))
  assert.deepEqual(await buckets.get('box'), made)
})

test('creating it again: in how many regions its writes are stays, and whoever asks for another number hears so', async () => {
  const made = await buckets.create(wanted('box', { durability: 2 }))
  assert.equal((await buckets.get('box')).durability, 2)
  for (const change of [{}, { durability: 2 }]) assert.deepEqual(await buckets.create(wanted('box', change)), made)
  await fails('BucketAlreadyOwnedByYou', buckets.create(wanted('box', { durability: 3 })))
  assert.deepEqual(await buckets.get('box'), made)
})

test('N3: no bucket ever gets the id of another', async () => {
  const ids = new Set<number>()
  for (let round = 0; round < 5; round++) {
    ids.add((await buckets.create(wanted('box'))).id)
    await buckets.delete('box')
  }
  const together = await Promise.all(['aaa', 'bbb', 'ccc', 'ddd'].map((name) => buckets.create(wanted(name))))
  for (const each of together) ids.add(each.id)
  assert.equal(ids.size, 9)
})

test('B1: of many who create one name at once, one has it', async () => {
  const owners = ['ann', 'bob', 'cat', 'dan']
  const results = await Promise.allSettled(owners.map((owner) => buckets.create(wanted('box', { owner }))))
  assert.equal(results.filter((each) => each.status === 'fulfilled').length, 1)
  const lists = await Promise.all(owners.map((owner) => buckets.list(owner, { limit: 10 })))
  assert.equal(lists.flatMap((each) => each.items).length, 1)
})

test('B2: a bucket with something in it stays', async () => {
  filled.add((await buckets.create(wanted('box'))).id)
  await fails('BucketNotEmpty', buckets.delete('box'))
  await buckets.get('box')
})

test('B2: C22: what is written while the bucket is deleted makes the write or the deletion fail', async () => {
  const { id } = await buckets.create(wanted('box'))
  const object = Uint8Array.of(0xff)
  const seesObject = new NamespaceBuckets({
    store,
    world: realWorld,
    namespace,
    isEmpty: async (transaction) => (await transaction.get(object)) === undefined,
  })
  let deletion: Promise<void> | undefined
  const write = store.transact(async (transaction) => {
    await namespace.existingBucket(transaction, 'box')
    deletion ??= seesObject.delete('box')
    // The deletion commits between this transaction's read and its commit.
    await Promise.allSettled([deletion])
    transaction.set(object, Uint8Array.of(1))
  })
  await fails('NoSuchBucket', write)
  await deletion
  assert.equal(await store.snapshot((snapshot) => snapshot.get(object)), undefined)
  assert.ok(id > 0)
})

test('B3: uploads in progress end with their bucket, and only with it', async () => {
  const { id, acl } = await buckets.create(wanted('box'))
  const other = await buckets.create(wanted('other'))
  const attributes = { owner: 'ann', acl, headers: {}, metadata: new Map(), storageClass: 'STANDARD' }
  const add = async (bucket: Bucket | { id: number; name: string }, ...uploads: string[]) =>
    await store.transact(async (transaction) => {
      for (const upload of uploads) {
        const name = { bucket: bucket.name, key: `key-${upload}` }
        setUpload(transaction, bucket.id, { id: upload, name, attributes, initiated: 0, initiator: 'ann' })
      }
    })
  const jobs = async () => {
    const entries = await store.snapshot((snapshot) => readJobs(snapshot, 2000))
    return entries.map((each) => decodeJob(each.value))
  }
  await add({ id, name: 'box' }, 'one', 'two')
  await add(other, 'three')
  filled.add(id)
  await fails('BucketNotEmpty', buckets.delete('box'))
  assert.deepEqual(await jobs(), [])
  filled.clear()
  await buckets.delete('box')
  assert.deepEqual(await jobs(), [
    { kind: 'parts', upload: 'one' },
    { kind: 'parts', upload: 'two' },
  ])
  await add(other, ...Array.from({ length: 1000 }, (_, index) => `more-${index}`))
  await fails('BucketNotEmpty', buckets.delete('other'))
  assert.equal((await jobs()).length, 2)
})

test('N4: buckets are listed by owner, in order, by prefix and page by page', async () => {
  for (const name of ['b-1', 'a-1', 'b-3', 'b-2', 'c-1']) await buckets.create(wanted(name))
  await buckets.create(wanted('b-4', { owner: 'bob' }))
  assert.deepEqual(names((await buckets.list('ann', { limit: 10 })).items), ['a-1', 'b-1', 'b-2', 'b-3', 'c-1'])
  const first = await buckets.list('ann', { prefix: 'b-', limit: 2 })
  assert.deepEqual([names(first.items), first.next], [['b-1', 'b-2'], 'b-2'])
  const second = await buckets.list('ann', { prefix: 'b-', after: 'b-2', limit: 2 })
  assert.deepEqual([names(second.items), second.next], [['b-3'], undefined])
  assert.deepEqual(names((await buckets.list('ann', { after: 'b-2x', limit: 10 })).items), ['b-3', 'c-1'])
  assert.deepEqual(names((await buckets.list('ann', { prefix: 'b', after: 'a', limit: 10 })).items), [
    'b-1',
    'b-2',
    'b-3',
  ])
  assert.deepEqual(names((await buckets.list('ann', { prefix: 'x'.repeat(9999), limit: 10 })).items), [])
  assert.deepEqual(names((await buckets.list('ann', { after: 'b-2'.padEnd(9999, 'x'), limit: 10 })).items), [
    'b-3',
    'c-1',
  ])
  assert.deepEqual(names((await buckets.list('an', { limit: 10 })).items), [])
  await buckets.delete('c-1')
  await buckets.create(wanted('c-1', { owner: 'bob' }))
  assert.ok(!names((await buckets.list('ann', { limit: 10 })).items).includes('c-1'))
  assert.ok(names((await buckets.list('bob', { limit: 10 })).items).includes('c-1'))
})

test('settings: the last one that commits stands on the one before; what fails changes nothing', async () => {
  await buckets.create(wanted('box'))
  const add = (name: string) =>
    buckets.update('box', (bucket) => ({ ...bucket, documents: { ...bucket.documents, [name]: name } }))
  await Promise.all(['a', 'b', 'c', 'd'].map(add))
  assert.deepEqual(Object.keys((await buckets.get('box')).documents).sort(), ['a', 'b', 'c', 'd'])
  await fails(
    'InvalidBucketState',
    buckets.update('box', () => {
      throw new Fault('InvalidBucketState')
    }),
  )
  const large = (bucket: Bucket) => ({ ...bucket, documents: { large: 'x'.repeat(100_000) } })
  await fails('EntityTooLarge', buckets.update('box', large))
  assert.deepEqual(Object.keys((await buckets.get('box')).documents).length, 4)
  assert.deepEqual(names((await buckets.list('ann', { limit: 10 })).items), ['box'])
})

test('every setting of a bucket survives its codec', () => {
  const bucket: Bucket = {
    ...wanted('box'),
    id: 7,
    created: 1,
    epoch: 1,
    state: 'active',
    versioning: 'suspended',
    ownership: 'ObjectWriter',
    publicAccessBlock: {
      blockPublicAcls: true,
      ignorePublicAcls: false,
      blockPublicPolicy: true,
      restrictPublicBuckets: false,
    },
    policy: '{"é": "\u{1f600}"}',
    cors: [
      { allowedOrigins: ['*'], allowedMethods: ['GET'], allowedHeaders: [], exposeHeaders: ['x'], maxAgeSeconds: 5 },
    ],
    tags: new Map([
      ['b', '1'],
      ['a', ''],
    ]),
    documents: { website: '<x/>' },
  }
  const decoded = decodeBucket(encodeBucket(bucket))
  assert.deepEqual(decoded, bucket)
  assert.deepEqual([...(decoded.tags ?? [])], [...(bucket.tags ?? [])])
  const { tags: _, policy: __, ...plain } = bucket
  assert.deepEqual(decodeBucket(encodeBucket(plain)), plain)
  assert.throws(() => decodeBucket(Uint8Array.of(2, 0x7b, 0x7d)))
})

test('N1: an unchanged row is decoded once, a changed one again', async () => {
  await buckets.create(wanted('box'))
  const first = await buckets.get('box')
  assert.equal(await buckets.get('box'), first)
  await buckets.update('box', (bucket) => ({ ...bucket, versioning: 'enabled' }))
  assert.equal((await buckets.get('box')).versioning, 'enabled')
})

test('N1: bytes that a driver takes back do not change what is kept', () => {
  const rows = new DecodedRows((bytes) => bytes[0], 100)
  const lent = Uint8Array.of(1)
  assert.equal(rows.value('a', lent), 1)
  lent[0] = 2
  assert.equal(rows.value('a', lent), 2)
})

test('N2: what is kept stays below its budget', () => {
  let decoded = 0
  const rows = new DecodedRows(() => ++decoded, 100)
  for (let round = 0; round < 50; round++) {
    rows.value(String(round % 7), new Uint8Array(10 + (round % 20)).fill(round))
    assert.ok(rows.bytesKept <= 100)
  }
  rows.value('large', new Uint8Array(101))
  assert.ok(rows.bytesKept <= 100)
  const recent = new Uint8Array(5)
  const value = rows.value('x', recent)
  assert.equal(rows.value('x', recent), value)
})

test('B4: an account owns so many buckets at most, also where it asks for several at once', async () => {
  const isEmpty = async () => true
  buckets = new NamespaceBuckets({ store, world: realWorld, namespace, isEmpty, most: 2 })
  const asked = await Promise.allSettled(['a-1', 'a-2', 'a-3', 'a-4'].map((name) => buckets.create(wanted(name))))
  assert.equal(asked.filter(({ status }) => status === 'fulfilled').length, 2)
  const [first = ''] = names((await buckets.list('ann', { limit: 10 })).items)
  await fails('TooManyBuckets', buckets.create(wanted('a-5')))
  await buckets.create(wanted(first))
  await buckets.create(wanted('b-1', { owner: 'bob' }))
  await buckets.delete(first)
  await buckets.create(wanted('a-5'))
})
