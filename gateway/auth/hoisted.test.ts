import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queryPairs } from './canonical.ts'
import { withHoisted } from './hoisted.ts'

const hoisted = (query: string, headers = {}): object => withHoisted(headers, queryPairs(query))

test('a presigned URL brings its headers in the query; those that were sent stand', () => {
  assert.deepEqual(hoisted('X-Amz-Acl=public-read&x-amz-meta-Name=a%20b&prefix=x', { 'x-amz-acl': 'private' }), {
    'x-amz-acl': 'private',
    'x-amz-meta-name': 'a b',
  })
  const headers = { host: 'a' }
  assert.equal(
    withHoisted(headers, queryPairs('X-Amz-Date=1&x-amz-checksum-crc32=AAAAAA%3D%3D&x-id=PutObject')),
    headers,
  )
})

test('what could write other headers is refused', () => {
  for (const query of ['x-amz-meta-a=b%0d%0aSet-Cookie%3A%20c', 'x-amz-meta-a%0d%0ab=c', 'x-amz-meta-a=%00']) {
    assert.throws(() => hoisted(query), { code: 'InvalidArgument' })
  }
  assert.deepEqual(hoisted('x-amz-meta-a=%C3%A9'), { 'x-amz-meta-a': 'Ã©' })
})
