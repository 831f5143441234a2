import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { readBlobJobs } from '#src/metadata/jobs.ts'
import { type KeyRange, under } from '#src/metadata/keyspace.ts'
import type { MoveProgress } from '#src/service/regions.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'
import { alice, type Cluster, openCluster, type StartedRegion, untilJoined } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion
let iad: StartedRegion

before(async () => {
  cluster = await openCluster()
  fra = await cluster.start('fra', { geography: 'eur' })
  syd = await cluster.start('syd', { geography: 'aus' })
  await untilJoined(fra, syd)
  iad = await cluster.start('iad', { geography: 'usa' })
  await untilJoined(fra, iad)
})
after(() => cluster.close())

async function send(
  region: StartedRegion,
  method: string,
  path: string,
  parts: Partial<Parameters<SignedClient['send']>[0]>,
) {
  const client = new SignedClient(region.endpoint, { accessKey: alice.accessKeyId, secretKey: alice.secretAccessKey })
  try {
    return await client.send({ method, path, headers: {}, ...parts })
  } finally {
    client.close()
  }
}

const make = (Bucket: string, location: string): Promise<Answer> =>
  send(fra, 'PUT', `/${Bucket}`, location === '' ? {} : { headers: { 'x-tigris-regions': location } })
const ask = (region: StartedRegion, bucket: string, location: string): Promise<Answer> =>
  send(region, 'PATCH', `/${bucket}`, { headers: { 'x-tigris-regions': location } })

async function progressOf(bucket: string): Promise<{ object_regions: string; location_change?: MoveProgress }> {
  const { status, body } = await send(syd, 'GET', `/${bucket}`, { query: { metadata: '' } })
  assert.equal(status, 200)
  return JSON.parse(body.toString())
}

/** Until the bucket is where it is to be, and nobody else has anything of it. */
async function moved(bucket: string, location: string): Promise<void> {
  const end = performance.now() + 90_000
  for (;;) {
    const { object_regions: regions, location_change: change } = await progressOf(bucket)
    if (regions === location && change === undefined) return
    if (performance.now() > end) assert.fail(`${bucket} is in ${regions} still: ${JSON.stringify(change)}`)
    await pause(50)
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

const spaces = [
  'current',
  'version',
  'nullVersion',
  'tombstone',
  'memory',
  'inline',
  'conflict',
  'upload',
  'bucketCopy',
] as const

/** How many rows a region has of a bucket. */
async function rowsOf(region: StartedRegion, bucket: string): Promise<number> {
  const { id } = await region.node.node.services.buckets.get(bucket)
  const ranges: KeyRange[] = spaces.map((space) => under(space, [id]))
  return await region.node.node.foundation.store.snapshot(async (snapshot) => {
    let rows = 0
    for (const { from, to } of ranges) rows += (await snapshot.range(from, to, { limit: 10_000 })).length
    return rows
  })
}

/** Writes, one after the other, until it is told to stop; says what was acknowledged last of each key. */
class Writer {
  readonly acknowledged = new Map<string, string>()
  refused = 0
  writes = 0
  #isOver = false
  readonly #running: Promise<void>

  constructor(region: StartedRegion, bucket: string, name: string) {
    this.#running = this.#run(region, bucket, name)
  }

  async #run({ client, code }: StartedRegion, Bucket: string, name: string): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const Key = `${name}-${round % 7}`
      // Beside the record, and on a volume.
      const Body = `${code} ${round} ${'x'.repeat(round % 2 === 0 ? 10 : 30_000)}`
      try {
        if (round % 5 === 4) {
          await client.send(new DeleteObjectCommand({ Bucket, Key }))
          this.acknowledged.delete(Key)
        } else {
          await client.send(new PutObjectCommand({ Bucket, Key, Body }))
          this.acknowledged.set(Key, Body)
        }
        this.writes++
      } catch (error) {
        if (!(error instanceof S3ServiceException) || error.$metadata.httpStatusCode !== 503) throw error
        // What became of it nobody said: it is written again.
        this.refused++
        round--
      }
      await pause(20)
    }
  }

  async end(): Promise<void> {
    this.#isOver = true
    await this.#running
  }
}

