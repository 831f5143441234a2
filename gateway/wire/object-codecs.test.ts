import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RequestBody } from '#gateway/operations/operation.ts'
import { Fault, type FaultCode } from '#src/errors.ts'
import { resolveSpan } from '#src/model/range.ts'
import { makeTags } from '#src/model/tags.ts'
import { decodeDigests } from './checksums.ts'
import { copySourceConditions, deleteConditions, readConditions, writeConditions } from './conditions.ts'
import { decodeContentHeaders, decodeOverrides } from './content-headers.ts'
import { parseCopySource } from './copy-source.ts'
import { parseEntityTags, unquoteEtag } from './etag.ts'
import { formatHttpDate, parseAnyDate, parseHttpDate, parseIsoDate } from './http-date.ts'
import { integerArgument, parseDigits } from './integer.ts'
import { decodeMetadata, encodeMetadata } from './metadata-headers.ts'
import { parseCopyRange, parseRange } from './range.ts'
import { parseTaggingHeader } from './tagging-header.ts'

const refuses = (code: FaultCode, run: () => unknown): void =>
  assert.throws(run, (error) => error instanceof Fault && error.code === code)

test('numbers are digits and nothing else', () => {
  fc.assert(fc.property(fc.maxSafeNat(), (number) => assert.equal(parseDigits(String(number)), number)))
  for (const wrong of ['', '-1', '+1', '1.0', '1e3', ' 1', '1 ', '0x10', '١', '1\n', 'NaN', '9'.repeat(41)]) {
    assert.equal(parseDigits(wrong), undefined, JSON.stringify(wrong))
  }
  assert.equal(parseDigits('18446744073709551617'), Number.MAX_SAFE_INTEGER)
  assert.equal(integerArgument('n', '10000', 1, 10_000), 10_000)
  for (const outside of ['0', '10001', '99999999999999999999']) {
    refuses('InvalidArgument', () => integerArgument('n', outside, 1, 10_000))
  }
})

test('a range is read as RFC 9110 has it, and anything else is no range', () => {
  assert.deepEqual(parseRange('bytes=0-'), { kind: 'range', from: 0 })
  assert.deepEqual(parseRange('bytes=5-9'), { kind: 'range', from: 5, to: 9 })
  assert.deepEqual(parseRange('bytes=-0'), { kind: 'suffix', bytes: 0 })
  const ignored = [
    '',
    'bytes=',
    'bytes=-',
    'bytes=5-3',
    'bytes=0-1,3-4',
    'bytes=a-b',
    'bytes=1',
    'items=0-1',
    'bytes=0-1 ',
    '0-1',
  ]
  for (const text of [
    ...ignored,
    'bytes=1.0-2',
    'bytes=-1-2',
    'bytes=+1-2',
    'bytes = 0-1',
    `bytes=${'0-0,'.repeat(1000)}0-0`,
  ]) {
    assert.equal(parseRange(text), undefined, text)
  }
})

test('a range gives the bytes that it names, at any size and edge', () => {
  const edge = fc.oneof(fc.nat(20), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 64))
  fc.assert(
    fc.property(fc.nat(20), edge, fc.option(edge), (size, from, to) => {
      const text = `bytes=${BigInt(from)}-${to === null ? '' : BigInt(to)}`
      const wanted = parseRange(text)
      if (to !== null && BigInt(to) < BigInt(from) && wanted === undefined) return
      assert.ok(wanted, text)
      const bytes = Array.from({ length: size }, (_, index) => index)
      const expected = bytes.filter((byte) => byte >= from && (to === null || byte <= to))
      if (from >= size) {
        refuses('InvalidRange', () => resolveSpan(wanted, size))
        return
      }
      const span = resolveSpan(wanted, size)
      assert.deepEqual(bytes.slice(span.from, span.to), expected)
    }),
  )
  fc.assert(
    fc.property(fc.nat(20), edge, (size, count) => {
      const wanted = parseRange(`bytes=-${BigInt(count)}`)
      assert.ok(wanted)
      if (count === 0 || size === 0) {
        refuses('InvalidRange', () => resolveSpan(wanted, size))
        return
      }
      assert.deepEqual(resolveSpan(wanted, size), { from: Math.max(0, size - count), to: size })
    }),
  )
})

