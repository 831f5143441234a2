import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import {
  PutObjectCommand,
  SelectObjectContentCommand,
  type SelectObjectContentCommandInput,
  type SelectObjectContentEventStream,
} from '@aws-sdk/client-s3'
import { refusal, useHarness } from './store.ts'

const harness = useHarness()

interface Answer {
  readonly records: string
  readonly events: readonly (keyof SelectObjectContentEventStream)[]
  readonly stats: { readonly BytesScanned?: number; readonly BytesProcessed?: number; readonly BytesReturned?: number }
}

type Name = { readonly Bucket: string; readonly Key: string }

async function put(body: Uint8Array | string, extra: object = {}): Promise<Name> {
  const name = { Bucket: await harness().makeBucket(), Key: 'k' }
  await harness().client.send(new PutObjectCommand({ ...name, Body: body, ...extra }))
  return name
}

async function select(
  name: Name,
  expression: string,
  input: Partial<SelectObjectContentCommandInput> = {},
): Promise<Answer> {
  const answer = await harness().client.send(
    new SelectObjectContentCommand({
      ...name,
      Expression: expression,
      ExpressionType: 'SQL',
      InputSerialization: { CSV: {} },
      OutputSerialization: { CSV: {} },
      ...input,
    }),
  )
  const pieces: Uint8Array[] = []
  const events: (keyof SelectObjectContentEventStream)[] = []
  let stats = {}
  for await (const event of answer.Payload ?? []) {
    events.push(Object.keys(event)[0] as keyof SelectObjectContentEventStream)
    if (event.Records?.Payload !== undefined) pieces.push(event.Records.Payload)
    if (event.Stats?.Details !== undefined) stats = event.Stats.Details
  }
  return { records: Buffer.concat(pieces).toString(), events, stats }
}

test('a query over CSV is answered with its records, its counts and an end', async () => {
  const body = 'name,age\nann,41\n"bob, jr",17\n'
  const name = await put(body)
  const answer = await select(name, 'SELECT s.name FROM S3Object s WHERE CAST(s.age AS INT) < 40', {
    InputSerialization: { CSV: { FileHeaderInfo: 'USE' } },
    OutputSerialization: { JSON: {} },
  })
  assert.equal(answer.records, '{"name":"bob, jr"}\n')
  // A client that waits is told from time to time that there is nothing yet.
  assert.deepEqual(
    answer.events.filter((each) => each !== 'Cont'),
    ['Records', 'Stats', 'End'],
  )
  assert.deepEqual({ ...answer.stats }, { BytesScanned: body.length, BytesProcessed: body.length, BytesReturned: 19 })
})

test('an object of many megabytes, in parts of the answer, is read whole and in order', async () => {
  const lines = Array.from({ length: 200_000 }, (_, index) => `${index},${'x'.repeat(index % 50)}`)
  const name = await put(`${lines.join('\n')}\n`)
  const all = await select(name, 'SELECT * FROM S3Object', { RequestProgress: { Enabled: true } })
  assert.equal(all.records, `${lines.join('\n')}\n`)
  assert.ok(all.events.includes('Progress'))
  assert.ok(all.events.filter((each) => each === 'Records').length > 10)
  const few = await select(name, 'SELECT _1 FROM S3Object LIMIT 2')
  assert.equal(few.records, '0\n1\n')
  assert.ok((few.stats.BytesScanned ?? 0) < 4_000_000, 'a limit ends the reading')
})

test('scan ranges side by side meet each record once', async () => {
  const lines = Array.from({ length: 300 }, (_, index) => `${index}${'y'.repeat(index % 7)}`)
  const body = `${lines.join('\n')}\n`
  const name = await put(body)
  let joined = ''
  for (let start = 0; start < body.length; start += 97) {
    const End = Math.min(body.length, start + 97) - 1
    joined += (await select(name, 'SELECT * FROM S3Object', { ScanRange: { Start: start, End } })).records
  }
  assert.equal(joined, body)
})

test('a compressed object is read; what is not compressed as it was said is refused', async () => {
  const name = await put(gzipSync('a,1\nb,2\n'))
  const zipped = { InputSerialization: { CSV: {}, CompressionType: 'GZIP' } } as const
  assert.equal((await select(name, 'SELECT _2 FROM S3Object', zipped)).records, '1\n2\n')
  const plain = await put('a,1\n')
  assert.equal(await refusal(select(plain, 'SELECT _2 FROM S3Object', zipped)), '400 InvalidCompressionFormat')
})

test('white space of one character is a delimiter', async () => {
  const name = await put('1\t2 3\t4 ')
  const spaced = {
    InputSerialization: { CSV: { FieldDelimiter: '\t', RecordDelimiter: ' ' } },
    OutputSerialization: { CSV: { FieldDelimiter: '|', RecordDelimiter: '\t', QuoteFields: 'ALWAYS' } },
  } as const
  assert.equal((await select(name, 'SELECT _2, _1 FROM S3Object', spaced)).records, '"2"|"1"\t"4"|"3"\t')
})

