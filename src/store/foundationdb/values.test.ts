import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { StoreError, versionstampBytes } from '#src/store/store.ts'
import { sum } from '#src/store/writes.ts'
import { appendedKey, seal, sealAppended, sealStamped, unseal } from './values.ts'

const bytes = (maxLength: number) => fc.uint8Array({ minLength: 0, maxLength }).map((each) => Buffer.from(each))
const key = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((each) => Buffer.from(each))
const stamp = fc
  .uint8Array({ minLength: versionstampBytes, maxLength: versionstampBytes })
  .map((each) => Buffer.from(each))
const isCorrupt = (error: unknown) => error instanceof StoreError && error.code === 'corrupt'

/** What the cluster does with an operand: the place, its last four bytes, says where the versionstamp goes. */
function carriedOut(operand: Buffer, stamp: Buffer): Buffer {
  const result = Buffer.from(operand.subarray(0, -4))
  result.set(stamp, operand.readUInt32LE(operand.length - 4))
  return result
}

/** FoundationDB's atomic add. */
function added(stored: Buffer, delta: bigint): Buffer {
  const result = Buffer.alloc(8)
  result.set(stored.subarray(0, 8))
  result.writeBigInt64LE(BigInt.asIntN(64, result.readBigInt64LE() + delta))
  return result
}

test('a value comes back as it was, however short', () => {
  fc.assert(
    fc.property(key, bytes(40), (key, value) => {
      assert.deepEqual(Buffer.from(unseal(key, seal(key, value))), value)
    }),
  )
})

test("an atomic add to a stored value makes what the contract's add makes", () => {
  fc.assert(
    fc.property(key, bytes(20), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (key, value, delta) => {
      assert.deepEqual(Buffer.from(unseal(key, added(seal(key, value), delta))), Buffer.from(sum(value, delta)))
    }),
  )
})

test('a value with a versionstamp comes back with it', () => {
  fc.assert(
    fc.property(key, bytes(10), bytes(10), stamp, (key, before, after, stamp) => {
      const value = Buffer.concat([before, Buffer.alloc(versionstampBytes), after])
      const stored = carriedOut(sealStamped(key, value, before.length), stamp)
      assert.deepEqual(Buffer.from(unseal(key, stored)), Buffer.concat([before, stamp, after]))
    }),
  )
})

test('an appended value comes back under its whole key, and under no other', () => {
  fc.assert(
    fc.property(key, fc.nat(0xffff), bytes(40), stamp, (prefix, order, value, stamp) => {
      const whole = carriedOut(appendedKey(prefix, order), stamp)
      assert.equal(whole.length, prefix.length + versionstampBytes + 2)
      assert.equal(whole.readUInt16BE(whole.length - 2), order)
      const stored = sealAppended(prefix, order, value)
      assert.deepEqual(Buffer.from(unseal(whole, stored)), value)
      const other = Buffer.from(whole)
      other[0] = (other[0] ?? 0) ^ 1
      assert.throws(() => unseal(other, stored), isCorrupt)
    }),
  )
})

test('K5: any changed bit, a cut, and a value under the wrong key are noticed', () => {
  fc.assert(
    fc.property(key, bytes(30), fc.nat(), fc.nat(7), (key, value, at, bit) => {
      const stored = seal(key, value)
      const flipped = Buffer.from(stored)
      const place = at % stored.length
      flipped[place] = (flipped[place] ?? 0) ^ (1 << bit)
      assert.throws(() => unseal(key, flipped), isCorrupt)
      const cut = stored.subarray(0, at % stored.length)
      if (cut.length !== 8) assert.throws(() => unseal(key, cut), isCorrupt)
      assert.throws(() => unseal(Buffer.concat([key, Buffer.from([0])]), stored), isCorrupt)
    }),
  )
})
