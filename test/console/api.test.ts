import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { allResources } from '#gateway/console/resources/index.ts'
import { loadConfig } from '#src/config/load.ts'
import { shownSettings } from '../../bin/console.ts'
import { type Harness, keys, openHarness } from '../s3/store.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'

let opened: Harness | undefined
const harness = (): Harness => {
  assert.ok(opened !== undefined)
  return opened
}
const root = '/-/console/api/'
let alice: SignedClient
let bob: SignedClient
let administrator: SignedClient

const clientOf = (accessKey: string, secretKey: string) =>
  new SignedClient(harness().endpoint, { accessKey, secretKey })

before(async () => {
  opened = await openHarness()
  const { identity } = harness().services
  const { key } = await identity.ensureAdministrator({
    id: 'ADMINADMINADMINADMIN',
    secret: 'admin-secret-admin-secret',
  })
  administrator = clientOf(key.id, key.secret)
  alice = clientOf(keys.alice.accessKeyId, keys.alice.secretAccessKey)
  bob = clientOf(keys.bob.accessKeyId, keys.bob.secretAccessKey)
})

after(async () => {
  for (const each of [alice, bob, administrator]) each?.close()
  await opened?.close()
})

const read = (client: SignedClient, path: string, query: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  client.send({ method: 'GET', path: `${root}${path}`, query })
const post = (client: SignedClient, path: string, body: string): Promise<Answer> =>
  client.send({ method: 'POST', path: `${root}${path}`, body: Buffer.from(body) })

interface Refusal {
  readonly error: string
  readonly message: string
  readonly request: string
}

/** A refusal as everything of the console has it: JSON, with a code and words, and never kept by anybody. */
function refused({ status, headers, body }: Answer, expected: number, code: string): void {
  const { error, message, request: id } = JSON.parse(body.toString()) as Refusal
  assert.deepEqual([status, error], [expected, code])
  assert.ok(message.length > 5 && id.length > 5)
  assert.equal(headers['content-type'], 'application/json')
  assert.equal(headers['cache-control'], 'no-store')
  assert.equal(headers['x-content-type-options'], 'nosniff')
}

/** With its own Host, which fetch does not let one say. */
function plain(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> {
  const { hostname, port } = new URL(harness().endpoint)
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

test('G1: the console is on no host of a bucket, and no bucket can be where it is', async () => {
  const { makeBucket, client } = harness()
  const bucket = await makeBucket()
  const page = await plain('/-/console/')
  assert.equal(page.status, 200)
  assert.match(page.body.toString(), /<title>Meridian/)
  await harness().services.domains.set(bucket, 'photos.example.com', () => {})
  const own = [
    'photos.example.com',
    `${bucket}.localhost`,
    `${bucket}.website.localhost`,
    `${bucket}.content.localhost`,
  ]
  for (const host of own) {
    for (const path of ['/-/console/', '/-/console', '/-/console/api/session']) {
      const there = await plain(path, { host })
      assert.notEqual(there.status, 200)
      assert.doesNotMatch(there.body.toString(), /Meridian/)
      assert.equal(there.headers['content-security-policy'], undefined)
    }
  }
  // There the path is a key as any other.
  const key = alice.signed({ method: 'PUT', path: `/${bucket}/-/console/` })
  assert.ok(key.headers['authorization'] !== undefined)
  const put = await alice.send({ method: 'PUT', path: `/${bucket}/-/console/`, body: Buffer.from('mine') })
  assert.equal(put.status, 200)
  const made = await alice.send({ method: 'PUT', path: '/-' })
  assert.equal(made.status, 400)
  assert.match(made.body.toString(), /InvalidBucketName/)
  const other = await plain('/-/consoles')
  assert.equal(other.status, 404, 'what only begins so is none of it')
  assert.match(other.body.toString(), /<Code>NoSuchBucket/)
  assert.ok(client !== undefined)
})

test('G2: only its own files may run in the page, named by a word that is new each time', async () => {
  const nonces = new Set<string>()
  for (let each = 0; each < 3; each++) {
    const { headers, body } = await plain('/-/console/')
    const policy = String(headers['content-security-policy'])
    const [, nonce = ''] = /script-src 'nonce-([A-Za-z0-9+/=]{22,})';/.exec(policy) ?? []
    assert.ok(nonce !== '', policy)
    nonces.add(nonce)
    assert.match(policy, /^default-src 'none';/)
    assert.doesNotMatch(policy, /unsafe|\*|https?:|script-src[^;]*'self'|style-src[^;]*'self'/)
    for (const word of [
      "form-action 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ]) {
      assert.ok(policy.includes(word), word)
    }
    assert.equal(headers['x-frame-options'], 'DENY')
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin')
    assert.equal(headers['cache-control'], 'no-store')
    const html = body.toString()
    assert.doesNotMatch(html, /%nonce%|%base%| style=| on[a-z]+=|<script(?![^>]* src=)|<style/)
    assert.equal(
      html.match(/ nonce="([^"]+)"/g)?.every((found) => found === ` nonce="${nonce}"`),
      true,
    )
  }
  assert.equal(nonces.size, 3)
})

test('files of the page are kept for long by their digest, and by no other name', async () => {
  const html = (await plain('/-/console/')).body.toString()
  const files = [...html.matchAll(/(?:href|src)="([0-9a-f]{16}\/[a-z0-9-]+\.[a-z]+)"/g)].map(([, file = '']) => file)
  assert.ok(files.length > 15)
  for (const file of files) {
    const path = `/-/console/${file}`
    const found = await plain(path, { 'accept-encoding': 'gzip, br' })
    assert.equal(found.status, 200, file)
    assert.equal(found.headers['cache-control'], 'public, max-age=31536000, immutable')
    assert.equal(found.headers['content-encoding'], 'gzip')
    const etag = String(found.headers['etag'])
    const again = await plain(path, { 'if-none-match': etag })
    assert.deepEqual([again.status, again.body.length], [304, 0])
    const head = await plain(path, {}, 'HEAD')
    assert.deepEqual([head.status, head.body.length, head.headers['content-encoding']], [200, 0, undefined])
  }
  const name = files[0]?.split('/')[1] ?? ''
  for (const path of [
    `0123456789abcdef/${name}`,
    name,
    `${files[0]}/x`,
    `${files[0]?.split('/')[0]}/tsconfig.json`,
    '../../package.json',
    '%2e%2e/console.ts',
  ]) {
    assert.equal((await plain(`/-/console/${path}`)).status, 404, path)
  }
  assert.equal((await plain('/-/console')).headers['location'], '/-/console/')
  refused(await plain('/-/console/', {}, 'POST'), 405, 'MethodNotAllowed')
})

test('G3: nobody is told anything without a signature of their own, and only administrators what is theirs', async () => {
  for (const { method, path, audience } of allResources) {
    refused(await plain(`${root}${path}`, {}, method), 403, 'AccessDenied')
    const call = { method, path: `${root}${path}`, ...(method === 'POST' && { body: Buffer.from('{}') }) }
    if (audience === 'administrator') refused(await alice.send(call), 403, 'AccessDenied')
    const wrong = clientOf(keys.alice.accessKeyId, 'not-her-secret-at-all')
    refused(await wrong.send(call), 403, 'SignatureDoesNotMatch')
    wrong.close()
    refused(await administrator.send({ ...call, method: 'DELETE' }), 405, 'MethodNotAllowed')
  }
  refused(await read(alice, 'nothing'), 404, 'NoSuchKey')
  refused(await read(alice, 'session/'), 404, 'NoSuchKey')
})

test('G3: a link that was signed for an object opens nothing of the console, nor does a cookie', async () => {
  const { client, endpoint } = harness()
  const { getSignedUrl } = await import('@aws-sdk/s3-request-presigner')
  const { GetObjectCommand } = await import('@aws-sdk/client-s3')
  const url = await getSignedUrl(client, new GetObjectCommand({ Bucket: '-', Key: 'console/api/session' }))
  const answer = await fetch(url)
  assert.ok(url.startsWith(endpoint))
  assert.equal(answer.status, 403)
  assert.equal((await plain(`${root}session`, { cookie: 'session=1' })).status, 403)
})

test('who signed in is told who they are', async () => {
  const own = JSON.parse((await read(alice, 'session')).body.toString()) as Record<string, unknown>
  assert.equal(own['isAdministrator'], false)
  assert.equal((own['account'] as { name: string }).name, 'alice')
  assert.doesNotMatch(JSON.stringify(own), /secret/)
  const other = JSON.parse((await read(administrator, 'session')).body.toString()) as Record<string, unknown>
  assert.equal(other['isAdministrator'], true)
})

test('copies are told to who may read the object', async () => {
  const { makeBucket } = harness()
  const bucket = await makeBucket()
  for (const [key, size, kind] of [
    ['small', 100, 'inline'],
    ['large', 100_000, 'blob'],
  ] as const) {
    await alice.send({ method: 'PUT', path: `/${bucket}/${key}`, body: Buffer.alloc(size) })
    const found = JSON.parse((await read(alice, 'copies', { bucket, key })).body.toString()) as Record<string, unknown>
    assert.equal(found['kind'], kind)
    assert.equal(found['size'], size)
    assert.deepEqual(found['holders'], kind === 'blob' ? [{ region: 'loc', blobs: 1 }] : [])
    refused(await read(bob, 'copies', { bucket, key }), 403, 'AccessDenied')
  }
  refused(await read(alice, 'copies', { bucket, key: 'none' }), 404, 'NoSuchKey')
  refused(await read(alice, 'copies', { bucket, key: 'small', versionId: 'x' }), 400, 'InvalidArgument')
  refused(await read(alice, 'copies', { bucket, key: 'small', versionId: '1000000000000000001' }), 404, 'NoSuchVersion')
  refused(await read(alice, 'copies', { bucket: 'no-such-bucket-anywhere', key: 'a' }), 404, 'NoSuchBucket')
  refused(await read(alice, 'copies', { bucket }), 400, 'InvalidArgument')
  refused(await read(alice, 'copies', { key: 'a' }), 400, 'InvalidArgument')
  refused(await read(alice, 'copies', { bucket, key: 'k'.repeat(1_025) }), 400, 'KeyTooLongError')
})

test('conflicts are for who may list, read, write and delete versions', async () => {
  const { makeBucket } = harness()
  const bucket = await makeBucket()
  assert.deepEqual(JSON.parse((await read(alice, 'conflicts', { bucket })).body.toString()), { conflicts: [] })
  refused(await read(bob, 'conflicts', { bucket }), 403, 'AccessDenied')
  const some = JSON.stringify({ bucket, key: 'a', id: '1000000000000000001' })
  for (const path of ['conflicts/restore', 'conflicts/discard']) {
    refused(await post(alice, path, some), 404, 'NoSuchVersion')
    refused(await post(bob, path, some), 403, 'AccessDenied')
    for (const bad of [
      '',
      'no',
      '[]',
      'null',
      '"a"',
      '{"bucket":1}',
      '{"bucket":"a","key":"","id":"1"}',
      '{"__proto__":{"bucket":"a"}}',
      '\xff',
    ]) {
      refused(await post(alice, path, bad), 400, 'InvalidArgument')
    }
    refused(await post(alice, path, JSON.stringify({ bucket, key: 'a', id: 'x' })), 400, 'InvalidArgument')
  }
  refused(await post(alice, 'conflicts/discard', `{"a":"${'x'.repeat(70_000)}"}`), 400, 'EntityTooLarge')
})

test('jobs and letters: listed for administrators, and nothing is tried again that is not there', async () => {
  const work = JSON.parse((await read(administrator, 'jobs')).body.toString()) as Record<string, unknown>
  assert.deepEqual(Object.keys(work).sort(), ['dead', 'givenUp', 'jobs', 'tasks', 'waiting'])
  for (const path of ['jobs/retry', 'jobs/discard']) {
    for (const id of ['00', 'ff'.repeat(20), '', 'x', 'f', 'ff'.repeat(65)]) {
      refused(await post(administrator, path, JSON.stringify({ id })), 400, 'InvalidArgument')
    }
    refused(await post(administrator, path, '{}'), 400, 'InvalidArgument')
  }
  assert.deepEqual(JSON.parse((await read(alice, 'letters')).body.toString()), { letters: [], isAll: true })
  refused(await post(alice, 'letters/retry', '{"topic":1}'), 400, 'InvalidArgument')
  assert.deepEqual(JSON.parse((await post(alice, 'letters/delete', '{}')).body.toString()), { letters: 0 })
  assert.deepEqual(JSON.parse((await read(administrator, 'regions')).body.toString()), { regions: [] })
})

test('settings are shown without secrets', async () => {
  const canary = 'canary-secret-canary'
  const config = loadConfig(
    { redis: `redis://user:${canary}@127.0.0.1:6379/0` },
    { MERIDIAN_ACCESS_KEY: 'canaryaccess', MERIDIAN_SECRET_KEY: canary, MERIDIAN_CLUSTER_SECRET: canary },
  )
  const all = JSON.stringify(shownSettings(config))
  assert.doesNotMatch(all, /canary/)
  assert.match(all, /redis:\/\/…@127\.0\.0\.1:6379/)
  const { settings } = JSON.parse((await read(administrator, 'settings')).body.toString()) as {
    settings: { name: string; isDefault: boolean }[]
  }
  assert.equal(settings.find(({ name }) => name === 'region')?.isDefault, true)
  assert.equal(settings.find(({ name }) => name === 'data')?.isDefault, false)
})
