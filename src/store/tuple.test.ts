import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { afterKey, afterPrefix, append, appendText, type Element, pack, TupleReader, unpack } from './tuple.ts'

/** Long and short runs of NULs between a few low, middle and high bytes: where the coding could go wrong. */
const run = fc.oneof(fc.constantFrom(0, 1, 2, 126, 127, 128, 129, 253, 254, 255, 1024), fc.nat(600))
const piece = fc.oneof(
  run.map((length) => Buffer.alloc(length)),
  fc.constantFrom(1, 2, 0x7f, 0x80, 0x81, 0xfe, 0xff).map((byte) => Buffer.from([byte])),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
)
const bytes = fc.array(piece, { maxLength: 6 }).map((pieces) => Buffer.concat(pieces))
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }).filter((each) => each.isWellFormed()),
  fc
    .array(fc.constantFrom('\0', '\0\0', 'a', 'é', '\u{1f600}', '\uffff', '/'), { maxLength: 90 })
    .map((all) => all.join('')),
)
const integer = fc.oneof(
  fc.maxSafeInteger(),
  fc.integer({ min: -70_000, max: 70_000 }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc
    .tuple(fc.constantFrom(8n, 16n, 24n, 32n, 40n, 48n, 53n, 56n, 63n), fc.constantFrom(-1n, 0n, 1n), fc.boolean())
    .map(([bits, step, negative]) => BigInt.asIntN(64, (negative ? -1n : 1n) * (2n ** bits + step))),
)
const tuple = fc.array(fc.oneof(integer, text, bytes), { maxLength: 4 })

const rank = (element: Element): number => (typeof element === 'object' ? 0 : typeof element === 'string' ? 1 : 2)

function compareElements(a: Element, b: Element): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (typeof a === 'object' && typeof b === 'object') return Buffer.compare(a, b)
  if (typeof a === 'string' && typeof b === 'string') return Buffer.compare(Buffer.from(a), Buffer.from(b))
  return a < b ? -1 : a > b ? 1 : 0
}

function compareTuples(a: readonly Element[], b: readonly Element[]): number {
  for (const [index, element] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    const order = compareElements(element, other)
    if (order !== 0) return Math.sign(order)
  }
  return a.length === b.length ? 0 : -1
}

/** What comes back: integers as numbers where exact. */
const plain = (elements: readonly Element[]): unknown[] =>
  elements.map((each) => {
    if (typeof each === 'object') return Buffer.from(each).toString('hex')
    return typeof each === 'bigint' && Number.isSafeInteger(Number(each)) ? Number(each) : each
  })

const assertOrder = (a: readonly Element[], b: readonly Element[]): void =>
  assert.equal(Buffer.compare(pack(a), pack(b)), compareTuples(a, b))

test('P1: packed tuples sort as the tuples do', () => {
  fc.assert(fc.property(tuple, tuple, assertOrder), { numRuns: 3000 })
  fc.assert(fc.property(fc.tuple(integer), fc.tuple(integer), assertOrder), { numRuns: 3000 })
  fc.assert(fc.property(fc.tuple(text), fc.tuple(text), assertOrder), { numRuns: 3000 })
})

test('P1: strings that share a beginning and differ within or behind runs of NULs keep their order', () => {
  fc.assert(
    fc.property(bytes, bytes, bytes, fc.nat(3), (shared, left, right, next) => {
      assertOrder([Buffer.concat([shared, left]), next], [Buffer.concat([shared, right]), 1])
    }),
    { numRuns: 5000 },
  )
})

test('P1: all strings of up to six of four bytes keep their order', () => {
  const all: Buffer[] = [Buffer.alloc(0)]
  for (let from = 0, length = 1; length <= 6; length++) {
    const until = all.length
    for (; from < until; from++)
      for (const byte of [0, 1, 0x80, 0xff]) all.push(Buffer.from([...(all[from] ?? []), byte]))
  }
  const packed = all.sort(Buffer.compare).map((each) => pack([each, 7]))
  for (const [index, each] of packed.entries()) {
    const next = packed[index + 1]
    assert.ok(next === undefined || Buffer.compare(each, next) < 0)
  }
})