test('JSON lines and documents are read, also where an array in a document holds the records', async () => {
  const lines = await put('{"a":{"b":1.50},"c":[1,2]}\n{"a":null}\n')
  const asLines = { InputSerialization: { JSON: { Type: 'LINES' } }, OutputSerialization: { JSON: {} } } as const
  const found = await select(lines, 'SELECT s.a.b, s.c[1] AS second FROM S3Object s', asLines)
  assert.equal(found.records, '{"b":1.50,"second":2}\n{}\n')
  const document = await put('{"rows":[{"x":1},{"x":2}],"other":[{"x":3}]}')
  const asDocument = { ...asLines, InputSerialization: { JSON: { Type: 'DOCUMENT' } } } as const
  assert.equal((await select(document, 'SELECT SUM(r.x) FROM S3Object[*].rows[*] r', asDocument)).records, '{"_1":3}\n')
})

test('what is wrong with a request is refused with AWS’s codes', async () => {
  const name = await put('a,b\n')
  const cases: readonly (readonly [string, Partial<SelectObjectContentCommandInput>, string])[] = [
    ['SELECT * FROM', {}, 'InvalidDataSource'],
    ['SELECT x FROM S3Object', { InputSerialization: { CSV: { FileHeaderInfo: 'USE' } } }, 'MissingHeaders'],
    ['SELECT CAST(_1 AS INT) FROM S3Object', {}, 'CastFailed'],
    ['SELECT * FROM S3Object', { ExpressionType: 'PARTIQL' as 'SQL' }, 'InvalidExpressionType'],
    [
      'SELECT * FROM S3Object',
      { InputSerialization: { CSV: {}, JSON: { Type: 'LINES' } } },
      'ObjectSerializationConflict',
    ],
    ['SELECT * FROM S3Object', { InputSerialization: { JSON: { Type: 'LINES' } } }, 'JSONParsingError'],
    ['SELECT * FROM S3Object', { InputSerialization: { Parquet: {} } }, 'ParquetParsingError'],
    ['SELECT * FROM S3Object', { ScanRange: { Start: 9, End: 3 } }, 'InvalidScanRange'],
  ]
  for (const [expression, input, code] of cases) {
    assert.equal(await refusal(select(name, expression, input)), `400 ${code}`, expression)
  }
  assert.equal(await refusal(select({ ...name, Key: 'none' }, 'SELECT * FROM S3Object')), '404 NoSuchKey')
})

test('what goes wrong after the answer began ends it with an error message', async () => {
  const name = await put(`${'1\n'.repeat(200_000)}x\n`)
  let seen = 0
  const answer = await harness().client.send(
    new SelectObjectContentCommand({
      ...name,
      Expression: 'SELECT CAST(_1 AS INT) FROM S3Object',
      ExpressionType: 'SQL',
      InputSerialization: { CSV: {} },
      OutputSerialization: { CSV: {} },
    }),
  )
  await assert.rejects(async () => {
    for await (const event of answer.Payload ?? []) seen += event.Records?.Payload?.length ?? 0
  }, /CAST/)
  assert.ok(seen > 0)
})

test('only who may read the object may query it', async () => {
  const name = await put('a\n')
  const command = new SelectObjectContentCommand({
    ...name,
    Expression: 'SELECT * FROM S3Object',
    ExpressionType: 'SQL',
    InputSerialization: { CSV: {} },
    OutputSerialization: { CSV: {} },
  })
  assert.equal(await refusal(harness().otherClient.send(command)), '403 AccessDenied')
})

test('an object under a customer’s key is read with that key alone', async () => {
  const key = Buffer.alloc(32, 7)
  const SSECustomer = { SSECustomerAlgorithm: 'AES256', SSECustomerKey: key as unknown as string }
  const body = Array.from({ length: 60_000 }, (_, index) => `${index}\n`).join('')
  const name = await put(body, SSECustomer)
  assert.equal((await select(name, 'SELECT COUNT(*) FROM S3Object', SSECustomer)).records, '60000\n')
  assert.equal(
    (await select(name, 'SELECT * FROM S3Object', { ...SSECustomer, ScanRange: { Start: 300_000 } })).records,
    body.slice(body.indexOf('\n', 299_999) + 1),
  )
  assert.equal(await refusal(select(name, 'SELECT COUNT(*) FROM S3Object')), '400 InvalidRequest')
})

test('a client that leaves ends its query, and makes room for others', async () => {
  const name = await put('1,2\n'.repeat(2_000_000))
  for (let round = 0; round < 5; round++) {
    const leaving = new AbortController()
    const answer = await harness().client.send(
      new SelectObjectContentCommand({
        ...name,
        Expression: 'SELECT * FROM S3Object',
        ExpressionType: 'SQL',
        InputSerialization: { CSV: {} },
        OutputSerialization: { CSV: {} },
      }),
      { abortSignal: leaving.signal },
    )
    await assert.rejects(async () => {
      for await (const event of answer.Payload ?? []) if (event.Records !== undefined) leaving.abort()
    })
  }
  assert.equal((await select(name, 'SELECT _1 FROM S3Object LIMIT 1')).records, '1\n')
})
