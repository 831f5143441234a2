import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  type ListObjectsV2CommandOutput,
  ListObjectVersionsCommand,
  PutBucketAclCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { answered, newBucketName, startGateway } from './harness.ts'

const gateway = await startGateway()
const { main, other, anonymous } = gateway.clients

async function bucketWith(...keys: readonly string[]): Promise<string> {
  const Bucket = newBucketName()
  await main.send(new CreateBucketCommand({ Bucket }))
  for (const Key of keys) await main.send(new PutObjectCommand({ Bucket, Key, Body: Key }))
  return Bucket
}

const keysOf = (page: Pick<ListObjectsV2CommandOutput, 'Contents'>): (string | undefined)[] =>
  (page.Contents ?? []).map((each) => each.Key)
const prefixesOf = (page: Pick<ListObjectsV2CommandOutput, 'CommonPrefixes'>): (string | undefined)[] =>
  (page.CommonPrefixes ?? []).map((each) => each.Prefix)

test('ListObjects goes from marker to marker, and names the next one only with a delimiter', async () => {
  const Bucket = await bucketWith('asdf', 'boo/bar', 'boo/baz/xyzzy', 'cquux/bla', 'cquux/thud')
  const list = (input: object) => main.send(new ListObjectsCommand({ Bucket, ...input }))
  const whole = await list({})
  assert.deepEqual(keysOf(whole), ['asdf', 'boo/bar', 'boo/baz/xyzzy', 'cquux/bla', 'cquux/thud'])
  assert.equal(whole.Marker, '')
  assert.equal(whole.MaxKeys, 1000)
  assert.equal(whole.Delimiter, undefined)
  assert.deepEqual(whole.Contents?.[0]?.Owner, { ID: gateway.ids.main, DisplayName: 'alice' })
  const md5 = createHash('md5').update('boo/bar').digest('hex')
  assert.equal(whole.Contents?.[1]?.ETag, `"${md5}"`)
  assert.equal(whole.Contents?.[1]?.Size, 7)
  assert.equal(whole.Contents?.[1]?.StorageClass, 'STANDARD')

  const plain = await list({ MaxKeys: 2 })
  assert.equal(plain.IsTruncated, true)
  assert.equal(plain.NextMarker, undefined)
  assert.deepEqual(keysOf(await list({ Marker: 'boo/bar' })), ['boo/baz/xyzzy', 'cquux/bla', 'cquux/thud'])

  const seen: unknown[] = []
  let Marker: string | undefined = ''
  do {
    const page: Awaited<ReturnType<typeof list>> = await list({ Delimiter: '/', MaxKeys: 1, Marker })
    seen.push([...keysOf(page), ...prefixesOf(page)])
    assert.equal(page.NextMarker === undefined, page.IsTruncated === false)
    Marker = page.NextMarker
  } while (Marker !== undefined)
  assert.deepEqual(seen, [['asdf'], ['boo/'], ['cquux/']])

  const within = await list({ Delimiter: '/', Prefix: 'boo/' })
  assert.deepEqual([keysOf(within), prefixesOf(within)], [['boo/bar'], ['boo/baz/']])
})

test('ListObjectsV2 goes by opaque tokens, counts, and shows owners when asked', async () => {
  const keys = ['a', 'b/1', 'b/2', 'c', 'd/e', 'f']
  const Bucket = await bucketWith(...keys)
  const list = (input: object) => main.send(new ListObjectsV2Command({ Bucket, ...input }))
  for (const limit of [1, 2, 3, 10]) {
    for (const [Delimiter, expected] of [
      [undefined, keys],
      ['/', ['a', 'b/', 'c', 'd/', 'f']],
    ] as const) {
      const seen: unknown[] = []
      let ContinuationToken: string | undefined
      do {
        const page: Awaited<ReturnType<typeof list>> = await list({ Delimiter, MaxKeys: limit, ContinuationToken })
        const entries = [...keysOf(page), ...prefixesOf(page)]
        assert.equal(page.KeyCount, entries.length)
        assert.equal(page.ContinuationToken, ContinuationToken)
        seen.push(...entries)
        ContinuationToken = page.NextContinuationToken
      } while (ContinuationToken !== undefined)
      assert.deepEqual([...seen].sort(), [...expected])
    }
  }
  assert.equal((await list({})).Contents?.[0]?.Owner, undefined)
  assert.equal((await list({ FetchOwner: true })).Contents?.[0]?.Owner?.ID, gateway.ids.main)
  const after = await list({ StartAfter: 'b/1', MaxKeys: 1 })
  assert.deepEqual([keysOf(after), after.StartAfter], [['b/2'], 'b/1'])
  const next = await list({ StartAfter: 'b/1', ContinuationToken: after.NextContinuationToken })
  assert.deepEqual(keysOf(next), ['c', 'd/e', 'f'])
  for (const ContinuationToken of ['made-up', `${after.NextContinuationToken}!`, 'k']) {
    await assert.rejects(list({ ContinuationToken }), answered('InvalidArgument', 400))
  }
  assert.deepEqual(keysOf(await list({ ContinuationToken: '' })), keys)
})

