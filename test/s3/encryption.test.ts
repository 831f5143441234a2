import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

const customer = (word: string) => {
  const key = createHash('sha256').update(word).digest()
  return {
    bytes: key,
    headers: {
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: key.toString('base64'),
      SSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
    },
    source: {
      CopySourceSSECustomerAlgorithm: 'AES256',
      CopySourceSSECustomerKey: key.toString('base64'),
      CopySourceSSECustomerKeyMD5: createHash('md5').update(key).digest('base64'),
    },
  }
}
const alice = customer("alice's")
const bob = customer("bob's")

const kms = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'mine' } as const
const modes = [
  { name: 'SSE-S3', write: { ServerSideEncryption: 'AES256' }, read: {}, source: {} },
  { name: 'SSE-KMS', write: kms, read: {}, source: {} },
  { name: 'SSE-C', write: alice.headers, read: alice.headers, source: alice.source },
] as const

async function got(input: s3.GetObjectCommandInput): Promise<Buffer> {
  const { Body } = await harness().client.send(new s3.GetObjectCommand(input))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

/** Found on a disk in any of the ways that the store might write it. */
function foundOnDisk(needles: readonly Buffer[]): string[] {
  const found: string[] = []
  const all = harness().places.flatMap((place) =>
    readdirSync(place, { recursive: true, withFileTypes: true }).filter((each) => each.isFile()),
  )
  assert.ok(all.length > 2)
  for (const file of all) {
    const bytes = readFileSync(join(file.parentPath, file.name))
    for (const needle of needles) if (bytes.includes(needle)) found.push(`${needle} in ${file.name}`)
  }
  return found
}

/** A word a few bytes long, often: every frame of it is seen. */
const canary = (word: string, size: number) => Buffer.alloc(size, `canary-${word}-`)

test('N3: neither plaintext nor a customer key is ever on disk: small, large, in parts, copied, posted by default', async () => {
  const Bucket = await harness().makeBucket()
  const { client } = harness()
  const words: string[] = []
  for (const { name, write, read, source } of modes) {
    for (const size of [20, 5_000, 200_000]) {
      words.push(`${name}-${size}`)
      const Key = `${name}-${size}`
      const Body = canary(Key, size)
      await client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ...write }))
      assert.ok(Body.equals(await got({ Bucket, Key, ...read })), Key)
      const CopySource = `${Bucket}/${Key}`
      await client.send(new s3.CopyObjectCommand({ Bucket, Key: `${Key}-copy`, CopySource, ...source, ...bob.headers }))
      assert.ok(Body.equals(await got({ Bucket, Key: `${Key}-copy`, ...bob.headers })), Key)
    }
    const Key = `${name}-parts`
    words.push(Key)
    await inParts(Bucket, Key, write, read)
  }
  await client.send(
    new s3.PutBucketEncryptionCommand({
      Bucket,
      ServerSideEncryptionConfiguration: {
        Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
    }),
  )
  for (const size of [30, 200_000]) {
    const Key = `default-${size}`
    words.push(Key)
    await client.send(new s3.PutObjectCommand({ Bucket, Key, Body: canary(Key, size) }))
  }
  const keys = [alice, bob].flatMap(({ bytes }) => [
    bytes,
    Buffer.from(bytes.toString('base64')),
    Buffer.from(bytes.toString('hex')),
    createHash('md5').update(bytes).digest(),
    Buffer.from(createHash('md5').update(bytes).digest('base64')),
  ])
  assert.deepEqual(foundOnDisk([Buffer.from('canary-'), ...keys]), [])
  // The scan sees what lies in the clear: small bytes in the metadata, and large ones on a volume.
  const open = await harness().makeBucket()
  for (const size of [25, 200_000]) {
    await client.send(
      new s3.PutObjectCommand({ Bucket: open, Key: `open-${size}`, Body: canary(`open-${size}`, size) }),
    )
  }
  assert.ok(words.length === 14)
  assert.ok(foundOnDisk([Buffer.from('canary-open-25-')]).length > 0)
  assert.ok(foundOnDisk([Buffer.from('canary-open-200000-')]).length > 0)
})

async function inParts(Bucket: string, Key: string, write: object, read: object): Promise<Buffer> {
  const { client } = harness()
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key, ...write }))
  const bytes: Buffer[] = []
  const Parts: s3.CompletedPart[] = []
  for (const [index, size] of [5 * 2 ** 20 + 1, 5 * 2 ** 20, 7].entries()) {
    const PartNumber = index + 2
    const Body = canary(`${Key}-${PartNumber}`, size)
    bytes.push(Body)
    const sent = await client.send(new s3.UploadPartCommand({ Bucket, Key, UploadId, PartNumber, Body, ...read }))
    Parts.push({ PartNumber, ETag: sent.ETag })
  }
  await client.send(
    new s3.CompleteMultipartUploadCommand({ Bucket, Key, UploadId, MultipartUpload: { Parts }, ...read }),
  )
  return Buffer.concat(bytes)
}

