import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { SignedClient } from '../support/signed-client.ts'
import { type Harness, keys, openHarness, refusal } from './store.ts'

/** Passes requests on to the store that plays the shadow, counts them, and holds up or breaks what a test says. */
class Passage {
  readonly seen: { readonly method: string; readonly path: string }[] = []
  /** Answers in the shadow's place: a status, or false to go on. */
  instead: (method: string, path: string) => number | false = () => false
  /** Before the answer's body. */
  pause: (method: string, path: string) => Promise<void> = async () => {}
  readonly #server = createServer((request, response) => void this.#pass(request, response))
  #target = ''
  url = ''

  async open(target: string): Promise<void> {
    this.#target = target
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    this.seen.push({ method, path: url })
    const status = this.instead(method, url)
    if (status !== false) {
      request.resume()
      response.writeHead(status).end()
      return
    }
    // The signature is over the host that was asked: the store behind verifies just that.
    const onwards = httpRequest(`${this.#target}${url}`, { method, headers }, async (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      await this.pause(method, url)
      answer.pipe(response)
    })
    onwards.on('error', () => response.destroy())
    request.pipe(onwards)
  }

  reads(bucket: string, key: string): number {
    return this.seen.filter(({ method, path }) => method === 'GET' && path.startsWith(`/${bucket}/${key}`)).length
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

let far: Harness
let near: Harness
let alice: SignedClient
const passage = new Passage()

before(async () => {
  far = await openHarness()
  near = await openHarness({ shadowEndpoints: 'any' }, true)
  await passage.open(far.endpoint)
  const { accessKeyId, secretAccessKey } = keys.alice
  alice = new SignedClient(near.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey })
})

after(async () => {
  alice?.close()
  await near?.close()
  await passage.close()
  await far?.close()
})

const patch = (bucket: string, body: unknown) =>
  alice.send({ method: 'PATCH', path: `/${bucket}`, body: Buffer.from(JSON.stringify(body)) })

const shadowOf = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  shadow_bucket: {
    access_key: keys.alice.accessKeyId,
    secret_key: keys.alice.secretAccessKey,
    region: 'auto',
    name,
    endpoint: passage.url,
    ...more,
  },
})

/** A bucket there, and one here that has it for a shadow. */
async function pair(more: Readonly<Record<string, unknown>> = {}): Promise<{ there: string; here: string }> {
  const [there, here] = [await far.makeBucket(), await near.makeBucket()]
  assert.equal((await patch(here, shadowOf(there, more))).status, 200)
  return { there, here }
}

async function bodyOf(harness: Harness, Bucket: string, Key: string, Range?: string): Promise<Buffer> {
  const { Body } = await harness.client.send(new GetObjectCommand({ Bucket, Key, Range }))
  return Buffer.from((await Body?.transformToByteArray()) ?? [])
}

const put = (harness: Harness, Bucket: string, Key: string, Body: Uint8Array | string) =>
  harness.client.send(new PutObjectCommand({ Bucket, Key, Body }))

const remove = (harness: Harness, Bucket: string, Key: string) =>
  harness.client.send(new DeleteObjectCommand({ Bucket, Key }))

const head = (harness: Harness, Bucket: string, Key: string) =>
  harness.client.send(new HeadObjectCommand({ Bucket, Key }))

async function listed(harness: Harness, Bucket: string, more = {}): Promise<readonly string[]> {
  const { Contents = [] } = await harness.client.send(new ListObjectsV2Command({ Bucket, ...more }))
  return Contents.map(({ Key = '' }) => Key)
}

async function until<Found>(look: () => Promise<Found | undefined | false>, patience = 60_000): Promise<Found> {
  for (const end = Date.now() + patience; ; await wait(30)) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error('it did not come to be')
  }
}

const progressOf = async (bucket: string, method = 'GET') => {
  const { status, body } = await alice.send({ method, path: `/${bucket}`, query: { migration: '' } })
  assert.equal(status, 200, body.toString())
  return JSON.parse(body.toString())
}

