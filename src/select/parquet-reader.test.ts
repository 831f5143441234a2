import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '#src/errors.ts'
import { QueryProcesses } from './query-processes.ts'
import type { SelectRequest, Source } from './request.ts'
import { parquetFiles } from './samples.ts'

const processes = new QueryProcesses({ runningMax: 1, waitingMax: 0, heapMegabytes: 128, silentMs: 60_000 })

interface Reading extends Source {
  bytesRead: number
}

function sourceOf(bytes: Uint8Array): Reading {
  const source: Reading = {
    size: bytes.length,
    bytesRead: 0,
    async read(from, to) {
      source.bytesRead += to - from
      return Uint8Array.from(bytes.subarray(from, to))
    },
  }
  return source
}

async function select(expression: string, source: Source, extra: Partial<SelectRequest> = {}): Promise<string> {
  const output = { kind: 'json', recordDelimiter: '\n' } as const
  const query = await processes.start(
    { expression, compression: 'NONE', now: 0, input: { kind: 'parquet' }, output, ...extra },
    source,
  )
  let answer = ''
  try {
    for (let step = await query.next(); step !== undefined; step = await query.next()) {
      answer += Buffer.from(step).toString()
    }
  } finally {
    query.stop()
  }
  return answer
}

const file = parquetFiles['snappy'] ?? Buffer.alloc(0)

test('values of every kind are read, from every codec', async () => {
  for (const [codec, bytes] of Object.entries(parquetFiles)) {
    assert.equal(
      await select('SELECT * FROM S3Object', sourceOf(bytes)),
      [
        '{"id":1,"Name":"ann","price":1.10,"ratio":0.5,"flag":true,"at":"2026-11-22T01:02:03.004Z","day":"2026-11-22T","tags":["x","y"]}',
        '{"id":2,"Name":null,"price":-0.05,"ratio":2,"flag":false,"at":null,"day":null,"tags":[]}',
        '{"id":9007199254740993,"Name":"bob, jr","price":null,"ratio":null,"flag":null,"at":"1969-12-31T00:00:00Z","day":"1970-01-01T","tags":null}',
        '',
      ].join('\n'),
      codec,
    )
  }
})

test('a query reads the columns that it names, whatever their case', async () => {
  const [few, all] = [sourceOf(file), sourceOf(file)]
  assert.equal(await select('SELECT s.name FROM S3Object s WHERE s.id > 2', few), '{"name":"bob, jr"}\n')
  assert.equal(
    await select('SELECT SUM(price) AS p, COUNT(*) AS n FROM S3Object', sourceOf(file)),
    '{"p":1.05,"n":3}\n',
  )
  assert.equal(await select('SELECT COUNT(*) FROM S3Object', sourceOf(file)), '{"_1":3}\n')
  assert.equal(await select('SELECT tags[1] AS t FROM S3Object LIMIT 1', sourceOf(file)), '{"t":"y"}\n')
  await select('SELECT * FROM S3Object', all)
  assert.ok(few.bytesRead < all.bytesRead)
})

test('a scan range takes the row groups that start in it', async () => {
  const groups = []
  for (let start = 0; start < file.length; start += 50) {
    const scanRange = { start, end: start + 49 }
    groups.push(await select('SELECT id FROM S3Object', sourceOf(file), { scanRange }))
  }
  assert.deepEqual(
    groups.filter((each) => each !== ''),
    ['{"id":1}\n{"id":2}\n', '{"id":9007199254740993}\n'],
  )
})

const changedBy = (at: number, change: number): Buffer => {
  const changed = Buffer.from(file)
  changed[at] = (changed[at] ?? 0) ^ change
  return changed
}

async function readChanged(changed: Buffer): Promise<void> {
  const found = await select('SELECT * FROM S3Object', sourceOf(changed)).catch((error: unknown) => error)
  assert.ok(typeof found === 'string' || found instanceof Fault, String(found))
  // A query whose process died of it, or was ended, is bounded; but what the metadata tells is to be refused before.
  assert.ok(!(found instanceof Fault && found.code === 'ExternalEvalException'), String(found))
}

/** Changes that made a reader that believed the file work for seconds and minutes, or fill its heap. */
const killers = [
  '123 61, 824 13, 835 67, 837 100, 854 31, 880 73, 880 76, 880 79, 882 100',
  '894 100, 923 73, 925 52, 932 55, 948 1',
  // What had a type that nobody expected was an error of ours.
  '867 3, 892 83, 1109 6',
]
  .flatMap((line) => line.split(', '))
  .map((each) => each.split(' ').map(Number))

test('a changed file is read otherwise or refused, and hurts nobody', async () => {
  for (const [at = 0, change = 0] of killers) await readChanged(changedBy(at, change))
  let runs = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(file.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      await readChanged(changedBy(at, change))
      runs++
    }),
    { numRuns: 300, interruptAfterTimeLimit: 30_000, markInterruptAsFailure: false },
  )
  assert.ok(runs >= 20, `${runs} in half a minute`)
})
