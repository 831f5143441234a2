import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
  S3ServiceException,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { createPresignedPost } from '@aws-sdk/s3-presigned-post'
import { dismiss } from '#src/cluster/founding.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { memberIn } from '#src/model/region.ts'
import { type Placement, Placements } from '#src/service/placements.ts'
import { alice, type Cluster, openCluster, type StartedRegion, until, untilJoined } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion
let iad: StartedRegion
const clients: S3Client[] = []
const Bucket = 'named-regions'

before(async () => {
  cluster = await openCluster()
  fra = await cluster.start('fra', { geography: 'eur' })
  syd = await cluster.start('syd', { geography: 'aus' })
  await untilJoined(fra, syd)
  iad = await cluster.start('iad', { geography: 'usa' })
  await untilJoined(fra, iad)
  await iad.client.send(new CreateBucketCommand({ Bucket }))
})
after(async () => {
  for (const client of clients) client.destroy()
  await cluster.close()
})

/** The SDK, with headers that it does not know: signed like its own. */
function clientOf({ endpoint }: StartedRegion, headers: Readonly<Record<string, string>>): S3Client {
  const config: S3ClientConfig = { endpoint, region: 'auto', forcePathStyle: true, credentials: alice, maxAttempts: 1 }
  const client = new S3Client(config)
  client.middlewareStack.add(
    (next) => (args) => {
      Object.assign((args.request as { headers: Record<string, string> }).headers, headers)
      return next(args)
    },
    { step: 'build', name: 'regions' },
  )
  clients.push(client)
  return client
}

const naming = (region: StartedRegion, regions: string, more: Readonly<Record<string, string>> = {}): S3Client =>
  clientOf(region, { 'x-tigris-regions': regions, ...more })

/** What HEAD says of where it is to be, in one region. */
async function told(region: StartedRegion, Key: string): Promise<string | undefined> {
  const client = clientOf(region, {})
  let found: string | undefined
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      found = (result.response as { headers: Record<string, string> }).headers['x-tigris-regions']
      return result
    },
    { step: 'deserialize', priority: 'low' },
  )
  await client.send(new HeadObjectCommand({ Bucket, Key }))
  return found
}

function placement({ node }: StartedRegion, key: string): Promise<Placement> {
  const { foundation, services } = node.node
  const placements = new Placements({ store: foundation.store, objects: services.objects })
  return placements.find({ name: { bucket: Bucket, key }, guard: () => {} })
}

/** Which regions hold all of it, each by its own word. */
async function holding(key: string): Promise<string> {
  const found: string[] = []
  for (const region of [fra, iad, syd]) {
    const { holders, counted } = await placement(region, key)
    if (holders.some(({ region: code, blobs }) => code === region.code && blobs === counted)) found.push(region.code)
  }
  return found.join()
}

const has = (region: StartedRegion, Key: string): Promise<boolean> =>
  region.client.send(new HeadObjectCommand({ Bucket, Key })).then(
    () => true,
    () => false,
  )

async function everywhere(key: string): Promise<void> {
  for (const region of [fra, iad, syd]) await until(() => has(region, key))
}

async function read(region: StartedRegion, Key: string): Promise<Buffer> {
  const { Body } = await region.client.send(new GetObjectCommand({ Bucket, Key }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

const isInvalid = (error: unknown): boolean =>
  error instanceof S3ServiceException && error.name === 'InvalidArgument' && error.$metadata.httpStatusCode === 400

test('an object is in the regions that its write names, asked for in any, and HEAD tells them in all', async () => {
  const Body = randomBytes(300_000)
  await naming(iad, 'fra, syd').send(new PutObjectCommand({ Bucket, Key: 'two', Body }))
  await naming(fra, 'syd').send(new PutObjectCommand({ Bucket, Key: 'small', Body: 'far away' }))
  await iad.client.send(new PutObjectCommand({ Bucket, Key: 'free', Body }))
  for (const key of ['two', 'small', 'free']) await everywhere(key)
  await until(async () => (await holding('two')) === 'fra,syd')
  for (const region of [fra, iad, syd]) {
    for (let time = 0; time < 4; time++) assert.ok((await read(region, 'two')).equals(Body))
    assert.equal((await read(region, 'small')).toString(), 'far away')
    assert.equal(await told(region, 'two'), 'fra,syd')
    assert.equal(await told(region, 'small'), 'syd')
    assert.equal(await told(region, 'free'), undefined)
    assert.deepEqual((await placement(region, 'two')).regions, ['fra', 'syd'])
  }
  assert.equal(await holding('two'), 'fra,syd')
  assert.equal(await holding('small'), 'syd')
})

test('a geography is its nearest region, and what no region of the bucket is called is refused', async () => {
  await naming(iad, 'eur,aus').send(new PutObjectCommand({ Bucket, Key: 'by geography', Body: 'x'.repeat(1000) }))
  await everywhere('by geography')
  assert.equal(await told(iad, 'by geography'), 'fra,syd')
  await until(async () => (await holding('by geography')) === 'fra,syd')
  for (const regions of ['xyz', 'fra,xyz', 'asia']) {
    await assert.rejects(naming(fra, regions).send(new PutObjectCommand({ Bucket, Key: 'no', Body: 'x' })), isInvalid)
  }
  assert.equal(await has(fra, 'no'), false)
  await naming(fra, 'fra').send(new CreateBucketCommand({ Bucket: 'in-fra-only' }))
  const elsewhere = new PutObjectCommand({ Bucket: 'in-fra-only', Key: 'no', Body: 'x' })
  await assert.rejects(naming(syd, 'syd').send(elsewhere), isInvalid)
  await naming(fra, 'global').send(new PutObjectCommand({ Bucket, Key: 'anywhere', Body: 'x' }))
  assert.equal(await told(fra, 'anywhere'), undefined)
})

test('uploads and copies are where their own requests say', async () => {
  const [Key, first] = ['parts', randomBytes(5 * 2 ** 20)]
  const uploader = naming(iad, 'syd')
  const { UploadId } = await uploader.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const { ETag } = await iad.client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body: first }))
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] }
  await iad.client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }))
  await everywhere(Key)
  assert.equal(await holding(Key), 'syd')
  const CopySource = `${Bucket}/${Key}`
  await naming(syd, 'iad').send(new CopyObjectCommand({ Bucket, Key: 'copy', CopySource }))
  await syd.client.send(new CopyObjectCommand({ Bucket, Key: 'free copy', CopySource }))
  // A copy onto itself is how an object changes its regions.
  await naming(iad, 'fra').send(new CopyObjectCommand({ Bucket, Key, CopySource }))
  for (const key of ['copy', 'free copy']) await everywhere(key)
  for (const region of [fra, iad, syd]) await until(async () => (await told(region, Key)) === 'fra')
  await until(async () => (await holding(Key)) === 'fra' && (await holding('copy')) === 'iad')
  assert.equal(await told(iad, 'free copy'), undefined)
  for (const region of [fra, iad, syd])
    for (const key of [Key, 'copy']) assert.ok((await read(region, key)).equals(first))
})

