import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetObjectAclCommand,
  GetObjectAttributesCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  RenameObjectCommand,
} from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()
const md5 = (body: string | Uint8Array): string => `"${createHash('md5').update(body).digest('hex')}"`

async function put(bucket: string, key: string, body: string | Uint8Array = key) {
  return await harness().client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }))
}

async function get(bucket: string, key: string, versionId?: string): Promise<string> {
  const { Body } = await harness().client.send(new GetObjectCommand({ Bucket: bucket, Key: key, VersionId: versionId }))
  return (await Body?.transformToString('latin1')) ?? ''
}

test('what was put is got, whatever its size and key', async () => {
  const bucket = await harness().makeBucket()
  const names = ['plain', 'a b+c%2F&?#é/😀', '../up', '//', 'nul\u0000', `${'k'.repeat(1024)}`]
  for (const [index, key] of names.entries()) {
    const body = randomBytes([0, 1, 1000, 20_000, 3_000_000, 5][index] ?? 0)
    const written = await put(bucket, key, body)
    assert.equal(written.ETag, md5(body))
    assert.equal(await get(bucket, key), body.toString('latin1'))
    const head = await harness().client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))
    assert.equal(head.ContentLength, body.length)
    assert.equal(head.ETag, written.ETag)
    assert.equal(head.ContentType, 'application/octet-stream')
    assert.equal(head.StorageClass, undefined)
  }
  assert.equal(await refusal(put(bucket, 'k'.repeat(1025))), '400 KeyTooLongError')
})

test('headers and metadata come back as they were given', async () => {
  const bucket = await harness().makeBucket()
  const { client } = harness()
  const given = {
    CacheControl: 'max-age=5',
    ContentDisposition: 'attachment; filename="x"',
    ContentEncoding: 'gzip',
    ContentLanguage: 'de',
    ContentType: 'text/plain',
    WebsiteRedirectLocation: '/elsewhere',
    Metadata: { a: 'one', 'b-c': '=?UTF-8?B?w6k=?=', empty: '' },
    StorageClass: 'STANDARD_IA',
  } as const
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x', ...given }))
  const head = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'k' }))
  for (const name of Object.keys(given) as (keyof typeof given)[]) assert.deepEqual(head[name], given[name], name)
  const overridden = await client.send(
    new GetObjectCommand({ Bucket: bucket, Key: 'k', ResponseContentType: 'a/b', ResponseCacheControl: 'no-store' }),
  )
  assert.equal(overridden.ContentType, 'a/b')
  assert.equal(overridden.CacheControl, 'no-store')
  assert.equal(overridden.ContentLanguage, 'de')
})

