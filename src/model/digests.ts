import { createHash } from 'node:crypto'
import { crc32, crc32c } from '@node-rs/crc32'
import type { ChecksumAlgorithm } from './checksum.ts'
import { type CrcAlgorithm, combineCrc } from './crc-combine.ts'
import { crc64, emptyCrc64 } from './crc64.ts'

/**
 * D1  a digest depends on the bytes alone, not on how they were cut into updates.
 * D2  the combined CRC of parts equals the CRC of their concatenation.
 */
export interface Digest {
  update(bytes: Uint8Array): void
  /** Base64, big-endian, as on the wire. May be asked for repeatedly, but then nothing may follow. */
  value(): string
}

export type DigestAlgorithm = ChecksumAlgorithm | 'MD5'

export const checksumAlgorithms: readonly ChecksumAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']

/** Of a value before base64, in bytes. */
export const digestBytes: Readonly<Record<DigestAlgorithm, number>> = {
  CRC32: 4,
  CRC32C: 4,
  CRC64NVME: 8,
  MD5: 16,
  SHA1: 20,
  SHA256: 32,
}

export function createDigest(algorithm: DigestAlgorithm): Digest {
  switch (algorithm) {
    case 'CRC32':
      return narrowCrc(crc32)
    case 'CRC32C':
      return narrowCrc(crc32c)
    case 'CRC64NVME':
      return wideCrc()
    case 'MD5':
    case 'SHA1':
    case 'SHA256':
      return hash(algorithm.toLowerCase())
  }
}

export function digestOf(algorithm: DigestAlgorithm, bytes: Uint8Array): string {
  const digest = createDigest(algorithm)
  digest.update(bytes)
  return digest.value()
}

function hash(name: string): Digest {
  const state = createHash(name)
  let value: string | undefined
  return {
    update: (bytes) => {
      state.update(bytes)
    },
    value: () => {
      value ??= state.digest('base64')
      return value
    },
  }
}

function narrowCrc(compute: (bytes: Uint8Array, before: number) => number): Digest {
  let value = 0
  return {
    update: (bytes) => {
      value = compute(bytes, value)
    },
    value: () => encodeHalves('CRC32', value, 0),
  }
}

function wideCrc(): Digest {
  let value = emptyCrc64
  return {
    update: (bytes) => {
      value = crc64(bytes, value)
    },
    value: () => encodeHalves('CRC64NVME', value.high, value.low),
  }
}

function encodeHalves(algorithm: CrcAlgorithm, high: number, low: number): string {
  const bytes = Buffer.alloc(digestBytes[algorithm])
  bytes.writeInt32BE(high | 0, 0)
  if (bytes.length === 8) bytes.writeInt32BE(low | 0, 4)
  return bytes.toString('base64')
}

function decodeHalves(value: string): { readonly high: number; readonly low: number } {
  const bytes = Buffer.from(value, 'base64')
  return { high: bytes.readInt32BE(0), low: bytes.length === 8 ? bytes.readInt32BE(4) : 0 }
}

/** Whether the text is the base64 of a value of this algorithm, in the one way to write it. */
export function isDigestValue(algorithm: DigestAlgorithm, text: string): boolean {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === digestBytes[algorithm] && bytes.toString('base64') === text
}

export interface DigestedPart {
  /** Base64, as `Digest.value` gives it. */
  readonly value: string
  /** In bytes. */
  readonly size: number
}

/** The full-object checksum of the parts in this order. Only CRCs can be combined without the bytes. */
export function combineChecksums(algorithm: CrcAlgorithm, parts: readonly DigestedPart[]): string {
  let whole = { high: 0, low: 0 }
  for (const part of parts) whole = combineCrc(algorithm, whole, decodeHalves(part.value), part.size)
  return encodeHalves(algorithm, whole.high, whole.low)
}

/** The checksum of the parts' checksums, with `-N` behind it. */
export function compositeChecksum(algorithm: ChecksumAlgorithm, values: readonly string[]): string {
  const digest = createDigest(algorithm)
  for (const value of values) digest.update(Buffer.from(value, 'base64'))
  return `${digest.value()}-${values.length}`
}

/** S3's ETag of an object uploaded in parts, from the parts' ETags (MD5 in hexadecimal), without quotes. */
export function multipartEtag(etags: readonly string[]): string {
  const state = createHash('md5')
  for (const etag of etags) state.update(etag, 'hex')
  return `${state.digest('hex')}-${etags.length}`
}

export const hexToBase64 = (value: string): string => Buffer.from(value, 'hex').toString('base64')
