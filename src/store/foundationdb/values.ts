import { crc32 } from 'node:zlib'
import { StoreError, versionstampBytes } from '#src/store/store.ts'

/**
 * What is stored under a key. FoundationDB's own checksums (of pages and packets) end where its processes do; ours goes from the writer
 * to the reader, and starts from the key, so that a value under another's key is noticed too.
 *
 *     value ‖ zeros up to 8 bytes ‖ [offset, 4] ‖ kind, 1 ‖ CRC-32 of all that and of the key, 4
 *
 * FoundationDB's atomic add cuts a value to the 8 bytes that it adds, or extends it with zeros. So a value that was set is at least 8
 * bytes long here, its trailer behind them; and 8 bytes are always a sum, which has no checksum, since nobody could make one without
 * reading. A versionstamp, which only the cluster knows, is left out of the checksum: in a value at `offset`, in an appended key
 * before its order.
 */
const leastBytes = 8
const trailerBytes = 5
const offsetBytes = 4
const padMask = 0x0f
const stampedFlag = 0x10
const appendedFlag = 0x20
const orderBytes = 2

/** What FoundationDB wants behind a key or value with a versionstamp: where it goes. */
const placeBytes = 4

export function seal(key: Uint8Array, value: Uint8Array): Buffer {
  const stored = room(value, trailerBytes)
  return close(stored, stored.length, 0, crc32(key), value.length)
}

/** For an operand of FoundationDB's versionstamped value, which ends with the place of the versionstamp. */
export function sealStamped(key: Uint8Array, value: Uint8Array, offset: number): Buffer {
  const operand = room(value, offsetBytes + trailerBytes + placeBytes)
  const end = operand.length - placeBytes
  operand.writeUInt32LE(offset, end - trailerBytes - offsetBytes)
  operand.writeUInt32LE(offset, end)
  return close(operand, end, stampedFlag, crc32(key), value.length, offset)
}

/** `prefix` and `order`: of the appended key, without its versionstamp. */
export function sealAppended(prefix: Uint8Array, order: number, value: Uint8Array): Buffer {
  const stored = room(value, trailerBytes)
  const seed = crc32(Buffer.from([order >>> 8, order & 0xff]), crc32(prefix))
  return close(stored, stored.length, appendedFlag, seed, value.length)
}

/** The operand of an append's key: the place of the versionstamp comes last. `prefix` may be longer than the one in the checksum. */
export function appendedKey(prefix: Uint8Array, order: number): Buffer {
  const key = Buffer.alloc(prefix.length + versionstampBytes + orderBytes + placeBytes)
  key.set(prefix)
  key.writeUInt16BE(order, prefix.length + versionstampBytes)
  key.writeUInt32LE(prefix.length, prefix.length + versionstampBytes + orderBytes)
  return key
}

/** The value of what was stored under the key; throws StoreError `corrupt`. */
export function unseal(key: Uint8Array, stored: Buffer): Uint8Array {
  if (stored.length === leastBytes) return stored
  const at = stored.length - trailerBytes
  const kind = stored[at] ?? 0
  const isStamped = (kind & stampedFlag) !== 0
  const length = at - (isStamped ? offsetBytes : 0) - (kind & padMask)
  if (length < 0) throw corrupt(key)
  const seed = (kind & appendedFlag) === 0 ? crc32(key) : appendedSeed(key)
  const offset = isStamped ? stored.readUInt32LE(at - offsetBytes) : undefined
  if (offset !== undefined && offset + versionstampBytes > length) throw corrupt(key)
  if (checksum(stored, at + 1, seed, offset) !== stored.readUInt32LE(at + 1)) throw corrupt(key)
  return stored.subarray(0, length)
}

function room(value: Uint8Array, more: number): Buffer {
  const stored = Buffer.allocUnsafe(Math.max(value.length, leastBytes) + more)
  stored.set(value)
  if (value.length < leastBytes) stored.fill(0, value.length, leastBytes)
  return stored
}

function close(stored: Buffer, end: number, flag: number, seed: number, length: number, offset?: number): Buffer {
  stored[end - trailerBytes] = flag | Math.max(0, leastBytes - length)
  stored.writeUInt32LE(checksum(stored, end - 4, seed, offset), end - 4)
  return stored
}

/** Of the bytes before `end`, but for the versionstamp at `offset`. */
function checksum(stored: Buffer, end: number, seed: number, offset: number | undefined): number {
  if (offset === undefined) return crc32(stored.subarray(0, end), seed)
  const before = crc32(stored.subarray(0, offset), seed)
  return crc32(stored.subarray(offset + versionstampBytes, end), before)
}

function appendedSeed(key: Uint8Array): number {
  const end = key.length - orderBytes
  return crc32(key.subarray(end), crc32(key.subarray(0, Math.max(0, end - versionstampBytes))))
}

function corrupt(key: Uint8Array): StoreError {
  const name = Buffer.from(key).toString('hex')
  return new StoreError('corrupt', `the value of ${name} does not match its checksum`, { key })
}
