import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()
const past = new Date('1994-10-29T19:43:31Z')
const future = new Date('2100-10-29T19:43:31Z')
const nothing = 'nothing was refused'

async function prepare(versioning?: 'enabled') {
  const { client } = harness()
  const name = { Bucket: await harness().makeBucket(versioning === undefined ? {} : { versioning }), Key: 'k' }
  const { ETag: etag = '' } = await client.send(new PutObjectCommand({ ...name, Body: 'one' }))
  return { client, name, etag }
}

test('a read: 304 for what the client has, 412 for what it does not expect', async () => {
  const { client, name, etag } = await prepare()
  const get = (conditions: object) => refusal(client.send(new GetObjectCommand({ ...name, ...conditions })))
  const head = (conditions: object) => refusal(client.send(new HeadObjectCommand({ ...name, ...conditions })))
  assert.equal(await get({ IfMatch: etag }), nothing)
  assert.equal(await get({ IfMatch: `"x", ${etag}` }), nothing)
  assert.equal(await get({ IfMatch: etag.replaceAll('"', '') }), nothing)
  assert.equal(await get({ IfMatch: '"x"' }), '412 PreconditionFailed')
  assert.equal(await get({ IfMatch: `W/${etag}` }), '412 PreconditionFailed')
  assert.match(await get({ IfNoneMatch: etag }), /^304 /)
  assert.match(await get({ IfNoneMatch: `W/${etag}` }), /^304 /)
  assert.match(await get({ IfNoneMatch: '*' }), /^304 /)
  assert.equal(await get({ IfNoneMatch: '"x"' }), nothing)
  assert.equal(await get({ IfModifiedSince: past }), nothing)
  assert.match(await get({ IfModifiedSince: future }), /^304 /)
  assert.equal(await get({ IfUnmodifiedSince: future }), nothing)
  assert.equal(await get({ IfUnmodifiedSince: past }), '412 PreconditionFailed')
  // If-Match wins over If-Unmodified-Since, If-None-Match over If-Modified-Since.
  assert.equal(await get({ IfMatch: etag, IfUnmodifiedSince: past }), nothing)
  assert.match(await get({ IfNoneMatch: etag, IfModifiedSince: past }), /^304 /)
  assert.match(await head({ IfNoneMatch: etag }), /^304 /)
  assert.match(await head({ IfMatch: '"x"' }), /^412 /)
})

test('a 304 names the ETag, and a range does not hide it', async () => {
  const { client, name, etag } = await prepare()
  const command = new GetObjectCommand({ ...name, IfNoneMatch: etag, Range: 'bytes=99-' })
  const error = await client.send(command).catch((thrown) => thrown)
  assert.equal(error.$response.statusCode, 304)
  assert.equal(error.$response.headers['etag'], etag)
  assert.ok(error.$response.headers['last-modified'])
})

test('a write: only over what it expects, or over nothing', async () => {
  const { client, name, etag } = await prepare()
  const put = (conditions: object, Key = 'k') =>
    refusal(client.send(new PutObjectCommand({ ...name, Key, Body: 'two', ...conditions })))
  assert.equal(await put({ IfNoneMatch: '*' }), '412 PreconditionFailed')
  assert.equal(await put({ IfNoneMatch: etag }), '412 PreconditionFailed')
  assert.equal(await put({ IfMatch: '"x"' }), '412 PreconditionFailed')
  assert.equal(await put({ IfMatch: '*' }, 'new'), '404 NoSuchKey')
  assert.equal(await put({ IfMatch: '"x"' }, 'new'), '404 NoSuchKey')
  assert.equal(await put({ IfNoneMatch: '*' }, 'new'), nothing)
  assert.equal(await put({ IfMatch: '""' }, 'new'), '412 PreconditionFailed')
  assert.equal(await put({ IfMatch: '""' }, 'newer'), nothing)
  assert.equal(await put({ IfMatch: etag }), nothing)
  assert.equal(await put({ IfMatch: etag }), '412 PreconditionFailed')
})

