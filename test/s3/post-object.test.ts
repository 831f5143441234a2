import assert from 'node:assert/strict'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketAclCommand,
} from '@aws-sdk/client-s3'
import { signingKey } from '../signer.ts'
import { keys, refusal, useHarness } from './store.ts'

const harness = useHarness()

// biome-ignore lint/suspicious/noTemplateCurlyInString: S3's own mark
const fileNameMark = '${filename}'

type Fields = Readonly<Record<string, string>>
type By = (typeof keys)['alice']

/** The fields of a form whose policy names all of them; `conditions`: more of these, or others. */
function signed(bucket: string, fields: Fields, by: By = keys.alice, conditions?: readonly unknown[]): Fields {
  const now = new Date()
  const date = now.toISOString().replace(/[-:]|\.\d+/g, '')
  const signing = {
    'x-amz-algorithm': 'AWS4-HMAC-SHA256',
    'x-amz-credential': `${by.accessKeyId}/${date.slice(0, 8)}/eu-somewhere-9/s3/aws4_request`,
    'x-amz-date': date,
  }
  const all = Object.entries({ ...fields, ...signing }).map(([name, value]) =>
    name === 'key' ? ['starts-with', '$key', value.split('$')[0]] : { [name]: value },
  )
  const document = {
    expiration: new Date(now.getTime() + 60_000).toISOString(),
    conditions: [{ bucket }, ...all, ...(conditions ?? [])],
  }
  const policy = Buffer.from(JSON.stringify(document)).toString('base64')
  const key = signingKey({ id: by.accessKeyId, secret: by.secretAccessKey, region: 'eu-somewhere-9' }, date.slice(0, 8))
  return { ...fields, ...signing, policy, 'x-amz-signature': createHmac('sha256', key).update(policy).digest('hex') }
}

async function post(bucket: string, fields: Fields, file: Uint8Array | string, name = 'file.bin'): Promise<Response> {
  const form = new FormData()
  for (const [field, value] of Object.entries(fields)) form.append(field, value)
  form.append('file', new Blob([file]), name)
  form.append('submit', 'Upload')
  return await fetch(`${harness().endpoint}/${bucket}`, { method: 'POST', body: form, redirect: 'manual' })
}

async function answer(response: Response): Promise<string> {
  return `${response.status} ${/<Code>(\w+)</.exec(await response.text())?.[1] ?? ''}`.trim()
}

test("O1: a form is its signer's upload, with what its fields say", async () => {
  const bucket = await harness().makeBucket()
  const fields = {
    key: `up/${fileNameMark}`,
    acl: 'private',
    'Content-Type': 'text/plain; charset=utf-8',
    'x-amz-meta-note': 'é',
    tagging: '<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>',
  }
  for (const size of [0, 3, 20_000, 3_000_000]) {
    const file = randomBytes(size)
    const response = await post(bucket, signed(bucket, fields), file, 'grüße.txt')
    assert.equal(response.status, 204, await response.text())
    assert.equal(response.headers.get('etag'), `"${createHash('md5').update(file).digest('hex')}"`)
    const { client } = harness()
    const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'up/grüße.txt' }))
    assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), file)
    assert.equal(got.ContentType, 'text/plain; charset=utf-8')
    const tags = await client.send(new GetObjectTaggingCommand({ Bucket: bucket, Key: 'up/grüße.txt' }))
    assert.deepEqual(tags.TagSet, [{ Key: 'a', Value: 'b' }])
  }
})

test('O1: whom the bucket does not let write is refused, signed or not, and writes nothing', async () => {
  const bucket = await harness().makeBucket()
  assert.equal(await answer(await post(bucket, { key: 'a' }, 'x')), '403 AccessDenied')
  assert.equal(await answer(await post(bucket, signed(bucket, { key: 'a' }, keys.bob), 'x')), '403 AccessDenied')
  const forged = { ...signed(bucket, { key: 'a' }), 'x-amz-signature': '0'.repeat(64) }
  assert.equal(await answer(await post(bucket, forged, 'x')), '403 SignatureDoesNotMatch')
  const other = await harness().makeBucket()
  assert.equal(await answer(await post(bucket, signed(other, { key: 'a' }), 'x')), '403 AccessDenied')
  assert.equal(
    await answer(await post(bucket, { ...signed(bucket, { key: 'a' }), acl: 'public-read' }, 'x')),
    '403 AccessDenied',
  )
  assert.equal(
    await answer(await post('no-such-bucket-anywhere', signed('no-such-bucket-anywhere', { key: 'a' }), 'x')),
    '404 NoSuchBucket',
  )
  const listed = await harness().client.send(new ListObjectsV2Command({ Bucket: bucket }))
  assert.equal(listed.KeyCount, 0)

  await harness().client.send(new PutBucketAclCommand({ Bucket: bucket, ACL: 'public-read-write' }))
  assert.equal((await post(bucket, { key: 'a' }, 'x')).status, 204)
})

