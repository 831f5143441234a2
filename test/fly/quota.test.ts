import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { refusal } from '../s3/store.ts'
import { clientOf, useFly } from './harness.ts'

/** What an organisation may store, and not by how many at once it tries. */

const fly = useFly()

const full = '403 QuotaExceeded'
const done = 'nothing was refused'

async function limited(bytes: number) {
  const { accounts, storage, makeOrganization } = fly()
  const organization = await makeOrganization('Limited')
  const make = async () => {
    const { provisioned, key } = await accounts.provisioning.provision({
      organization: organization.id,
      options: {},
      asked: '',
    })
    const client = clientOf({
      AWS_ACCESS_KEY_ID: key.id,
      AWS_SECRET_ACCESS_KEY: key.secret,
      AWS_REGION: 'auto',
      AWS_ENDPOINT_URL_S3: storage,
    })
    const put = (Key: string, size: number) =>
      refusal(client.send(new PutObjectCommand({ Bucket: provisioned.bucket, Key, Body: Buffer.alloc(size) })))
    return { client, Bucket: provisioned.bucket, put }
  }
  // One bucket is there when the limit is set, and one is made after.
  const first = await make()
  await accounts.organizations.setQuota(organization.id, { bytes })
  return { organization, first, second: await make() }
}

test('U7: the bytes of an organisation are limited over all its buckets, however many write at once', async () => {
  const { first, second, organization } = await limited(100_000)
  const all = await Promise.all(
    Array.from({ length: 16 }, (_, at) =>
      (at % 2 === 0 ? first : second).put(`key-${at}`, at % 4 < 2 ? 10_000 : 20_000),
    ),
  )
  const sizes: readonly number[] = all.map((each, at) => (each === done ? (at % 4 < 2 ? 10_000 : 20_000) : 0))
  const stored = sizes.reduce((sum, size) => sum + size)
  assert.deepEqual(new Set(all), new Set([done, full]))
  // What was refused would not have fitted: nothing was given away either.
  assert.ok(stored <= 100_000 && stored > 80_000, `${stored} bytes`)
  assert.equal(await first.put('rest', 100_000 - stored), done)
  assert.equal(await second.put('one', 1), full)
  assert.equal(await second.put('none', 0), done)
  await fly().accounts.organizations.setQuota(organization.id, {})
  assert.equal(await second.put('one', 1), done)
})

test('U7: what is overwritten or deleted makes room; copies and uploads in parts count', async () => {
  const { first } = await limited(20_000)
  const { client, Bucket } = first
  assert.equal(await first.put('a', 15_000), done)
  assert.equal(await first.put('a', 20_000), done)
  assert.equal(await first.put('a', 20_001), full)
  assert.equal(await first.put('a', 10_001), done)
  const copy = () => refusal(client.send(new CopyObjectCommand({ Bucket, Key: 'b', CopySource: `${Bucket}/a` })))
  assert.equal(await copy(), full)
  assert.equal(await first.put('a', 10_000), done)
  assert.equal(await copy(), done)
  const { UploadId } = await client.send(new CreateMultipartUploadCommand({ Bucket, Key: 'c' }))
  const { ETag } = await client.send(
    new UploadPartCommand({ Bucket, Key: 'c', UploadId, PartNumber: 1, Body: Buffer.alloc(5_000) }),
  )
  const complete = () =>
    refusal(
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket,
          Key: 'c',
          UploadId,
          MultipartUpload: { Parts: [{ ETag, PartNumber: 1 }] },
        }),
      ),
    )
  assert.equal(await complete(), full)
  await client.send(new DeleteObjectCommand({ Bucket, Key: 'b' }))
  assert.equal(await complete(), done)
  assert.equal(await first.put('d', 5_001), full)
  assert.equal(await first.put('d', 5_000), done)
})
