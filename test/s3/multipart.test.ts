import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  AbortMultipartUploadCommand,
  type ChecksumAlgorithm as AwsAlgorithm,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  GetObjectAttributesCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListPartsCommand,
  PutObjectCommand,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3'
import { checksumAlgorithms, compositeChecksum, digestOf } from '#src/model/digests.ts'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()
const mebibyte = 2 ** 20

interface Started {
  readonly Bucket: string
  readonly Key: string
  readonly UploadId: string
}

async function start(input: Partial<CreateMultipartUploadCommandInput> = {}, Bucket?: string): Promise<Started> {
  const name = { Bucket: Bucket ?? (await harness().makeBucket()), Key: 'big one' }
  const { UploadId = '' } = await harness().client.send(new CreateMultipartUploadCommand({ ...name, ...input }))
  return { ...name, UploadId }
}

const putPart = (upload: Started, PartNumber: number, Body: Buffer, extra: object = {}) =>
  harness().client.send(new UploadPartCommand({ ...upload, PartNumber, Body, ...extra }))

const complete = (upload: Started, Parts: CompletedPart[], extra: object = {}) =>
  harness().client.send(new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts }, ...extra }))

async function bytesOf(input: { Bucket: string; Key: string; PartNumber?: number; Range?: string }): Promise<Buffer> {
  const { Body } = await harness().client.send(new GetObjectCommand(input))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

const rawMd5 = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest()

test("parts in any order make one object, with S3's ETag, read by part and by range", async () => {
  const upload = await start({ ContentType: 'x/y', Metadata: { m: 'n' }, Tagging: 'a=b', StorageClass: 'ONEZONE_IA' })
  const bodies = [randomBytes(5 * mebibyte), randomBytes(5 * mebibyte + 1), randomBytes(3)]
  const parts: CompletedPart[] = []
  for (const index of [2, 0, 1, 0]) {
    const body = bodies[index] ?? Buffer.alloc(0)
    const { ETag } = await putPart(upload, (index + 1) * 3, body)
    assert.equal(ETag, `"${rawMd5(body).toString('hex')}"`)
    parts[index] = { PartNumber: (index + 1) * 3, ETag }
  }
  const { Bucket, Key } = upload
  assert.match(await refusal(bytesOf({ Bucket, Key })), /^404 NoSuchKey/)
  const done = await complete(upload, parts)
  const whole = Buffer.concat(bodies)
  const etag = `"${createHash('md5')
    .update(Buffer.concat(bodies.map(rawMd5)))
    .digest('hex')}-3"`
  assert.equal(done.ETag, etag)
  assert.equal(done.Location, `${harness().endpoint}/${Bucket}/big%20one`)
  assert.ok((await bytesOf({ Bucket, Key })).equals(whole))

  const head = await harness().client.send(new HeadObjectCommand({ Bucket, Key }))
  assert.deepEqual(
    [head.ETag, head.ContentLength, head.ContentType, head.Metadata, head.TagCount, head.StorageClass],
    [etag, whole.length, 'x/y', { m: 'n' }, 1, 'ONEZONE_IA'],
  )
  for (const [index, body] of bodies.entries()) {
    assert.ok((await bytesOf({ Bucket, Key, PartNumber: index + 1 })).equals(body))
    const part = await harness().client.send(new HeadObjectCommand({ Bucket, Key, PartNumber: index + 1 }))
    assert.equal(part.PartsCount, 3)
    assert.equal(part.ContentLength, body.length)
  }
  assert.equal(await refusal(bytesOf({ Bucket, Key, PartNumber: 4 })), '400 InvalidPart')
  const edge = 5 * mebibyte
  for (const [from, to] of [
    [edge - 2, edge + 2],
    [0, 0],
    [edge, edge],
    [whole.length - 4, whole.length - 1],
  ] as const) {
    const got = await bytesOf({ Bucket, Key, Range: `bytes=${from}-${to}` })
    assert.ok(got.equals(whole.subarray(from, to + 1)), `${from}-${to}`)
  }
  // Completing again answers as it did, and the upload takes nothing more (C26).
  assert.equal((await complete(upload, parts)).ETag, etag)
  assert.equal(await refusal(putPart(upload, 1, Buffer.from('x'))), '404 NoSuchUpload')
})

test('what does not fit together is refused, and can be repaired', async () => {
  const upload = await start()
  const small = await putPart(upload, 1, Buffer.from('small'))
  const last = await putPart(upload, 2, Buffer.from('last'))
  const parts = [
    { PartNumber: 1, ETag: small.ETag },
    { PartNumber: 2, ETag: last.ETag },
  ]
  const wrong = { PartNumber: 1, ETag: '"ffffffffffffffffffffffffffffffff"' }
  assert.equal(await refusal(complete(upload, parts)), '400 EntityTooSmall')
  assert.equal(await refusal(complete(upload, parts.toReversed())), '400 InvalidPartOrder')
  assert.equal(await refusal(complete(upload, [wrong])), '400 InvalidPart')
  assert.equal(await refusal(complete(upload, [{ PartNumber: 9999, ETag: small.ETag }])), '400 InvalidPart')
  assert.equal(await refusal(complete(upload, [])), '400 MalformedXML')
  assert.equal(await refusal(complete(upload, parts.slice(0, 1), { MpuObjectSize: 4 })), '400 InvalidRequest')
  for (const number of [0, 10_001, -1]) {
    assert.equal(await refusal(putPart(upload, number, Buffer.from('x'))), '400 InvalidArgument', `${number}`)
  }
  const { ETag } = await complete(upload, parts.slice(0, 1), { MpuObjectSize: 5 })
  assert.match(ETag ?? '', /-1"$/)
  const never = { ...upload, UploadId: 'nonsense' }
  assert.equal(await refusal(complete(never, parts)), '404 NoSuchUpload')
  assert.equal(await refusal(putPart(never, 1, Buffer.from('x'))), '404 NoSuchUpload')
})

test('conditions hold at the completion, not at the start', async () => {
  const first = await start()
  const second = await start({}, first.Bucket)
  const parts = async (upload: Started) => [{ PartNumber: 1, ETag: (await putPart(upload, 1, Buffer.from('x'))).ETag }]
  const [ofFirst, ofSecond] = [await parts(first), await parts(second)]
  await complete(first, ofFirst, { IfNoneMatch: '*' })
  assert.equal(await refusal(complete(second, ofSecond, { IfNoneMatch: '*' })), '412 PreconditionFailed')
  await complete(second, ofSecond)
})

test('parts are listed page by page, and gone once aborted', async () => {
  const upload = await start({ ChecksumAlgorithm: 'SHA256' })
  const ChecksumAlgorithm = 'SHA256'
  for (const number of [2, 30, 400]) await putPart(upload, number, Buffer.from(`${number}`), { ChecksumAlgorithm })
  const list = (extra: object = {}) => harness().client.send(new ListPartsCommand({ ...upload, ...extra }))
  const first = await list({ MaxParts: 2 })
  assert.deepEqual(
    first.Parts?.map((part) => [part.PartNumber, part.Size]),
    [
      [2, 1],
      [30, 2],
    ],
  )
  assert.equal(first.IsTruncated, true)
  assert.equal(first.NextPartNumberMarker, '30')
  assert.equal(first.Owner?.DisplayName, 'alice')
  assert.equal(first.Parts?.[0]?.ChecksumSHA256, digestOf('SHA256', Buffer.from('2')))
  const second = await list({ MaxParts: 2, PartNumberMarker: first.NextPartNumberMarker })
  assert.deepEqual(
    second.Parts?.map((part) => part.PartNumber),
    [400],
  )
  assert.equal(second.IsTruncated, false)
  assert.equal(await refusal(list({ MaxParts: -1 })), '400 InvalidArgument')

  const abort = () => harness().client.send(new AbortMultipartUploadCommand(upload))
  const late = new AbortMultipartUploadCommand({ ...upload, IfMatchInitiatedTime: new Date(0) })
  assert.equal(await refusal(harness().client.send(late)), '412 PreconditionFailed')
  await abort()
  assert.equal(await refusal(list()), '404 NoSuchUpload')
  assert.equal(await refusal(abort()), '404 NoSuchUpload')
})

test('parts are copied, whole and by range', async () => {
  const upload = await start()
  const source = randomBytes(6 * mebibyte)
  await harness().client.send(new PutObjectCommand({ Bucket: upload.Bucket, Key: 's?%', Body: source }))
  const CopySource = `${upload.Bucket}/${encodeURIComponent('s?%')}`
  const copy = (PartNumber: number, CopySourceRange?: string) =>
    harness().client.send(new UploadPartCopyCommand({ ...upload, PartNumber, CopySource, CopySourceRange }))
  const whole = await copy(1)
  const piece = await copy(2, 'bytes=10-19')
  assert.equal(piece.CopyPartResult?.ETag, `"${rawMd5(source.subarray(10, 20)).toString('hex')}"`)
  assert.match(await refusal(copy(3, `bytes=0-${6 * mebibyte}`)), /^4(00|16) InvalidRange/)
  assert.equal(await refusal(copy(3, 'bytes=0-')), '400 InvalidArgument')
  await complete(upload, [
    { PartNumber: 1, ETag: whole.CopyPartResult?.ETag },
    { PartNumber: 2, ETag: piece.CopyPartResult?.ETag },
  ])
  const expected = Buffer.concat([source, source.subarray(10, 20)])
  assert.ok((await bytesOf({ Bucket: upload.Bucket, Key: upload.Key })).equals(expected))
})

for (const algorithm of checksumAlgorithms) {
  const types = algorithm.startsWith('SHA')
    ? ['COMPOSITE']
    : algorithm === 'CRC64NVME'
      ? ['FULL_OBJECT']
      : ['COMPOSITE', 'FULL_OBJECT']
  for (const type of types as ('COMPOSITE' | 'FULL_OBJECT')[]) {
    test(`${algorithm} of an upload is ${type}, checked at the end, and told by part`, async () => {
      const ChecksumAlgorithm = algorithm as AwsAlgorithm
      const upload = await start({ ChecksumAlgorithm, ChecksumType: type })
      const bodies = [randomBytes(5 * mebibyte), randomBytes(1000)]
      const field = `Checksum${algorithm}` as const
      const parts: CompletedPart[] = []
      for (const [index, body] of bodies.entries()) {
        const written = await putPart(upload, index + 1, body, { ChecksumAlgorithm })
        assert.equal(written[field], digestOf(algorithm, body))
        parts.push({ PartNumber: index + 1, ETag: written.ETag, [field]: written[field] })
      }
      const value =
        type === 'FULL_OBJECT'
          ? digestOf(algorithm, Buffer.concat(bodies))
          : compositeChecksum(
              algorithm,
              bodies.map((body) => digestOf(algorithm, body)),
            )
      assert.equal(await refusal(complete(upload, parts, { [field]: 'bad' })), '400 BadDigest')
      const mixed = parts.map((part, index) => ({ ...part, [field]: parts[1 - index]?.[field] }))
      assert.equal(await refusal(complete(upload, mixed)), '400 InvalidPart')
      const done = await complete(upload, parts, { [field]: value, ChecksumType: type })
      assert.equal(done[field], value)
      assert.equal(done.ChecksumType, type)

      const { client } = harness()
      const name = { Bucket: upload.Bucket, Key: upload.Key, ChecksumMode: 'ENABLED' } as const
      const head = await client.send(new HeadObjectCommand(name))
      assert.equal(head[field], value)
      assert.equal(head.ChecksumType, type)
      const part = await client.send(new HeadObjectCommand({ ...name, PartNumber: 2 }))
      assert.equal(part[field], digestOf(algorithm, bodies[1] ?? Buffer.alloc(0)))
      assert.equal(part.ChecksumType, type)
      const ObjectAttributes = ['Checksum', 'ObjectParts'] as const
      const attributes = await client.send(
        new GetObjectAttributesCommand({
          Bucket: name.Bucket,
          Key: name.Key,
          ObjectAttributes: [...ObjectAttributes],
          MaxParts: 1,
        }),
      )
      assert.equal(attributes.Checksum?.[field], value)
      assert.equal(attributes.ObjectParts?.TotalPartsCount, 2)
      assert.equal(attributes.ObjectParts?.IsTruncated, true)
      assert.equal(attributes.ObjectParts?.NextPartNumberMarker, '1')
      assert.equal(attributes.ObjectParts?.Parts?.[0]?.[field], digestOf(algorithm, bodies[0] ?? Buffer.alloc(0)))
    })
  }
}

test("checksums that cannot be are refused at the start, and others than the upload's at a part", async () => {
  const Bucket = await harness().makeBucket()
  assert.equal(
    await refusal(start({ ChecksumAlgorithm: 'SHA1', ChecksumType: 'FULL_OBJECT' }, Bucket)),
    '400 InvalidRequest',
  )
  assert.equal(
    await refusal(start({ ChecksumAlgorithm: 'CRC64NVME', ChecksumType: 'COMPOSITE' }, Bucket)),
    '400 InvalidRequest',
  )
  const upload = await start({ ChecksumAlgorithm: 'SHA1' }, Bucket)
  assert.equal(
    await refusal(putPart(upload, 1, Buffer.from('x'), { ChecksumAlgorithm: 'CRC32' })),
    '400 InvalidRequest',
  )
})

test('another account neither uploads, lists nor ends', async () => {
  const upload = await start()
  const { otherClient } = harness()
  const part = { ...upload, PartNumber: 1, Body: 'x' }
  assert.equal(await refusal(otherClient.send(new UploadPartCommand(part))), '403 AccessDenied')
  assert.equal(await refusal(otherClient.send(new ListPartsCommand(upload))), '403 AccessDenied')
  assert.equal(await refusal(otherClient.send(new AbortMultipartUploadCommand(upload))), '403 AccessDenied')
  const started = new CreateMultipartUploadCommand({ Bucket: upload.Bucket, Key: 'k' })
  assert.equal(await refusal(otherClient.send(started)), '403 AccessDenied')
})
