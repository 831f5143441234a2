import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import {
  DeleteBucketCommand,
  PutBucketPolicyCommand,
  PutBucketWebsiteCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3'
import { Certificates } from '#gateway/certificates.ts'
import { defaultLimits } from '#gateway/server.ts'
import { TlsFront } from '#gateway/tls-front.ts'
import { openLog } from '#src/telemetry/log.ts'
import { selfSigned } from '#src/webhook/certificate.ts'
import { presigned } from '../../bin/client/signing.ts'
import { SignedClient } from '../support/signed-client.ts'
import { type Harness, keys, openHarness } from './store.ts'

let harness: Harness
let alice: SignedClient
let folder: string

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-content-'))
  harness = await openHarness({ acmeChallenges: join(folder, 'challenges') })
  const { accessKeyId, secretAccessKey } = keys.alice
  alice = new SignedClient(harness.endpoint, { accessKey: accessKeyId, secretKey: secretAccessKey })
})

after(async () => {
  alice?.close()
  await harness?.close()
  await rm(folder, { recursive: true, force: true })
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

const ask = (host: string, path: string, method = 'GET', headers: Readonly<Record<string, string>> = {}) =>
  new Promise<Answer>((resolve, reject) => {
    const { port } = new URL(harness.endpoint)
    const sent = request({ host: '127.0.0.1', port, path, method, headers: { ...headers, host } }, (answer) => {
      let body = ''
      answer.setEncoding('utf8').on('data', (chunk: string) => {
        body += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }))
      answer.on('error', reject)
    })
    sent.on('error', reject).end()
  })

/** What is under `open/` is everybody's. */
async function publicBucket(): Promise<string> {
  const Bucket = await harness.makeBucket()
  const put = (Key: string, Body: string, ContentType: string, CacheControl?: string) =>
    harness.client.send(new PutObjectCommand({ Bucket, Key, Body, ContentType, CacheControl }))
  await put('open/a.css', 'a {}', 'text/css')
  await put('open/page.html', '<p>', 'text/html')
  await put('open/own.css', 'b {}', 'text/css', 'no-store')
  await put('closed', 'secret', 'text/plain')
  const Statement = [
    { Effect: 'Allow', Principal: '*', Action: 's3:GetObject', Resource: `arn:aws:s3:::${Bucket}/open/*` },
  ]
  await harness.client.send(
    new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify({ Version: '2012-10-17', Statement }) }),
  )
  return Bucket
}

const patch = async (bucket: string, body: unknown) => {
  const answer = await alice.send({ method: 'PATCH', path: `/${bucket}`, body: Buffer.from(JSON.stringify(body)) })
  return { status: answer.status, text: answer.body.toString() }
}

test('E3: a content host shows what is everybody’s, safely, and does nothing else', async () => {
  const bucket = await publicBucket()
  const host = `${bucket}.content.localhost`
  const css = await ask(host, '/open/a.css', 'GET', { cookie: 'a=b' })
  assert.deepEqual([css.status, css.body], [200, 'a {}'])
  assert.equal(css.headers['x-content-type-options'], 'nosniff')
  assert.equal(css.headers['cache-control'], 'public, max-age=3600')
  assert.equal(css.headers['set-cookie'], undefined)
  assert.equal((await ask(host, '/open/page.html')).headers['cache-control'], undefined)
  assert.equal((await ask(host, '/open/own.css')).headers['cache-control'], 'no-store')
  assert.equal((await ask(host, '/open/a.css', 'HEAD')).headers['content-length'], '4')
  assert.equal((await ask(host, '/closed')).status, 403)
  assert.equal((await ask(host, '/open/none')).status, 403)
  assert.equal((await ask(host, '/')).status, 403)
  for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
    assert.equal((await ask(host, '/open/a.css', method)).status, 405, method)
  }
  assert.equal((await ask(host, '/?list-type=2')).status, 403)
  assert.equal((await ask(`no-${bucket}.content.localhost`, '/open/a.css')).status, 404)
  // A signature in a header, as a browser would not send it, is not looked at.
  const { headers } = alice.signed({ method: 'GET', path: '/closed' })
  assert.equal((await ask(host, '/closed', 'GET', headers)).status, 403)
})

test('E3: a URL that is signed for the host shows its object there, and that alone', async () => {
  const bucket = await publicBucket()
  const host = `${bucket}.content.localhost`
  const signer = { ...keys.alice, region: 'us-east-1' }
  const sign = (path: string) => {
    const url = new URL(`http://${host}${path}`)
    const { pathname, search } = presigned(signer, { method: 'GET', url, now: new Date() }, 60)
    return `${pathname}${search}`
  }
  const shown = await ask(host, sign('/closed'))
  assert.deepEqual([shown.status, shown.body], [200, 'secret'])
  assert.equal(shown.headers['x-content-type-options'], 'nosniff')
  assert.equal((await ask(host, sign('/closed').replace('/closed', '/open/none'))).status, 403)
  assert.equal((await ask(host, sign('/closed?acl='))).status, 405)
})

