import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

test('an object grows by what is written at its end', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const Key = 'log'
  const append = (WriteOffsetBytes: number, Body: string | Uint8Array, more: object = {}) =>
    client.send(new s3.PutObjectCommand({ Bucket, Key, Body, WriteOffsetBytes, ...more }))
  const first = await append(0, 'first,', { ContentType: 'text/plain', Metadata: { a: 'b' } })
  assert.equal(first.Size, 6)
  const large = randomBytes(300_000)
  const second = await append(6, large)
  assert.deepEqual([second.Size, second.ETag?.slice(-3)], [300_006, '-2"'])
  const third = await append(300_006, 'last')
  assert.equal(third.ETag?.slice(-3), '-3"')

  const whole = await client.send(new s3.GetObjectCommand({ Bucket, Key, ChecksumMode: 'ENABLED' }))
  const bytes = await whole.Body?.transformToByteArray()
  assert.deepEqual(Buffer.from(bytes ?? []), Buffer.concat([Buffer.from('first,'), large, Buffer.from('last')]))
  assert.deepEqual([whole.ETag, whole.ContentType, whole.Metadata], [third.ETag, 'text/plain', { a: 'b' }])
  assert.deepEqual([whole.ChecksumType, whole.ChecksumCRC32], ['FULL_OBJECT', third.ChecksumCRC32])
  const piece = await client.send(new s3.GetObjectCommand({ Bucket, Key, Range: 'bytes=300004-300008' }))
  const crossing = Buffer.from((await piece.Body?.transformToByteArray()) ?? [])
  assert.deepEqual(crossing, Buffer.concat([large.subarray(-2), Buffer.from('las')]))
  const part = await client.send(new s3.GetObjectCommand({ Bucket, Key, PartNumber: 3 }))
  assert.deepEqual([await part.Body?.transformToString(), part.PartsCount], ['last', 3])

  assert.equal(await refusal(append(6, 'x')), '400 InvalidWriteOffset')
  assert.equal(await refusal(append(400_000, 'x')), '400 InvalidWriteOffset')
  assert.equal(await refusal(append(300_010, 'x', { Metadata: { c: 'd' } })), '400 InvalidRequest')
  assert.equal(await refusal(append(300_010, 'x', { IfMatch: first.ETag })), '412 PreconditionFailed')
  assert.equal(await refusal(append(300_010, 'x', { ChecksumAlgorithm: 'SHA256' })), '400 InvalidRequest')
  assert.equal(await refusal(append(300_010, '')), '400 InvalidRequest')
  assert.equal(await refusal(append(-1, 'x')), '400 InvalidArgument')
  assert.equal((await append(300_010, 'x', { IfMatch: third.ETag })).Size, 300_011)
})

test('what was uploaded in parts, or copied, grows too', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: 'parts' }))
  const uploaded = { Bucket, Key: 'parts', UploadId }
  const { ETag } = await client.send(new s3.UploadPartCommand({ ...uploaded, PartNumber: 7, Body: 'seven' }))
  const MultipartUpload = { Parts: [{ PartNumber: 7, ETag }] }
  await client.send(new s3.CompleteMultipartUploadCommand({ ...uploaded, MultipartUpload }))
  await client.send(new s3.CopyObjectCommand({ Bucket, Key: 'copy', CopySource: `${Bucket}/parts` }))
  for (const Key of ['parts', 'copy']) {
    await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: ` of ${Key}`, WriteOffsetBytes: 5 }))
    const { Body } = await client.send(new s3.GetObjectCommand({ Bucket, Key }))
    assert.equal(await Body?.transformToString(), `seven of ${Key}`)
  }
})

test('who may not write the object may not write to its end; a bucket with versions takes no appends', async () => {
  const { client, otherClient, makeBucket } = harness()
  const Bucket = await makeBucket()
  await client.send(new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x' }))
  const append = { Bucket, Key: 'k', Body: 'y', WriteOffsetBytes: 1 }
  assert.equal(await refusal(otherClient.send(new s3.PutObjectCommand(append))), '403 AccessDenied')
  const versioned = await makeBucket({ versioning: 'enabled' })
  const first = { Bucket: versioned, Key: 'k', Body: 'y', WriteOffsetBytes: 0 }
  assert.equal(await refusal(client.send(new s3.PutObjectCommand(first))), '409 InvalidBucketState')
})

test('encrypted objects grow with their own key', async () => {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const key = randomBytes(32)
  for (const scheme of [
    { ServerSideEncryption: 'AES256' },
    { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'mine' },
    { SSECustomerAlgorithm: 'AES256', SSECustomerKey: key.toString('base64') },
  ] as const) {
    const Key = JSON.stringify(Object.keys(scheme))
    const reading = 'SSECustomerKey' in scheme ? scheme : {}
    await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: 'a'.repeat(20_000), ...scheme }))
    for (const [index, letter] of ['b', 'c'].entries()) {
      const append = { Bucket, Key, Body: letter.repeat(20_000), WriteOffsetBytes: (index + 1) * 20_000 }
      await client.send(new s3.PutObjectCommand({ ...append, ...scheme }))
    }
    const { Body } = await client.send(new s3.GetObjectCommand({ Bucket, Key, ...reading }))
    const text = (await Body?.transformToString()) ?? ''
    assert.equal(text, 'a'.repeat(20_000) + 'b'.repeat(20_000) + 'c'.repeat(20_000))
  }
  const mixed = { Bucket, Key: 'plain', Body: 'x' }
  await client.send(new s3.PutObjectCommand(mixed))
  const other = { ...mixed, WriteOffsetBytes: 1, ServerSideEncryption: 'AES256' } as const
  assert.equal(await refusal(client.send(new s3.PutObjectCommand(other))), '400 EncryptionTypeMismatch')
})
