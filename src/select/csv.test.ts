import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CsvReader } from './csv-reader.ts'
import type { CsvInput } from './request.ts'
import { csvWriter } from './writers.ts'

const usual: CsvInput = {
  header: 'NONE',
  comments: '',
  quote: '"',
  quoteEscape: '"',
  fieldDelimiter: ',',
  recordDelimiter: '\n',
  allowsQuotedRecordDelimiter: true,
}

function read(text: string, options: Partial<CsvInput> = {}, cuts: readonly number[] = []): string[][] {
  const reader = new CsvReader({ ...usual, ...options })
  const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((one, other) => one - other)
  const pieces = [...places, text.length].map((end, index) => text.slice(places[index - 1] ?? 0, end))
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.push('', true)]
}

const delimiters = fc.record({
  quoteEscape: fc.constantFrom('"', '\\', '"'),
  fieldDelimiter: fc.constantFrom(',', '|', '\t', ';;'),
  recordDelimiter: fc.constantFrom('\n', '\r\n', '#', '\t\n'),
})
const field = fc.string({
  unit: fc.constantFrom('a', 'ü', '"', '\\', ',', '|', '\t', ';', '\n', '\r', '#', ' '),
  maxLength: 8,
})

test('Q1: what the writer wrote is read as it was, whatever the delimiters and the pieces', () => {
  const table = fc.array(fc.array(field, { minLength: 1, maxLength: 4 }), { maxLength: 5 })
  fc.assert(
    fc.property(table, delimiters, fc.boolean(), fc.array(fc.nat()), (rows, marks, always, cuts) => {
      const write = csvWriter({ ...usual, ...marks, quoteFields: always ? 'ALWAYS' : 'ASNEEDED' })
      const text = rows.map((row) => write(row.map((each) => ['', each] as const))).join('')
      // A record of nothing at all is an empty line.
      const expected = rows.filter((row) => always || row.length > 1 || row[0] !== '')
      assert.deepEqual(read(text, marks, cuts), expected)
    }),
    { numRuns: 2_000 },
  )
})

test('Q1: text of any kind is cut in the same records, whatever the pieces', () => {
  fc.assert(
    fc.property(fc.array(field), fc.array(fc.nat()), (fields, cuts) => {
      const outcome = (places: readonly number[]): unknown => {
        try {
          return read(fields.join(''), { comments: '#' }, places)
        } catch (error) {
          return error instanceof Error ? error.message : error
        }
      }
      assert.deepEqual(outcome(cuts), outcome([]))
    }),
    { numRuns: 2_000 },
  )
})

test('Q2: a record longer than a megabyte is refused, in pieces or at once', () => {
  for (const record of ['x'.repeat(1_100_000), `"${'x'.repeat(1_100_000)}"`]) {
    assert.throws(() => read(`${record}\n`), { code: 'OverMaxRecordSize' })
    assert.throws(() => read(`${record}\n`, {}, [300_000, 600_000, 900_000, 1_060_000]), { code: 'OverMaxRecordSize' })
  }
})

test('Q2: a record without an end is not collected for ever', () => {
  const reader = new CsvReader(usual)
  const push = (): unknown => reader.push('x'.repeat(400_000))
  push()
  push()
  assert.throws(push, { code: 'OverMaxRecordSize' })
})

test('comments, empty lines and line ends of Windows', () => {
  assert.deepEqual(read('#a,b\r\n1,2\r\n\r\n"3",4\r\n#end', { comments: '#' }), [
    ['1', '2'],
    ['3', '4'],
  ])
  assert.deepEqual(read('a,,\n'), [['a', '', '']])
  assert.deepEqual(read('say "hi",b'), [['say "hi"', 'b']])
})

test('a record delimiter inside of quotes is taken only where that is allowed', () => {
  assert.deepEqual(read('"a\nb",c\n'), [['a\nb', 'c']])
  assert.throws(() => read('"a\nb",c\n', { allowsQuotedRecordDelimiter: false }), { code: 'CSVParsingError' })
  assert.throws(() => read('"a'), { code: 'CSVParsingError' })
})