test('V13: a domain of one’s own leads to its bucket, to one at a time, and goes with it', async () => {
  const [bucket, other] = [await publicBucket(), await publicBucket()]
  const own = 'Files.Example.com'
  assert.equal((await patch(bucket, { website: { domain_name: own } })).status, 200)
  assert.equal((await ask('files.example.com', '/open/a.css')).body, 'a {}')
  assert.equal((await ask('files.example.com:8080', '/open/a.css')).body, 'a {}')
  assert.equal((await ask('other.example.com', '/open/a.css')).status, 404)
  const taken = await patch(other, { website: { domain_name: 'files.example.com' } })
  assert.equal(taken.status, 409)
  assert.match(taken.text, /Another bucket/)
  for (const name of ['localhost', 'x.content.localhost', 'x.website.localhost', '1.2.3.4', 'a b.com', 'nolabel']) {
    assert.equal((await patch(other, { website: { domain_name: name } })).status, 400, name)
  }
  assert.equal(
    (await patch(bucket, { cache_control: 'max-age=5', website: { domain_name: 'new.example.com' } })).status,
    200,
  )
  const moved = await ask('new.example.com', '/open/page.html')
  assert.equal(moved.headers['cache-control'], 'max-age=5')
  assert.equal((await patch(other, { website: { domain_name: 'files.example.com' } })).status, 200)
  assert.equal((await patch(other, { website: {} })).status, 200)
  const empty = await harness.makeBucket()
  assert.equal((await patch(empty, { website: { domain_name: 'files.example.com' } })).status, 200)
  await harness.client.send(new DeleteBucketCommand({ Bucket: empty }))
  assert.equal((await patch(other, { website: { domain_name: 'files.example.com' } })).status, 200)
  const told = await alice.send({ method: 'GET', path: `/${other}`, query: { metadata: '' } })
  assert.deepEqual(JSON.parse(told.body.toString()).website, { domain_name: 'files.example.com' })
})

test('a website is shown under its bucket’s own domain, and an ACME client’s challenges too', async () => {
  const bucket = await publicBucket()
  assert.equal((await patch(bucket, { website: { domain_name: 'www.example.com' } })).status, 200)
  await harness.client.send(
    new PutBucketWebsiteCommand({
      Bucket: bucket,
      WebsiteConfiguration: { IndexDocument: { Suffix: 'page.html' } },
    }),
  )
  assert.equal((await ask('www.example.com', '/open/')).body, '<p>')
  await mkdir(join(folder, 'challenges'))
  const token = 'evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA'
  await writeFile(join(folder, 'challenges', token), `${token}.thumbprint`)
  assert.equal((await ask('www.example.com', `/.well-known/acme-challenge/${token}`)).body, `${token}.thumbprint`)
  for (const name of ['nothing-of-that-name-x', '..%2F..%2Fetc%2Fpasswd', token.slice(0, 5)]) {
    assert.equal((await ask('www.example.com', `/.well-known/acme-challenge/${name}`)).status, 404, name)
  }
})

async function writeCertificate(name: string, host: string, serial: number): Promise<void> {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const [from, to] = [Date.now() - 86_400_000, Date.now() + 86_400_000]
  const certificate = selfSigned({ privateKey, commonName: host, serial: Buffer.from([serial]), from, to })
  for (const [extension, text] of [['key', privateKey] as const, ['crt', certificate] as const]) {
    const path = join(folder, 'certificates', `${name}.${extension}`)
    await writeFile(`${path}.new`, text)
    await rename(`${path}.new`, path)
  }
}

/** What was asked for; a byte stands before it. */
const lastByte = (serial: string): number => Number.parseInt(serial.slice(-2), 16)

test('G8: each domain has its certificate, and a renewed one counts without a restart', async () => {
  const bucket = await publicBucket()
  assert.equal((await patch(bucket, { website: { domain_name: 'tls.example.com' } })).status, 200)
  await mkdir(join(folder, 'certificates'))
  await writeCertificate('tls', 'tls.example.com', 1)
  await writeCertificate('wild', '*.example.net', 2)
  const errors: string[] = []
  const front = new TlsFront(
    harness.gateway,
    new Certificates(join(folder, 'certificates'), { ...openLog('silent'), error: (text) => void errors.push(text) }),
    defaultLimits,
  )
  const { port } = await front.listen('127.0.0.1', 0)
  /** The status, and the serial number of the certificate. */
  const over = (servername: string, path = '/open/a.css') =>
    new Promise<{ status: number; serial: string; hsts: unknown }>((resolve, reject) => {
      const options = { host: '127.0.0.1', port, path, servername, headers: { host: servername }, agent: false }
      secureRequest({ ...options, rejectUnauthorized: false }, (answer) => {
        const { raw } = (answer.socket as TLSSocket).getPeerCertificate()
        const serial = new X509Certificate(raw).serialNumber
        answer
          .resume()
          .on('end', () =>
            resolve({ status: answer.statusCode ?? 0, serial, hsts: answer.headers['strict-transport-security'] }),
          )
      })
        .on('error', reject)
        .end()
    })
  try {
    const first = await over('tls.example.com')
    assert.deepEqual([first.status, lastByte(first.serial)], [200, 1])
    assert.match(String(first.hsts), /max-age=/)
    assert.equal(lastByte((await over('any.example.net')).serial), 2)
    await assert.rejects(over('unknown.example.org'))
    await writeCertificate('tls', 'tls.example.com', 3)
    for (const end = Date.now() + 20_000; ; await wait(50)) {
      const { serial } = await over('tls.example.com')
      if (lastByte(serial) === 3) break
      assert.ok(Date.now() < end, serial)
    }
    // Half a certificate changes nothing.
    await writeFile(join(folder, 'certificates', 'tls.crt'), 'no certificate')
    for (const end = Date.now() + 20_000; errors.length === 0; await wait(50)) {
      assert.equal(lastByte((await over('tls.example.com')).serial), 3)
      assert.ok(Date.now() < end, 'it is told')
    }
    assert.equal(lastByte((await over('tls.example.com')).serial), 3)
  } finally {
    await front.close()
  }
})