test('ranges and parts of encrypted objects are what was written', async () => {
  const Bucket = await harness().makeBucket()
  for (const { name, write, read } of modes) {
    const bytes = await inParts(Bucket, name, write, read)
    const first = 5 * 2 ** 20 + 1
    const chunk = 128 * 1024 - 16
    for (const [from, to] of [
      [0, 1],
      [chunk - 1, chunk + 1],
      [first - 3, first + 3],
      [first, first + chunk],
      [chunk * 3, first + chunk * 2 + 5],
      [bytes.length - 9, bytes.length],
    ] as const) {
      const Range = `bytes=${from}-${to - 1}`
      assert.ok(bytes.subarray(from, to).equals(await got({ Bucket, Key: name, Range, ...read })), `${name} ${Range}`)
    }
    const second = await got({ Bucket, Key: name, PartNumber: 2, ...read })
    assert.ok(bytes.subarray(first, first + 5 * 2 ** 20).equals(second))
    const CopySource = `${Bucket}/${name}`
    const { UploadId } = await harness().client.send(
      new s3.CreateMultipartUploadCommand({ Bucket, Key: 'copied', ...write }),
    )
    const { CopyPartResult } = await harness().client.send(
      new s3.UploadPartCopyCommand({
        ...{ Bucket, Key: 'copied', UploadId, PartNumber: 1, CopySource },
        ...{ CopySourceRange: `bytes=${chunk - 5}-${first + 5}`, ...read },
        ...(name === 'SSE-C' ? alice.source : {}),
      }),
    )
    const MultipartUpload = { Parts: [{ PartNumber: 1, ETag: CopyPartResult?.ETag }] }
    await harness().client.send(
      new s3.CompleteMultipartUploadCommand({ Bucket, Key: 'copied', UploadId, MultipartUpload, ...read }),
    )
    assert.ok(bytes.subarray(chunk - 5, first + 6).equals(await got({ Bucket, Key: 'copied', ...read })))
  }
})

test('answers name the encryption, and an ETag is the MD5 where only the store has the key', async () => {
  const Bucket = await harness().makeBucket()
  const { client } = harness()
  const Body = 'body'
  const md5 = `"${createHash('md5').update(Body).digest('hex')}"`
  for (const { name, write, read } of modes) {
    const put = await client.send(new s3.PutObjectCommand({ Bucket, Key: name, Body, ...write }))
    const head = await client.send(new s3.HeadObjectCommand({ Bucket, Key: name, ...read }))
    for (const answer of [put, head]) {
      assert.equal(
        answer.ServerSideEncryption,
        'ServerSideEncryption' in write ? write.ServerSideEncryption : undefined,
      )
      assert.equal(answer.SSEKMSKeyId, name === 'SSE-KMS' ? 'mine' : undefined)
      assert.equal(answer.SSECustomerKeyMD5, name === 'SSE-C' ? alice.headers.SSECustomerKeyMD5 : undefined)
      assert.equal(answer.ETag === md5, name === 'SSE-S3')
    }
    assert.equal(put.ETag, head.ETag)
    assert.equal(head.ContentLength, 4)
  }
})

test("a customer's key is asked for by everything that tells of the object, and by nothing else", async () => {
  const Bucket = await harness().makeBucket({ versioning: 'enabled' })
  const { client } = harness()
  await client.send(new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...alice.headers }))
  await client.send(new s3.PutObjectCommand({ Bucket, Key: 'open', Body: 'x' }))
  const name = { Bucket, Key: 'k' }
  const attributes = { ...name, ObjectAttributes: ['ETag' as const] }
  const copy = { Bucket, Key: 'c', CopySource: `${Bucket}/k` }
  for (const wrong of [{}, bob.headers]) {
    assert.equal(await refusal(client.send(new s3.GetObjectCommand({ ...name, ...wrong }))), '400 InvalidRequest')
    assert.match(await refusal(client.send(new s3.HeadObjectCommand({ ...name, ...wrong }))), /^400/)
    const asked = new s3.GetObjectAttributesCommand({ ...attributes, ...wrong })
    assert.equal(await refusal(client.send(asked)), '400 InvalidRequest')
  }
  assert.equal(await refusal(client.send(new s3.CopyObjectCommand(copy))), '400 InvalidRequest')
  assert.equal(await refusal(client.send(new s3.CopyObjectCommand({ ...copy, ...bob.source }))), '400 InvalidRequest')
  const open = new s3.GetObjectCommand({ Bucket, Key: 'open', ...alice.headers })
  assert.equal(await refusal(client.send(open)), '400 InvalidRequest')
  await client.send(new s3.PutObjectTaggingCommand({ ...name, Tagging: { TagSet: [{ Key: 'a', Value: 'b' }] } }))
  assert.equal(await refusal(got({ ...name, ...alice.headers })), 'nothing was refused')
  await client.send(new s3.DeleteObjectCommand(name))
})

