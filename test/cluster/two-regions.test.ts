import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { newCall, writeCall } from '#gateway/peer/call.ts'
import { ClusterSecret } from '#gateway/peer/sealing.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import { realWorld } from '#src/world.ts'
import { say } from '../support/raw-socket.ts'
import { SignedClient } from '../support/signed-client.ts'
import { alice, type Cluster, openPair, type StartedRegion, send, until } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion

before(async () => {
  ;({ cluster, fra, syd } = await openPair())
})
after(() => cluster.close())

test('a region that joined has the keys of the root, and its own number', async () => {
  assert.equal(syd.node.node.foundation.cell, 1)
  assert.equal(fra.node.node.foundation.cell, 0)
  await fra.client.send(new CreateBucketCommand({ Bucket: 'from-the-root' }))
  const found = await syd.client.send(new HeadBucketCommand({ Bucket: 'from-the-root' }))
  assert.equal(found.$metadata.httpStatusCode, 200)
})

test('Y13: a change that is asked for in another region is there when it is answered, in both', async () => {
  for (let round = 0; round < 5; round++) {
    const Bucket = `made-in-syd-${round}`
    await syd.client.send(new CreateBucketCommand({ Bucket }))
    await syd.client.send(new HeadBucketCommand({ Bucket }))
    await fra.client.send(new HeadBucketCommand({ Bucket }))
    const statement = {
      Effect: 'Deny',
      Principal: '*',
      Action: 's3:GetObject',
      Resource: `arn:aws:s3:::${Bucket}/no/*`,
    }
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    await syd.client.send(new PutBucketPolicyCommand({ Bucket, Policy }))
    assert.equal((await syd.client.send(new GetBucketPolicyCommand({ Bucket }))).Policy, Policy)
  }
})

test('a bucket of one region is written and read from another, through it', async () => {
  await syd.client.send(
    new CreateBucketCommand({
      Bucket: 'only-fra',
      CreateBucketConfiguration: { LocationConstraint: 'fra' as 'EU' },
    }),
  )
  const body = Buffer.alloc(300_000, 'x')
  await syd.client.send(new PutObjectCommand({ Bucket: 'only-fra', Key: 'a/b c', Body: body }))
  const read = await syd.client.send(new GetObjectCommand({ Bucket: 'only-fra', Key: 'a/b c' }))
  assert.deepEqual(Buffer.from((await read.Body?.transformToByteArray()) ?? []), body)
  const there = await fra.client.send(new GetObjectCommand({ Bucket: 'only-fra', Key: 'a/b c' }))
  assert.equal((await there.Body?.transformToByteArray())?.length, body.length)
})

const consistent = { 'x-tigris-consistent': 'true' }

test('C23: a consistent request is carried out at the home cell, whoever is asked', async () => {
  await fra.client.send(new CreateBucketCommand({ Bucket: 'everywhere' }))
  const plain = await send(syd, 'PUT', '/everywhere/plain', {}, Buffer.from('plain'))
  assert.equal(plain.headers['x-tigris-served-from'], 'syd')
  const put = await send(syd, 'PUT', '/everywhere/key', consistent, Buffer.from('value'))
  assert.equal(put.status, 200)
  assert.equal(put.headers['x-tigris-served-from'], 'fra')
  const read = await send(syd, 'GET', '/everywhere/key', consistent)
  assert.equal(read.body.toString(), 'value')
  const pinned = await send(syd, 'GET', '/everywhere/key', { 'x-tigris-regions': 'fra' })
  assert.equal(pinned.body.toString(), 'value')
  const own = await send(fra, 'GET', '/everywhere/key', consistent)
  assert.equal(own.headers['x-tigris-served-from'], 'fra')
})

