import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { errorAnswer, faultOf } from './errors.ts'

const ids = { resource: '/b/<k>', requestId: 'R', hostId: 'H' }

test("a fault is S3's document, with its details as elements", () => {
  const { status, headers, body } = errorAnswer(
    new Fault('NoSuchUpload', { UploadId: 'u&v', message: 'Gone.', isX: 1 }),
    ids,
  )
  assert.equal(status, 404)
  assert.equal(headers['content-type'], 'application/xml')
  assert.equal(
    body,
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchUpload</Code><Message>Gone.</Message>' +
      '<UploadId>u&amp;v</UploadId><Resource>/b/&lt;k&gt;</Resource><RequestId>R</RequestId><HostId>H</HostId></Error>',
  )
})

test('a 304 has validators and no body', () => {
  const { status, headers, body } = errorAnswer(new Fault('NotModified', { ETag: 'abc', LastModified: 0 }), ids)
  assert.equal(status, 304)
  assert.equal(body, '')
  assert.deepEqual(headers, { 'last-modified': 'Thu, 01 Jan 1970 00:00:00 GMT', etag: '"abc"' })
})

test('a delete marker is told in headers', () => {
  const { headers } = errorAnswer(new Fault('NoSuchKey', { Key: 'k', isMarker: 1, VersionId: '7' }), ids)
  assert.equal(headers['x-amz-delete-marker'], 'true')
  assert.equal(headers['x-amz-version-id'], '7')
  assert.equal(errorAnswer(new Fault('MethodNotAllowed', { isMarker: 1 }), ids).headers['allow'], 'DELETE')
})

test('what is no fault is told to nobody', () => {
  const { fault, isExpected } = faultOf(new Error('password 123'))
  assert.equal(isExpected, false)
  const { status, body } = errorAnswer(fault, ids)
  assert.equal(status, 500)
  assert.ok(!body.includes('password'))
  assert.match(body, /<Code>InternalError</)
  assert.equal(faultOf('thrown text').fault.code, 'InternalError')
})

test('a store that is full or too slow is a 503', () => {
  for (const code of ['full', 'transaction_too_old', 'unavailable', 'unknown_result', 'ENOSPC']) {
    const { fault, isExpected } = faultOf(Object.assign(new Error('x'), { code }))
    assert.equal(fault.code, 'ServiceUnavailable')
    assert.equal(isExpected, false)
    assert.equal(errorAnswer(fault, ids).status, 503)
  }
})
