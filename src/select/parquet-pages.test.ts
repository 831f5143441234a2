import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkPages } from './parquet-pages.ts'
import { readStruct } from './thrift.ts'

/** A small integer, as a field of 32 bits one after the last. */
const int = (value: number, step = 1): number[] => [(step << 4) | 5, ...varint(value < 0 ? -value * 2 - 1 : value * 2)]

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))]
}

interface Page {
  readonly type?: number
  readonly full?: number
  readonly size?: number
  /** The id of the part, and its fields. */
  readonly part?: readonly [id: number, ...fields: number[]]
  readonly bytes?: number
}

function page({ type = 0, full = 10, size = 10, part = [5, 4], bytes = 10 }: Page = {}): number[] {
  const [id, ...fields] = part
  const header = [
    ...int(type),
    ...int(full),
    ...int(size),
    ((id - 3) << 4) | 12,
    ...fields.flatMap((each) => int(each)),
    0,
    0,
  ]
  return [...header, ...Array.from({ length: bytes }, () => 0)]
}

const check = (pages: readonly (readonly number[])[], values: number): void =>
  checkPages(Uint8Array.from(pages.flat()), values)

const refused = { code: 'ParquetParsingError' }
const tooLarge = { code: 'OverMaxParquetBlockSize' }

test('pages that have what they say are taken', () => {
  check([page()], 4)
  check([page({ type: 2, part: [7, 3] }), page(), page({ type: 3, part: [8, 6, 1, 5, 0, 2, 3] })], 10)
})

test('a page that ends before it begins, or behind its chunk, is refused', () => {
  assert.throws(() => check([page({ size: -17 })], 4), refused)
  assert.throws(() => check([page({ size: 11 })], 4), refused)
  assert.throws(() => check([page()], 5), refused)
})

test('numbers of values that are not there are refused', () => {
  assert.throws(() => check([page({ part: [5, 5] })], 4), refused)
  assert.throws(() => check([page({ part: [5, -1] })], 4), refused)
  assert.throws(() => check([page({ part: [5] })], 4), refused)
  assert.throws(() => check([page({ type: 2, part: [7, 11] }), page()], 4), refused)
  assert.throws(() => check([page({ type: 3, part: [8, 4, 5, 4, 0, 0, 0] })], 4), refused)
  assert.throws(() => check([page({ type: 3, part: [8, 4, 0, 4, 0, 6, 5] })], 4), refused)
  assert.throws(() => check([page({ type: 1 })], 4), refused)
})

test('pages that would be larger than a chunk may be are refused, also together', () => {
  assert.throws(() => check([page({ full: 134_217_729 })], 4), tooLarge)
  assert.throws(() => check([page({ full: 100_000_000 }), page({ full: 100_000_000 })], 8), tooLarge)
})

test('structs whose sizes are not there, or that are too deep, are refused', () => {
  const read = (...bytes: number[]) => readStruct(Uint8Array.from(bytes), 0)
  assert.deepEqual(
    [...read(0x15, 4, 0x18, 1, 65, 0x19, 0x25, 2, 4, 0).fields],
    [
      [1, 2],
      [2, undefined],
      [3, undefined],
    ],
  )
  // A list of 2^28, a text of 2^28, numbers that do not end, fields of no known kind, and no end.
  assert.throws(() => read(0x19, 0xf5, 0x80, 0x80, 0x80, 0x80, 0x01, 0), refused)
  assert.throws(() => read(0x18, 0x80, 0x80, 0x80, 0x80, 0x01, 0), refused)
  assert.throws(() => read(0x15, ...Array.from({ length: 6 }, () => 0x80), 0, 0), refused)
  assert.throws(() => read(0x16, ...Array.from({ length: 11 }, () => 0x80), 0, 0), refused)
  assert.throws(() => read(0x1b, 0, 0), refused)
  assert.throws(() => read(0x15, 4), refused)
  assert.throws(() => readStruct(new Uint8Array(100_000).fill(0x1c), 0), refused)
  assert.throws(() => readStruct(new Uint8Array(100_000).fill(0x19), 0), refused)
})