async function bodyIn({ client }: StartedRegion, Bucket: string, Key: string): Promise<string | undefined> {
  try {
    return await (await client.send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString()
  } catch (error) {
    if (error instanceof S3ServiceException && error.name === 'NoSuchKey') return undefined
    throw error
  }
}

test('C22: a bucket goes from region to region while clients write, and nothing is lost', async () => {
  await make('wanders', 'fra')
  const writers = [fra, syd, iad].map((region) => new Writer(region, 'wanders', region.code))
  const journey = ['fra,syd', 'aus', 'iad,fra']
  try {
    for (const location of journey) {
      await pause(100)
      assert.equal((await ask(iad, 'wanders', location)).status, 200)
      await moved('wanders', location)
    }
  } finally {
    for (const writer of writers) await writer.end()
  }
  for (const writer of writers) {
    assert.ok(writer.writes > 20, `${writer.writes} writes, ${writer.refused} refused`)
    assert.ok(writer.refused < writer.writes / 5, `${writer.refused} of ${writer.writes} refused`)
    for (const [Key, body] of writer.acknowledged) assert.equal(await bodyIn(fra, 'wanders', Key), body)
  }
  for (const region of [fra, iad]) assert.ok((await rowsOf(region, 'wanders')) > 0, region.code)
  assert.equal(await rowsOf(syd, 'wanders'), 0)
})

test('Z5: the bytes that only a region had which a bucket left are elsewhere, and are let go there', async () => {
  await make('leaves', 'syd')
  const bodies = Array.from({ length: 8 }, () => randomBytes(50_000))
  for (const [index, Body] of bodies.entries()) {
    await syd.client.send(new PutObjectCommand({ Bucket: 'leaves', Key: `key-${index}`, Body }))
  }
  assert.equal((await ask(fra, 'leaves', 'iad')).status, 200)
  await moved('leaves', 'iad')
  assert.deepEqual(await syd.node.node.foundation.store.snapshot((from) => readBlobJobs(from, undefined, 10)), [])
  await syd.stop()
  try {
    for (const [index, body] of bodies.entries()) {
      const read = await iad.client.send(new GetObjectCommand({ Bucket: 'leaves', Key: `key-${index}` }))
      assert.deepEqual(Buffer.from((await read.Body?.transformToByteArray()) ?? []), body)
    }
  } finally {
    syd = await cluster.start('syd', { geography: 'aus' })
    await untilJoined(fra, syd)
  }
})

test('C26: an upload in progress ends with the region that it is in', async () => {
  await make('uploads', 'fra,syd')
  const upload = { Bucket: 'uploads', Key: 'key' }
  const { UploadId } = await syd.client.send(new CreateMultipartUploadCommand(upload))
  await syd.client.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: 'part' }))
  await ask(fra, 'uploads', 'fra')
  await moved('uploads', 'fra')
  const late = syd.client.send(new UploadPartCommand({ ...upload, UploadId, PartNumber: 1, Body: 'part' }))
  await assert.rejects(late, { name: 'NoSuchUpload' })
})

test('a change is given up by asking for what was; another one waits for its end', async () => {
  await make('wavers', 'fra')
  await fra.client.send(new PutObjectCommand({ Bucket: 'wavers', Key: 'key', Body: 'value' }))
  await syd.stop()
  try {
    assert.equal((await ask(fra, 'wavers', 'fra,syd')).status, 200)
    assert.equal((await ask(fra, 'wavers', 'iad')).status, 409)
    await assert.rejects(fra.client.send(new DeleteBucketCommand({ Bucket: 'wavers' })), { name: 'OperationAborted' })
    // Writes go on while a region is away.
    await fra.client.send(new PutObjectCommand({ Bucket: 'wavers', Key: 'another', Body: 'value' }))
    assert.equal((await ask(fra, 'wavers', 'fra')).status, 200)
  } finally {
    syd = await cluster.start('syd', { geography: 'aus' })
    await untilJoined(fra, syd)
  }
  await moved('wavers', 'fra')
  assert.equal(await rowsOf(syd, 'wavers'), 0)
  assert.equal(await bodyIn(syd, 'wavers', 'another'), 'value')
  await assert.rejects(syd.client.send(new HeadObjectCommand({ Bucket: 'wavers', Key: 'none' })), { name: 'NotFound' })
})

