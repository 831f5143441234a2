import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSelect } from './engine.ts'
import type { SelectRequest, Source } from './request.ts'

const csv = {
  header: 'NONE',
  comments: '#',
  quote: '"',
  quoteEscape: '"',
  fieldDelimiter: ',',
  recordDelimiter: '\n',
  allowsQuotedRecordDelimiter: false,
} as const

const usual: Omit<SelectRequest, 'expression'> = {
  compression: 'NONE',
  now: Date.UTC(2026, 10, 22),
  input: { kind: 'csv', csv },
  output: { kind: 'csv', csv: { ...csv, quoteFields: 'ASNEEDED' } },
}
const asJson = { output: { kind: 'json', recordDelimiter: '\n' } } as const
const fromJson = { ...asJson, input: { kind: 'json', isLines: true } } as const

const sourceOf = (bytes: Uint8Array): Source => ({
  size: bytes.length,
  read: async (from, to) => bytes.subarray(from, to),
})

async function select(expression: string, text: string, request: Partial<SelectRequest> = {}): Promise<string> {
  let answer = ''
  const stats = { scanned: 0, processed: 0, returned: 0 }
  await runSelect({ ...usual, ...request, expression }, sourceOf(Buffer.from(text)), stats, async (records) => {
    answer += records
  })
  return answer.trimEnd()
}

const value = (expression: string): Promise<string> => select(`SELECT ${expression} FROM S3Object`, 'abc,5,1.50\n')

async function values(cases: Readonly<Record<string, string>>): Promise<void> {
  for (const [expression, expected] of Object.entries(cases)) {
    assert.equal(await value(expression), expected, expression)
  }
}

async function refused(cases: Readonly<Record<string, string>>, request: Partial<SelectRequest> = {}): Promise<void> {
  for (const [expression, code] of Object.entries(cases)) {
    await assert.rejects(select(expression, 'a,b\nc,d\n', request), { code }, expression.slice(0, 80))
  }
}

test('numbers: integers, exact decimals and floats', () =>
  values({
    '5/2': '2',
    '-7 % 3': '-1',
    '0.1+0.2': '0.3',
    '1.10*2': '2.20',
    '5/2.0': '2.5',
    '1+2*3-4': '3',
    '(1+2)*3': '9',
    '_2 + 1': '6',
    '_3 * 2': '3.00',
    'CAST(_3 AS FLOAT)': '1.5',
    'CAST(_3 AS DECIMAL(5,2))': '1.50',
    'CAST(7.9 AS INT)': '7',
    "CAST('true' AS BOOL)": 'true',
    'CAST(0 AS BOOL)': 'false',
    'INT(_2)': '5',
    '9223372036854775807': '9223372036854775807',
  }))

test('text functions, as AWS documents them', () =>
  values({
    'CHAR_LENGTH(_1)': '3',
    "CHARACTER_LENGTH('a😀b')": '3',
    "UPPER(_1) || LOWER('DE')": 'ABCde',
    "SUBSTRING('123456789', 0)": '123456789',
    "SUBSTRING('123456789', 2)": '23456789',
    "SUBSTRING('123456789', -4)": '123456789',
    "SUBSTRING('123456789', 1, 5)": '12345',
    "SUBSTRING('123456789' FROM 3 FOR 2)": '34',
    "TRIM('   foobar   ') || '|'": 'foobar|',
    "TRIM(LEADING FROM '  foobar ') || '|'": 'foobar |',
    "TRIM(BOTH '12' FROM '1112211foobar22211122')": 'foobar',
    "'it''s'": "it's",
    'LOWER("AB12cd$$")': 'ab12cd$$',
  }))

