import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { alice, type Cluster, openCluster, type StartedRegion, untilJoined } from '../cluster/regions.ts'
import { Command, type Ended } from './command.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion

before(async () => {
  cluster = await openCluster()
  fra = await cluster.start('fra')
  syd = await cluster.start('syd')
  await untilJoined(fra, syd)
})
after(() => cluster.close())

const meridian = (...words: string[]): Promise<Ended> =>
  new Command(words, {
    AWS_ENDPOINT_URL_S3: fra.endpoint,
    AWS_ACCESS_KEY_ID: alice.accessKeyId,
    AWS_SECRET_ACCESS_KEY: alice.secretAccessKey,
  }).ended

async function told(...words: string[]): Promise<Record<string, unknown>> {
  const { code, output, errors } = await meridian(...words, '--json')
  assert.equal(code, 0, errors)
  const [row] = JSON.parse(output) as Record<string, unknown>[]
  return row ?? {}
}

test('a bucket in use is placed elsewhere, and its durability changed, from the command line', async () => {
  const Bucket = 'placed'
  await fra.client.send(new CreateBucketCommand({ Bucket }))
  await fra.client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }))
  assert.deepEqual(await told('buckets', 'location', Bucket), {
    name: Bucket,
    location: 'global',
    durability: 'default',
    change: '',
  })
  const moved = await told('buckets', 'place', `s3://${Bucket}/`, '--regions', 'syd', '--watch')
  assert.deepEqual([moved['location'], moved['change']], ['syd', ''])
  assert.equal((await syd.node.node.services.buckets.get(Bucket)).location, 'syd')
  const read = await fra.client.send(new GetObjectCommand({ Bucket, Key: 'a' }))
  assert.equal(await read.Body?.transformToString(), 'x')
  assert.equal((await told('buckets', 'place', Bucket, '--regions', 'global', '--watch'))['location'], 'global')
  assert.equal((await told('buckets', 'place', Bucket, '--durability', '2'))['durability'], 2)
  assert.equal((await fra.node.node.services.buckets.get(Bucket)).durability, 2)
})

test('what cannot be done says why, and what can', async () => {
  const refused = async (...words: string[]): Promise<string> => {
    const { code, output, errors } = await meridian(...words)
    assert.notEqual(code, 0, output)
    return `${code} ${errors}`
  }
  await fra.client.send(new CreateBucketCommand({ Bucket: 'stays' }))
  assert.match(await refused('buckets', 'place', 'stays', '--regions', 'syd,nowhere'), /^1 .*no region nowhere/)
  assert.match(await refused('buckets', 'place', 'stays', '--durability', '3'), /^1 .*3 regions, and there are 2/)
  assert.match(await refused('buckets', 'place', 'stays'), /^1 .*--regions .*--durability/)
  assert.match(await refused('buckets', 'place', 'stays', '--durability', 'two'), /^1 .*such as 2/)
  assert.match(await refused('buckets', 'location', 'nothing-here'), /^1 .*NoSuchBucket.*buckets list/)
  assert.match(await refused('buckets', 'create', 'No'), /^1 .*3 to 63 characters/)
  assert.match(await refused('storage', 'create'), /^2 .*--organization is missing.*storage create --help/)
  assert.match(await refused('storage', 'status', '--name', '--json'), /^2 .*--name needs a value/)
  assert.match(await refused('storage', 'list', '--data', '/no/such/place'), /^1 .*say where it is with --data/)
  assert.equal((await told('buckets', 'location', 'stays'))['location'], 'global')
})