test('C23: the home of a bucket is the region through which it was created, where the bucket is there', async () => {
  assert.equal((await send(syd, 'PUT', '/home-in-syd')).status, 200)
  assert.equal((await send(syd, 'PUT', '/home-in-fra', { 'x-tigris-regions': 'fra' })).status, 200)
  for (const [bucket, home] of [
    ['home-in-syd', 'syd'],
    ['home-in-fra', 'fra'],
  ]) {
    for (const region of [fra, syd]) {
      const put = await send(region, 'PUT', `/${bucket}/key`, consistent, Buffer.from(region.code))
      assert.equal(put.headers['x-tigris-served-from'], home)
      const read = await send(region === fra ? syd : fra, 'GET', `/${bucket}/key`, consistent)
      assert.equal(read.body.toString(), region.code)
    }
  }
  const rules =
    '<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter/><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>'
  assert.equal((await send(fra, 'PUT', '/home-in-syd', {}, Buffer.from(rules), { lifecycle: '' })).status, 200)
  const later = Date.now() + 3 * 86_400_000
  const pass = async (region: StartedRegion) => {
    const { foundation } = region.node.node
    const world = { ...foundation.world, now: () => later }
    const failed = (error: unknown) => assert.ifError(error)
    const options = { dayMilliseconds: 86_400_000, transitions: 'down', report: () => {}, failed } as const
    await new LifecycleWorker({ ...foundation, world }, options).pass(new AbortController().signal)
  }
  await until(async () => (await send(fra, 'GET', '/home-in-syd/key')).body.toString() === 'syd')
  await pass(fra)
  assert.equal((await send(fra, 'GET', '/home-in-syd/key')).status, 200, 'not by another cell than the home')
  await pass(syd)
  assert.equal((await send(syd, 'GET', '/home-in-syd/key')).status, 404)
})

test('answers of another region come as they are there: HEAD, ranges, conditions, errors', async () => {
  const path = '/only-fra/a/b%20c'
  const head = await send(syd, 'HEAD', path)
  assert.equal(head.headers['content-length'], '300000')
  assert.equal(head.headers['x-tigris-served-from'], 'fra')
  const range = await send(syd, 'GET', path, { range: 'bytes=5-9' })
  assert.equal(range.status, 206)
  assert.equal(range.body.toString(), 'xxxxx')
  const same = await send(syd, 'GET', path, { 'if-none-match': String(head.headers.etag) })
  assert.equal(same.status, 304)
  const none = await send(syd, 'GET', '/only-fra/nothing')
  assert.equal(none.status, 404)
  assert.match(none.body.toString(), /<Code>NoSuchKey<\/Code>/)
  const gone = await send(syd, 'DELETE', path)
  assert.equal(gone.status, 204)
  assert.equal((await send(fra, 'GET', path)).status, 404)
})

test('C26: an upload goes on in the cell that began it, from wherever, and all cells are asked for uploads', async () => {
  const [Bucket, Key] = ['everywhere', 'uploaded']
  const { UploadId } = await syd.client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  assert.ok(UploadId?.startsWith('001'))
  const other = await fra.client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'another' }))
  for (const region of [fra, syd]) {
    const { Uploads } = await region.client.send(new ListMultipartUploadsCommand({ Bucket }))
    assert.deepEqual(
      Uploads?.map((each) => [each.Key, each.UploadId]),
      [
        ['another', other.UploadId],
        [Key, UploadId],
      ],
    )
  }
  const first = await fra.client.send(new ListMultipartUploadsCommand({ Bucket, MaxUploads: 1 }))
  assert.equal(first.IsTruncated, true)
  const KeyMarker = first.NextKeyMarker
  const rest = await fra.client.send(
    new ListMultipartUploadsCommand({ Bucket, KeyMarker, UploadIdMarker: first.NextUploadIdMarker }),
  )
  assert.deepEqual(
    rest.Uploads?.map((each) => each.Key),
    [Key],
  )
  const Body = Buffer.alloc(6 << 20, 'p')
  const part = await fra.client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber: 1, Body }))
  const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: part.ETag }] }
  await fra.client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload }))
  const read = await syd.client.send(new GetObjectCommand({ Bucket, Key }))
  assert.equal((await read.Body?.transformToByteArray())?.length, Body.length)
  await syd.client.send(new AbortMultipartUploadCommand({ Bucket, Key: 'another', UploadId: other.UploadId }))
  assert.equal((await syd.client.send(new ListMultipartUploadsCommand({ Bucket }))).Uploads, undefined)
})