test('metadata over 2 KiB, unknown storage classes are refused', async () => {
  const bucket = await harness().makeBucket()
  const send = (extra: object) =>
    refusal(harness().client.send(new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x', ...extra })))
  assert.equal(await send({ Metadata: { a: 'x'.repeat(2047) } }), 'nothing was refused')
  assert.equal(await send({ Metadata: { a: 'x'.repeat(2048) } }), '400 MetadataTooLarge')
  assert.equal(await send({ StorageClass: 'WARM' }), '400 InvalidStorageClass')
  assert.equal(await send({ ObjectLockLegalHoldStatus: 'ON' }), '400 InvalidRequest')
})

test('a version is got, hidden and removed by its id', async () => {
  const bucket = await harness().makeBucket({ versioning: 'enabled' })
  const { client } = harness()
  const first = await put(bucket, 'k', 'one')
  const second = await put(bucket, 'k', 'two')
  assert.notEqual(first.VersionId, second.VersionId)
  assert.equal(await get(bucket, 'k'), 'two')
  assert.equal(await get(bucket, 'k', first.VersionId), 'one')

  const marker = await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k' }))
  assert.equal(marker.DeleteMarker, true)
  assert.equal(await refusal(get(bucket, 'k')), '404 NoSuchKey')
  assert.equal(await refusal(get(bucket, 'k', marker.VersionId)), '405 MethodNotAllowed')
  assert.equal(await refusal(get(bucket, 'k', '1234567890123456789')), '404 NoSuchVersion')
  assert.equal(await refusal(get(bucket, 'k', 'nonsense')), '400 InvalidArgument')

  const undone = await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k', VersionId: marker.VersionId }))
  assert.equal(undone.DeleteMarker, true)
  assert.equal(await get(bucket, 'k'), 'two')
  await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k', VersionId: second.VersionId }))
  assert.equal(await get(bucket, 'k'), 'one')
})

test('a delete marker is told of in the headers of 404 and 405', async () => {
  const bucket = await harness().makeBucket({ versioning: 'enabled' })
  const { client } = harness()
  await put(bucket, 'k')
  const { VersionId } = await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k' }))
  const headers = async (versionId?: string) => {
    const error = await client
      .send(new GetObjectCommand({ Bucket: bucket, Key: 'k', VersionId: versionId }))
      .catch((thrown) => thrown)
    return error.$response.headers
  }
  const missing = await headers()
  assert.equal(missing['x-amz-delete-marker'], 'true')
  assert.equal(missing['x-amz-version-id'], VersionId)
  const named = await headers(VersionId)
  assert.equal(named['x-amz-delete-marker'], 'true')
  assert.equal(named['allow'], 'DELETE')
  assert.ok(named['last-modified'])
})

test('many keys are deleted at once, each with its own outcome', async () => {
  const bucket = await harness().makeBucket()
  const { client, otherClient } = harness()
  const names = Array.from({ length: 50 }, (_, index) => `k&${index}`)
  for (const name of names) await put(bucket, name)
  const objects = [...names.map((Key) => ({ Key })), { Key: 'never-there' }]
  const others = await otherClient.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects } }))
  assert.equal(others.Errors?.length, 51)
  assert.equal(others.Errors?.[0]?.Code, 'AccessDenied')
  assert.equal(await get(bucket, 'k&0'), 'k&0')

  const quiet = { Objects: objects.slice(0, 2), Quiet: true }
  assert.equal((await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: quiet }))).Deleted, undefined)
  const answer = await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: objects } }))
  assert.deepEqual(
    answer.Deleted?.map((each) => each.Key),
    objects.map((each) => each.Key),
  )
  assert.equal(answer.Errors, undefined)
  assert.equal(await refusal(get(bucket, 'k&7')), '404 NoSuchKey')

  const many = Array.from({ length: 1001 }, (_, index) => ({ Key: `${index}` }))
  const tooMany = client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: many } }))
  assert.equal(await refusal(tooMany), '400 MalformedXML')
  const nowhere = client.send(new DeleteObjectsCommand({ Bucket: 'no-such-bucket', Delete: { Objects: objects } }))
  assert.equal(await refusal(nowhere), '404 NoSuchBucket')
})

test('tags are set with the object and later, and counted', async () => {
  const bucket = await harness().makeBucket()
  const { client } = harness()
  const name = { Bucket: bucket, Key: 'k' }
  await client.send(new PutObjectCommand({ ...name, Body: 'x', Tagging: 'a=1&b%20c=%C3%A9&d' }))
  const tags = async () => (await client.send(new GetObjectTaggingCommand(name))).TagSet
  assert.deepEqual(await tags(), [
    { Key: 'a', Value: '1' },
    { Key: 'b c', Value: 'é' },
    { Key: 'd', Value: '' },
  ])
  assert.equal((await client.send(new HeadObjectCommand(name))).TagCount, 3)
  const set = (TagSet: { Key: string; Value: string }[]) =>
    client.send(new PutObjectTaggingCommand({ ...name, Tagging: { TagSet } }))
  await set([{ Key: 'z', Value: 'y' }])
  assert.deepEqual(await tags(), [{ Key: 'z', Value: 'y' }])
  const eleven = Array.from({ length: 11 }, (_, index) => ({ Key: `${index}`, Value: '' }))
  assert.equal(await refusal(set(eleven)), '400 InvalidTag')
  assert.equal(await refusal(set([{ Key: 'k'.repeat(129), Value: '' }])), '400 InvalidTag')
  assert.equal(await refusal(set([{ Key: 'k', Value: 'v'.repeat(257) }])), '400 InvalidTag')
  assert.equal(
    await refusal(
      set([
        { Key: 'a', Value: '1' },
        { Key: 'a', Value: '2' },
      ]),
    ),
    '400 InvalidTag',
  )
  assert.equal(await refusal(set([{ Key: 'a;b', Value: '1' }])), '400 InvalidTag')
  assert.deepEqual(await tags(), [{ Key: 'z', Value: 'y' }])
  await client.send(new DeleteObjectTaggingCommand(name))
  assert.deepEqual(await tags(), [])
  assert.equal((await client.send(new HeadObjectCommand(name))).TagCount, undefined)
})

