import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { alice, type Cluster, openCluster, type StartedRegion, until, untilJoined } from '../cluster/regions.ts'
import { Command, type Ended } from './command.ts'

let folder: string
let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-place-'))
  cluster = await openCluster()
  fra = await cluster.start('fra')
  syd = await cluster.start('syd')
  await untilJoined(fra, syd)
})
after(async () => {
  await cluster?.close()
  await rm(folder, { recursive: true, force: true })
})

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

test('buckets and objects are put into regions that are named, also large ones and copies', async () => {
  assert.equal((await told('buckets', 'create', 'in-syd', '--regions', 'syd'))['name'], 'in-syd')
  assert.equal((await syd.node.node.services.buckets.get('in-syd')).location, 'syd')
  const Bucket = 'put-somewhere'
  await fra.client.send(new CreateBucketCommand({ Bucket }))
  const small = join(folder, 'small')
  const large = join(folder, 'large')
  await writeFile(small, 'small')
  await writeFile(large, Buffer.alloc(6 * 2 ** 20))
  const copied = async (...words: string[]): Promise<void> => {
    const { code, errors } = await meridian('objects', 'copy', ...words)
    assert.equal(code, 0, errors)
  }
  await copied(small, `s3://${Bucket}/small`, '--regions', 'syd')
  await copied(large, `s3://${Bucket}/large`, '--regions', 'syd', '--part-mib', '5')
  await copied(small, `s3://${Bucket}/anywhere`)
  await copied(`s3://${Bucket}/anywhere`, `s3://${Bucket}/copy`, '--regions', 'fra,syd')
  const regionsOf = async (key: string): Promise<readonly string[] | undefined> => {
    const name = { bucket: Bucket, key }
    const { version } = await syd.node.node.services.objects.head({ name, guard: () => {}, conditions: {} })
    return version.regions
  }
  // Where it was written has it at once; the other region hears of it.
  await until(async () => {
    const found = await Promise.all(['small', 'large', 'anywhere', 'copy'].map((key) => regionsOf(key).catch(() => [])))
    return isDeepStrictEqual(found, [['syd'], ['syd'], undefined, ['fra', 'syd']])
  })
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
  assert.match(await refused('objects', 'copy', 's3://stays/k', folder, '--regions', 'syd'), /^1 .*copied to a server/)
  assert.match(await refused('buckets', 'place', 'stays'), /^1 .*--regions .*--durability/)
  assert.match(await refused('buckets', 'place', 'stays', '--durability', 'two'), /^1 .*such as 2/)
  assert.match(await refused('buckets', 'location', 'nothing-here'), /^1 .*NoSuchBucket.*buckets list/)
  assert.match(await refused('buckets', 'create', 'No'), /^1 .*3 to 63 characters/)
  assert.match(await refused('storage', 'create'), /^2 .*--organization is missing.*storage create --help/)
  assert.match(await refused('storage', 'status', '--name', '--json'), /^2 .*--name needs a value/)
  assert.match(await refused('storage', 'list', '--data', '/no/such/place'), /^1 .*say where it is with --data/)
  assert.equal((await told('buckets', 'location', 'stays'))['location'], 'global')
})