test('of many writes that each expect nothing, one wins', async () => {
  const { client, name } = await prepare()
  const writes = Array.from({ length: 12 }, (_, index) =>
    refusal(client.send(new PutObjectCommand({ ...name, Key: 'race', Body: `${index}`, IfNoneMatch: '*' }))),
  )
  const outcomes = await Promise.all(writes)
  assert.equal(outcomes.filter((outcome) => outcome === nothing).length, 1)
  assert.equal(outcomes.filter((outcome) => outcome === '412 PreconditionFailed').length, 11)
})

test('a copy: conditions on the source are 412 whatever they are', async () => {
  const { client, name, etag } = await prepare()
  const copy = (conditions: object) =>
    refusal(client.send(new CopyObjectCommand({ ...name, Key: 'c', CopySource: `${name.Bucket}/k`, ...conditions })))
  assert.equal(await copy({ CopySourceIfMatch: etag }), nothing)
  assert.equal(await copy({ CopySourceIfMatch: '"x"' }), '412 PreconditionFailed')
  assert.equal(await copy({ CopySourceIfNoneMatch: etag }), '412 PreconditionFailed')
  assert.equal(await copy({ CopySourceIfNoneMatch: '"x"' }), nothing)
  assert.equal(await copy({ CopySourceIfModifiedSince: future }), '412 PreconditionFailed')
  assert.equal(await copy({ CopySourceIfUnmodifiedSince: past }), '412 PreconditionFailed')
  assert.equal(await copy({ IfNoneMatch: '*' }), '412 PreconditionFailed')
})

test('a delete: of what it expects; what is not there fails no condition', async () => {
  const { client, name, etag } = await prepare()
  const { LastModified = past } = await client.send(new HeadObjectCommand(name))
  const remove = (conditions: object) => refusal(client.send(new DeleteObjectCommand({ ...name, ...conditions })))
  assert.equal(await remove({ IfMatch: '"x"' }), '412 PreconditionFailed')
  assert.equal(await remove({ IfMatchSize: 4 }), '412 PreconditionFailed')
  assert.equal(await remove({ IfMatchLastModifiedTime: past }), '412 PreconditionFailed')
  assert.equal(await remove({ IfMatch: etag, IfMatchSize: 3, IfMatchLastModifiedTime: LastModified }), nothing)
  assert.match(await refusal(client.send(new HeadObjectCommand(name))), /^404 /)
  assert.equal(await remove({ IfMatch: '"x"' }), nothing)
})

test('deletes of many: each key has conditions of its own', async () => {
  const { client, name, etag } = await prepare()
  await client.send(new PutObjectCommand({ ...name, Key: 'b', Body: 'b' }))
  const Objects = [
    { Key: 'k', ETag: '"x"' },
    { Key: 'b', Size: 1 },
    { Key: 'none', ETag: '"x"' },
  ]
  const answer = await client.send(new DeleteObjectsCommand({ Bucket: name.Bucket, Delete: { Objects } }))
  assert.deepEqual(
    answer.Errors?.map(({ Key, Code }) => [Key, Code]),
    [['k', 'PreconditionFailed']],
  )
  assert.deepEqual(
    answer.Deleted?.map(({ Key }) => Key),
    ['b', 'none'],
  )
  const again = { Objects: [{ Key: 'k', ETag: etag }] }
  const second = await client.send(new DeleteObjectsCommand({ Bucket: name.Bucket, Delete: again }))
  assert.equal(second.Errors, undefined)
})

test('a conditional delete of nothing leaves no delete marker behind', async () => {
  const { client, name } = await prepare('enabled')
  const remove = (conditions: object) => client.send(new DeleteObjectCommand({ ...name, Key: 'none', ...conditions }))
  assert.equal((await remove({ IfMatch: '*' })).DeleteMarker, undefined)
  assert.equal((await remove({ IfMatch: '"x"' })).DeleteMarker, undefined)
  assert.equal((await remove({})).DeleteMarker, true)
  assert.equal(await refusal(remove({ IfMatch: '"x"' })), '412 PreconditionFailed')
})
