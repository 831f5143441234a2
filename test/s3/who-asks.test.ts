import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type Chunking, type Credentials, chunked, type Plain, signHeader } from '../signer.ts'
import { keys, refusal, useHarness } from './store.ts'

const harness = useHarness()
const alice: Credentials = { id: keys.alice.accessKeyId, secret: keys.alice.secretAccessKey, region: 'auto' }

/** Bytes to the gateway and all that it answers before it closes; `isCut`: the client goes first. */
async function raw(pieces: readonly (string | Buffer)[], isCut = false): Promise<string> {
  const { port } = new URL(harness().endpoint)
  const socket = connect(Number(port), '127.0.0.1')
  const answer: Buffer[] = []
  socket.on('data', (data) => answer.push(data)).on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  for (const piece of pieces) socket.write(piece)
  if (isCut) socket.end()
  await closed
  const text = Buffer.concat(answer).toString('latin1')
  return `${/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 'closed'} ${/<Code>(\w+)</.exec(text)?.[1] ?? ''}`.trim()
}

const head = ({ method, path, headers }: Plain, length: number): string =>
  `${method} ${path} HTTP/1.1\r\n${Object.entries({ ...headers, 'content-length': String(length), connection: 'close' })
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

const amzDate = (): string => new Date().toISOString().replace(/[-:]|\.\d+/g, '')

interface Upload {
  readonly head: Plain
  readonly body: Buffer[]
}

function upload(bucket: string, key: string, pieces: readonly Buffer[], trailers?: Chunking['trailers']): Upload {
  const date = amzDate()
  const size = pieces.reduce((sum, each) => sum + each.length, 0)
  const headers = {
    host: new URL(harness().endpoint).host,
    'content-encoding': 'aws-chunked',
    'x-amz-decoded-content-length': String(size),
    ...(trailers === undefined ? {} : { 'x-amz-trailer': Object.keys(trailers).join() }),
  }
  const payload = `STREAMING-AWS4-HMAC-SHA256-PAYLOAD${trailers === undefined ? '' : '-TRAILER'}`
  const signed = signHeader({ method: 'PUT', path: `/${bucket}/${key}`, headers }, date, alice, payload)
  const seed = (signed.headers['authorization'] ?? '').split('Signature=')[1] ?? ''
  const extra = trailers === undefined ? {} : { trailers }
  return { head: signed, body: chunked(pieces, { date, seed, by: alice, isSigned: true, ...extra }) }
}

async function send(request: Plain, body: readonly Buffer[]): Promise<string> {
  const length = body.reduce((sum, each) => sum + each.length, 0)
  return await raw([head(request, length), ...body])
}

test('K1, K2: an upload in chunks stands only if it was whole; tampered with, nothing of it can be seen', async () => {
  const bucket = await harness().makeBucket()
  const { client } = harness()
  const pieces = [randomBytes(70_000), randomBytes(100_000), randomBytes(5)]
  const missing = async (key: string): Promise<void> =>
    assert.equal(await refusal(client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))), '404 NotFound', key)

  const good = upload(bucket, 'good', pieces)
  assert.equal(await send(good.head, good.body), '200')
  const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'good' }))
  assert.deepEqual(Buffer.from((await got.Body?.transformToByteArray()) ?? []), Buffer.concat(pieces))
  assert.equal(got.ContentEncoding, undefined)

  for (const small of [false, true]) {
    const parts = small ? pieces.map((each) => each.subarray(0, 5)) : pieces
    const key = small ? 'small' : 'large'
    const one = upload(bucket, key, parts)
    const [a, b, c, d, e, f, ...rest] = one.body
    assert.ok(a && b && c && d && e && f)
    assert.equal(await send(one.head, [d, e, f, a, b, c, ...rest]), '403 SignatureDoesNotMatch')
    const changed = Buffer.from(e)
    changed[3] = (changed[3] ?? 0) ^ 1
    assert.equal(await send(one.head, [a, b, c, d, changed, f, ...rest]), '403 SignatureDoesNotMatch')
    assert.equal(await send(one.head, [a, b, c, d, e, f]), '400 IncompleteBody')
    assert.equal(await send(one.head, [...one.body, Buffer.from('x')]), '400 InvalidRequest')
    const wrong = upload(bucket, key, parts, { 'x-amz-checksum-crc32': 'AAAAAA==' })
    assert.equal(await send(wrong.head, wrong.body), '400 BadDigest')
    await missing(key)
  }
})

test('B1: a body that ends before its length is no object', async () => {
  const bucket = await harness().makeBucket()
  for (const size of [10, 200_000]) {
    const host = new URL(harness().endpoint).host
    const signed = signHeader(
      { method: 'PUT', path: `/${bucket}/cut`, headers: { host } },
      amzDate(),
      alice,
      'UNSIGNED-PAYLOAD',
    )
    await raw([head(signed, size + 1), randomBytes(size)], true)
    const looked = harness().client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'cut' }))
    assert.equal(await refusal(looked), '404 NotFound')
  }
})

test('T2: two Host headers, and one that was not signed, are refused', async () => {
  const bucket = await harness().makeBucket()
  const host = new URL(harness().endpoint).host
  const signed = signHeader({ method: 'GET', path: `/${bucket}`, headers: { host } }, amzDate(), alice)
  assert.equal(await raw([head(signed, 0)]), '200')
  assert.match(await raw([head(signed, 0).replace('\r\n', `\r\nHost: ${host}\r\n`)]), /^400/)
  assert.equal(
    await raw([head({ ...signed, headers: { ...signed.headers, host: 'elsewhere' } }, 0)]),
    '403 SignatureDoesNotMatch',
  )
  assert.equal(await raw([head(signed, 0).replace('\r\n', '\r\nX-Amz-Acl: private\r\n')]), '403 AccessDenied')
})

test("the JavaScript SDK's streams with trailers and its presigned URLs are taken", async () => {
  const bucket = await harness().makeBucket()
  const { client } = harness()
  const body = randomBytes(300_000)
  for (const ChecksumAlgorithm of ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'] as const) {
    const stream = Readable.from([body.subarray(0, 1000), body.subarray(1000)])
    const name = { Bucket: bucket, Key: ChecksumAlgorithm }
    await client.send(new PutObjectCommand({ ...name, Body: stream, ContentLength: body.length, ChecksumAlgorithm }))
    const url = await getSignedUrl(client, new GetObjectCommand(name))
    assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), body)
  }
  const put = new PutObjectCommand({ Bucket: bucket, Key: 'by url', ACL: 'private', Metadata: { colour: 'blue' } })
  const url = await getSignedUrl(client, put)
  assert.equal((await fetch(url, { method: 'PUT', body })).status, 200)
  const got = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'by url' }))
  assert.deepEqual([got.ContentLength, got.Metadata], [body.length, { colour: 'blue' }])
  assert.equal((await fetch(url.replace('blue', 'red'), { method: 'PUT', body })).status, 403)
})