test('a location names regions of the cluster, or none at all', async () => {
  const made = await send(syd, 'PUT', '/regions-of-both', { 'x-tigris-regions': 'syd, fra' })
  assert.equal(made.status, 200)
  assert.equal((await fra.node.node.services.buckets.get('regions-of-both')).location, 'syd,fra')
  assert.equal((await send(syd, 'PUT', '/no-such-region', { 'x-tigris-regions': 'fra,xyz' })).status, 400)
  const constraint = (text: string) =>
    Buffer.from(
      `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${text}</LocationConstraint></CreateBucketConfiguration>`,
    )
  const mixed = await send(syd, 'PUT', '/mixed', {}, constraint('fra,xyz'))
  assert.match(mixed.body.toString(), /InvalidLocationConstraint/)
  assert.equal((await send(syd, 'PUT', '/elsewhere', {}, constraint('eu-west-1'))).status, 200)
  const put = await send(syd, 'PUT', '/elsewhere/key', {}, Buffer.from('x'))
  assert.equal(put.headers['x-tigris-served-from'], 'syd')
})

test('a copy is carried out where both of its buckets are, or else where it goes, and reads from where its source is', async () => {
  const made = await send(syd, 'PUT', '/only-syd', { 'x-tigris-regions': 'syd' })
  assert.equal(made.status, 200)
  assert.equal((await send(fra, 'PUT', '/only-fra/source', {}, Buffer.from('what is copied'))).status, 200)
  const copied = await send(syd, 'PUT', '/everywhere/copy', { 'x-amz-copy-source': 'only-fra/source' })
  assert.equal(copied.status, 200)
  assert.equal(copied.headers['x-tigris-served-from'], 'fra')
  assert.equal((await send(fra, 'GET', '/everywhere/copy')).body.toString(), 'what is copied')
  const apart = await send(syd, 'PUT', '/only-syd/copy', { 'x-amz-copy-source': '/only-fra/source' })
  assert.equal(apart.status, 200)
  assert.equal(apart.headers['x-tigris-served-from'], 'syd')
  assert.equal((await send(syd, 'GET', '/only-syd/copy')).body.toString(), 'what is copied')
  const [Bucket, Key] = ['everywhere', 'in-parts']
  const { UploadId } = await syd.client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const query = { partNumber: '1', uploadId: UploadId ?? '' }
  assert.equal(
    (await send(fra, 'PUT', `/${Bucket}/${Key}`, { 'x-amz-copy-source': 'only-fra/source' }, undefined, query)).status,
    200,
  )
  assert.equal((await send(syd, 'PUT', '/only-syd/source', {}, Buffer.from('a part'))).status, 200)
  assert.equal(
    (await send(fra, 'PUT', `/${Bucket}/${Key}`, { 'x-amz-copy-source': 'only-syd/source' }, undefined, query)).status,
    200,
  )
})

