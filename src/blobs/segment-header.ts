import { crc32 } from 'node:zlib'

/**
 * A segment begins with 4 KiB of its own: at 0 who writes it, at 512 (once it is closed) that nothing follows any more.
 *
 * The seal needs no fsync: it is asked for only while its writer lives, and then the page cache has it; after a crash
 * the dead claim says the same.
 */
export const segmentDataStart = 4096
const sealAt = 512
const headerMagic = Buffer.from('MERIDIAN')
const sealMagic = Buffer.from('SEALED\0\0')
const format = 1

export interface SegmentHeader {
  readonly volume: string
  readonly number: number
  /** Of the only process that ever writes to the segment. */
  readonly claim: string
}

/** magic 8 · format 4 · number 4 · volume 16 · claim 16 · CRC-32 of all before. */
export function encodeSegmentHeader({ volume, number, claim }: SegmentHeader): Buffer {
  const header = Buffer.alloc(segmentDataStart)
  headerMagic.copy(header, 0)
  header.writeUInt32BE(format, 8)
  header.writeUInt32BE(number, 12)
  header.write(volume, 16, 'hex')
  header.write(claim, 32, 'hex')
  header.writeUInt32BE(crc32(header.subarray(0, 48)), 48)
  return header
}

export function parseSegmentHeader(start: Buffer, volume: string, number: number): SegmentHeader | undefined {
  if (!start.subarray(0, 8).equals(headerMagic) || start.readUInt32BE(8) !== format) return undefined
  if (start.readUInt32BE(48) !== crc32(start.subarray(0, 48))) return undefined
  if (start.readUInt32BE(12) !== number || start.toString('hex', 16, 32) !== volume) return undefined
  return { volume, number, claim: start.toString('hex', 32, 48) }
}

/** magic 8 · wall clock in milliseconds 8 · number 4 · volume 16 · CRC-32 of all before. */
export function encodeSeal(
  volume: string,
  number: number,
  now: number,
): { readonly at: number; readonly bytes: Buffer } {
  const bytes = Buffer.alloc(40)
  sealMagic.copy(bytes, 0)
  bytes.writeDoubleBE(now, 8)
  bytes.writeUInt32BE(number, 16)
  bytes.write(volume, 20, 'hex')
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 36)), 36)
  return { at: sealAt, bytes }
}

/** When the segment was sealed, or undefined where it was not. */
export function parseSeal(start: Buffer, volume: string, number: number): number | undefined {
  const seal = start.subarray(sealAt, sealAt + 40)
  if (!seal.subarray(0, 8).equals(sealMagic) || seal.readUInt32BE(36) !== crc32(seal.subarray(0, 36))) return undefined
  if (seal.readUInt32BE(16) !== number || seal.toString('hex', 20, 36) !== volume) return undefined
  return seal.readDoubleBE(8)
}
