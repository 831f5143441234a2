import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dispatcher, type Target } from './dispatch.ts'
import { allOperations, implemented } from './operations/index.ts'
import { everyOperation } from './operations/unimplemented.ts'

const operations = allOperations()
const dispatch = dispatcher(operations)

function target(method: string, scope: Target['scope'], query = '', headers: Record<string, string> = {}): Target {
  const pairs = [...new URLSearchParams(query)]
  return { method, scope, query: new Map(pairs), headers }
}

const nameOf = (...words: Parameters<typeof target>): string | undefined => dispatch(target(...words))?.name

/** A request that is just what an operation asks for. */
function requestOf({ match }: (typeof everyOperation)[number]): Target {
  const keys = match.keys ?? []
  const headers = Object.fromEntries(keys.filter((each) => each.startsWith('x-amz-')).map((each) => [each, 'x']))
  const query = keys
    .filter((each) => !each.startsWith('x-amz-'))
    .map((each) => (each.includes('=') ? each : `${each}=x`))
  return target(match.method, match.scope, query.join('&'), headers)
}

test('every operation of the S3 API is an operation or NotImplemented', () => {
  assert.ok(everyOperation.length >= 112)
  for (const each of everyOperation) {
    const found = dispatch(requestOf(each))
    assert.equal(found?.name, each.name)
  }
})

test('what is registered is an operation of S3, matched as S3 matches it', () => {
  const known = new Map(everyOperation.map((each) => [each.name, each.match]))
  for (const { name, match } of implemented) {
    const wanted = known.get(name)
    assert.ok(wanted !== undefined, `${name} is an operation of S3`)
    assert.deepEqual(
      { method: match.method, scope: match.scope, keys: [...(match.keys ?? [])].sort() },
      { method: wanted.method, scope: wanted.scope, keys: [...(wanted.keys ?? [])].sort() },
      name,
    )
  }
})

test('D1: the operation that asks for most is taken', () => {
  assert.equal(nameOf('PUT', 'object', 'partNumber=1&uploadId=u'), 'UploadPart')
  assert.equal(nameOf('PUT', 'object', 'partNumber=1&uploadId=u', { 'x-amz-copy-source': 'b/k' }), 'UploadPartCopy')
  assert.equal(nameOf('PUT', 'object', '', { 'x-amz-copy-source': 'b/k' }), 'CopyObject')
  assert.equal(nameOf('PUT', 'object'), 'PutObject')
  assert.equal(nameOf('GET', 'bucket', 'list-type=2&prefix=a'), 'ListObjectsV2')
  assert.equal(nameOf('GET', 'bucket', 'list-type=1'), 'ListObjects')
  assert.equal(nameOf('GET', 'bucket', 'analytics&id=a'), 'GetBucketAnalyticsConfiguration')
  assert.equal(nameOf('GET', 'bucket', 'analytics'), 'ListBucketAnalyticsConfigurations')
})

test('D1: of several that ask for as much, the order of registration decides', () => {
  const row = (name: string, ...keys: string[]) => ({ name, match: { method: 'GET', scope: 'bucket', keys } as const })
  const both = target('GET', 'bucket', 'uploads&versions')
  assert.equal(dispatcher([row('first', 'uploads'), row('second', 'versions')])(both)?.name, 'first')
  assert.equal(dispatcher([row('second', 'versions'), row('first', 'uploads')])(both)?.name, 'second')
  // What clients get today where they ask for two things at once.
  const pinned = [
    nameOf('GET', 'bucket', 'uploads&versions'),
    nameOf('GET', 'bucket', 'acl&policy'),
    nameOf('PUT', 'object', 'acl&tagging'),
    nameOf('GET', 'object', 'acl&attributes'),
  ]
  assert.equal(new Set(pinned).size, pinned.length)
  for (const each of pinned) assert.ok(each !== undefined)
})

test('D2: a table with two operations for the same requests is refused', () => {
  const row = (name: string, keys: string[]) => ({ name, match: { method: 'GET', scope: 'object', keys } as const })
  assert.throws(() => dispatcher([row('one', ['a', 'b']), row('two', ['b', 'a'])]), /D2/)
})

test('D3: a sub-resource asked for by a wrong method is not taken for the resource', () => {
  assert.equal(nameOf('DELETE', 'object', 'acl'), undefined)
  assert.equal(nameOf('DELETE', 'bucket', 'versions'), undefined)
  assert.equal(nameOf('PUT', 'object', 'uploads'), undefined)
  assert.equal(nameOf('PUT', 'object', 'uploadId=u'), undefined)
  assert.equal(nameOf('POST', 'bucket', 'acl'), undefined)
})

test('names that S3 does not know are ignored, as S3 does', () => {
  assert.equal(nameOf('GET', 'object', 'x-id=GetObject&foo=bar'), 'GetObject')
  assert.equal(nameOf('DELETE', 'object', 'versionId=1&x-id=DeleteObject'), 'DeleteObject')
  assert.equal(nameOf('PUT', 'bucket', 'whatever'), 'CreateBucket')
  assert.equal(nameOf('GET', 'object', 'partNumber=1'), 'GetObject')
})

test('methods that fit nothing are none', () => {
  assert.equal(nameOf('POST', 'object'), undefined)
  assert.equal(nameOf('PATCH', 'object'), undefined)
  assert.equal(nameOf('DELETE', 'service'), undefined)
  assert.equal(nameOf('PROPFIND', 'bucket'), undefined)
})