test('a copy within a bucket may change its encryption, and itself', async () => {
  const Bucket = await harness().makeBucket()
  const { client } = harness()
  const Body = Buffer.alloc(200_000, 'to be copied ')
  for (const from of modes) {
    for (const to of modes) {
      const Key = `${from.name} to ${to.name}`
      await client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ...from.write }))
      const CopySource = encodeURIComponent(`${Bucket}/${Key}`)
      for (const target of [`${Key} copied`, Key]) {
        await client.send(new s3.CopyObjectCommand({ Bucket, Key: target, CopySource, ...to.write, ...from.source }))
        assert.ok(Body.equals(await got({ Bucket, Key: target, ...to.read })), target)
      }
    }
  }
})

test('aws:kms without a key id uses the key aws/s3', async () => {
  const Bucket = await harness().makeBucket()
  const { client } = harness()
  const put = await client.send(
    new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ServerSideEncryption: 'aws:kms' }),
  )
  assert.equal(put.SSEKMSKeyId, 'aws/s3')
  const got = await client.send(new s3.GetObjectCommand({ Bucket, Key: 'k' }))
  assert.equal(await got.Body?.transformToString(), 'x')
  assert.deepEqual([got.ServerSideEncryption, got.SSEKMSKeyId], ['aws:kms', 'aws/s3'])
})

test('what asks for encryption in a way that makes no sense is refused', async () => {
  const Bucket = await harness().makeBucket()
  const put = (extra: object) =>
    refusal(harness().client.send(new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...extra })))
  assert.equal(await put({ ServerSideEncryption: 'AES128' }), '400 InvalidArgument')
  assert.equal(await put({ ServerSideEncryption: 'AES256', SSEKMSKeyId: 'mine' }), '400 InvalidArgument')
  assert.equal(await put({ SSEKMSKeyId: 'mine' }), '400 InvalidArgument')
  assert.equal(await put({ ServerSideEncryption: 'AES256', ...alice.headers }), '400 InvalidArgument')
  assert.equal(await put({ ServerSideEncryption: 'aws:kms', SSEKMSKeyId: 'nobodys' }), '400 KMS.NotFoundException')
  assert.equal(await put({ ...kms, SSEKMSEncryptionContext: 'no json' }), '400 InvalidArgument')
  assert.equal(await put({ ...kms, ServerSideEncryption: 'aws:kms:dsse' }), '400 InvalidArgument')
  assert.equal(await put({ ...alice.headers, SSECustomerAlgorithm: 'AES128' }), '400 InvalidEncryptionAlgorithmError')
  const none = { Bucket, Key: 'k' }
  assert.equal(await refusal(got(none)), '404 NoSuchKey')
})

test("a bucket's default holds for what asks for nothing, and may block customers' keys", async () => {
  const Bucket = await harness().makeBucket()
  const { client } = harness()
  const rule = (Rule: s3.ServerSideEncryptionRule) =>
    client.send(new s3.PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration: { Rules: [Rule] } }))
  const put = (extra: object = {}) => client.send(new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...extra }))
  const asked = new s3.GetBucketEncryptionCommand({ Bucket })
  assert.equal(await refusal(client.send(asked)), '404 ServerSideEncryptionConfigurationNotFoundError')
  assert.equal((await put()).ServerSideEncryption, undefined)
  const byDefault = { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: 'yours' } as const
  await rule({ ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: true })
  const { ServerSideEncryptionConfiguration: kept } = await client.send(asked)
  assert.deepEqual(kept?.Rules, [{ ApplyServerSideEncryptionByDefault: byDefault, BucketKeyEnabled: true }])
  const sent = await put()
  assert.equal(sent.SSEKMSKeyId, 'yours')
  assert.equal(sent.BucketKeyEnabled, true)
  assert.equal((await put({ ServerSideEncryption: 'AES256' })).ServerSideEncryption, 'AES256')
  assert.equal((await put(kms)).SSEKMSKeyId, 'mine')
  assert.equal(await refusal(put(alice.headers)), 'nothing was refused')
  await rule({
    ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' },
    BlockedEncryptionTypes: { EncryptionType: ['SSE-C'] },
  })
  assert.equal(await refusal(put(alice.headers)), '403 AccessDenied')
  assert.equal((await put()).ServerSideEncryption, 'AES256')
  const bad = { SSEAlgorithm: 'AES256', KMSMasterKeyID: 'mine' } as const
  assert.equal(await refusal(rule({ ApplyServerSideEncryptionByDefault: bad })), '400 InvalidArgument')
  await client.send(new s3.DeleteBucketEncryptionCommand({ Bucket }))
  assert.equal((await put()).ServerSideEncryption, undefined)
})
