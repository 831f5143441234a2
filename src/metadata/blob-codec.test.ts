import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BlobRecord, decodeBlob, encodeBlob } from './blob-codec.ts'

const plain = { noNullPrototype: true } as const
const count = fc.nat(2 ** 31 - 1)
const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const code = fc.constantFrom('fra', 'iad', 'syd')
const extent = fc.record({ volume: fc.string(), segment: count, generation: count, offset: count, size: count }, plain)
const holder = fc.record(
  { region: code, extents: fc.array(extent, { maxLength: 3 }), copy: fc.integer({ min: 1, max: 2 ** 41 }) },
  { ...plain, requiredKeys: ['region', 'extents'] },
)
const record: fc.Arbitrary<BlobRecord> = fc.record(
  {
    kind: fc.constant('bytes' as const),
    size: count,
    digest,
    keeper: fc.nat(999),
    holders: fc.array(holder, { maxLength: 3 }),
    isUnreferenced: fc.constant(true as const),
    released: fc.array(fc.record({ region: code, copy: count }, plain), { minLength: 1, maxLength: 3 }),
    restriction: fc.record({ bucket: count, regions: fc.uniqueArray(code, { minLength: 1 }) }, plain),
  },
  { ...plain, requiredKeys: ['kind', 'size', 'digest', 'keeper', 'holders'] },
)

test('decoding gives back what was encoded', () => {
  fc.assert(fc.property(record, (each) => assert.deepStrictEqual(decodeBlob(encodeBlob(each)), each)))
})

test('what is restricted to no regions takes no byte more, and is what older builds read', () => {
  fc.assert(
    fc.property(record, ({ restriction: _, ...rest }) => {
      const [format = 0] = encodeBlob(rest)
      assert.ok(format <= 2)
      const restricted = encodeBlob({ ...rest, isUnreferenced: true, restriction: { bucket: 1, regions: ['fra'] } })
      assert.equal(restricted.length, encodeBlob({ ...rest, isUnreferenced: true }).length + 5)
    }),
  )
})