test('limits are whole numbers from nought; above a thousand they are a thousand', async () => {
  const Bucket = await bucketWith('a', 'b')
  const kinds = [
    (limit: { MaxKeys: number }) => main.send(new ListObjectsCommand({ Bucket, ...limit })),
    (limit: { MaxKeys: number }) => main.send(new ListObjectsV2Command({ Bucket, ...limit })),
    (limit: { MaxKeys: number }) => main.send(new ListObjectVersionsCommand({ Bucket, ...limit })),
  ]
  for (const kind of kinds) {
    const list = (MaxKeys: unknown) => kind({ MaxKeys: MaxKeys as number })
    const none = await list(0)
    assert.equal(none.IsTruncated, false)
    assert.equal(none.MaxKeys, 0)
    assert.equal((await list(5000)).MaxKeys, 1000)
    for (const wrong of [-1, 'blah', '1.5', '1e3', 2 ** 31, '9'.repeat(30)]) {
      await assert.rejects(list(wrong), answered('InvalidArgument', 400), String(wrong))
    }
  }
  await assert.rejects(
    main.send(new ListMultipartUploadsCommand({ Bucket, MaxUploads: -1 })),
    answered('InvalidArgument', 400),
  )
})

test('keys of any characters are listed in the order of their bytes, as they are or by URL', async () => {
  const hostile = [
    '\u0001',
    ' a',
    '!',
    '%2F',
    '&<>"\'',
    '+',
    '..',
    '/',
    '//',
    'a b',
    'a b/c',
    'é',
    '～',
    '\u{10000}',
    '\u{1f600}',
  ]
  const Bucket = await bucketWith(...hostile)
  const inOrder = [...hostile].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const page = await main.send(new ListObjectsV2Command({ Bucket, EncodingType: 'url' }))
  assert.equal(page.EncodingType, 'url')
  assert.deepEqual(
    keysOf(page).map((each) => decodeURIComponent(each ?? '')),
    inOrder,
  )
  assert.ok(keysOf(page).includes('%26%3C%3E%22%27'))
  assert.ok(keysOf(page).includes('a%20b'))
  assert.ok(keysOf(page).includes('a%20b/c'))
  assert.ok(keysOf(page).includes('//'))
  const plain = await main.send(new ListObjectsV2Command({ Bucket, StartAfter: '\u0001' }))
  assert.deepEqual(keysOf(plain), inOrder.slice(1))
  const encoded = await main.send(
    new ListObjectsCommand({ Bucket, EncodingType: 'url', Prefix: 'a ', Delimiter: 'b', Marker: '+ ' }),
  )
  assert.deepEqual(
    [encoded.Prefix, encoded.Delimiter, encoded.Marker, prefixesOf(encoded)],
    ['a ', 'b', '%2B%20', ['a%20b']],
  )
  await assert.rejects(
    main.send(new ListObjectsCommand({ Bucket, EncodingType: 'base64' as 'url' })),
    answered('InvalidArgument', 400),
  )
})

