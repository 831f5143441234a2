import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeStrange, type PagesWebsite, pageKey, redirectLocation, ruleFor } from './website.ts'

const origin = { protocol: 'http', host: 'a.website.example:81' } as const
const website: PagesWebsite = {
  kind: 'pages',
  index: 'index.html',
  rules: [
    { keyPrefix: 'a/', errorStatus: 404, redirect: { hostName: 'one' } },
    { keyPrefix: 'a/', redirect: { hostName: 'two' } },
    { errorStatus: 404, redirect: { hostName: 'three' } },
  ],
}

test('a rule applies if all that it asks for is so, before or after the object was looked for', () => {
  const host = (key: string, status?: number) => ruleFor(website, key, status)?.redirect.hostName
  assert.deepEqual([host('a/b'), host('a/b', 404), host('b', 404)], ['two', 'one', 'three'])
  assert.deepEqual([host('b'), host('a/b', 403), host('a')], [undefined, undefined, undefined])
})

test('where a rule sends a key: what it replaces is taken as written, the rest of the key is encoded', () => {
  const to = (redirect: object, keyPrefix?: string) =>
    redirectLocation({ redirect, ...(keyPrefix !== undefined && { keyPrefix }) }, 'a/b c?', origin)
  assert.equal(to({}), 'http://a.website.example:81/a/b%20c%3F')
  assert.equal(to({ replacement: { of: 'key', by: 'x?y#z' } }), 'http://a.website.example:81/x?y#z')
  assert.equal(to({ replacement: { of: 'prefix', by: '#!/' } }, 'a/'), 'http://a.website.example:81/#!/b%20c%3F')
  assert.equal(to({ replacement: { of: 'prefix', by: '' } }, 'a/'), 'http://a.website.example:81/b%20c%3F')
  assert.equal(to({ protocol: 'https', hostName: 'h' }), 'https://h/a/b%20c%3F')
})

test('nothing that is written into a header ends it', () => {
  assert.equal(encodeStrange('a\r\nb ü\u{1f600}%20'), 'a%0D%0Ab%20%C3%BC%F0%9F%98%80%20')
})

test('a folder is its index', () => {
  assert.deepEqual(
    ['', 'a/', 'a'].map((key) => pageKey(website, key)),
    ['index.html', 'a/index.html', 'a'],
  )
})