test('dates: literals, parts, sums, differences and patterns, as AWS documents them', () =>
  values({
    'DATE_ADD(year, 5, `2010-01-01T`)': '2015-01-01T',
    'DATE_ADD(month, 1, `2010T`)': '2010-02T',
    'DATE_ADD(month, 13, `2010T`)': '2011-02T',
    'DATE_ADD(day, -1, `2017-01-10T`)': '2017-01-09T',
    'DATE_ADD(hour, 1, `2017T`)': '2017-01-01T01:00Z',
    'DATE_ADD(minute, 1, `2017-01-02T03:04:05.006Z`)': '2017-01-02T03:05:05.006Z',
    'DATE_ADD(month, 1, `2024-01-31T`)': '2024-02-29T',
    'DATE_DIFF(year, `2010-01-01T`, `2011-01-01T`)': '1',
    'DATE_DIFF(month, `2010-01-01T`, `2010-05T`)': '4',
    'DATE_DIFF(month, `2010T`, `2011T`)': '12',
    'DATE_DIFF(month, `2011T`, `2010T`)': '-12',
    'DATE_DIFF(day, `2010-01-01T23:00Z`, `2010-01-02T01:00Z`)': '0',
    'EXTRACT(YEAR FROM `2010-01-01T`)': '2010',
    'EXTRACT(HOUR FROM `2017-01-02T03:04:05+07:08`)': '3',
    'EXTRACT(TIMEZONE_MINUTE FROM `2017-01-02T03:04:05+07:08`)': '8',
    "TO_STRING(`1969-07-20T20:18Z`, 'MMMM d, y')": '"July 20, 1969"',
    "TO_STRING(`1969-07-20T20:18Z`, 'MM-dd-yy h:m a')": '07-20-69 8:18 PM',
    "TO_STRING(`1969-07-20T20:18+08:00`, 'y-MM-dd''T''H:m:ssX')": '1969-07-20T20:18:00+08',
    "TO_STRING(TO_TIMESTAMP('20200102T030405Z'), 'x')": '+00',
    "TO_TIMESTAMP('2007-02-23T12:14:33.079-08:00')": '2007-02-23T12:14:33.079-08:00',
    "TO_TIMESTAMP('Feb 3, 2007 1:05 PM', 'MMM d, y h:mm a')": '2007-02-03T13:05Z',
    'UTCNOW()': '2026-11-22T00:00:00Z',
  }))

test('conditions: null, missing, and what is neither true nor false', () =>
  values({
    'NULL = NULL': '',
    '_9 IS MISSING': 'true',
    '_9 IS NULL': 'true',
    "_1 IS NOT NULL AND _1 = 'abc'": 'true',
    'NULL AND FALSE': 'false',
    'NULL OR TRUE': 'true',
    'NOT NULL IS NULL': 'false',
    'COALESCE(NULL, _9, 3)': '3',
    'NULLIF(_2, 5) IS NULL': 'true',
    '_2 BETWEEN 1 AND 5': 'true',
    '_2 NOT BETWEEN 6 AND NULL': 'true',
    "_1 IN ('x', 'abc')": 'true',
    "_1 NOT IN ('x', NULL)": '',
    '1 < 1.5': 'true',
    "CASE _1 WHEN 'x' THEN 1 WHEN 'abc' THEN 2 END": '2',
    'CASE WHEN _2 > 5 THEN 1 ELSE 0 END': '0',
    'CASE WHEN NULL THEN 1 END IS NULL': 'true',
  }))

test('LIKE takes % and _, and brackets only in Ceph’s own way of writing', () =>
  values({
    "_1 LIKE 'a%'": 'true',
    "_1 LIKE 'a_c'": 'true',
    "_1 LIKE 'a_'": 'false',
    "_1 LIKE '%b%c%'": 'true',
    "'a%b' LIKE 'a\\%b' ESCAPE '\\'": 'true',
    "'axb' LIKE 'a\\%b' ESCAPE '\\'": 'false',
    "'a😀c' LIKE 'a_c'": 'true',
    "'abcabd' LIKE '%ab_d'": 'false',
    "'abcabxd' LIKE '%ab_d'": 'true',
    "_1 LIKE 'ab[a-c]'": 'false',
    '_1 LIKE "ab[a-c]"': 'true',
    '_1 LIKE "ab[^a-c]"': 'false',
  }))

test('columns are found by position, header, alias of the table and alias of a projection', async () => {
  const text = 'id,Name,name\n1,x,y\n2,z,w\n'
  const use = { input: { kind: 'csv', csv: { ...csv, header: 'USE' } }, ...asJson } as const
  assert.equal(
    await select('SELECT s.ID, s."Name" AS n, _3 FROM S3Object AS s WHERE s.id = 2', text, use),
    '{"ID":"2","n":"z","_3":"w"}',
  )
  assert.equal(await select('SELECT * FROM S3Object LIMIT 1', text, use), '{"id":"1","Name":"x","name":"y"}')
  await assert.rejects(select('SELECT name FROM S3Object', text, use), { code: 'AmbiguousFieldName' })
  const ignore = { input: { kind: 'csv', csv: { ...csv, header: 'IGNORE' } } } as const
  assert.equal(await select('SELECT INT(_1) AS a, a + 1 AS b FROM S3Object WHERE b > 2', text, ignore), '2,3')
  await assert.rejects(select('SELECT a AS b, b AS a FROM S3Object', text), { code: 'EvaluatorBindingDoesNotExist' })
})