test('C23: a consistent write is carried out at the home, from where the bytes go to where they are to be', async () => {
  const Body = randomBytes(200_000)
  const consistent = { 'x-tigris-consistent': 'true' }
  await naming(fra, 'syd', consistent).send(new PutObjectCommand({ Bucket, Key: 'consistent', Body }))
  const { Body: back } = await clientOf(syd, consistent).send(new GetObjectCommand({ Bucket, Key: 'consistent' }))
  assert.ok(Buffer.from((await back?.transformToByteArray()) ?? []).equals(Body))
  await everywhere('consistent')
  await until(async () => (await holding('consistent')) === 'syd')
  for (const region of [fra, iad, syd]) assert.ok((await read(region, 'consistent')).equals(Body))
})

test('a region that starts again knows what is to be where', async () => {
  await syd.stop()
  syd = await cluster.start('syd', { geography: 'aus' })
  await untilJoined(fra, syd)
  assert.equal(await told(syd, 'two'), 'fra,syd')
  assert.equal(await holding('two'), 'fra,syd')
  assert.equal(await holding('small'), 'syd')
})

test('a form names them by a field that its policy allows; wherever it is sent, the bytes go there', async () => {
  const [Key, Body] = ['by a form', randomBytes(100_000)]
  const Fields = { 'x-tigris-regions': 'syd' }
  const { url, fields } = await createPresignedPost(clientOf(fra, {}), { Bucket, Key, Fields })
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.set(name, value)
  form.set('file', new Blob([Body]))
  assert.equal((await fetch(url, { method: 'POST', body: form })).status, 204)
  await everywhere(Key)
  assert.equal(await told(iad, Key), 'syd')
  await until(async () => (await holding(Key)) === 'syd')
  assert.ok((await read(iad, Key)).equals(Body))
})

test('C20: an upload that named a region which is lost meanwhile ends, where that is that is left; a new one that names too few does not', async () => {
  const [Key, first, second] = ['outlives', randomBytes(5 * 2 ** 20), randomBytes(1000)]
  await fra.node.node.services.buckets.update(Bucket, (each) => ({ ...each, durability: 2 }))
  const isRefused = { name: 'InvalidRequest' }
  const tooFew = () => naming(fra, 'fra').send(new PutObjectCommand({ Bucket, Key: 'too few', Body: second }))
  await assert.rejects(tooFew(), isRefused)
  const { UploadId } = await naming(fra, 'fra,syd').send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const send = async (PartNumber: number, Body: Buffer) => {
    const { ETag } = await iad.client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))
    return { PartNumber, ETag }
  }
  const Parts = [await send(1, first)]
  const { members } = syd.node.node.region ?? {}
  assert.ok(members !== undefined)
  await syd.stop()
  await dismiss(fra.node.node.foundation.store, new Namespace(), members.self.cell)
  const isGone = ({ node }: StartedRegion): boolean =>
    memberIn(node.node.region?.members.membership ?? members.membership, 'syd') === undefined
  for (const region of [fra, iad]) await until(() => isGone(region))
  Parts.push(await send(2, second))
  await iad.client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
  for (const region of [fra, iad]) assert.ok((await read(region, Key)).equals(Buffer.concat([first, second])))
  assert.equal(await told(iad, Key), 'fra,syd')
  const held = (await placement(iad, Key)).holders.map(({ region }) => region)
  assert.deepEqual(held, ['fra'])
  await assert.rejects(tooFew(), isRefused)
  await assert.rejects(naming(fra, 'fra,syd').send(new PutObjectCommand({ Bucket, Key: 'no', Body: 'x' })), isInvalid)
  await assert.rejects(naming(fra, 'fra').send(new CreateMultipartUploadCommand({ Bucket, Key: 'one' })), isRefused)
})
