import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { changeMember, dismiss } from '#src/cluster/founding.ts'
import { Promotion } from '#src/cluster/promotion.ts'
import { readDeparture } from '#src/metadata/departure-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { readFeedLag } from '#src/metadata/watch-records.ts'
import { memberOf } from '#src/model/region.ts'
import { lostObjects } from '#src/service/lost-objects.ts'
import { realWorld } from '#src/world.ts'
import { type Cluster, openCluster, type StartedRegion, until } from './regions.ts'

let cluster: Cluster
let fra: StartedRegion
let iad: StartedRegion
let syd: StartedRegion
before(async () => {
  cluster = await openCluster()
  fra = await cluster.start('fra')
  iad = await cluster.start('iad')
  syd = await cluster.start('syd')
  await patiently(() => [iad, syd].every((each) => regionOf(each).members.isServing))
  // The root makes none before it has heard of another region.
  await patiently(() =>
    fra.client.send(new CreateBucketCommand({ Bucket: 'box' })).then(
      () => true,
      () => false,
    ),
  )
})
after(async () => cluster.close())

function regionOf({ node }: StartedRegion) {
  const { region } = node.node
  assert.ok(region !== undefined)
  return region
}

const storeOf = ({ node }: StartedRegion) => node.node.foundation.store

/** On a machine that has other things to do, too. */
async function patiently(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await until(condition)
    } catch (error) {
      if (attempt === 9) throw error
    }
  }
}

const put = (at: StartedRegion, key: string, text: string) =>
  at.client.send(new PutObjectCommand({ Bucket: 'box', Key: key, Body: text }))

async function get(at: StartedRegion, key: string): Promise<string | undefined> {
  const { Body } = await at.client.send(new GetObjectCommand({ Bucket: 'box', Key: key }))
  return await Body?.transformToString()
}

const arrives = (at: StartedRegion, key: string): Promise<void> =>
  patiently(() =>
    get(at, key).then(
      () => true,
      () => false,
    ),
  )

const stateOf = (at: StartedRegion, other: StartedRegion) =>
  memberOf(regionOf(at).members.membership, regionOf(other).members.self.cell)?.state

test('C25: another region becomes the root, and what is changed through any of them is there in all', async () => {
  const { members, transport } = regionOf(iad)
  const replica = regionOf(iad).replica
  const head = await regionOf(fra).confirmations.head()
  await patiently(() => replica.reaches(head, 100, new AbortController().signal))
  const promotion = new Promotion({ store: storeOf(iad), world: realWorld, members, transport })
  await promotion.succeed()
  await patiently(() => [fra, syd].every((each) => regionOf(each).members.membership.root === members.self.cell))
  for (const at of [fra, iad, syd]) {
    const name = `from-${at.code}`
    await patiently(() =>
      at.client.send(new CreateBucketCommand({ Bucket: name })).then(
        () => true,
        () => false,
      ),
    )
    await patiently(async () => {
      const listed = await Promise.all([fra, iad, syd].map(({ client }) => client.send(new ListBucketsCommand({}))))
      return listed.every(({ Buckets = [] }) => Buckets.some(({ Name }) => Name === name))
    })
  }
})

test('L1 C16: a region that leaves goes once all that it had is elsewhere, and serves nothing then', async () => {
  const large = 'x'.repeat(300_000)
  for (const key of ['one', 'two', 'three']) await put(syd, key, large)
  await put(syd, 'small', 'small')
  const { UploadId } = await syd.client.send(new CreateMultipartUploadCommand({ Bucket: 'box', Key: 'parts' }))
  const { cell } = regionOf(syd).members.self
  await patiently(async () => {
    const lag = await storeOf(fra).snapshot((snapshot) => readFeedLag(snapshot, cell))
    return lag?.entries === 0 && !lag.isAway
  })
  await changeMember(storeOf(iad), cell, (member) => ({ ...member, state: 'leaving' }))
  await patiently(() => stateOf(syd, syd) === 'leaving')
  assert.equal(await get(syd, 'one'), large, 'it has others carry out what it is asked')
  for (const { client } of [fra, iad, syd]) {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: 'box' }))
    assert.deepEqual(
      Uploads.map((each) => each.UploadId),
      [UploadId],
      'what it still waits for',
    )
  }
  await fra.client.send(new AbortMultipartUploadCommand({ Bucket: 'box', Key: 'parts', UploadId }))
  await patiently(() => stateOf(iad, syd) === 'removed' && stateOf(fra, syd) === 'removed')
  const departure = await storeOf(iad).snapshot((snapshot) => readDeparture(snapshot, cell))
  assert.deepEqual([departure?.isFenced, departure?.blobs, departure?.behind], [true, 0, []])
  await patiently(() => regionOf(syd).members.isRemoved)
  await assert.rejects(get(syd, 'one'), { name: 'ServiceUnavailable' })
  await syd.stop()
  for (const at of [fra, iad]) {
    for (const key of ['one', 'two', 'three']) assert.equal(await get(at, key), large)
    assert.equal(await get(at, 'small'), 'small')
  }
})

test('K2: what only a lost region had is told, and is told no more once it is written anew', async () => {
  await put(fra, 'only there', 'y'.repeat(300_000))
  await arrives(iad, 'small')
  await patiently(async () => {
    const lag = await storeOf(iad).snapshot((snapshot) => readFeedLag(snapshot, regionOf(fra).members.self.cell))
    return lag?.entries === 0 && !lag.isAway
  })
  const { cell } = regionOf(fra).members.self
  await fra.stop()
  await dismiss(storeOf(iad), new Namespace(), cell)
  const { foundation } = iad.node.node
  const lost = async (): Promise<readonly string[]> =>
    (await lostObjects(foundation)).map(({ bucket, key }) => `${bucket}/${key}`)
  await patiently(async () => (await lost()).includes('box/only there'))
  await assert.rejects(get(iad, 'only there'), { name: 'ServiceUnavailable' })
  await put(iad, 'only there', 'here')
  assert.equal((await lost()).includes('box/only there'), false)
})
