import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { SignedClient } from '../support/signed-client.ts'
import { type Harness, keys, openHarness, refusal } from './store.ts'

let opened: Harness | undefined
const harness = (): Harness => {
  assert.ok(opened !== undefined)
  return opened
}
let alice: SignedClient
let bob: SignedClient

before(async () => {
  opened = await openHarness({}, true)
  const clientOf = ({ accessKeyId, secretAccessKey }: (typeof keys)['alice']) =>
    new SignedClient(harness().endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey })
  alice = clientOf(keys.alice)
  bob = clientOf(keys.bob)
})

after(async () => {
  alice?.close()
  bob?.close()
  await opened?.close()
})

const today = new Date().toISOString().slice(0, 10)

const ask = (client: SignedClient, query: Readonly<Record<string, string>>) =>
  client.send({
    method: 'GET',
    path: '/',
    query: { 'meridian-usage': '', from: '2026-01-01', to: '2100-01-01', ...query },
  })

interface Row {
  readonly period: string
  readonly bucket: string
  readonly metric: string
  readonly class: string
  readonly value: number
}

/** Values of a bucket; whatever midnight the test runs over, of all days together. */
async function usageOf(bucket: string): Promise<ReadonlyMap<string, number>> {
  const { status, body } = await ask(alice, { bucket })
  assert.equal(status, 200, body.toString())
  const found = new Map<string, number>()
  for (const { metric, class: kind, value } of (JSON.parse(body.toString()) as { usage: readonly Row[] }).usage) {
    const name = kind === '' ? metric : `${metric} ${kind}`
    found.set(name, (found.get(name) ?? 0) + value)
  }
  return found
}

/** A request is counted once its answer went out, which its client may hear before. */
async function settles(bucket: string, name: string, value: number): Promise<void> {
  for (const end = Date.now() + 20_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const found = (await usageOf(bucket)).get(name)
    if (found === value) return
    assert.ok(Date.now() < end, `${name} is ${found}, not ${value}`)
  }
}

test('requests of each class and bytes of their bodies are counted, refused ones are not', async () => {
  const { client, otherClient, makeBucket } = harness()
  const Bucket = await makeBucket()
  for (const Key of ['a', 'b', 'c']) await client.send(new PutObjectCommand({ Bucket, Key, Body: Buffer.alloc(1_000) }))
  const big = Buffer.alloc(300_000)
  await client.send(new PutObjectCommand({ Bucket, Key: 'big', Body: big }))
  for (const Key of ['a', 'big']) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
    await Body?.transformToByteArray()
  }
  await client.send(new HeadObjectCommand({ Bucket, Key: 'a' }))
  await client.send(new DeleteObjectCommand({ Bucket, Key: 'b' }))
  for (let count = 0; count < 3; count++) {
    assert.equal(await refusal(otherClient.send(new ListObjectsV2Command({ Bucket }))), '403 AccessDenied')
  }
  await settles(Bucket, 'requests A', 4)
  await settles(Bucket, 'requests B', 3)
  await settles(Bucket, 'requests free', 1)
  await settles(Bucket, 'bytes in', 303_000)
  await settles(Bucket, 'bytes out', 301_000)
  const { body } = await alice.send({ method: 'GET', path: `/${Bucket}`, query: { metadata: '', 'with-size': 'true' } })
  const told = JSON.parse(body.toString())
  assert.deepEqual([told.tier_sizes, told.estimated_rows], [{ STANDARD: 302_000 }, 3])
})

test('usage is told as CSV too, by months too, and to whom it belongs alone', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'a' }))
  await settles(Bucket, 'requests A', 1)
  const csv = await ask(alice, { bucket: Bucket, format: 'csv', by: 'month' })
  assert.match(String(csv.headers['content-type']), /^text\/csv/)
  const [head, ...lines] = csv.body.toString().trim().split('\r\n')
  assert.equal(head, 'period,account,bucket,region,metric,class,value')
  const line = `${today.slice(0, 7)},${harness().ids.alice},${Bucket},loc,requests,A,1`
  assert.ok(lines.includes(line), csv.body.toString())
  assert.deepEqual(JSON.parse((await ask(bob, { bucket: Bucket })).body.toString()), { usage: [] })
  assert.equal((await ask(bob, { account: 'all' })).status, 403)
  assert.equal((await ask(alice, { by: 'year' })).status, 400)
  assert.equal((await ask(alice, { from: 'yesterday' })).status, 400)
})