test('a copy range has both ends', () => {
  assert.deepEqual(parseCopyRange('bytes=0-9'), { from: 0, to: 9 })
  for (const text of [
    '0-2',
    'bytes=0',
    'bytes=0-',
    'bytes=-5',
    'bytes=hello-world',
    'bytes=0-bar',
    'bytes=0-2,3-5',
    'bytes=3-2',
    '',
  ]) {
    refuses('InvalidArgument', () => parseCopyRange(text))
  }
})

const name = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .filter((key) => key.isWellFormed() && Buffer.byteLength(key) <= 1024)

test('a copy source is what was encoded, however much of it was', () => {
  const encodings = [
    (bucket: string, key: string) => `${bucket}/${encodeURIComponent(key)}`,
    (bucket: string, key: string) => `/${bucket}/${encodeURIComponent(key)}`,
    (bucket: string, key: string) => encodeURIComponent(`${bucket}/${key}`),
    (bucket: string, key: string) => `/${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`,
  ]
  fc.assert(
    fc.property(
      name,
      fc.constantFrom(...encodings),
      fc.option(fc.constantFrom('null', '1234567890123456789')),
      (key, encode, id) => {
        const source = parseCopySource(encode('a-bucket', key) + (id === null ? '' : `?versionId=${id}`))
        assert.deepEqual(source, { name: { bucket: 'a-bucket', key }, ...(id !== null && { versionId: id }) })
      },
    ),
  )
  assert.equal(parseCopySource('a-bucket/a+b%2Bc').name.key, 'a b+c')
  assert.equal(parseCopySource('a-bucket//x').name.key, '/x')
  assert.equal(parseCopySource('a-bucket/d/').name.key, 'd/')
  assert.equal(parseCopySource('a-bucket/anyfilename%25.txt').name.key, 'anyfilename%.txt')
  assert.equal(parseCopySource(`a-bucket/${Buffer.from('é').toString('latin1')}`).name.key, 'é')
  for (const text of [
    '',
    '/',
    'a-bucket',
    'a-bucket/',
    '/a-bucket',
    '//a-bucket/k',
    'a-bucket/%',
    'a-bucket/%ff',
    'a-bucket/%ED%A0%80',
    'a-bucket/k?versionId=',
  ]) {
    refuses('InvalidArgument', () => parseCopySource(text))
  }
  refuses('InvalidBucketName', () => parseCopySource('../k'))
  refuses('KeyTooLongError', () => parseCopySource(`a-bucket/${'k'.repeat(1025)}`))
})

test('entity tags are read with and without quotes, weak and in lists', () => {
  const strong = (value: string) => ({ value, isWeak: false })
  assert.deepEqual(parseEntityTags('"a"'), [strong('a')])
  assert.deepEqual(parseEntityTags('a'), [strong('a')])
  assert.deepEqual(parseEntityTags('"a", W/"b" ,"c,d"'), [strong('a'), { value: 'b', isWeak: true }, strong('c,d')])
  assert.deepEqual(parseEntityTags('*'), [strong('*')])
  assert.deepEqual(parseEntityTags('""'), [])
  for (const text of ['"a"', 'a', '&quot;a&quot;', ' "a" ']) assert.equal(unquoteEtag(text), 'a')
})

test('conditions: weak tags match no If-Match, unreadable dates are none, and the empty tag means nothing is there', () => {
  assert.deepEqual(readConditions({}), {})
  assert.deepEqual(readConditions({ 'if-match': 'W/"a"' }), { ifMatch: [] })
  assert.deepEqual(readConditions({ 'if-none-match': 'W/"a", "b"' }), { ifNoneMatch: ['a', 'b'] })
  assert.deepEqual(readConditions({ 'if-modified-since': 'yesterday', 'if-unmodified-since': '5' }), {})
  const date = 'Sat, 29 Oct 1994 19:43:31 GMT'
  assert.deepEqual(readConditions({ 'if-modified-since': date }), { ifModifiedSince: 783459811000 })
  for (const empty of ['', '""']) assert.deepEqual(writeConditions({ 'if-match': empty }), { ifNoneMatch: ['*'] })
  assert.deepEqual(writeConditions({ 'if-match': '"a"' }), { ifMatch: ['a'] })
  assert.deepEqual(copySourceConditions({ 'if-match': 'x', 'x-amz-copy-source-if-match': '"a"' }), { ifMatch: ['a'] })
  assert.deepEqual(deleteConditions({ 'x-amz-if-match-size': '5', 'x-amz-if-match-last-modified-time': date }), {
    ifMatchSize: 5,
    ifMatchModified: 783459811000,
  })
  refuses('InvalidArgument', () => deleteConditions({ 'x-amz-if-match-size': '-1' }))
  refuses('InvalidArgument', () => deleteConditions({ 'x-amz-if-match-last-modified-time': 'now' }))
})

