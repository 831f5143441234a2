/** AWS's own published examples: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and siblings. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { example, type Plain, received } from '../../test/signer.ts'
import { type Authenticated, type AuthenticationOptions, authenticator } from './authenticate.ts'
import type { RawRequest } from './request.ts'
import { emptySha256 } from './signature.ts'

const account = { id: 'owner', displayName: 'Owner', email: 'owner@example.com', isAdministrator: false }
const identity = {
  findKey: async (id: string) =>
    id === example.id
      ? { key: { id, secret: example.secret, accountId: account.id, isActive: true, created: 0 }, account }
      : undefined,
}

function authenticateAt(date: string, raw: RawRequest, options: AuthenticationOptions = {}): Promise<Authenticated> {
  return authenticator({ identity, world: { now: () => Date.parse(date) }, options })(raw)
}

const may2013 = '2013-05-24T00:00:00Z'
const scope = 'AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request'

async function accepts(plain: Plain, signedHeaders: string, signature: string, rawQuery = ''): Promise<Authenticated> {
  const authorization = `AWS4-HMAC-SHA256 Credential=${scope},SignedHeaders=${signedHeaders},Signature=${signature}`
  const raw = received({ ...plain, headers: { ...plain.headers, authorization } })
  const result = await authenticateAt(may2013, { ...raw, rawQuery })
  assert.deepEqual(result.caller, { kind: 'account', account, accessKeyId: example.id })
  return result
}

const host = 'examplebucket.s3.amazonaws.com'
const base = { host, 'x-amz-content-sha256': emptySha256, 'x-amz-date': '20130524T000000Z' }

test('AWS example: GET object with a range', async () => {
  await accepts(
    { method: 'GET', path: '/test.txt', headers: { ...base, range: 'bytes=0-9' } },
    'host;range;x-amz-content-sha256;x-amz-date',
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  )
})

test('AWS example: PUT object, its path sent as is and as clients encode it', async () => {
  const body = Buffer.from('Welcome to Amazon S3.')
  for (const path of ['/test$file.text', '/test%24file.text', '/%74est%24file.text']) {
    const { body: accepted } = await accepts(
      {
        method: 'PUT',
        path,
        body,
        headers: {
          host,
          date: 'Fri, 24 May 2013 00:00:00 GMT',
          'x-amz-date': '20130524T000000Z',
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
          'x-amz-content-sha256': '44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072',
        },
      },
      'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
      '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
    )
    assert.deepEqual(await accepted.collect(100), body)
  }
})

test('AWS example: GET bucket lifecycle', async () => {
  await accepts(
    { method: 'GET', path: '/', headers: base },
    'host;x-amz-content-sha256;x-amz-date',
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
    'lifecycle',
  )
})

test('AWS example: list objects, the query in any order', async () => {
  for (const query of ['max-keys=2&prefix=J', 'prefix=J&max-keys=2', 'prefix=%4A&&max-keys=2']) {
    await accepts(
      { method: 'GET', path: '/', headers: base },
      'host;x-amz-content-sha256;x-amz-date',
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      query,
    )
  }
})

test('AWS example: presigned GET, until it expires', async () => {
  const raw = {
    ...received({ method: 'GET', path: '/test.txt', headers: { host } }),
    rawQuery:
      'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request' +
      '&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host' +
      '&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  }
  assert.equal((await authenticateAt('2013-05-24T23:59:59Z', raw)).caller.kind, 'account')
  await assert.rejects(authenticateAt('2013-05-25T00:00:01Z', raw), {
    code: 'AccessDenied',
    message: 'Request has expired',
  })
  await assert.rejects(authenticateAt('2013-05-23T23:44:00Z', raw), {
    code: 'AccessDenied',
    message: 'Request is not yet valid',
  })
})

const chunk = (size: number, signature: string): string =>
  `${size.toString(16)};chunk-signature=${signature}\r\n${'a'.repeat(size)}${size > 0 ? '\r\n' : ''}`

test('AWS example: upload in signed chunks', async () => {
  const body = Buffer.from(
    chunk(65536, 'ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648') +
      chunk(1024, '0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497') +
      `${chunk(0, 'b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9')}\r\n`,
  )
  const result = await accepts(
    {
      method: 'PUT',
      path: '/examplebucket/chunkObject.txt',
      body,
      headers: {
        host: 's3.amazonaws.com',
        'x-amz-date': '20130524T000000Z',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '66560',
        'content-length': '66824',
      },
    },
    'content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class',
    '4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9',
  )
  assert.equal(result.body.length, 66560)
  assert.equal(result.headers['content-encoding'], undefined)
  assert.equal(Buffer.from(await result.body.collect(70_000)).toString(), 'a'.repeat(66560))
})

test('AWS example: upload in signed chunks with a trailer', async () => {
  const body = Buffer.from(
    chunk(65536, 'b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2') +
      chunk(1024, '1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7') +
      chunk(0, '2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992') +
      'x-amz-checksum-crc32c:sOO8/Q==\r\n' +
      'x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n',
  )
  const result = await accepts(
    {
      method: 'PUT',
      path: '/examplebucket/chunkObject.txt',
      body,
      headers: {
        host: 's3.amazonaws.com',
        'x-amz-date': '20130524T000000Z',
        'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER',
        'content-encoding': 'aws-chunked',
        'x-amz-decoded-content-length': '66560',
        'x-amz-trailer': 'x-amz-checksum-crc32c',
      },
    },
    'content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer',
    '106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e',
  )
  assert.equal(Buffer.from(await result.body.collect(70_000)).toString(), 'a'.repeat(66560))
  assert.deepEqual([...result.body.trailers()], [['x-amz-checksum-crc32c', 'sOO8/Q==']])
})

const march2007 = '2007-03-27T21:10:00Z'

test('AWS examples of version 2: GET and PUT in virtual-hosted style, list, presigned', async () => {
  const v2 = (plain: Plain, signature: string, rawQuery: string, at: string): Promise<Authenticated> => {
    const authorization = `AWS AKIAIOSFODNN7EXAMPLE:${signature}`
    const raw = received({ ...plain, headers: { ...plain.headers, authorization } })
    return authenticateAt(at, { ...raw, rawQuery, hostBucket: 'awsexamplebucket1' })
  }
  const virtual = 'awsexamplebucket1.us-west-1.s3.amazonaws.com'
  const got = await v2(
    { method: 'GET', path: '/photos/puppy.jpg', headers: { host: virtual, date: 'Tue, 27 Mar 2007 19:36:42 +0000' } },
    'qgk2+6Sv9/oM7G3qLEjTH1a1l1g=',
    '',
    '2007-03-27T19:36:50Z',
  )
  assert.equal(got.caller.kind, 'account')
  const put = {
    host: virtual,
    date: 'Tue, 27 Mar 2007 21:15:45 +0000',
    'content-type': 'image/jpeg',
    'content-length': '94328',
  }
  await v2({ method: 'PUT', path: '/photos/puppy.jpg', headers: put }, 'iqRzw+ileNPu1fhspnRs8nOjjIA=', '', march2007)
  const list = { host: virtual, date: 'Tue, 27 Mar 2007 19:42:41 +0000' }
  await v2(
    { method: 'GET', path: '/', headers: list },
    'm0WP8eCtspQl5Ahe6L1SozdX9YA=',
    'prefix=photos&max-keys=50&marker=puppy',
    '2007-03-27T19:42:41Z',
  )
  const presigned = {
    ...received({ method: 'GET', path: '/photos/puppy.jpg', headers: { host: virtual } }),
    rawQuery: 'AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620',
    hostBucket: 'johnsmith',
  }
  assert.equal((await authenticateAt(march2007, presigned)).caller.kind, 'account')
  await assert.rejects(authenticateAt('2007-03-29T03:40:21Z', presigned), { code: 'AccessDenied' })
})