test('a location that names no region is refused', async () => {
  await fra.client.send(new CreateBucketCommand({ Bucket: 'stays' }))
  assert.equal((await ask(fra, 'stays', 'nowhere')).status, 400)
  assert.equal((await ask(fra, 'stays', 'fra,nowhere')).status, 400)
  const json = (body: object) => send(syd, 'PATCH', '/stays', { body: Buffer.from(JSON.stringify(body)) })
  assert.equal((await json({ protection: { protected: true } })).status, 400)
  const { status, body } = await json({ object_regions: 'syd' })
  assert.equal(status, 200)
  assert.deepEqual(JSON.parse(body.toString()), { status: 'success' })
  await moved('stays', 'syd')
  assert.equal((await json({ object_regions: 'global' })).status, 200)
  await moved('stays', '')
})

test('a bucket is made everywhere, in regions, or in one geography; several geographies are refused as that', async () => {
  const locationOf = async (bucket: string) => (await fra.node.node.services.buckets.get(bucket)).location
  for (const [bucket, asked, location] of [
    ['made-everywhere', 'global', ''],
    ['made-in-two', 'fra, syd', 'fra,syd'],
    ['made-in-one', 'eur', 'eur'],
  ] as const) {
    assert.equal((await send(syd, 'PUT', `/${bucket}`, { headers: { 'x-tigris-regions': asked } })).status, 200, asked)
    assert.equal(await locationOf(bucket), location)
  }
  for (const asked of ['eur,usa', 'fra,usa', 'fra,global']) {
    for (const answer of [await make('not-made', asked), await ask(fra, 'made-in-one', asked)]) {
      assert.equal(answer.status, 400, asked)
      assert.match(answer.body.toString(), /<Code>InvalidArgument<\/Code>/)
      assert.doesNotMatch(answer.body.toString(), /There is no region/, asked)
    }
  }
  assert.match((await make('not-made', 'nowhere')).body.toString(), /There is no region nowhere/)
  assert.equal(await locationOf('made-in-one'), 'eur')
})

test('C20: in how many regions writes have to be is asked for as a bucket is made, or there is none', async () => {
  const asking = (bucket: string, durability: string, location: string, through = syd) =>
    send(through, 'PUT', `/${bucket}`, {
      headers: { 'x-meridian-durability-regions': durability, 'x-tigris-regions': location },
    })
  for (const region of [fra, syd]) {
    const bucket = `made-durable-${region.code}`
    for (const _ of ['first', 'again']) assert.equal((await asking(bucket, '2', 'fra,iad', region)).status, 200)
    const { durability, location } = await fra.node.node.services.buckets.get(bucket)
    assert.deepEqual([durability, location], [2, 'fra,iad'])
    const other = await asking(bucket, '1', 'fra,iad', region)
    assert.match(other.body.toString(), /<Code>BucketAlreadyOwnedByYou<\/Code>/)
    for (const [wrong, where] of [
      ['4', 'global'],
      ['3', 'fra,iad'],
      ['2', 'eur'],
      ['0', 'global'],
      ['17', 'global'],
      ['two', 'global'],
    ] as const) {
      assert.equal((await asking('made-in-too-few', wrong, where, region)).status, 400, `${wrong} in ${where}`)
    }
  }
  await assert.rejects(fra.node.node.services.buckets.get('made-in-too-few'), { code: 'NoSuchBucket' })
  const bare = await send(syd, 'PUT', '/made-durable', { headers: { 'x-meridian-durability-regions': '3' } })
  assert.equal(bare.status, 200)
  assert.equal((await fra.node.node.services.buckets.get('made-durable')).durability, 3)
})

test("C20: in how many regions writes have to be is the bucket's own, and no more than it has", async () => {
  await make('durable', '')
  const json = (body: object) => send(syd, 'PATCH', '/durable', { body: Buffer.from(JSON.stringify(body)) })
  assert.equal((await json({ durability_regions: 4 })).status, 400)
  assert.equal((await json({ durability_regions: 'two' })).status, 400)
  assert.equal((await json({ durability_regions: 2 })).status, 200)
  const { body } = await send(fra, 'GET', '/durable', { query: { metadata: '' } })
  assert.equal(JSON.parse(body.toString()).durability_regions, 2)
  assert.equal((await ask(fra, 'durable', 'iad')).status, 400)
  await iad.client.send(new PutObjectCommand({ Bucket: 'durable', Key: 'key', Body: randomBytes(50_000) }))
  const held = await Promise.all([fra, syd].map((region) => rowsOf(region, 'durable')))
  assert.ok(
    held.some((rows) => rows > 0),
    'acknowledged, it is in another region already',
  )
})
