import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseQuery } from '#gateway/address.ts'
import { canonicalPath, canonicalQuery, decoded, queryPairs } from './canonical.ts'

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)

/** Each byte as itself where a path may hold it, or in percents of either case, as `choices` say. */
function written(text: string, choices: readonly number[], plain: RegExp): string {
  return [...Buffer.from(text)]
    .map((byte, index) => {
      const character = String.fromCharCode(byte)
      const choice = choices[index % Math.max(1, choices.length)] ?? 0
      if (choice % 3 === 0 && plain.test(character)) return character
      const digits = byte.toString(16).padStart(2, '0')
      return `%${choice % 2 === 0 ? digits : digits.toUpperCase()}`
    })
    .join('')
}

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const choices = fc.array(fc.nat(5), { minLength: 1, maxLength: 7 })

test('Q1: a path has one canonical form, however it was encoded; a plus in it is a plus', () => {
  fc.assert(
    fc.property(text, choices, (key, chosen) => {
      const expected = `/bucket/${key.split('/').map(encode).join('/')}`
      assert.equal(canonicalPath(`/bucket/${written(key, chosen, /[A-Za-z0-9._~/+!$&'()*,;=:@-]/)}`), expected)
      assert.equal(canonicalPath(expected), expected)
    }),
    { numRuns: 500 },
  )
})

test('Q1: what is signed of a query is what the request is carried out with; a plus in it is a space', () => {
  const pair = fc.tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }), text)
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 6 }), choices, (pairs, chosen) => {
      const plain = /[A-Za-z0-9._~/!$'()*,;:@-]/
      const raw = pairs
        .map(
          ([name, value]) => `${written(name, chosen, plain)}=${written(value, chosen, plain).replaceAll('%20', '+')}`,
        )
        .join('&')
      const parsed = queryPairs(raw)
      assert.deepEqual(
        parsed.map(({ name, value }) => [decoded(name), decoded(value)]),
        pairs,
      )
      for (const [name, value] of parseQuery(raw)) {
        assert.equal(pairs.find((each) => each[0] === name)?.[1], value)
      }
      const expected = pairs.map(([name, value]) => [encode(name), encode(value)] as const)
      expected.sort(([a, x], [b, y]) => (a < b ? -1 : a > b ? 1 : x < y ? -1 : x > y ? 1 : 0))
      assert.equal(canonicalQuery(parsed), expected.map((each) => each.join('=')).join('&'))
    }),
    { numRuns: 500 },
  )
})

test('Q1: equal names are sorted by their values', () => {
  const parsed = queryPairs('b=2&a=%7E&b=10&a=B&b&X-Amz-Signature=s')
  assert.equal(canonicalQuery(parsed, 'X-Amz-Signature'), 'a=B&a=~&b=&b=10&b=2')
})

test('Q1: percent signs without two digits are refused', () => {
  for (const bad of ['/a%', '/a%2', '/%zz', '/%u00e9', '/%-1', '/\u0141']) {
    assert.throws(() => canonicalPath(bad), { code: 'InvalidURI' })
    assert.throws(() => queryPairs(`a=${bad}`), { code: 'InvalidURI' })
  }
})
