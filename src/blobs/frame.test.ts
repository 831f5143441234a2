import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  alignment,
  chunkBytes,
  describeChunk,
  frameBytes,
  headerBytes,
  idBytes,
  isIntact,
  laidOutBytes,
  parseHeader,
  placeHeader,
  volumeSeed,
} from './frame.ts'

const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const chunk = fc.nat(1_000_000)
const bytes = fc.uint8Array({ minLength: 1, maxLength: 300 })
const place = fc.record({ seed: id.map(volumeSeed), segment: fc.nat(99_999_999) }, { noNullPrototype: true })
const offset = fc.nat(1_000_000).map((index) => index * alignment)

function headerOf(ofId: string, ofChunk: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(headerBytes, 170)
  describeChunk(header, idBytes(ofId), ofChunk, body)
  return header
}

test('F2: a header says what was written, where it was written, and nowhere else', () => {
  fc.assert(
    fc.property(id, chunk, bytes, place, place, offset, offset, (ofId, ofChunk, body, here, there, at, elsewhere) => {
      const header = headerOf(ofId, ofChunk, body)
      const checksum = header.readUInt32BE(32)
      placeHeader(header, here, at)
      const frame = { id: ofId, chunk: ofChunk, length: body.length, checksum }
      assert.deepEqual(parseHeader(header, here, at), frame)
      assert.ok(isIntact(header, frame, body))
      if (at !== elsewhere) assert.equal(parseHeader(header, here, elsewhere), undefined)
      if (here.segment !== there.segment)
        assert.equal(parseHeader(header, { ...here, segment: there.segment }, at), undefined)
      if (here.seed !== there.seed) assert.equal(parseHeader(header, { ...here, seed: there.seed }, at), undefined)
    }),
  )
})

test('F1: bytes and checksum of another chunk, under a valid header of this one, are not intact', () => {
  fc.assert(
    fc.property(id, id, chunk, chunk, bytes, place, offset, (ofId, otherId, ofChunk, otherChunk, body, here, at) => {
      fc.pre(ofId !== otherId || ofChunk !== otherChunk)
      const header = headerOf(ofId, ofChunk, body)
      headerOf(otherId, otherChunk, body).copy(header, 32, 32, 36)
      placeHeader(header, here, at)
      const frame = parseHeader(header, here, at)
      assert.ok(frame !== undefined && !isIntact(header, frame, body))
    }),
  )
})

test('F2: a header with any one bit flipped is no header', () => {
  fc.assert(
    fc.property(id, chunk, bytes, place, offset, fc.nat(headerBytes * 8 - 1), (ofId, ofChunk, body, here, at, bit) => {
      const header = headerOf(ofId, ofChunk, body)
      placeHeader(header, here, at)
      header.writeUInt8(header.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(parseHeader(header, here, at), undefined)
    }),
    { numRuns: 500 },
  )
})

test('F2: frames are aligned, and laid out one after the other', () => {
  fc.assert(
    fc.property(fc.nat(5 * chunkBytes), (size) => {
      let sum = 0
      for (let left = size; left > 0; left -= chunkBytes) sum += frameBytes(Math.min(left, chunkBytes))
      assert.equal(laidOutBytes(size), sum)
      assert.equal(sum % alignment, 0)
      assert.ok(sum >= size)
    }),
  )
})
