import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  CreateBucketCommand,
  GetBucketPolicyCommand,
  GetObjectCommand,
  HeadBucketCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { type Cluster, openCluster, type StartedRegion, until } from './regions.ts'

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

test('X7: a change that is asked for in another region is there when it is answered, in both', async () => {
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
  const version = await fra.node.node.services.objects.head({
    name: { bucket: 'only-fra', key: 'a/b c' },
    conditions: {},
    guard: () => {},
  } as never)
  assert.ok(version)
})