test('what is copied from a bucket that is elsewhere is whole, and only for those who may read it', async () => {
  const [Bucket, Key] = ['only-fra', 'large']
  const { UploadId } = await fra.client.send(new CreateMultipartUploadCommand({ Bucket, Key }))
  const bodies = [Buffer.alloc(5 * 2 ** 20, 'a'), Buffer.alloc(100_000, 'b')]
  const Parts = await Promise.all(
    bodies.map(async (Body, index) => {
      const PartNumber = index + 1
      const { ETag } = await fra.client.send(new UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body }))
      return { PartNumber, ETag }
    }),
  )
  await fra.client.send(new CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts } }))
  await fra.client.send(
    new PutObjectCommand({ Bucket, Key: 'tagged', Body: Buffer.alloc(100_000, 'c'), Tagging: 'a=b' }),
  )
  const copy = (source: string, headers: Record<string, string> = {}) =>
    send(syd, 'PUT', '/only-syd/copied', { 'x-amz-copy-source': source, ...headers })
  assert.equal((await copy('only-fra/large')).status, 200)
  const read = await send(syd, 'GET', '/only-syd/copied')
  assert.deepEqual(read.body, Buffer.concat(bodies))
  assert.equal((await copy('only-fra/tagged')).status, 200)
  const tagged = await syd.client.send(new GetObjectCommand({ Bucket: 'only-syd', Key: 'copied' }))
  assert.equal(tagged.TagCount, 1)
  assert.equal((await copy('only-fra/none')).status, 404)
  assert.equal((await copy('only-fra/large', { 'x-amz-copy-source-if-match': '"other"' })).status, 412)
  const Statement = [
    { Effect: 'Deny', Principal: '*', Action: 's3:GetObject*', Resource: 'arn:aws:s3:::only-fra/large' },
  ]
  await fra.client.send(
    new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
  )
  assert.equal((await copy('only-fra/large')).status, 403)
  assert.equal((await copy('only-fra/tagged')).status, 200)
})

test('Y11: nobody without the secret speaks for a client, and what a client says of other regions is not passed on', async () => {
  const meta = Buffer.from(JSON.stringify({ remoteAddress: '10.0.0.1', isSecure: true, isBare: true })).toString(
    'base64',
  )
  const self = syd.node.node.region?.members.self
  assert.ok(self)
  // All of it is as it would be, but for the signature.
  const stranger = { secret: new ClusterSecret('another secret, which is not theirs'), world: realWorld }
  const call = writeCall(newCall(stranger, { ...self, epoch: 1 }, 0))
  const headers = { 'x-meridian-forward': `${call};${meta};${'0'.repeat(64)}` }
  const forged = await fetch(`${fra.peer}/`, { headers })
  assert.equal(forged.status, 403)
  assert.equal(await forged.text(), '', 'refused before the gateway')
  // The gateway of clients takes it for nothing, and does not hand it on.
  const anonymous = await fetch(`${syd.endpoint}/only-fra/nothing`, { headers })
  assert.equal(anonymous.headers.get('x-tigris-served-from'), 'fra')
  assert.match(await anonymous.text(), /<Code>AccessDenied<\/Code>/)
})

test('Y12: what was passed on once is not passed on again', async () => {
  const { region } = fra.node.node
  assert.ok(region)
  // As if the root, for a moment, believed another cell to be the bucket's.
  const place = region.routing.place.bind(region.routing)
  region.routing.place = () => [1]
  try {
    const answer = await send(syd, 'GET', '/only-fra/nothing')
    assert.equal(answer.status, 503)
    assert.equal(answer.headers['x-tigris-served-from'], 'fra')
  } finally {
    region.routing.place = place
  }
})

test('who is asked before the body is sent says so before it is sent, also through another region', async () => {
  const client = new SignedClient(syd.endpoint, { accessKey: alice.accessKeyId, secretKey: alice.secretAccessKey })
  const body = Buffer.alloc(50_000, 'b')
  const { path, headers } = client.signed({ method: 'PUT', path: '/only-fra/expected', body })
  client.close()
  const lines = Object.entries({ ...headers, expect: '100-continue' }).map(([name, value]) => `${name}: ${value}\r\n`)
  const head = `PUT ${path} HTTP/1.1\r\n${lines.join('')}\r\n`
  const { port } = new URL(syd.endpoint)
  // What is waited for comes; how soon, the machine says.
  const forMs = 60_000
  const waiting = await say(Number(port), head, { until: /100 Continue\r\n\r\n/, forMs })
  assert.match(waiting.text, /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  const sent = await say(Number(port), [head, body], { pauseMs: 100, until: /200 OK/, forMs })
  assert.match(sent.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  const refused = await say(Number(port), head.replace(/Signature=./, 'Signature=z'), {
    until: /\r\n\r\n/,
    forMs,
  })
  assert.match(refused.text, /^HTTP\/1\.1 403 /)
  assert.equal((await send(fra, 'GET', '/only-fra/expected')).body.length, body.length)
})
