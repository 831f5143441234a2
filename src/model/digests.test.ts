import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type CrcAlgorithm, combineCrc } from './crc-combine.ts'
import {
  checksumAlgorithms,
  combineChecksums,
  compositeChecksum,
  createDigest,
  type DigestAlgorithm,
  digestOf,
  hexToBase64,
  isDigestValue,
  multipartEtag,
} from './digests.ts'

const digits = Buffer.from('123456789')
const algorithms: readonly DigestAlgorithm[] = [...checksumAlgorithms, 'MD5']
const crcs: readonly CrcAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME']

// The check values of the CRC catalogue (https://reveng.sourceforge.io/crc-catalogue/all.htm) and of the hashes' RFCs.
const vectors: Readonly<Record<DigestAlgorithm, string>> = {
  CRC32: 'cbf43926',
  CRC32C: 'e3069283',
  CRC64NVME: 'ae8b14860a799888',
  MD5: '25f9e794323b453885f5181f1b624d0b',
  SHA1: 'f7c3bc1d808e04732adf679965ccc34ca7ae3441',
  SHA256: '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225',
}

for (const algorithm of algorithms) {
  test(`${algorithm} of the catalogue's test vector`, () => {
    assert.equal(digestOf(algorithm, digits), hexToBase64(vectors[algorithm]))
  })

  test(`D1: ${algorithm} does not depend on how the bytes were cut`, () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), (pieces) => {
        const digest = createDigest(algorithm)
        for (const piece of pieces) digest.update(piece)
        assert.equal(digest.value(), digestOf(algorithm, Buffer.concat(pieces)))
        assert.equal(digest.value(), digest.value())
        assert.ok(isDigestValue(algorithm, digest.value()))
      }),
    )
  })
}

/** Bit by bit, from the definition: slow, and short enough to be seen right. */
function plainCrc64(bytes: Uint8Array): string {
  const ones = 0xffffffffffffffffn
  let value = ones
  for (const byte of bytes) {
    value ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) value = (value & 1n) === 1n ? (value >> 1n) ^ 0x9a6c9329ac4bc9b5n : value >> 1n
  }
  return hexToBase64((value ^ ones).toString(16).padStart(16, '0'))
}

test('CRC64NVME agrees with its definition, bit by bit', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.equal(digestOf('CRC64NVME', bytes), plainCrc64(bytes))
    }),
  )
})

for (const algorithm of crcs) {
  test(`D2: ${algorithm} of parts combines to that of their concatenation`, () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 12 }), (pieces) => {
        const parts = pieces.map((piece) => ({ value: digestOf(algorithm, piece), size: piece.length }))
        assert.equal(combineChecksums(algorithm, parts), digestOf(algorithm, Buffer.concat(pieces)))
      }),
    )
  })

  test(`D2: ${algorithm} combines over lengths that no memory holds`, () => {
    // Combining is associative: (a b) c = a (b c), whatever the lengths.
    const half = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const value =
      algorithm === 'CRC64NVME' ? fc.record({ high: half, low: half }) : half.map((high) => ({ high, low: 0 }))
    const size = fc.integer({ min: 0, max: 2 ** 51 })
    fc.assert(
      fc.property(value, value, value, size, size, (a, b, c, bSize, cSize) => {
        const left = combineCrc(algorithm, combineCrc(algorithm, a, b, bSize), c, cSize)
        const right = combineCrc(algorithm, a, combineCrc(algorithm, b, c, cSize), bSize + cSize)
        assert.deepEqual({ high: left.high | 0, low: left.low | 0 }, { high: right.high | 0, low: right.low | 0 })
      }),
      { numRuns: 30 },
    )
  })
}

test('a composite checksum is that of the raw part checksums, with their number', () => {
  const values = [digestOf('SHA256', digits), digestOf('SHA256', Buffer.from('x'))]
  const raw = Buffer.concat(values.map((value) => Buffer.from(value, 'base64')))
  assert.equal(compositeChecksum('SHA256', values), `${createHash('sha256').update(raw).digest('base64')}-2`)
})

test("a multipart ETag is the MD5 of the parts' raw MD5s, with their number", () => {
  const etags = [createHash('md5').update('a').digest('hex'), createHash('md5').update('b').digest('hex')]
  const raw = Buffer.from(etags.join(''), 'hex')
  assert.equal(multipartEtag(etags), `${createHash('md5').update(raw).digest('hex')}-2`)
})

test('a digest is accepted in its one base64 form only', () => {
  assert.ok(isDigestValue('CRC32', 'AAAAAA=='))
  for (const wrong of ['', 'AAAAAA', 'AAAAAB==', 'AAAAAAAA', 'AAAAAA==\n', ' AAAAAA==', 'AAAA-A==']) {
    assert.ok(!isDigestValue('CRC32', wrong), wrong)
  }
})