test('a file outside of the range that its policy gives, or with another checksum, is refused whole', async () => {
  const bucket = await harness().makeBucket()
  const sized = (): Fields => signed(bucket, { key: 'k' }, keys.alice, [['content-length-range', 10, 100_000]])
  assert.equal(await answer(await post(bucket, sized(), 'x'.repeat(9))), '400 EntityTooSmall')
  assert.equal(await answer(await post(bucket, sized(), 'x'.repeat(100_001))), '400 EntityTooLarge')
  assert.equal(await answer(await post(bucket, sized(), 'x'.repeat(5_000_000))), '400 EntityTooLarge')
  const checksum = createHash('sha256').update('another').digest('base64')
  const summed = signed(bucket, { key: 'k', 'x-amz-checksum-sha256': checksum })
  assert.equal(await answer(await post(bucket, summed, 'file')), '400 BadDigest')
  assert.equal(
    await refusal(harness().client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'k' }))),
    '404 NotFound',
  )
  assert.equal((await post(bucket, summed, 'another')).status, 204)
  await harness().client.send(new DeleteObjectCommand({ Bucket: bucket, Key: 'k' }))
  assert.equal((await post(bucket, sized(), 'x'.repeat(10))).status, 204)
})

test('what is no form, or lacks what a form needs, is refused', async () => {
  const bucket = await harness().makeBucket()
  const url = `${harness().endpoint}/${bucket}`
  const plain = await fetch(url, { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } })
  assert.equal(await answer(plain), '412 PreconditionFailed')
  const broken = await fetch(url, {
    method: 'POST',
    body: 'nothing',
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
  })
  assert.equal(await answer(broken), '400 MalformedPOSTRequest')
  assert.equal(await answer(await post(bucket, signed(bucket, { acl: 'private' }), 'x')), '400 InvalidArgument')
  assert.equal(await answer(await post(bucket, signed(bucket, { key: 'k'.repeat(1025) }), 'x')), '400 KeyTooLongError')
  const bomb = { key: fileNameMark.repeat(1500) }
  assert.equal(
    await answer(await post(bucket, signed(bucket, bomb), 'x', 'n'.repeat(2000))),
    '400 MaxPostPreDataLengthExceededError',
  )
})

test('the answer is what success_action_status and _redirect ask for', async () => {
  const bucket = await harness().makeBucket()
  const send = (fields: Fields): Promise<Response> => post(bucket, signed(bucket, { key: 'a b/ü', ...fields }), 'x')
  assert.equal((await send({ success_action_status: '200' })).status, 200)
  assert.equal((await send({ success_action_status: '404' })).status, 204)
  const created = await send({ success_action_status: '201' })
  assert.equal(created.status, 201)
  const text = await created.text()
  assert.match(
    text,
    new RegExp(`<PostResponse><Location>[^<]+/${bucket}/a%20b/%C3%BC</Location><Bucket>${bucket}</Bucket>`),
  )
  assert.match(text, /<Key>a b\/ü<\/Key><ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;<\/ETag><\/PostResponse>/)

  const etag = '%229dd4e461268c8034f5c8564e155c67a6%22'
  const to = async (target: string): Promise<string | null> => {
    const response = await send({ success_action_redirect: target })
    return response.status === 303 ? response.headers.get('location') : `${response.status}`
  }
  const query = `bucket=${bucket}&key=a%20b%2F%C3%BC&etag=${etag}`
  assert.equal(await to('http://example.com/done'), `http://example.com/done?${query}`)
  assert.equal(await to('https://example.com/?a=b#top'), `https://example.com/?a=b&${query}#top`)
  for (const target of ['no url', 'javascript:alert(1)', 'http://a/\r\nSet-Cookie: b', '//example.com']) {
    assert.equal(await to(target), '204')
  }
})