test('ListObjectVersions shows every version, newest first, and goes on within a key', async () => {
  const Bucket = await bucketWith('k', 'p/1')
  await main.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }))
  const second = await main.send(new PutObjectCommand({ Bucket, Key: 'k', Body: '2' }))
  const marker = await main.send(new DeleteObjectCommand({ Bucket, Key: 'k' }))
  const last = await main.send(new PutObjectCommand({ Bucket, Key: 'z', Body: '1' }))
  const list = (input: object) => main.send(new ListObjectVersionsCommand({ Bucket, ...input }))

  const whole = await list({})
  assert.deepEqual(
    whole.Versions?.map((each) => [each.Key, each.VersionId, each.IsLatest]),
    [
      ['k', second.VersionId, false],
      ['k', 'null', false],
      ['p/1', 'null', true],
      ['z', last.VersionId, true],
    ],
  )
  assert.deepEqual(
    whole.DeleteMarkers?.map((each) => [each.Key, each.VersionId, each.IsLatest, each.Owner?.ID]),
    [['k', marker.VersionId, true, gateway.ids.main]],
  )
  const seen: unknown[] = []
  let markers: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {}
  let isTruncated: boolean | undefined
  do {
    const page = await list({ MaxKeys: 1, Delimiter: '/', ...markers })
    for (const each of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])])
      seen.push(`${each.Key} ${each.VersionId}`)
    seen.push(...prefixesOf(page))
    markers = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
    isTruncated = page.IsTruncated
  } while (isTruncated === true)
  assert.deepEqual(seen, [`k ${marker.VersionId}`, `k ${second.VersionId}`, 'k null', 'p/', `z ${last.VersionId}`])
  assert.deepEqual(keysOf(await main.send(new ListObjectsV2Command({ Bucket }))), ['p/1', 'z'])
  await assert.rejects(list({ VersionIdMarker: second.VersionId }), answered('InvalidArgument', 400))
  await assert.rejects(list({ KeyMarker: 'k', VersionIdMarker: 'no-such' }), answered('InvalidArgument', 400))
})

test('ListMultipartUploads shows what is under way, by key and start', async () => {
  const Bucket = await bucketWith()
  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read-write' }))
  const begin = async (client: typeof main, Key: string) =>
    (await client.send(new CreateMultipartUploadCommand({ Bucket, Key }))).UploadId
  const first = await begin(main, 'a/1')
  const second = await begin(other, 'b')
  const third = await begin(main, 'b')
  const list = (input: object) => main.send(new ListMultipartUploadsCommand({ Bucket, ...input }))
  const whole = await list({})
  assert.deepEqual(
    whole.Uploads?.map((each) => [each.Key, each.UploadId, each.Initiator?.DisplayName, each.Owner?.ID]),
    [
      ['a/1', first, 'alice', gateway.ids.main],
      ['b', second, 'bob', gateway.ids.other],
      ['b', third, 'alice', gateway.ids.main],
    ],
  )
  assert.ok(whole.Uploads?.every((each) => each.Initiated instanceof Date && each.StorageClass === 'STANDARD'))
  const page = await list({ Delimiter: '/', MaxUploads: 2 })
  assert.deepEqual([prefixesOf(page), page.Uploads?.map((each) => each.UploadId)], [['a/'], [second]])
  assert.deepEqual([page.NextKeyMarker, page.NextUploadIdMarker], ['b', second])
  const rest = await list({ Delimiter: '/', KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker })
  assert.deepEqual([prefixesOf(rest), rest.Uploads?.map((each) => each.UploadId)], [[], [third]])
  assert.deepEqual(prefixesOf(await list({ EncodingType: 'url', Prefix: 'a', Delimiter: '/' })), ['a/'])
})

test('who may not list is told so, whatever is asked', async () => {
  const Bucket = await bucketWith('a')
  for (const client of [other, anonymous]) {
    await assert.rejects(client.send(new ListObjectsCommand({ Bucket })), answered('AccessDenied', 403))
    await assert.rejects(client.send(new ListObjectsV2Command({ Bucket })), answered('AccessDenied', 403))
    await assert.rejects(client.send(new ListObjectVersionsCommand({ Bucket })), answered('AccessDenied', 403))
    await assert.rejects(client.send(new ListMultipartUploadsCommand({ Bucket })), answered('AccessDenied', 403))
  }
  await main.send(new PutBucketAclCommand({ Bucket, ACL: 'public-read' }))
  assert.deepEqual(keysOf(await anonymous.send(new ListObjectsV2Command({ Bucket }))), ['a'])
  await assert.rejects(main.send(new ListObjectsV2Command({ Bucket: newBucketName() })), answered('NoSuchBucket', 404))
})

test('attributes that listings do not know are refused, the one they know is taken', async () => {
  const Bucket = await bucketWith('a')
  const list = (attribute: string) =>
    main.send(new ListObjectsV2Command({ Bucket, OptionalObjectAttributes: [attribute as 'RestoreStatus'] }))
  assert.deepEqual(keysOf(await list('RestoreStatus')), ['a'])
  await assert.rejects(list('Colour'), answered('InvalidArgument', 400))
})
