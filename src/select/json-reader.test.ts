import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonReader } from './json-reader.ts'
import { parseQuery } from './parser.ts'
import { toJson } from './value.ts'

function read(text: string, from = 's3object', cuts: readonly number[] = []): string[] {
  const reader = new JsonReader(parseQuery(`select * from ${from}`).from.steps)
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((one, other) => one - other)
  const pieces = [...places, text.length].map((end, index) => text.slice(places[index - 1] ?? 0, end))
  const values = [...pieces.flatMap((piece) => reader.push(piece)), ...reader.push('', true)]
  return values.map((value) => (value === undefined ? 'MISSING' : toJson(value)))
}

/** Without what a map orders or writes otherwise: members named twice or by numbers, and exponents. */
const json = fc
  .jsonValue({ maxDepth: 4, noUnicodeString: false })
  .filter((value) => !/e[+-]|"-?\d+":|-0/.test(JSON.stringify(value)))

test('J2: values are read as JSON.parse reads them, whatever the pieces', () => {
  fc.assert(
    fc.property(fc.array(json, { maxLength: 4 }), fc.array(fc.nat()), fc.boolean(), (values, cuts, isSpaced) => {
      const text = values.map((value) => JSON.stringify(value, undefined, isSpaced ? 2 : 0)).join('\n')
      assert.deepEqual(
        read(text, 's3object', cuts).map((each) => JSON.parse(each)),
        values.map((value) => JSON.parse(JSON.stringify(value))),
      )
    }),
    { numRuns: 1_000 },
  )
})

test('J2: a path leads to the same, whatever the pieces', () => {
  const text = '{"a":[{"b":1},{"c":2},3,{"b":[4,5]}],"d":"x"} {"a":{"b":true}} {"z":0} [1]'
  const whole = read(text, 's3object[*].a[*].b')
  assert.deepEqual(whole, ['1', 'MISSING', 'MISSING', '[4,5]', 'true', 'MISSING', 'MISSING'])
  for (let cut = 0; cut < text.length; cut++) assert.deepEqual(read(text, 's3object[*].a[*].b', [cut]), whole)
  assert.deepEqual(read(text, 's3object[*].a[3]'), ['{"b":[4,5]}', 'MISSING', 'MISSING', 'MISSING'])
  assert.deepEqual(read('[[1,2],[3]]', 's3object[*][*]'), ['[1,2]', '[3]'])
  assert.deepEqual(read('{"A":1}', 's3object[*].a'), ['1'])
  assert.deepEqual(read('{"A":1}', 's3object[*]."a"'), ['MISSING'])
})

test('J1: what the path does not lead to may be long; a record may not', () => {
  const long = `{"skipped":[${'{"x":"yyyyyyyy"},'.repeat(700_000)}0],"rows":[1,2]}`
  assert.deepEqual(read(long, 's3object[*].rows[*]', [1_000_000, 5_000_000, 9_000_000]), ['1', '2'])
  assert.throws(() => read(long, 's3object', [1_000_000, 5_000_000, 9_000_000]), { code: 'OverMaxRecordSize' })
  assert.throws(() => read('['.repeat(100_000)), { code: 'OverMaxRecordSize' })
})

test('what is no JSON is refused', () => {
  for (const text of [
    '{',
    '[1,]',
    '{"a"}',
    '{"a":1,}',
    '01',
    '1.',
    'tru',
    '"a',
    '"\n"',
    '[1 2]',
    '}',
    '{1:2}',
    '-',
    'nulls',
  ]) {
    assert.throws(() => read(text), { code: 'JSONParsingError' }, text)
  }
})

test('numbers keep their digits', () => {
  assert.deepEqual(read('[1.50,12345678901234567890,-0.00,1e3,9223372036854775807]'), [
    '[1.50,12345678901234567890,0.00,1000,9223372036854775807]',
  ])
})