describe('shadow buckets', () => {
  test('V3: a read brings the object as it is there, and later ones ask nobody', async () => {
    const { there, here } = await pair()
    const body = randomBytes(100_000)
    const told = await far.client.send(
      new PutObjectCommand({
        Bucket: there,
        Key: 'a/b',
        Body: body,
        ContentType: 'image/x',
        CacheControl: 'max-age=7',
        Metadata: { of: 'theirs' },
      }),
    )
    const original = await head(far, there, 'a/b')
    const seen = await head(near, here, 'a/b')
    assert.equal(passage.reads(there, 'a/b'), 0)
    assert.deepEqual(await bodyOf(near, here, 'a/b'), body)
    assert.equal(passage.reads(there, 'a/b'), 1)
    assert.deepEqual(await bodyOf(near, here, 'a/b'), body)
    assert.deepEqual(await bodyOf(near, here, 'a/b', 'bytes=5-9'), body.subarray(5, 10))
    assert.equal(passage.reads(there, 'a/b'), 1)
    const brought = await head(near, here, 'a/b')
    for (const each of [seen, brought]) {
      assert.equal(each.ETag, told.ETag)
      assert.deepEqual(each.LastModified, original.LastModified)
      assert.deepEqual(
        [each.ContentType, each.CacheControl, each.Metadata, each.ContentLength],
        ['image/x', 'max-age=7', { of: 'theirs' }, body.length],
      )
    }
    assert.equal(await refusal(bodyOf(near, here, 'nowhere')), '404 NoSuchKey')
  })

  test('V2: a large object streams to who asks first, is fetched once for all, and is here then', async () => {
    const { there, here } = await pair()
    const body = randomBytes(9 * 2 ** 20)
    const { UploadId } = await far.client.send(new CreateMultipartUploadCommand({ Bucket: there, Key: 'big' }))
    const halves = [body.subarray(0, 5 * 2 ** 20), body.subarray(5 * 2 ** 20)]
    const Parts = []
    for (const [at, Body] of halves.entries()) {
      const part = { Bucket: there, Key: 'big', UploadId, PartNumber: at + 1, Body }
      const { ETag } = await far.client.send(new UploadPartCommand(part))
      Parts.push({ ETag, PartNumber: at + 1 })
    }
    const done = { Bucket: there, Key: 'big', UploadId, MultipartUpload: { Parts } }
    const { ETag } = await far.client.send(new CompleteMultipartUploadCommand(done))
    const all = await Promise.all(Array.from({ length: 6 }, () => bodyOf(near, here, 'big')))
    for (const each of all) assert.equal(Buffer.compare(each, body), 0)
    assert.equal(passage.reads(there, 'big'), 1)
    const brought = await head(near, here, 'big')
    assert.deepEqual([brought.ETag, brought.ContentLength], [ETag, body.length])
  })

  test('a piece of a large object is answered while all of it is brought', async () => {
    const { there, here } = await pair()
    const body = randomBytes(6 * 2 ** 20)
    await put(far, there, 'big', body)
    assert.deepEqual(await bodyOf(near, here, 'big', 'bytes=-100'), body.subarray(-100))
    await until(async () => (await listed(near, here)).includes('big'))
    assert.equal(Buffer.compare(await bodyOf(near, here, 'big'), body), 0)
  })

  test('C21: what was deleted here does not come back, whether it was ever here or not', async () => {
    const { there, here } = await pair()
    for (const key of ['seen', 'unseen', 'versioned']) await put(far, there, key, 'theirs')
    await bodyOf(near, here, 'seen')
    await remove(near, here, 'seen')
    await remove(near, here, 'unseen')
    passage.seen.length = 0
    for (const key of ['seen', 'unseen']) {
      assert.equal(await refusal(bodyOf(near, here, key)), '404 NoSuchKey')
      assert.equal(await refusal(head(near, here, key)), '404 NotFound')
    }
    assert.deepEqual(passage.seen, [])
    await near.client.send(
      new PutBucketVersioningCommand({ Bucket: here, VersioningConfiguration: { Status: 'Enabled' } }),
    )
    await remove(near, here, 'versioned')
    assert.equal(await refusal(bodyOf(near, here, 'versioned')), '404 NoSuchKey')
    assert.deepEqual(passage.seen, [])
  })

  test('V1: a write, or a delete, while an import runs stands', async () => {
    const { there, here } = await pair()
    for (const key of ['written', 'deleted']) await put(far, there, key, `theirs ${key}`)
    const hold = Promise.withResolvers<void>()
    passage.pause = async (method, path) => {
      if (method === 'GET' && path.includes(there)) await hold.promise
    }
    try {
      const reading = [bodyOf(near, here, 'written'), refusal(bodyOf(near, here, 'deleted'))]
      await until(async () => passage.reads(there, 'written') + passage.reads(there, 'deleted') === 2)
      await put(near, here, 'written', 'ours')
      await remove(near, here, 'deleted')
      hold.resolve()
      await Promise.all(reading)
      assert.equal((await bodyOf(near, here, 'written')).toString(), 'ours')
      assert.equal(await refusal(bodyOf(near, here, 'deleted')), '404 NoSuchKey')
      const { imported_objects: imported } = await progressOf(here)
      assert.equal(imported, 0)
    } finally {
      hold.resolve()
      passage.pause = async () => {}
    }
  })

  test('V4: a shadow that cannot be asked makes 503 and not 404, and nobody asks it without permission', async () => {
    const { there, here } = await pair()
    await put(far, there, 'k', 'theirs')
    passage.instead = (_, path) => (path.includes(there) ? 500 : false)
    assert.equal(await refusal(bodyOf(near, here, 'k')), '503 ServiceUnavailable')
    passage.instead = () => false
    passage.seen.length = 0
    const asBob = near.otherClient.send(new GetObjectCommand({ Bucket: here, Key: 'k' }))
    assert.equal(await refusal(asBob), '403 AccessDenied')
    assert.deepEqual(passage.seen, [])
    assert.equal((await bodyOf(near, here, 'k')).toString(), 'theirs')
  })

  test('V3: bytes that are not what their MD5 says are not taken', async () => {
    const { there, here } = await pair()
    const server = createServer((_, response) => {
      response.writeHead(200, { etag: `"${createHash('md5').update('right').digest('hex')}"`, 'content-length': '5' })
      response.end('wrong')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      assert.equal((await patch(here, shadowOf(there, { endpoint }))).status, 200)
      assert.equal(await refusal(bodyOf(near, here, 'k')), '503 ServiceUnavailable')
      assert.deepEqual(await listed(near, here), [])
    } finally {
      server.closeAllConnections()
      server.close()
    }
  })

  test('what asks for an object finds it: tags, copies, conditions', async () => {
    const { there, here } = await pair()
    for (const key of ['tagged', 'copied', 'matched', 'taken']) await put(far, there, key, `theirs ${key}`)
    const TagSet = [{ Key: 'of', Value: 'ours' }]
    await near.client.send(new PutObjectTaggingCommand({ Bucket: here, Key: 'tagged', Tagging: { TagSet } }))
    const tags = await near.client.send(new GetObjectTaggingCommand({ Bucket: here, Key: 'tagged' }))
    assert.deepEqual(tags.TagSet, TagSet)
    await near.client.send(new CopyObjectCommand({ Bucket: here, Key: 'copy', CopySource: `${here}/copied` }))
    assert.equal((await bodyOf(near, here, 'copy')).toString(), 'theirs copied')
    const { ETag } = await head(far, there, 'matched')
    const matched = { Bucket: here, Key: 'matched', Body: 'ours', IfMatch: ETag }
    await near.client.send(new PutObjectCommand(matched))
    const taken = new PutObjectCommand({ Bucket: here, Key: 'taken', Body: 'ours', IfNoneMatch: '*' })
    assert.equal(await refusal(near.client.send(taken)), '412 PreconditionFailed')
  })

  test('V5: what is written and deleted here is so there, where it is written through', async () => {
    const { there, here } = await pair({ write_through: true })
    await put(far, there, 'old', 'theirs')
    for (let count = 1; count <= 20; count++) await put(near, here, 'k', `ours ${count}`)
    await remove(near, here, 'old')
    await until(async () => (await bodyOf(far, there, 'k').catch(() => Buffer.alloc(0))).toString() === 'ours 20')
    await until(async () => !(await listed(far, there)).includes('old'))
    await put(far, there, 'theirs', 'theirs')
    assert.deepEqual(await listed(near, here), ['k', 'theirs'])
    await remove(near, here, 'k')
    await until(async () => !(await listed(far, there)).includes('k'))
  })

  test('a list tells of what is here, of what is there, or of both, page by page', async () => {
    const { there, here } = await pair({ write_through: true })
    const theirs = Array.from({ length: 9 }, (_, at) => `d${at % 3}/k${at}`)
    for (const key of theirs) await put(far, there, key, key)
    await put(near, here, 'd1/own', 'ours')
    await remove(near, here, 'd0/k3')
    const expected = [...theirs.filter((key) => key !== 'd0/k3'), 'd1/own'].sort()
    const pages: string[] = []
    let ContinuationToken: string | undefined
    do {
      const ask = new ListObjectsV2Command({ Bucket: here, MaxKeys: 2, ContinuationToken })
      const { Contents = [], NextContinuationToken } = await near.client.send(ask)
      pages.push(...Contents.map(({ Key = '' }) => Key))
      ContinuationToken = NextContinuationToken
    } while (ContinuationToken !== undefined)
    assert.deepEqual(pages, expected)
    const byFolder = new ListObjectsV2Command({ Bucket: here, Delimiter: '/' })
    const { CommonPrefixes = [] } = await near.client.send(byFolder)
    assert.deepEqual(
      CommonPrefixes.map(({ Prefix }) => Prefix),
      ['d0/', 'd1/', 'd2/'],
    )
    const query = { 'list-type': '2' }
    const from = async (source: string) => {
      const call = { method: 'GET', path: `/${here}`, query, headers: { 'x-tigris-list-source': source } }
      const { body } = await alice.send(call)
      return [...body.toString().matchAll(/<Key>([^<]*)</g)].map(([, key]) => key)
    }
    assert.deepEqual(await from('tigris'), ['d1/own'])
    await until(async () => (await from('shadow')).length === theirs.length)
  })

  test('X-Tigris-Schedule-Migration brings one object, and its head tells when it is here', async () => {
    const { there, here } = await pair()
    await put(far, there, 'k', 'theirs')
    const ask = async (headers: Readonly<Record<string, string>>) =>
      (await alice.send({ method: 'HEAD', path: `/${here}/k`, headers })).headers['x-tigris-read-source']
    assert.equal(await ask({ 'x-tigris-schedule-migration': 'true' }), 'block_shadow')
    await until(async () => (await ask({})) === undefined)
    assert.deepEqual(await listed(near, here), ['k'])
  })

  test('V8: a migration brings all, but nothing that was written or deleted here, and counts it', async () => {
    const { there, here } = await pair()
    const all = Array.from({ length: 700 }, (_, at) => `k${String(at).padStart(4, '0')}`)
    for (let at = 0; at < all.length; at += 50) {
      await Promise.all(all.slice(at, at + 50).map((key) => put(far, there, key, `theirs ${key}`)))
    }
    await put(near, here, 'k0005', 'ours')
    await remove(near, here, 'k0006')
    await bodyOf(near, here, 'k0007')
    passage.instead = (method, path) => (method === 'GET' && path.startsWith(`/${there}/k0008`) ? 403 : false)
    await progressOf(here, 'POST')
    const done = await until(async () => {
      const progress = await progressOf(here)
      return progress.state === 'done' && progress
    }, 180_000)
    passage.instead = () => false
    assert.deepEqual([done.listed, done.known, done.gone, done.failed], [700, 3, 0, 1])
    assert.deepEqual(
      done.failures.map(({ key }: { key: string }) => key),
      ['k0008'],
    )
    // One by a read, the others by the migration.
    assert.equal(done.imported_objects, 697)
    const here1000 = await listed(near, here, { MaxKeys: 1000 })
    assert.deepEqual(
      here1000,
      all.filter((key) => key !== 'k0006' && key !== 'k0008'),
    )
    assert.equal((await bodyOf(near, here, 'k0005')).toString(), 'ours')
    assert.equal((await bodyOf(near, here, 'k0699')).toString(), 'theirs k0699')
  })

  test('V6, V7: a secret is told to nobody, and addresses beyond the reach are refused', async () => {
    const { here } = await pair()
    const { body } = await alice.send({ method: 'GET', path: `/${here}`, query: { metadata: '' } })
    const told = JSON.parse(body.toString())
    assert.equal(told.shadow_bucket.access_key, keys.alice.accessKeyId)
    assert.equal(told.shadow_bucket.secret_key, '')
    const bucket = await near.services.buckets.get(here)
    assert.ok(!JSON.stringify(bucket).includes(keys.alice.secretAccessKey))
    assert.equal((await patch(here, { shadow_bucket: {} })).status, 200)
    assert.equal((await near.services.buckets.get(here)).shadow, undefined)
    const wrong = await patch(here, shadowOf('there', { endpoint: 'ftp://x' }))
    assert.equal(wrong.status, 400)
    const guarded = await openHarness()
    try {
      const bucketThere = await guarded.makeBucket()
      const { accessKeyId, secretAccessKey } = keys.alice
      const client = new SignedClient(guarded.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey })
      const body = Buffer.from(JSON.stringify(shadowOf('there')))
      const refused = await client.send({ method: 'PATCH', path: `/${bucketThere}`, body })
      assert.equal(refused.status, 400)
      const named = { endpoint: `http://localhost:${new URL(passage.url).port}` }
      const byName = Buffer.from(JSON.stringify(shadowOf('there', named)))
      assert.equal((await client.send({ method: 'PATCH', path: `/${bucketThere}`, body: byName })).status, 200)
      passage.seen.length = 0
      const asked = guarded.client.send(new GetObjectCommand({ Bucket: bucketThere, Key: 'k' }))
      assert.equal(await refusal(asked), '503 ServiceUnavailable')
      assert.deepEqual(passage.seen, [])
      client.close()
    } finally {
      await guarded.close()
    }
  })
})
