import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3'
import { BucketDeletion } from '#src/cluster/bucket-deletion.ts'
import { encodeMessage } from '#src/cluster/messages.ts'
import { under } from '#src/metadata/keyspace.ts'
import { type Cluster, openPair, type StartedRegion, until } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion

before(async () => {
  ;({ cluster, fra, syd } = await openPair())
})
after(() => cluster.close())

const make = async (Bucket: string, LocationConstraint?: string): Promise<void> => {
  const CreateBucketConfiguration = { LocationConstraint: LocationConstraint as 'EU' }
  await syd.client.send(
    new CreateBucketCommand({ Bucket, ...(LocationConstraint !== undefined && { CreateBucketConfiguration }) }),
  )
}
const put = (region: StartedRegion, Bucket: string, Key: string) =>
  region.client.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
const remove = (region: StartedRegion, Bucket: string) => region.client.send(new DeleteBucketCommand({ Bucket }))

/** The code that a request is refused with; undefined: it was carried out. */
async function refusal(request: Promise<unknown>): Promise<string | undefined> {
  try {
    await request
    return undefined
  } catch (error) {
    assert.ok(error instanceof S3ServiceException, String(error))
    return error.name
  }
}

test('C22: a bucket whose objects are in another cell than the root stays', async () => {
  await make('far', 'syd')
  await put(syd, 'far', 'key')
  assert.equal(await refusal(remove(fra, 'far')), 'BucketNotEmpty')
  // It is as it was: it takes writes, and goes once it is empty.
  await put(fra, 'far', 'another')
  for (const Key of ['key', 'another']) await syd.client.send(new DeleteObjectCommand({ Bucket: 'far', Key }))
  await remove(syd, 'far')
  for (const { client } of [fra, syd]) {
    await assert.rejects(client.send(new HeadBucketCommand({ Bucket: 'far' })), { name: 'NotFound' })
  }
})

test('C22: what was written in another region a moment ago keeps the bucket', async () => {
  for (let round = 0; round < 5; round++) {
    const bucket = `moment-${round}`
    await make(bucket)
    await put(syd, bucket, 'key')
    assert.equal(await refusal(remove(fra, bucket)), 'BucketNotEmpty')
    const read = await fra.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'key' }))
    assert.equal(await read.Body?.transformToString(), 'key')
  }
})

test('Y14: a cell says where its feed ends only once it has seen the mark itself', async () => {
  await make('marked')
  const bucket = await fra.node.node.services.buckets.get('marked')
  const marked = { ...bucket, state: 'deleting', epoch: bucket.epoch + 1 } as const
  const fence = syd.node.node.methods.find(({ name }) => name === 'bucket-fence')
  const caller = { cell: 0, region: 'fra', incarnation: '' }
  let hasAnswered = false
  const answer = Promise.resolve(fence?.answer(encodeMessage(marked), caller, AbortSignal.timeout(10_000))).then(() => {
    hasAnswered = true
  })
  await pause(200)
  assert.equal(hasAnswered, false)
  const { store, namespace } = fra.node.node.foundation
  await store.transact(async (transaction) => namespace.changeBucket(transaction, marked))
  await answer
  assert.equal(await refusal(put(syd, 'marked', 'key')), 'ServiceUnavailable')
  await remove(syd, 'marked')
})

test('Y15: what was deleted in one region a moment ago keeps no bucket', async () => {
  for (let round = 0; round < 5; round++) {
    const bucket = `emptied-${round}`
    await make(bucket)
    await put(syd, bucket, 'key')
    await until(
      async () => (await refusal(fra.client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'key' })))) === undefined,
    )
    await fra.client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'key' }))
    assert.equal(await refusal(remove(fra, bucket)), undefined)
  }
})

test('Y14: of a write in one region and a deletion in another that race, one fails', async () => {
  let deleted = 0
  let written = 0
  for (let round = 0; round < 20 || (round < 40 && (deleted === 0 || written === 0)); round++) {
    const bucket = `race-${round}`
    await make(bucket)
    // From the write well before the deletion to the write well after it has begun; on a busy machine that takes more.
    const delay = round < 20 ? 2 * round - 20 : 100 * (round - 19) * (deleted === 0 ? 1 : -1)
    const [put_, deletion] = await Promise.all([
      pause(delay).then(() => refusal(put(syd, bucket, 'key'))),
      pause(-delay).then(() => refusal(remove(fra, bucket))),
    ])
    assert.ok(put_ !== undefined || deletion !== undefined, `both were carried out in round ${round}`)
    if (deletion === undefined) {
      deleted++
      assert.ok(put_ === 'ServiceUnavailable' || put_ === 'NoSuchBucket', put_)
      continue
    }
    assert.equal(deletion, 'BucketNotEmpty')
    assert.equal(put_, undefined)
    written++
    const read = await fra.client.send(new GetObjectCommand({ Bucket: bucket, Key: 'key' })).catch(() => undefined)
    if (read !== undefined) assert.equal(await read.Body?.transformToString(), 'key')
  }
  assert.ok(deleted > 0 && written > 0, `${deleted} deleted, ${written} written`)
})

const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, Math.max(0, milliseconds)))

test('B3: uploads in progress end with their bucket in all of its cells', async () => {
  await make('uploads')
  await syd.client.send(new CreateMultipartUploadCommand({ Bucket: 'uploads', Key: 'key' }))
  const { store, namespace } = syd.node.node.foundation
  const { id } = await syd.node.node.services.buckets.get('uploads')
  const all = under('upload', [id])
  const rows = () => store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 10 }))
  assert.equal((await rows()).length, 1)
  await remove(fra, 'uploads')
  assert.equal(await store.snapshot((snapshot) => namespace.bucket(snapshot, 'uploads')), undefined)
  assert.equal((await rows()).length, 0)
})

test('a deletion that its process left undone is undone', async () => {
  await make('left')
  const { foundation, region } = fra.node.node
  const { store, namespace, world } = foundation
  await store.transact(async (transaction) => {
    const bucket = await namespace.existingBucket(transaction, 'left')
    namespace.changeBucket(transaction, { ...bucket, state: 'deleting', epoch: bucket.epoch + 1 })
  })
  assert.equal(await refusal(put(fra, 'left', 'key')), 'ServiceUnavailable')
  assert.equal(await refusal(make('left')), 'OperationAborted')
  assert.ok(region)
  const { members, transport, confirmations } = region
  const deletion = new BucketDeletion({ store, namespace, world, members, transport, confirmations })
  const abandoned = await deletion.undoAbandoned([])
  assert.deepEqual(
    abandoned.map(({ name }) => name),
    ['left'],
  )
  assert.equal(await refusal(put(fra, 'left', 'key')), 'ServiceUnavailable', 'not the first time that it is seen')
  assert.deepEqual(await deletion.undoAbandoned(abandoned), [])
  await put(fra, 'left', 'key')
})

test('C22: with a cell out of reach nothing is deleted, and the bucket stays as it was', async () => {
  await make('apart')
  await make('here', 'fra')
  await syd.stop()
  assert.equal(await refusal(remove(fra, 'apart')), 'ServiceUnavailable')
  await put(fra, 'apart', 'key')
  await remove(fra, 'here')
})