test('dates are read in all forms that HTTP and S3 have, and nothing else is one', () => {
  const moment = 784111777000
  for (const text of ['Sun, 06 Nov 1994 08:49:37 GMT', 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal(parseHttpDate(text), moment, text)
  }
  for (const text of ['1994-11-06T08:49:37Z', '1994-11-06T08:49:37.000Z', '1994-11-06T08:49:37.000000+00:00']) {
    assert.equal(parseIsoDate(text), moment, text)
  }
  for (const text of ['', '1', 'foo 1', '2020', '2020-01-01', 'Sun, 99 Nov 1994 08:49:37 GMT']) {
    assert.equal(parseAnyDate(text), undefined, text)
  }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e9 }), (seconds) => {
      assert.equal(parseHttpDate(formatHttpDate(seconds * 1000)), seconds * 1000)
    }),
  )
})

test('metadata comes back as it was, whatever text it is, in headers of ASCII', () => {
  const unit = fc.oneof(
    fc.constantFrom('=?', '?=', '\r', '\n', '\0', ' ', '\u007f', 'é'),
    fc.string({ unit: 'grapheme', maxLength: 2 }),
  )
  const text = fc.array(unit, { maxLength: 20 }).map((units) => units.join(''))
  fc.assert(
    fc.property(text, (value) => {
      const headers: Record<string, string> = {}
      encodeMetadata(new Map([['n', value]]), headers)
      assert.match(headers['x-amz-meta-n'] ?? '', /^[\t\x20-\x7e]*$/)
      assert.equal(decodeMetadata(headers).get('n'), value)
    }),
  )
})

test('metadata that reads as an encoded word comes back as it was', () => {
  const headers: Record<string, string> = {}
  encodeMetadata(new Map([['n', '=?UTF-8?B?w6k=?=']]), headers)
  assert.equal(decodeMetadata(headers).get('n'), '=?UTF-8?B?w6k=?=')
})

test('metadata is read from encoded words, raw UTF-8 and raw Latin-1', () => {
  const read = (value: string) => decodeMetadata({ 'x-amz-meta-n': value }).get('n')
  assert.equal(read('=?UTF-8?B?w6k=?='), 'é')
  assert.equal(read('=?utf-8?Q?a_=C3=A9?='), 'a é')
  assert.equal(read('=?UTF-8?B?w6k=?= =?UTF-8?B?w6k=?= x'), 'éé x')
  assert.equal(read('=?iso-8859-1?q?=e9?='), 'é')
  assert.equal(read('=?klingon?b?w6k=?='), '=?klingon?b?w6k=?=')
  assert.equal(read(Buffer.from('é😀').toString('latin1')), 'é😀')
  assert.equal(read('Hello World\xe9'), 'Hello World\xe9')
})

test('metadata: 2 KiB of names and values, and names that no header can have are counted', () => {
  const most = { 'x-amz-meta-a': 'x'.repeat(1000), 'x-amz-meta-bc': 'y'.repeat(1045) }
  assert.equal(decodeMetadata(most).size, 2)
  refuses('MetadataTooLarge', () => decodeMetadata({ ...most, 'x-amz-meta-d': '' }))
  // Four bytes of UTF-8 each, though two units.
  refuses('MetadataTooLarge', () =>
    decodeMetadata({ 'x-amz-meta-a': Buffer.from('😀'.repeat(512)).toString('latin1') }),
  )
  const headers: Record<string, string> = {}
  encodeMetadata(
    new Map([
      ['a b', '1'],
      ['c:d', '2'],
      ['e', '3'],
    ]),
    headers,
  )
  assert.deepEqual(headers, { 'x-amz-meta-e': '3', 'x-amz-missing-meta': '2' })
})