test('JSON: rows of a path, as AWS documents them', async () => {
  const text = '{"Rules":[{"id":"1"},{"expr":"y > x"},{"id":"2","expr":"z = DEBUG"}]}\n{"created":"June 27"}'
  const rules = await select('SELECT id FROM S3Object[*].Rules[*].id', text, fromJson)
  assert.equal(rules, '{"id":"1"}\n{}\n{"id":"2"}\n{}')
  const nested = '{"dir":"a","files":[{"name":"f","n":1.0},{"name":"g"}]}'
  assert.equal(
    await select("SELECT d.dir, d.files[1].name, d['files'][0].n FROM S3Object[*] d", nested, fromJson),
    '{"dir":"a","name":"g","n":1.0}',
  )
  assert.equal(
    await select('SELECT * FROM S3Object[*].files[*] f WHERE f.n IS MISSING', nested, fromJson),
    '{"name":"g"}',
  )
})

test('aggregates over what the condition lets through', async () => {
  const text = '1,a\n2,b\n30,\n'
  assert.equal(
    await select('SELECT COUNT(*), SUM(INT(_1)), AVG(INT(_1)), MIN(_1), MAX(INT(_1)) + 1 FROM S3Object', text),
    '3,33,11,1,31',
  )
  assert.equal(await select('SELECT COUNT(*), SUM(_1), COUNT(_9) FROM S3Object WHERE _1 > 50', text), '0,,0')
  await refused({
    'SELECT _1, COUNT(*) FROM S3Object': 'UnsupportedSqlStructure',
    'SELECT COUNT(COUNT(*)) FROM S3Object': 'UnsupportedSqlOperation',
    'SELECT * FROM S3Object WHERE COUNT(*) > 1': 'UnsupportedSqlOperation',
  })
})

test('what is wrong with a query has AWS’s code', () =>
  refused({
    '': 'ParseEmptySelect',
    'SELECT FROM S3Object': 'ParseEmptySelect',
    'SELECT *': 'ParseSelectMissingFrom',
    'SELECT * FROM other': 'InvalidDataSource',
    'SELECT * FROM S3Object, S3Object': 'MultipleDataSourcesUnsupported',
    'SELECT *, _1 FROM S3Object': 'ParseAsteriskIsNotAloneInSelectList',
    "SELECT 'a FROM S3Object": 'LexerInvalidLiteral',
    'SELECT ? FROM S3Object': 'LexerInvalidChar',
    'SELECT f(1) FROM S3Object': 'UnsupportedFunction',
    'SELECT toString(1) FROM S3Object': 'UnsupportedFunction',
    'SELECT CAST(1 AS blob) FROM S3Object': 'ParseExpectedTypeName',
    'SELECT CAST(_1 AS INT) FROM S3Object': 'CastFailed',
    'SELECT 9223372036854775807 + 1 FROM S3Object': 'IntegerOverflow',
    'SELECT 1/0 FROM S3Object': 'EvaluatorInvalidArguments',
    'SELECT * FROM S3Object LIMIT -1': 'EvaluatorNegativeLimit',
    'SELECT * FROM S3Object LIMIT x': 'ParseExpectedNumber',
    'SELECT _1 FROM S3Object GROUP BY _1': 'UnsupportedSqlStructure',
    'SELECT _1 FROM S3Object x y': 'ParseUnexpectedToken',
    'SELECT `x` FROM S3Object': 'LexerInvalidIONLiteral',
    'SELECT EXTRACT(week FROM UTCNOW()) FROM S3Object': 'ParseExpectedDatePart',
    "SELECT TO_STRING(UTCNOW(), 'q') FROM S3Object": 'EvaluatorInvalidTimestampFormatPatternSymbol',
    "SELECT _1 LIKE 'a' ESCAPE 'bc' FROM S3Object": 'LikeInvalidInputs',
    'SELECT * FROM S3Object[*].a': 'InvalidKeyPath',
  }))

