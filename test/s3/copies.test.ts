import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  CopyObjectCommand,
  type CopyObjectCommandInput,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

async function prepare(size = 3) {
  const Bucket = await harness().makeBucket()
  const body = randomBytes(size)
  await harness().client.send(
    new PutObjectCommand({
      Bucket,
      Key: 'k',
      Body: body,
      ContentType: 'text/x',
      Metadata: { a: 'b' },
      Tagging: 't=1',
      StorageClass: 'GLACIER_IR',
      ACL: 'public-read',
    }),
  )
  return { Bucket, body }
}

const copy = (input: CopyObjectCommandInput) => harness().client.send(new CopyObjectCommand(input))
const head = (Bucket: string, Key: string) => harness().client.send(new HeadObjectCommand({ Bucket, Key }))

async function bytesOf(Bucket: string, Key: string): Promise<Buffer> {
  const { Body } = await harness().client.send(new GetObjectCommand({ Bucket, Key }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

test('a copy has the bytes, metadata and tags of its source; class, ACL and redirect are its own', async () => {
  for (const size of [0, 3, 200_000]) {
    const { Bucket, body } = await prepare(size)
    for (const target of [Bucket, await harness().makeBucket()]) {
      const { CopyObjectResult } = await copy({ Bucket: target, Key: 'c d', CopySource: `${Bucket}/k` })
      assert.ok((await bytesOf(target, 'c d')).equals(body))
      const copied = await head(target, 'c d')
      assert.equal(copied.ETag, CopyObjectResult?.ETag)
      assert.equal(copied.ContentType, 'text/x')
      assert.deepEqual(copied.Metadata, { a: 'b' })
      assert.equal(copied.TagCount, 1)
      assert.equal(copied.StorageClass, undefined)
      const anonymous = await fetch(`${harness().endpoint}/${target}/c%20d`)
      assert.equal(anonymous.status, 403)
      await anonymous.arrayBuffer()
    }
  }
})

test('directives replace metadata and tags', async () => {
  const { Bucket } = await prepare()
  const CopySource = `${Bucket}/k`
  await copy({ Bucket, Key: 'm', CopySource, MetadataDirective: 'REPLACE', Metadata: { c: 'd' }, ContentType: 'a/b' })
  const replaced = await head(Bucket, 'm')
  assert.deepEqual(replaced.Metadata, { c: 'd' })
  assert.equal(replaced.ContentType, 'a/b')
  assert.equal(replaced.TagCount, 1)
  await copy({ Bucket, Key: 't', CopySource, TaggingDirective: 'REPLACE', Tagging: 'x=y' })
  const { TagSet } = await harness().client.send(new GetObjectTaggingCommand({ Bucket, Key: 't' }))
  assert.deepEqual(TagSet, [{ Key: 'x', Value: 'y' }])
  assert.deepEqual((await head(Bucket, 't')).Metadata, { a: 'b' })
  await copy({ Bucket, Key: 'none', CopySource, TaggingDirective: 'REPLACE' })
  assert.equal((await head(Bucket, 'none')).TagCount, undefined)
  const unknown = { MetadataDirective: 'KEEP' as 'COPY' }
  assert.equal(await refusal(copy({ Bucket, Key: 'u', CopySource, ...unknown })), '400 InvalidArgument')
})

test('a copy onto itself must change something', async () => {
  const { Bucket, body } = await prepare()
  const itself = { Bucket, Key: 'k', CopySource: `${Bucket}/k` }
  assert.equal(await refusal(copy(itself)), '400 InvalidRequest')
  await copy({ ...itself, MetadataDirective: 'REPLACE', Metadata: { e: 'f' } })
  assert.deepEqual((await head(Bucket, 'k')).Metadata, { e: 'f' })
  await copy({ ...itself, StorageClass: 'STANDARD_IA' })
  assert.equal((await head(Bucket, 'k')).StorageClass, 'STANDARD_IA')
  assert.ok((await bytesOf(Bucket, 'k')).equals(body))
})

test('a copy names its source version, and can bring an old one back', async () => {
  const Bucket = await harness().makeBucket({ versioning: 'enabled' })
  const { client } = harness()
  const first = await client.send(new PutObjectCommand({ Bucket, Key: 'k?é', Body: 'one' }))
  await client.send(new PutObjectCommand({ Bucket, Key: 'k?é', Body: 'two' }))
  const source = `${Bucket}/${encodeURIComponent('k?é')}`
  const answer = await copy({ Bucket, Key: 'k?é', CopySource: `${source}?versionId=${first.VersionId}` })
  assert.equal(answer.CopySourceVersionId, first.VersionId)
  assert.ok(answer.VersionId)
  assert.equal((await bytesOf(Bucket, 'k?é')).toString(), 'one')
})

test('a copy needs the right to read its source', async () => {
  const { Bucket } = await prepare()
  const target = await harness().makeBucket()
  const { otherClient, services } = harness()
  const bob = harness().ids.bob
  await services.buckets.update(target, (bucket) => ({
    ...bucket,
    acl: {
      ...bucket.acl,
      grants: [
        ...bucket.acl.grants,
        { grantee: { kind: 'account', id: bob, displayName: 'bob' }, permission: 'WRITE' },
      ],
    },
  }))
  await harness().client.send(new PutObjectCommand({ Bucket, Key: 'secret', Body: 's' }))
  const take = (key: string, TaggingDirective?: 'COPY' | 'REPLACE') => {
    const input = { Bucket: target, Key: 'c', CopySource: `${Bucket}/${key}`, TaggingDirective }
    return refusal(otherClient.send(new CopyObjectCommand(input)))
  }
  assert.equal(await take('k', 'REPLACE'), 'nothing was refused')
  assert.equal(await take('k'), '403 AccessDenied', 'READ in an ACL does not give the tags')
  assert.equal(await take('secret', 'REPLACE'), '403 AccessDenied')
})

test('sources that are not there are 404, and no sources 400', async () => {
  const { Bucket } = await prepare()
  assert.equal(await refusal(copy({ Bucket, Key: 'c', CopySource: `${Bucket}/none` })), '404 NoSuchKey')
  assert.equal(await refusal(copy({ Bucket, Key: 'c', CopySource: 'no-such-bucket/k' })), '404 NoSuchBucket')
  assert.equal(await refusal(copy({ Bucket, Key: 'c', CopySource: Bucket })), '400 InvalidArgument')
})

test("a copy with Tigris' rename header moves", async () => {
  const { Bucket, body } = await prepare()
  const command = new CopyObjectCommand({ Bucket, Key: 'moved', CopySource: `${Bucket}/k` })
  command.middlewareStack.add(
    (next) => (args) => {
      const request = args.request as { headers: Record<string, string> }
      request.headers['x-tigris-rename'] = 'true'
      return next(args)
    },
    { step: 'build' },
  )
  await harness().client.send(command)
  assert.ok((await bytesOf(Bucket, 'moved')).equals(body))
  assert.match(await refusal(head(Bucket, 'k')), /^404 /)
})
