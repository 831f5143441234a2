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
import { say } from '../support/raw-socket.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'
import { alice, type Cluster, openCluster, type StartedRegion, until } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion

before(async () => {
  cluster = await openCluster()
  fra = await cluster.start('fra')
  syd = await cluster.start('syd')
  await until(
    () => syd.node.node.region?.members.isServing === true && fra.node.node.region?.members.peers.length === 1,
  )
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

/** Sends one request as alice, with headers that the SDK does not know. */
async function send(
  region: StartedRegion,
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: Uint8Array,
): Promise<Answer> {
  const client = new SignedClient(region.endpoint, { accessKey: alice.accessKeyId, secretKey: alice.secretAccessKey })
  try {
    return await client.send({ method, path, headers, ...(body !== undefined && { body }) })
  } finally {
    client.close()
  }
}

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

test('Y11: nobody without the secret speaks for a client, and what a client says of other regions is not passed on', async () => {
  const meta = Buffer.from(JSON.stringify({ remoteAddress: '10.0.0.1', isSecure: true, isBare: true })).toString(
    'base64',
  )
  const incarnation = syd.node.node.region?.members.self.incarnation
  const call = `1 1 ${incarnation} 1 0 ${Date.now()} ${'0'.repeat(32)}`
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
  const waiting = await say(Number(port), head, { until: /100 Continue\r\n\r\n/ })
  assert.match(waiting.text, /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  const sent = await say(Number(port), [head, body], { pauseMs: 100, until: /200 OK/ })
  assert.match(sent.text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  const refused = await say(Number(port), head.replace(/Signature=./, 'Signature=z'), { until: /\r\n\r\n/ })
  assert.match(refused.text, /^HTTP\/1\.1 403 /)
  assert.equal((await send(fra, 'GET', '/only-fra/expected')).body.length, body.length)
})
