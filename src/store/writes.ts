import assert from 'node:assert/strict'
import { limits, StoreError, versionstampBytes } from './store.ts'

/** What a transaction does to the store when it commits, in the order it was asked for. */
export type Write =
  | { readonly kind: 'set'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'clear'; readonly key: Uint8Array }
  | { readonly kind: 'clearRange'; readonly from: Uint8Array; readonly to: Uint8Array }
  | { readonly kind: 'add'; readonly key: Uint8Array; readonly delta: bigint }
  | { readonly kind: 'append'; readonly prefix: Uint8Array; readonly order: number; readonly value: Uint8Array }
  | { readonly kind: 'setStamped'; readonly key: Uint8Array; readonly value: Uint8Array; readonly offset: number }

/** The newest state, while nobody else changes it. */
export interface Target {
  get(key: Uint8Array): Uint8Array | undefined
  set(key: Uint8Array, value: Uint8Array): void
  clear(key: Uint8Array): void
  clearRange(from: Uint8Array, to: Uint8Array): void
}

const orderBytes = 2

export function apply(writes: readonly Write[], target: Target, stamp: Uint8Array): void {
  for (const write of writes) {
    if (write.kind === 'set') target.set(write.key, write.value)
    else if (write.kind === 'clear') target.clear(write.key)
    else if (write.kind === 'clearRange') target.clearRange(write.from, write.to)
    else if (write.kind === 'add') target.set(write.key, sum(target.get(write.key), write.delta))
    else if (write.kind === 'append') target.set(stampedKey(write.prefix, stamp, write.order), write.value)
    else target.set(write.key, stampedValue(write.value, stamp, write.offset))
  }
}

/** A 64-bit little-endian two's complement integer; of other lengths, cut or extended with zeros, as FoundationDB does. */
export function sum(value: Uint8Array | undefined, delta: bigint): Uint8Array {
  const result = Buffer.alloc(8)
  if (value !== undefined) result.set(value.subarray(0, 8))
  result.writeBigInt64LE(BigInt.asIntN(64, result.readBigInt64LE() + delta))
  return result
}

/** The 10 bytes of the `index`-th transaction of a commit. */
export function versionstamp(commit: number, index: number): Uint8Array {
  const stamp = Buffer.allocUnsafe(versionstampBytes)
  stamp.writeBigUInt64BE(BigInt(commit))
  stamp.writeUInt16BE(index, 8)
  return stamp
}

/**
 * FoundationDB counts a write with its key, its value and the range that it conflicts with, which names the key twice, and the structs
 * around them (65 bytes). A key has a prefix there of up to 65 bytes, and a value a trailer of up to 17.
 */
const writeBytes = 288
/** A read, with the range that it conflicts with. */
const readBytes = 160

/** What a read that names keys of so many bytes counts against the limit of a transaction. */
export const measureRead = (bytes: number): number => 2 * bytes + readBytes

/** The bytes that a write counts against the limits; throws what the limits forbid. */
export function measure(write: Write): number {
  return writeBytes + sizeOf(write)
}

function sizeOf(write: Write): number {
  switch (write.kind) {
    case 'set':
      return 3 * checkKey(write.key) + checkValue(write.value)
    case 'clear':
      return 4 * checkKey(write.key)
    case 'clearRange':
      return 2 * (checkBound(write.from) + checkBound(write.to))
    case 'add':
      return 3 * checkKey(write.key)
    case 'append':
      assert.ok(write.order >= 0 && write.order <= 0xffff, 'order takes two bytes')
      return 3 * checkKey(write.prefix, versionstampBytes + orderBytes) + checkValue(write.value)
    case 'setStamped':
      assert.ok(
        write.offset >= 0 && write.offset + versionstampBytes <= write.value.length,
        'room for the versionstamp',
      )
      return 3 * checkKey(write.key) + checkValue(write.value)
  }
}

export function checkKey(key: Uint8Array, more = 0): number {
  const size = key.length + more
  assert.ok(size > 0, 'a key has at least one byte')
  if (size > limits.keyBytes) throw new StoreError('key_too_large', `a key of ${size} bytes, over ${limits.keyBytes}`)
  return size
}

/** A bound of a range may be the least key above the largest. */
export function checkBound(bound: Uint8Array): number {
  if (bound.length > limits.keyBytes + 1) {
    throw new StoreError('key_too_large', `a bound of ${bound.length} bytes, over ${limits.keyBytes}`)
  }
  return bound.length
}

function checkValue(value: Uint8Array): number {
  if (value.length > limits.valueBytes) {
    throw new StoreError('value_too_large', `a value of ${value.length} bytes, over ${limits.valueBytes}`)
  }
  return value.length
}

function stampedKey(prefix: Uint8Array, stamp: Uint8Array, order: number): Uint8Array {
  const key = Buffer.allocUnsafe(prefix.length + versionstampBytes + orderBytes)
  key.set(prefix)
  key.set(stamp, prefix.length)
  key.writeUInt16BE(order, prefix.length + versionstampBytes)
  return key
}

function stampedValue(value: Uint8Array, stamp: Uint8Array, offset: number): Uint8Array {
  const stamped = Buffer.from(value)
  stamped.set(stamp, offset)
  return stamped
}