test('content headers lose aws-chunked, and only that', () => {
  const encoding = (text: string) => decodeContentHeaders({ 'content-encoding': text }).contentEncoding
  assert.equal(encoding('gzip'), 'gzip')
  assert.equal(encoding('deflate, gzip'), 'deflate, gzip')
  assert.equal(encoding('gzip, aws-chunked'), 'gzip')
  assert.equal(encoding('aws-chunked, gzip'), 'gzip')
  assert.equal(encoding('aws-chunked,aws-chunked'), undefined)
  refuses('InvalidRedirectLocation', () => decodeContentHeaders({ 'x-amz-website-redirect-location': 'javascript:x' }))
})

test('response overrides are for signed requests, and write no header of their own', () => {
  const query = (value: string) => new Map([['response-content-disposition', value]])
  assert.deepEqual(decodeOverrides(query('attachment; filename="é"'), false), {
    contentDisposition: 'attachment; filename="é"',
  })
  refuses('InvalidRequest', () => decodeOverrides(query('x'), true))
  for (const value of ['a\r\nSet-Cookie: x', 'a\nb', 'a\0b', '😀', '\u0080']) {
    refuses('InvalidArgument', () => decodeOverrides(query(value), false))
  }
})

test('the tagging header is a query', () => {
  assert.deepEqual(
    [...parseTaggingHeader('a=1&b+c=%C3%A9&d&')],
    [
      ['a', '1'],
      ['b c', 'é'],
      ['d', ''],
    ],
  )
  const tag = fc.string({ unit: fc.constantFrom(...'abcÀé1 _.:/=+-@'), minLength: 1, maxLength: 128 })
  const value = fc.string({ unit: fc.constantFrom(...'abcÀé1 _.:/=+-@'), maxLength: 256 })
  fc.assert(
    fc.property(fc.dictionary(tag, value, { maxKeys: 10, noNullPrototype: true }), (tags) => {
      const text = Object.entries(tags)
        .map((pair) => pair.map(encodeURIComponent).join('='))
        .join('&')
      assert.deepEqual(parseTaggingHeader(text), new Map(Object.entries(tags)))
    }),
  )
  refuses('InvalidTag', () => parseTaggingHeader('a=1&a=2'))
  refuses('InvalidTag', () => parseTaggingHeader('=1'))
  refuses('InvalidTag', () => parseTaggingHeader('aws:x=1'))
  refuses('InvalidTag', () => parseTaggingHeader('a%00=1'))
  refuses('InvalidTag', () =>
    makeTags(
      Array.from({ length: 11 }, (_, index) => [`${index}`, ''] as const),
      10,
    ),
  )
  refuses('InvalidArgument', () => parseTaggingHeader('a=%'))
})

/** A body whose trailers are given. */
const bodyWith = (trailers: Record<string, string>): RequestBody => ({
  length: 0,
  async *stream() {},
  collect: async () => new Uint8Array(0),
  pieces: async () => [],
  trailers: () => new Map(Object.entries(trailers)),
})

test('a checksum comes in a header or in the trailer that was announced, and never in both', () => {
  const name = 'x-amz-checksum-crc32'
  const value = 'AAAAAA=='
  const decode = (headers: Record<string, string>, trailers: Record<string, string> = {}) =>
    decodeDigests(headers, bodyWith(trailers)).checksum?.value()
  assert.equal(decode({ [name]: value }), value)
  assert.equal(decode({ 'x-amz-trailer': name }, { [name]: value }), value)
  assert.equal(decode({ 'x-amz-trailer': 'x-other' }), undefined)
  assert.equal(decode({}, { [name]: value }), undefined)
  refuses('MalformedTrailerError', () => decode({ 'x-amz-trailer': name }))
  refuses('InvalidRequest', () => decode({ 'x-amz-trailer': name }, { [name]: 'bad' }))
  refuses('InvalidRequest', () => decode({ 'x-amz-trailer': name, [name]: value }, { [name]: value }))
  refuses('InvalidRequest', () => decode({ 'x-amz-trailer': `${name},x-amz-checksum-sha1` }))
  refuses('InvalidRequest', () => decode({ 'x-amz-trailer': 'x-amz-checksum-crc33' }))
})
