import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { type Call, SignedClient } from '../support/signed-client.ts'
import { newBucketName } from './harness.ts'
import { keys, openHarness, refusal, useHarness } from './store.ts'

/** What ceph adds to S3, and does no harm here. */

const harness = useHarness({ bucketsMax: '5' })

/** As alice, or with another key. */
async function ask(call: Call, key = { id: keys.alice.accessKeyId, secret: keys.alice.secretAccessKey }) {
  const client = new SignedClient(harness().endpoint, { accessKey: key.id, secretKey: key.secret })
  try {
    const { status, headers, body } = await client.send(call)
    return { status, headers, text: body.toString() }
  } finally {
    client.close()
  }
}

test('HEAD of a bucket tells what lies in it to who asks, and nothing to who does not', async () => {
  const Bucket = await harness().makeBucket()
  const path = `/${Bucket}`
  const told = async (query: Record<string, string>) => {
    const { status, headers } = await ask({ method: 'HEAD', path, query })
    assert.equal(status, 200)
    return ['x-rgw-object-count', 'x-rgw-bytes-used', 'x-rgw-quota-max-buckets'].map((name) => headers[name])
  }
  assert.deepEqual(await told({ 'read-stats': 'true' }), ['0', '0', '5'])
  for (const Key of ['a', 'b'])
    await harness().client.send(new PutObjectCommand({ Bucket, Key, Body: `body of ${Key}` }))
  assert.deepEqual(await told({ 'read-stats': 'true' }), ['2', '18', '5'])
  assert.deepEqual(await told({}), [undefined, undefined, undefined])
})

test('A3: a bucket is found under the name of its tenant, and under no other', async () => {
  const { identity } = harness().services
  const people = { team: 'team', nobody: '', other: 'other' }
  const made = new Map<string, { readonly id: string; readonly secret: string; readonly bucket: string }>()
  for (const [name, tenant] of Object.entries(people)) {
    const account = await identity.createAccount({ displayName: name, email: `${name}@tenants.example`, tenant })
    const key = await identity.createKey({ accountId: account.id })
    const bucket = newBucketName()
    assert.equal((await ask({ method: 'PUT', path: `/${bucket}` }, key)).status, 200)
    assert.equal((await ask({ method: 'PUT', path: `/${bucket}/k`, body: Buffer.from('x') }, key)).status, 200)
    made.set(name, { ...key, bucket })
  }
  const [team, nobody, other] = ['team', 'nobody', 'other'].map((name) => made.get(name))
  assert.ok(team !== undefined && nobody !== undefined && other !== undefined)
  const status = async (path: string, key: { id: string; secret: string }, method = 'GET') =>
    (await ask({ method, path }, key)).status
  assert.equal(await status(`/team%3A${team.bucket}`, team), 200)
  assert.equal(await status(`/team%3A${team.bucket}/k`, team), 200)
  assert.equal(await status(`/%3A${nobody.bucket}/k`, nobody), 200)
  assert.equal(await status(`/other%3A${team.bucket}`, team), 404)
  assert.equal(await status(`/%3A${team.bucket}/k`, team), 404)
  assert.equal(await status(`/other%3A${team.bucket}/k`, team, 'DELETE'), 404)
  assert.equal(await status(`/${team.bucket}/k`, team), 200)
  // The name of the tenant opens nothing: who may, is asked as ever.
  assert.equal(await status(`/team%3A${team.bucket}`, other), 403)
  const client = harness().client
  const Bucket = await harness().makeBucket()
  const Resource = `arn:aws:s3:::${Bucket}`
  const statement = { Effect: 'Allow', Principal: '*', Action: 's3:ListBucket', Resource }
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Statement: [statement] }) }))
  assert.equal(await status(`/%3A${Bucket}`, other), 200)
  assert.equal(await status(`/team%3Anew-one`, team, 'PUT'), 404)
})

test('rules lead back to STANDARD only where the node is set up so', async () => {
  const Rules = [
    { ID: 'r', Status: 'Enabled' as const, Filter: {}, Transitions: [{ Days: 1, StorageClass: 'STANDARD' as never }] },
  ]
  const put = async (open: typeof harness) => {
    const Bucket = await open().makeBucket()
    return { Bucket, sent: new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: { Rules } }) }
  }
  const refused = await put(harness)
  assert.equal(await refusal(harness().client.send(refused.sent)), '400 MalformedXML')
  const free = await openHarness({ transitions: 'any' })
  try {
    const taken = await put(() => free)
    await free.client.send(taken.sent)
    const kept = await free.client.send(new GetBucketLifecycleConfigurationCommand({ Bucket: taken.Bucket }))
    assert.equal(kept.Rules?.[0]?.Transitions?.[0]?.StorageClass, 'STANDARD')
  } finally {
    await free.close()
  }
})

test('an account is told what it has and may have, and may not have more', async () => {
  const usage = await ask({ method: 'GET', path: '/', query: { usage: '' } })
  const number = (name: string) => Number(new RegExp(`<${name}>(-?\\d+)</${name}>`).exec(usage.text)?.[1])
  assert.deepEqual(['QuotaMaxBuckets', 'QuotaMaxBytes', 'TotalEntries', 'TotalBytes'].map(number), [5, -1, 2, 18])
  const { client } = harness()
  const another = () => client.send(new CreateBucketCommand({ Bucket: newBucketName() }))
  await another()
  await another()
  assert.equal(await refusal(another()), '400 TooManyBuckets')
})
