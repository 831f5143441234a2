import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { journalLine, type StandardRecord, standardLine } from './log-lines.ts'

const record: StandardRecord = {
  owner: 'ada',
  bucket: 'photos',
  time: Date.UTC(2026, 1, 6, 9, 3, 5),
  remoteAddress: '192.0.2.3',
  requester: 'ada',
  requestId: '3E57427F3EXAMPLE',
  operation: 'REST.GET.OBJECT',
  key: 'a b/ü.txt',
  requestLine: 'GET /photos/a%20b/%C3%BC.txt HTTP/1.1',
  status: 200,
  errorCode: undefined,
  bytesSent: 113,
  objectSize: 226,
  totalMilliseconds: 7.4,
  turnAroundMilliseconds: 2.6,
  referer: undefined,
  userAgent: 'S3Console/0.4',
  versionId: '3HL4kqtJvjVBH40Nrjfkd',
  hostId: 'host',
  signatureVersion: 'SigV4',
  authenticationType: 'AuthHeader',
  host: 'photos.example.org',
  isByAcl: true,
}

test('a line has the fields of AWS, in their order', () => {
  assert.equal(
    standardLine(record),
    'ada photos [06/Feb/2026:09:03:05 +0000] 192.0.2.3 ada 3E57427F3EXAMPLE REST.GET.OBJECT a%20b/%C3%BC.txt ' +
      '"GET /photos/a%20b/%C3%BC.txt HTTP/1.1" 200 - 113 226 7 3 - "S3Console/0.4" 3HL4kqtJvjVBH40Nrjfkd host SigV4 - ' +
      'AuthHeader photos.example.org - - Yes\n',
  )
})

test('what is not known is a dash, as is nothing sent', () => {
  const bare = {
    ...record,
    remoteAddress: undefined,
    requester: undefined,
    key: undefined,
    bytesSent: 0,
    objectSize: undefined,
    turnAroundMilliseconds: undefined,
    userAgent: undefined,
    versionId: undefined,
    signatureVersion: undefined,
    authenticationType: undefined,
    host: undefined,
    isByAcl: false,
    status: 403,
    errorCode: 'AccessDenied',
  }
  assert.equal(
    standardLine(bare),
    'ada photos [06/Feb/2026:09:03:05 +0000] - - 3E57427F3EXAMPLE REST.GET.OBJECT - ' +
      '"GET /photos/a%20b/%C3%BC.txt HTTP/1.1" 403 AccessDenied - - 7 - - - - host - - - - - - -\n',
  )
})

test('a journal has eight fields, and tells of empty objects', () => {
  const { owner, bucket, time } = record
  const made = { owner, bucket, time, operation: 'REST.PUT.OBJECT', key: 'k', size: 0, versionId: 'v', etag: 'e' }
  assert.equal(journalLine(made), 'ada photos [06/Feb/2026:09:03:05 +0000] REST.PUT.OBJECT k 0 v e\n')
  const gone = { ...made, operation: 'REST.DELETE.OBJECT', size: undefined, versionId: undefined, etag: undefined }
  assert.equal(journalLine(gone), 'ada photos [06/Feb/2026:09:03:05 +0000] REST.DELETE.OBJECT k - - -\n')
})

/** Fields as their readers split them: by spaces, outside of quotes and brackets. */
function fieldsOf(line: string): readonly string[] {
  const found = line.match(/"[^"\n]*"|\[[^\]\n]*\]|[^\s]+/gu) ?? []
  assert.equal(found.join(' '), line.slice(0, -1))
  return found
}

/** Text that tries to be more than one field. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('"', ' ', '\n', '\r', '\t', '[', ']', '\\', '\0', 'a', '\u2028', '\u0085', 'ü') }),
)

test('H3: whatever clients send, a line is one line of 26 fields', () => {
  fc.assert(
    fc.property(
      fc.record({
        key: hostile,
        requestLine: hostile,
        referer: hostile,
        userAgent: hostile,
        host: hostile,
        versionId: hostile,
      }),
      (texts) => {
        const line = standardLine({ ...record, ...texts })
        assert.equal(line.indexOf('\n'), line.length - 1)
        assert.equal(fieldsOf(line).length, 26)
        assert.equal(fieldsOf(line)[9], '200')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: none is wanted
        assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
      },
    ),
    { numRuns: 500 },
  )
})

test('H3: whatever the key, a journal line has 8 fields, and gives the key back', () => {
  const { owner, bucket, time } = record
  fc.assert(
    fc.property(
      hostile.filter((key) => key !== '' && key.isWellFormed()),
      (key) => {
        const line = journalLine({ owner, bucket, time, operation: 'o', key, size: 1, versionId: undefined, etag: 'e' })
        const fields = fieldsOf(line)
        assert.equal(fields.length, 8)
        assert.equal(decodeURIComponent(fields[4] ?? ''), key)
      },
    ),
    { numRuns: 500 },
  )
})
