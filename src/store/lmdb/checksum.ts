import { crc32 } from '@node-rs/crc32'
import { StoreError } from '#src/store/store.ts'

/**
 * What is stored under a key: four bytes of CRC-32, then the value. The checksum starts from a hash of the key, so that a value
 * found under another's key (a page in the wrong place) is noticed too. LMDB itself has no checksums.
 */
export const checksumBytes = 4

/** Writes checksum and value into target, and returns how many bytes they take. */
export function seal(key: Uint8Array, value: Uint8Array, target: Buffer): number {
  target.writeUInt32LE(crc32(value, hash(key)))
  target.set(value, checksumBytes)
  return checksumBytes + value.length
}

/** The value of what was stored, or StoreError `corrupt`. */
export function unseal(key: Uint8Array, stored: Buffer): Uint8Array {
  if (stored.length < checksumBytes) throw corrupt(key)
  const value = stored.subarray(checksumBytes)
  if (crc32(value, hash(key)) !== stored.readUInt32LE()) throw corrupt(key)
  return value
}

function corrupt(key: Uint8Array): StoreError {
  const name = Buffer.from(key).toString('hex')
  return new StoreError('corrupt', `the value of ${name} does not match its checksum`, { key })
}

/** FNV-1a. */
function hash(key: Uint8Array): number {
  let state = 0x811c9dc5
  for (let index = 0; index < key.length; index++) state = Math.imul(state ^ (key[index] ?? 0), 0x01000193)
  return state >>> 0
}