test('P1: all runs of up to 600 NULs, at the end and before a byte, keep their order', () => {
  const all = Array.from({ length: 600 }, (_, length) => Buffer.alloc(length))
  const strings = [...all, ...all.map((each) => Buffer.concat([each, Buffer.from([1])]))].sort(Buffer.compare)
  const packed = strings.map((each) => pack([each, 'after']))
  for (const [index, each] of packed.entries()) {
    const next = packed[index + 1]
    assert.ok(next === undefined || Buffer.compare(each, next) < 0)
  }
})

test('P2: unpack gives back what was packed', () => {
  fc.assert(
    fc.property(tuple, (elements) => assert.deepEqual(plain(unpack(pack(elements))), plain(elements))),
    { numRuns: 3000 },
  )
})

test('P2: a reader starts behind a known prefix, and appended elements follow it', () => {
  fc.assert(
    fc.property(tuple, text, integer, (elements, last, number) => {
      const prefix = pack(elements)
      const key = append(prefix, [last, number])
      assert.deepEqual(key, pack([...elements, last, number]))
      assert.deepEqual(appendText(prefix, Buffer.from(last)), pack([...elements, last]))
      const reader = new TupleReader(key, prefix.length)
      assert.equal(Buffer.from(reader.utf8()).toString(), last)
      assert.equal(reader.bigint(), BigInt(number))
      assert.ok(reader.ended)
    }),
  )
})

test('P2: integers are written as FoundationDB writes them', () => {
  const hex = (value: number | bigint): string => Buffer.from(pack([value])).toString('hex')
  assert.equal(hex(0), '14')
  assert.equal(hex(1), '1501')
  assert.equal(hex(-1), '13fe')
  assert.equal(hex(-5551212), '11ab4b93')
  assert.equal(hex(256), '160100')
  assert.equal(hex(2n ** 63n - 1n), '1c7fffffffffffffff')
  assert.equal(hex(-(2n ** 63n)), '0c7fffffffffffffff')
})

test('P3: a key of 1,024 bytes packs into fewer than 1,600, whatever it holds', () => {
  const worst = (size: number): Buffer => Buffer.from(Array.from({ length: size }, (_, index) => index % 2))
  const candidates = [
    Buffer.alloc(1024),
    worst(1024),
    Buffer.concat([worst(1023), Buffer.from([0])]),
    Buffer.alloc(1024, 1),
  ]
  for (const each of candidates) {
    assert.ok(pack([each]).length < 1600, String(pack([each]).length))
    assert.ok(pack([each.toString('latin1')]).length < 1600)
  }
  fc.assert(
    fc.property(bytes, (each) => assert.ok(pack([each]).length <= 1.5 * each.length + 4)),
    { numRuns: 2000 },
  )
})

test('an ill-formed string, a fraction and an integer of 65 bits are refused', () => {
  assert.throws(() => pack(['\ud800']))
  assert.throws(() => pack([`${'a'.repeat(100)}\udc00`]))
  assert.throws(() => pack([0.5]))
  assert.throws(() => pack([2n ** 63n]))
})

test('afterPrefix is the least above all that start with it; afterKey the least above one', () => {
  fc.assert(
    fc.property(bytes, bytes, (prefix, rest) => {
      const after = afterPrefix(prefix)
      if (after === undefined) {
        assert.ok(prefix.every((byte) => byte === 0xff))
        return
      }
      assert.ok(Buffer.compare(Buffer.concat([prefix, rest]), after) < 0)
      assert.ok(rest.length > 0 || Buffer.compare(after, prefix) > 0)
      assert.deepEqual(Buffer.from(afterKey(prefix)), Buffer.concat([prefix, Buffer.alloc(1)]))
    }),
  )
  assert.equal(afterPrefix(Buffer.from([0xff, 0xff])), undefined)
  assert.deepEqual(afterPrefix(Buffer.from([1, 0xff])), Buffer.from([2]))
})
