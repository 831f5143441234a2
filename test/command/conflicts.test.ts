import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { CreateBucketCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { type Cluster, openPair, type StartedRegion, send } from '../cluster/regions.ts'
import { type Ended, meridian } from './command.ts'

let cluster: Cluster
let fra: StartedRegion
let syd: StartedRegion

before(async () => {
  ;({ cluster, fra, syd } = await openPair())
  await fra.client.send(new CreateBucketCommand({ Bucket: 'everywhere' }))
  await fra.client.send(new PutObjectCommand({ Bucket: 'everywhere', Key: 'k', Body: 'x' }))
  const { status } = await send(fra, 'PUT', '/in-fra', { 'x-tigris-regions': 'fra' })
  assert.equal(status, 200)
})
after(async () => cluster?.close())

const conflicts = (region: StartedRegion, ...words: string[]): Promise<Ended> =>
  meridian('conflicts', ...words, '--data', join(cluster.folder, region.code))

test('what cannot be done with a conflict is told in a sentence', async () => {
  const nowhere = await conflicts(fra, 'list', '--bucket', 'nope')
  assert.deepEqual(
    [nowhere.code, nowhere.errors],
    [1, 'meridian: NoSuchBucket: The specified bucket does not exist.\n'],
  )
  for (const word of ['restore', 'discard']) {
    const id = '0000000000000000001'
    const { code, errors } = await conflicts(fra, word, '--bucket', 'everywhere', '--key', 'k', '--id', id)
    assert.equal(code, 1)
    assert.match(errors, /^meridian: there is no such conflict: .*conflicts list` shows those there are\n$/)
  }
})

test('a region that does not have the bucket says who has it, and not that there are no conflicts', async () => {
  const id = '0000000000000000001'
  for (const words of [['list'], ['restore', '--key', 'k', '--id', id], ['discard', '--key', 'k', '--id', id]]) {
    const { code, output, errors } = await conflicts(syd, ...words, '--bucket', 'in-fra')
    assert.equal(code, 1)
    assert.deepEqual([output, errors], ['', 'meridian: in-fra is not in this region: ask one of fra\n'])
  }
  for (const region of [fra, syd]) {
    const { code, output, errors } = await conflicts(region, 'list', '--bucket', 'everywhere')
    assert.deepEqual([code, output, errors], [0, '', ''])
  }
  assert.equal((await conflicts(fra, 'list', '--bucket', 'in-fra')).code, 0)
})
