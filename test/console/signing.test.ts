import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { hex, hmac, sha256 } from '#gateway/console/page/sha256.ts'
import { presigned, signedHeaders } from '#gateway/console/page/sign.ts'
import { keys, useHarness } from '../s3/store.ts'

const harness = useHarness()

test('SHA-256 and HMAC are those of everybody', () => {
  const bytes = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(bytes, bytes, (key, text) => {
      assert.equal(hex(sha256(text)), createHash('sha256').update(text).digest('hex'))
      assert.equal(hex(hmac(key, text)), createHmac('sha256', key).update(text).digest('hex'))
    }),
  )
})

const credentials = { accessKey: keys.alice.accessKeyId, secretKey: keys.alice.secretAccessKey }

test('what the page signs is taken, with awkward keys, queries and headers, and refused once it is touched', async () => {
  const { endpoint, makeBucket } = harness()
  const { host } = new URL(endpoint)
  const bucket = await makeBucket()
  for (const key of ['plain', 'a b+c', "quote'(x)*!", 'ü/€/🌍', '%41&=?#', 'a//b', '<img>']) {
    const path = `/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`
    const headers = { 'content-type': 'text/plain', 'x-amz-meta-a': 'one   two' }
    const sent = signedHeaders({ method: 'PUT', host, path, headers, now: new Date() }, credentials)
    const put = await fetch(`${endpoint}${path}`, { method: 'PUT', headers: sent, body: key })
    assert.equal(put.status, 200, `${key}: ${await put.text()}`)
    const query = { 'response-content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(key)}` }
    const link = presigned({ method: 'GET', host, path, query, now: new Date(), seconds: 60 }, credentials)
    const got = await fetch(`${endpoint}${link}`)
    assert.equal(await got.text(), key)
    assert.equal((await fetch(`${endpoint}${link.replace('Expires=60', 'Expires=61')}`)).status, 403)
  }
  const listed = signedHeaders(
    { method: 'GET', host, path: `/${bucket}`, query: { prefix: 'a b+c', 'list-type': '2' }, now: new Date() },
    credentials,
  )
  const list = await fetch(`${endpoint}/${bucket}?list-type=2&prefix=a%20b%2Bc`, { headers: listed })
  assert.match(await list.text(), /<Key>a b\+c<\/Key>/)
})