test('no query is deeper, longer or wider than it may be', () =>
  refused({
    [`SELECT ${'('.repeat(5_000)}1${')'.repeat(5_000)} FROM S3Object`]: 'UnsupportedSqlStructure',
    [`SELECT ${'-'.repeat(5_000)}1 FROM S3Object`]: 'UnsupportedSqlStructure',
    [`SELECT ${'NOT '.repeat(5_000)}TRUE FROM S3Object`]: 'UnsupportedSqlStructure',
    [`SELECT 1${'+1'.repeat(50_000)} FROM S3Object`]: 'UnsupportedSqlStructure',
    [`SELECT ${'CASE WHEN TRUE THEN '.repeat(2_000)}1${' END'.repeat(2_000)} FROM S3Object`]: 'UnsupportedSqlStructure',
    [`SELECT '${'x'.repeat(300_000)}' FROM S3Object`]: 'ExpressionTooLong',
    [`SELECT _1 ${`|| '${'x'.repeat(60_000)}'`.repeat(4)} AS a, ${Array(5).fill('a || a').join(' || ')} FROM S3Object`]:
      'OverMaxRecordSize',
  }))

test('aliases of aliases cost a record no more than each once', async () => {
  const doubled = Array.from({ length: 60 }, (_, index) => `a${index} + a${index} AS a${index + 1}`)
  const query = `SELECT INT(_1) AS a0, ${doubled.join(', ')} FROM S3Object`
  assert.equal((await select(query, '1\n')).split(',').at(-1), String(2n ** 60n))
})

test('BETWEEN inside of BETWEEN costs no more than each once', async () => {
  let nested = '1'
  for (let depth = 0; depth < 40; depth++) nested = `CAST((${nested} BETWEEN 0 AND 1) AS INT)`
  assert.equal(await value(nested), '1')
})

test('a scan range takes the records that start in it, whole', async () => {
  const cases: readonly (readonly [NonNullable<SelectRequest['scanRange']>, string])[] = [
    [{ start: 0, end: 0 }, 'aa'],
    [{ start: 3, end: 3 }, 'bb'],
    [{ start: 1, end: 2 }, ''],
    [{ start: 1, end: 3 }, 'bb'],
    [{ start: 4 }, 'cc'],
    [{ end: 3 }, 'cc'],
    [{ start: 0, end: 99 }, 'aa\nbb\ncc'],
  ]
  for (const [scanRange, expected] of cases) {
    assert.equal(
      await select('SELECT * FROM S3Object', 'aa\nbb\ncc\n', { scanRange }),
      expected,
      JSON.stringify(scanRange),
    )
  }
  const use = { input: { kind: 'csv', csv: { ...csv, header: 'USE' } }, scanRange: { start: 4 } } as const
  assert.equal(await select('SELECT n FROM S3Object', 'n,m\n1,2\n3,4\n', use), '1\n3')
  await refused(
    { 'SELECT * FROM S3Object': 'UnsupportedScanRangeInput' },
    { scanRange: { start: 0 }, compression: 'GZIP' },
  )
})

test('text that is no UTF-8 is refused', async () => {
  const bytes = Uint8Array.of(0x61, 0xff, 0x0a)
  const stats = { scanned: 0, processed: 0, returned: 0 }
  const run = runSelect(
    { ...usual, expression: 'SELECT * FROM S3Object' },
    sourceOf(bytes),
    stats,
    async () => undefined,
  )
  await assert.rejects(run, { code: 'InvalidTextEncoding' })
})

test('S9: nothing is read far ahead of what the client takes', async () => {
  const size = 64 << 20
  const line = Buffer.from(`${'x'.repeat(63)}\n`)
  let read = 0
  let given = 0
  const source: Source = {
    size,
    async read(from, to) {
      read = to
      return Buffer.alloc(to - from, line)
    },
  }
  const stopped = new Error('enough')
  const stats = { scanned: 0, processed: 0, returned: 0 }
  const run = runSelect({ ...usual, expression: 'SELECT * FROM S3Object' }, source, stats, async (records) => {
    given += records.length
    assert.ok(records.length < 300_000, `a piece of ${records.length}`)
    assert.ok(read - given < 4 << 20, `${read} were read for ${given}`)
    if (given > 20 << 20) throw stopped
  })
  await assert.rejects(run, stopped)
})
