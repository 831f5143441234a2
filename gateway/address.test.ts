import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { addressing, parseQuery } from './address.ts'

const read = addressing(['s3.example.org', 'example.org'])
const host = '127.0.0.1:9000'

const named = (target: string, at = host) => {
  const { scope, bucket, key } = read(target, at)
  return [scope, bucket, key]
}

const refuses = (target: string, code: string, at = host): void => {
  assert.throws(
    () => read(target, at),
    (error: unknown) => error instanceof Fault && error.code === code,
    target,
  )
}

test('a path names a service, a bucket or an object', () => {
  assert.deepEqual(named('/'), ['service', '', ''])
  assert.deepEqual(named('/?x=1'), ['service', '', ''])
  assert.deepEqual(named('/b'), ['bucket', 'b', ''])
  assert.deepEqual(named('/b/'), ['bucket', 'b', ''])
  assert.deepEqual(named('/b/k'), ['object', 'b', 'k'])
  assert.deepEqual(named('/b/k/'), ['object', 'b', 'k/'])
})

test('A1: the path is decoded once, and what looks like a path means itself', () => {
  assert.deepEqual(named('/b/a+b'), ['object', 'b', 'a+b'])
  assert.deepEqual(named('/b/%2525'), ['object', 'b', '%25'])
  assert.deepEqual(named('/b//k'), ['object', 'b', '/k'])
  assert.deepEqual(named('/b/../c'), ['object', 'b', '../c'])
  assert.deepEqual(named('/b/%2e%2e/c'), ['object', 'b', '../c'])
  assert.deepEqual(named('/b/./c'), ['object', 'b', './c'])
  assert.deepEqual(named('/b/a%2Fb'), ['object', 'b', 'a/b'])
  assert.deepEqual(named('/b/%00'), ['object', 'b', '\0'])
  assert.deepEqual(named('/b/%F0%9F%98%80'), ['object', 'b', '😀'])
  assert.deepEqual(named('/b/a;b=c@d:e'), ['object', 'b', 'a;b=c@d:e'])
})

test('A1: what is no UTF-8 is refused', () => {
  for (const bad of ['%', '%4', '%zz', '%ff', '%c0%af', '%ed%a0%80', '%f4%90%80%80', '%80', '%e2%82']) {
    refuses(`/b/${bad}`, 'InvalidURI')
  }
  refuses('//k', 'InvalidBucketName')
  refuses('/b/k#fragment', 'InvalidURI')
  refuses('*', 'InvalidURI')
})

test('A1: every key survives the way to us', () => {
  const key = fc.string({ unit: 'grapheme', minLength: 1 }).filter((each) => each.isWellFormed())
  fc.assert(
    fc.property(key, (each) => {
      assert.deepEqual(named(`/b/${encodeURIComponent(each)}`), ['object', 'b', each])
      assert.deepEqual(named(`/${encodeURIComponent(each)}`, 'b.example.org'), ['object', 'b', each])
    }),
  )
})

test('A2: the raw path and query are handed on as they came', () => {
  const { rawPath, rawQuery } = read('/b/a%2Fb+c?x=%20+&y', host)
  assert.equal(rawPath, '/b/a%2Fb+c')
  assert.equal(rawQuery, 'x=%20+&y')
})

test('a host names a bucket under a base domain', () => {
  assert.deepEqual(named('/k', 'b.s3.example.org'), ['object', 'b', 'k'])
  assert.deepEqual(named('/k', 'a.b.s3.example.org:9000'), ['object', 'a.b', 'k'])
  assert.deepEqual(named('/', 'b.localhost:9000'), ['bucket', 'b', ''])
  assert.deepEqual(named('/k', 'B.EXAMPLE.org'), ['object', 'b', 'k'])
  assert.equal(read('/k', 'b.s3.example.org:9000').host, 's3.example.org:9000')
  assert.equal(read('/k', 'b.s3.example.org:9000').hostBucket, 'b')
})

test('a base domain itself, another domain and an address name none', () => {
  for (const each of [
    's3.example.org',
    'example.org',
    'localhost:9000',
    '127.0.0.1',
    '[::1]:9000',
    'b.elsewhere.net',
    '',
  ]) {
    assert.deepEqual(named('/b/k', each), ['object', 'b', 'k'], each)
  }
})

test('an absolute target must name the host of the Host header', () => {
  assert.deepEqual(named('http://127.0.0.1:9000/b/k?x'), ['object', 'b', 'k'])
  assert.deepEqual(named('http://127.0.0.1:9000'), ['service', '', ''])
  refuses('http://elsewhere/b/k', 'InvalidURI')
  refuses('http://127.0.0.1:9000@elsewhere/b', 'InvalidURI')
  refuses('ftp://127.0.0.1:9000/b', 'InvalidURI')
})

test('a query is read as forms write it, and the first of equal names counts', () => {
  const query = parseQuery('a=1&a=2&b&c=x+y%2B&=e&&%61%62=z')
  assert.deepEqual(
    [...query],
    [
      ['a', '1'],
      ['b', ''],
      ['c', 'x y+'],
      ['', 'e'],
      ['ab', 'z'],
    ],
  )
  assert.throws(() => parseQuery('a=%ff'), Fault)
})

test('a website has a host of its own, beside the API’s, and a query that nobody reads', () => {
  const both = addressing(['example.org'], ['website.localhost', 'web.example.org'])
  const page = both('/a%20b?x=%', 'www.example.com.website.localhost:9000')
  assert.deepEqual([page.isWebsite, page.bucket, page.key, page.query.size], [true, 'www.example.com', 'a b', 0])
  assert.equal(both('/', 'photos.WEB.example.org').isWebsite, true)
  // The domain itself names no bucket's site: it is a host like any other under `localhost`.
  const bare = both('/k', 'website.localhost')
  assert.deepEqual([bare.isWebsite, bare.bucket, bare.key], [undefined, 'website', 'k'])
  assert.equal(both('/', 'photos.example.org').isWebsite, undefined)
  assert.equal(addressing([])('/', 'photos.website.localhost').bucket, 'photos.website')
})

test('A3: what stands before a colon in the bucket of a path is its tenant', () => {
  const asked = (target: string, at = host) => {
    const { scope, bucket, key, tenant } = read(target, at)
    return [scope, tenant, bucket, key]
  }
  assert.deepEqual(asked('/team:b/k:1'), ['object', 'team', 'b', 'k:1'])
  assert.deepEqual(asked('/team%3Ab'), ['bucket', 'team', 'b', ''])
  assert.deepEqual(asked('/:b'), ['bucket', '', 'b', ''])
  assert.deepEqual(asked('/b/k'), ['object', undefined, 'b', 'k'])
  assert.deepEqual(asked('/team:b', 'bucket.example.org'), ['object', undefined, 'bucket', 'team:b'])
  refuses('/team:', 'InvalidBucketName')
})
