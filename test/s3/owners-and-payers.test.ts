import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as s3 from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

async function openBucket(): Promise<string> {
  const { client, makeBucket } = harness()
  const Bucket = await makeBucket()
  const Policy = JSON.stringify({
    Statement: {
      Effect: 'Allow',
      Principal: '*',
      Action: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:ListBucket'],
      Resource: [`arn:aws:s3:::${Bucket}`, `arn:aws:s3:::${Bucket}/*`],
    },
  })
  await client.send(new s3.PutBucketPolicyCommand({ Bucket, Policy }))
  await client.send(new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'bytes' }))
  return Bucket
}

const payer = async (Bucket: string, Payer: s3.Payer) =>
  await harness().client.send(new s3.PutBucketRequestPaymentCommand({ Bucket, RequestPaymentConfiguration: { Payer } }))

test('where requesters pay, others must say that they do, and nobody may not ask', async () => {
  const { client, otherClient, endpoint } = harness()
  const Bucket = await openBucket()
  const target = `to-${Bucket}`
  await otherClient.send(new s3.CreateBucketCommand({ Bucket: target }))
  const plain = { Bucket, Key: 'k' }
  const pays = { RequestPayer: 'requester' } as const
  const url = `${endpoint}/${Bucket}/k`
  assert.equal((await fetch(url)).status, 200)
  assert.equal((await otherClient.send(new s3.GetObjectCommand({ ...plain, ...pays }))).RequestCharged, undefined)

  await payer(Bucket, 'Requester')
  const copy = { Bucket: target, Key: 'copy', CopySource: `${Bucket}/k` }
  const requests = [
    (more: object) => otherClient.send(new s3.GetObjectCommand({ ...plain, ...more })),
    (more: object) => otherClient.send(new s3.HeadObjectCommand({ ...plain, ...more })),
    (more: object) => otherClient.send(new s3.ListObjectsV2Command({ Bucket, ...more })),
    (more: object) => otherClient.send(new s3.PutObjectCommand({ Bucket, Key: 'new', Body: 'x', ...more })),
    (more: object) => otherClient.send(new s3.CopyObjectCommand({ ...copy, ...more })),
    (more: object) => otherClient.send(new s3.DeleteObjectCommand({ Bucket, Key: 'new', ...more })),
  ]
  for (const [index, send] of requests.entries()) {
    assert.match(await refusal(send({})), /^403 (AccessDenied|403|Forbidden|Unknown.*)$/, String(index))
    assert.equal((await send(pays)).RequestCharged, 'requester', String(index))
  }
  const objects = { Delete: { Objects: [{ Key: 'none' }] } }
  const refused = await otherClient.send(new s3.DeleteObjectsCommand({ Bucket, ...objects }))
  assert.equal(refused.Errors?.[0]?.Code, 'AccessDenied')
  const deleted = await otherClient.send(new s3.DeleteObjectsCommand({ Bucket, ...objects, ...pays }))
  assert.deepEqual([deleted.Deleted?.[0]?.Key, deleted.RequestCharged], ['none', 'requester'])

  const unsigned = await fetch(url, { headers: { 'x-amz-request-payer': 'requester' } })
  assert.equal(unsigned.status, 403)
  const presigned = await fetch(await getSignedUrl(otherClient, new s3.GetObjectCommand({ ...plain, ...pays })))
  assert.deepEqual([presigned.status, presigned.headers.get('x-amz-request-charged')], [200, 'requester'])
  assert.equal((await fetch(await getSignedUrl(otherClient, new s3.GetObjectCommand(plain)))).status, 403)

  // The owner pays as ever.
  assert.equal((await client.send(new s3.GetObjectCommand(plain))).RequestCharged, undefined)
  await payer(Bucket, 'BucketOwner')
  assert.equal((await fetch(url)).status, 200)
})

test('a bucket of another owner than expected is refused, whatever is asked', async () => {
  const { client, ids } = harness()
  const Bucket = await openBucket()
  const { UploadId } = await client.send(new s3.CreateMultipartUploadCommand({ Bucket, Key: 'u' }))
  const part = { Bucket, Key: 'u', UploadId, PartNumber: 1 }
  const WebsiteConfiguration = { IndexDocument: { Suffix: 'i' } }
  const asked = (expected: string) => {
    const owner = { ExpectedBucketOwner: expected }
    return [
      new s3.HeadBucketCommand({ Bucket, ...owner }),
      new s3.ListObjectsV2Command({ Bucket, ...owner }),
      new s3.GetObjectCommand({ Bucket, Key: 'k', ...owner }),
      new s3.PutObjectCommand({ Bucket, Key: 'k', Body: 'x', ...owner }),
      new s3.PutBucketWebsiteCommand({ Bucket, WebsiteConfiguration, ...owner }),
      new s3.GetBucketVersioningCommand({ Bucket, ...owner }),
      new s3.CopyObjectCommand({ Bucket, Key: 'c', CopySource: `${Bucket}/k`, ...owner }),
      new s3.CopyObjectCommand({ Bucket, Key: 'c', CopySource: `${Bucket}/k`, ExpectedSourceBucketOwner: expected }),
      new s3.UploadPartCopyCommand({ ...part, CopySource: `${Bucket}/k`, ExpectedSourceBucketOwner: expected }),
      new s3.DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: 'none' }] }, ...owner }),
      new s3.AbortMultipartUploadCommand({ Bucket, Key: 'u', UploadId, ...owner }),
    ] as s3.HeadBucketCommand[]
  }
  for (const command of asked(ids.bob)) {
    assert.match(await refusal(client.send(command)), /^403 /, command.constructor.name)
  }
  for (const command of asked(ids.alice)) await client.send(command)
})