test('an ACL lets another account read, and nobody else', async () => {
  const bucket = await harness().makeBucket()
  const { client, otherClient, endpoint } = harness()
  const name = { Bucket: bucket, Key: 'k' }
  await put(bucket, 'k')
  const read = () => refusal(otherClient.send(new GetObjectCommand(name)))
  const anonymous = async () => (await fetch(`${endpoint}/${bucket}/k`)).status
  assert.equal(await read(), '403 AccessDenied')
  assert.equal(await anonymous(), 403)

  await client.send(new PutObjectAclCommand({ ...name, ACL: 'authenticated-read' }))
  assert.equal(await read(), 'nothing was refused')
  assert.equal(await anonymous(), 403)
  const acl = await client.send(new GetObjectAclCommand(name))
  assert.equal(acl.Owner?.DisplayName, 'alice')
  assert.equal(acl.Grants?.length, 2)

  await client.send(new PutObjectAclCommand({ ...name, ACL: 'public-read' }))
  assert.equal(await anonymous(), 200)
  assert.equal((await fetch(`${endpoint}/${bucket}/k?response-content-type=a/b`)).status, 400)

  const bob = await harness().services.identity.findAccountByEmail('bob@example.com')
  const grants = [{ Grantee: { Type: 'CanonicalUser' as const, ID: bob?.id }, Permission: 'READ' as const }]
  await client.send(new PutObjectAclCommand({ ...name, AccessControlPolicy: { Owner: acl.Owner, Grants: grants } }))
  assert.equal(await read(), 'nothing was refused')
  assert.equal(await anonymous(), 403)
  const strangers = { Owner: { ID: bob?.id }, Grants: grants }
  const stolen = client.send(new PutObjectAclCommand({ ...name, AccessControlPolicy: strangers }))
  assert.equal(await refusal(stolen), '403 AccessDenied')
})

test('GetObjectAttributes tells what was asked for', async () => {
  const bucket = await harness().makeBucket()
  await put(bucket, 'k', 'hello')
  const all = await harness().client.send(
    new GetObjectAttributesCommand({
      Bucket: bucket,
      Key: 'k',
      ObjectAttributes: ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'],
    }),
  )
  assert.equal(all.ETag, md5('hello').replaceAll('"', ''))
  assert.equal(all.ObjectSize, 5)
  assert.equal(all.StorageClass, 'STANDARD')
  assert.equal(all.ObjectParts, undefined)
  assert.ok(all.Checksum?.ChecksumCRC32)
})

test('a rename moves an object, and only whom may do all of it', async () => {
  const bucket = await harness().makeBucket()
  const { client, otherClient } = harness()
  await put(bucket, 'from/a b', 'x')
  const rename = (target: string, source: string, extra: object = {}) =>
    new RenameObjectCommand({ Bucket: bucket, Key: target, RenameSource: source, ...extra })
  assert.equal(await refusal(otherClient.send(rename('to', 'from/a%20b'))), '403 AccessDenied')
  assert.equal(await refusal(client.send(rename('to', 'nothing'))), '404 NoSuchKey')
  await client.send(rename('to', 'from/a%20b'))
  assert.equal(await get(bucket, 'to'), 'x')
  assert.equal(await refusal(get(bucket, 'from/a b')), '404 NoSuchKey')
  await put(bucket, 'other', 'y')
  assert.equal(
    await refusal(client.send(rename('to', 'other', { DestinationIfNoneMatch: '*' }))),
    '412 PreconditionFailed',
  )
  assert.equal(await get(bucket, 'other'), 'y')
})

test('half of an UploadPart writes no object', async () => {
  const bucket = await harness().makeBucket()
  const { client } = harness()
  for (const query of ['uploadId=x', 'partNumber=1', 'versionId=null']) {
    const command = new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: 'x' })
    command.middlewareStack.add(
      (next) => (args) => {
        const [name = '', value = ''] = query.split('=')
        const request = args.request as { query: Record<string, string> }
        request.query[name] = value
        return next(args)
      },
      { step: 'build' },
    )
    assert.match(await refusal(client.send(command)), /^40[05] /, query)
    assert.equal(await refusal(get(bucket, 'k')), '404 NoSuchKey', query)
  }
})

test('who may write but not read renames nothing', async () => {
  const bucket = await harness().makeBucket()
  const { otherClient, services, ids } = harness()
  await put(bucket, 'secret')
  const grant = { grantee: { kind: 'account', id: ids.bob, displayName: 'bob' }, permission: 'WRITE' } as const
  await services.buckets.update(bucket, (before) => ({
    ...before,
    acl: { ...before.acl, grants: [...before.acl.grants, grant] },
  }))
  await otherClient.send(new PutObjectCommand({ Bucket: bucket, Key: 'mine', Body: 'x' }))
  const rename = (source: string) =>
    refusal(otherClient.send(new RenameObjectCommand({ Bucket: bucket, Key: 'taken', RenameSource: source })))
  assert.equal(await rename('secret'), '403 AccessDenied')
  assert.equal(await get(bucket, 'secret'), 'secret')
  assert.equal(await rename('mine'), 'nothing was refused')
})
