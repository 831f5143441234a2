import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  type ChecksumAlgorithm as AwsAlgorithm,
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { checksumAlgorithms, digestOf } from '#src/model/digests.ts'
import { keys, refusal, useHarness } from './store.ts'

const harness = useHarness()
const plain = { requestChecksumCalculation: 'WHEN_REQUIRED', responseChecksumValidation: 'WHEN_REQUIRED' } as const

/** A client that adds no checksums by itself. */
function quietClient(): S3Client {
  const { endpoint } = harness()
  return new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: keys.alice,
    maxAttempts: 1,
    ...plain,
  })
}

/** Sends a PUT with these headers beside the command's own. */
async function putWith(headers: Record<string, string>, body: Buffer, input: object = {}) {
  const client = quietClient()
  try {
    const command = new PutObjectCommand({ Bucket: bucket, Key: 'k', Body: body, ...input })
    command.middlewareStack.add(
      (next) => (args) => {
        Object.assign((args.request as { headers: Record<string, string> }).headers, headers)
        return next(args)
      },
      { step: 'build' },
    )
    return await client.send(command)
  } finally {
    client.destroy()
  }
}

let bucket = ''
test('a bucket to write to', async () => {
  bucket = await harness().makeBucket()
})

for (const algorithm of checksumAlgorithms) {
  for (const size of [0, 10, 100_000]) {
    test(`${algorithm} of ${size} bytes is checked, kept and returned when asked for`, async () => {
      const body = randomBytes(size)
      const value = digestOf(algorithm, body)
      const header = `x-amz-checksum-${algorithm.toLowerCase()}`
      const field = `Checksum${algorithm}` as const
      const written = await putWith({ [header]: value }, body)
      assert.equal(written[field], value)
      const client = quietClient()
      const name = { Bucket: bucket, Key: 'k' }
      assert.equal((await client.send(new HeadObjectCommand(name)))[field], undefined)
      const told = await client.send(new HeadObjectCommand({ ...name, ChecksumMode: 'ENABLED' }))
      assert.equal(told[field], value)
      assert.equal(told.ChecksumType, 'FULL_OBJECT')
      if (size > 0) {
        // Of a piece the whole object's checksum would be a wrong one.
        const piece = await client.send(new GetObjectCommand({ ...name, ChecksumMode: 'ENABLED', Range: 'bytes=0-4' }))
        assert.equal(piece[field], undefined)
        await piece.Body?.transformToByteArray()
      }
      client.destroy()

      const wrong = digestOf(algorithm, randomBytes(20))
      assert.equal(await refusal(putWith({ [header]: wrong }, body)), '400 BadDigest')
      assert.equal(await refusal(putWith({ [header]: 'bad' }, body)), '400 BadDigest')
    })
  }

  test(`${algorithm} as the SDK sends it, in a trailer of a stream too`, async () => {
    const { client } = harness()
    const body = randomBytes(150_000)
    async function* pieces() {
      for (let at = 0; at < body.length; at += 40_000) yield body.subarray(at, at + 40_000)
    }
    const { Readable } = await import('node:stream')
    const wanted = { Bucket: bucket, Key: 's', ChecksumAlgorithm: algorithm as AwsAlgorithm }
    const streamed = { ...wanted, Body: Readable.from(pieces()), ContentLength: body.length }
    const written = await client.send(new PutObjectCommand(streamed))
    assert.equal(written[`Checksum${algorithm}`], digestOf(algorithm, body))
    // The SDK compares what it gets with the checksum that comes with it.
    const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 's', ChecksumMode: 'ENABLED' }))
    assert.ok(Buffer.from((await got.Body?.transformToByteArray()) ?? []).equals(body))
  })
}

test('Content-MD5: BadDigest for another body, InvalidDigest for no MD5 at all', async () => {
  const body = Buffer.from('hello')
  assert.equal(await refusal(putWith({ 'content-md5': digestOf('MD5', body) }, body)), 'nothing was refused')
  assert.equal(await refusal(putWith({ 'content-md5': digestOf('MD5', Buffer.from('x')) }, body)), '400 BadDigest')
  for (const value of ['', 'YWJyYWNhZGFicmE=', 'nonsense', `${digestOf('MD5', body)} `.trim().slice(0, -1)]) {
    assert.equal(await refusal(putWith({ 'content-md5': value }, body)), '400 InvalidDigest', value)
  }
})

test('a body that fails its checksum leaves what stood there', async () => {
  const body = Buffer.from('first')
  await putWith({}, body)
  for (const size of [5, 100_000]) {
    const refused = await refusal(putWith({ 'content-md5': digestOf('MD5', Buffer.from('x')) }, randomBytes(size)))
    assert.equal(refused, '400 BadDigest')
  }
  const { Body } = await harness().client.send(new GetObjectCommand({ Bucket: bucket, Key: 'k' }))
  assert.equal(await Body?.transformToString(), 'first')
})

test('what contradicts itself is refused', async () => {
  const body = Buffer.from('hello')
  const crc = { 'x-amz-checksum-crc32': digestOf('CRC32', body) }
  const sha = { 'x-amz-checksum-sha1': digestOf('SHA1', body) }
  assert.equal(await refusal(putWith({ ...crc, ...sha }, body)), '400 InvalidRequest')
  assert.equal(await refusal(putWith({ ...crc, 'x-amz-sdk-checksum-algorithm': 'SHA1' }, body)), '400 InvalidRequest')
  assert.equal(await refusal(putWith({ 'x-amz-sdk-checksum-algorithm': 'SHA1' }, body)), '400 InvalidRequest')
  assert.equal(await refusal(putWith({ ...crc, 'x-amz-sdk-checksum-algorithm': 'CRC33' }, body)), '400 InvalidRequest')
})
