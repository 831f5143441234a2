import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { encodeMessage, errorMessage, recordsMessage, statsMessage } from './event-stream.ts'

/** Reads a message as AWS's appendix describes it, and checks all that can be checked. */
function decode(message: Uint8Array): { readonly headers: Record<string, string>; readonly payload: string } {
  const bytes = Buffer.from(message)
  assert.equal(bytes.readUInt32BE(0), bytes.length, 'total length')
  assert.equal(bytes.readUInt32BE(8), crc32(bytes.subarray(0, 8)), 'CRC of the prelude')
  assert.equal(bytes.readUInt32BE(bytes.length - 4), crc32(bytes.subarray(0, -4)), 'CRC of the message')
  const headers: Record<string, string> = {}
  const end = 12 + bytes.readUInt32BE(4)
  for (let at = 12; at < end; ) {
    const nameEnd = at + 1 + bytes.readUInt8(at)
    assert.equal(bytes.readUInt8(nameEnd), 7, 'a string')
    const valueEnd = nameEnd + 3 + bytes.readUInt16BE(nameEnd + 1)
    headers[bytes.toString('utf8', at + 1, nameEnd)] = bytes.toString('utf8', nameEnd + 3, valueEnd)
    at = valueEnd
  }
  return { headers, payload: bytes.toString('utf8', end, bytes.length - 4) }
}

test('V7: messages have their lengths, headers, payload and checksums', () => {
  assert.deepEqual(decode(encodeMessage([])), { headers: {}, payload: '' })
  assert.deepEqual(decode(recordsMessage(Buffer.from('a,b\n'))), {
    headers: {
      ':event-type': 'Records',
      ':content-type': 'application/octet-stream',
      ':message-type': 'event',
    },
    payload: 'a,b\n',
  })
  const { headers, payload } = decode(statsMessage('Stats', { scanned: 1, processed: 2, returned: 3 }))
  assert.equal(headers[':content-type'], 'text/xml')
  assert.match(payload, /<Stats><BytesScanned>1<\/BytesScanned><BytesProcessed>2<.*<BytesReturned>3</)
  assert.deepEqual(decode(errorMessage('CastFailed', 'ü'.repeat(300))).headers, {
    ':error-code': 'CastFailed',
    ':error-message': 'ü'.repeat(300),
    ':message-type': 'error',
  })
})

test('V7: the empty message, byte by byte', () => {
  // Of the event stream's own test vectors: https://github.com/awslabs/aws-c-event-stream
  assert.equal(Buffer.from(encodeMessage([])).toString('hex'), '000000100000000005c248eb7d98c8ff')
})
