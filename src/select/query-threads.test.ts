import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type Query, QueryThreads } from './query-threads.ts'
import type { SelectRequest, Source } from './request.ts'

const csv = {
  header: 'NONE',
  comments: '',
  quote: '"',
  quoteEscape: '"',
  fieldDelimiter: ',',
  recordDelimiter: '\n',
  allowsQuotedRecordDelimiter: false,
} as const

const request = (expression: string, input: SelectRequest['input'] = { kind: 'csv', csv }): SelectRequest => ({
  expression,
  compression: 'NONE',
  now: 0,
  input,
  output: { kind: 'csv', csv: { ...csv, quoteFields: 'ASNEEDED' } },
})

const sourceOf = (text: string): Source => {
  const bytes = Buffer.from(text)
  return { size: bytes.length, read: async (from, to) => Uint8Array.from(bytes.subarray(from, to)) }
}

async function answer(query: Query): Promise<string> {
  const pieces: Uint8Array[] = []
  for (let step = await query.next(); step !== undefined; step = await query.next()) pieces.push(step)
  return Buffer.concat(pieces).toString()
}

const limits = { runningMax: 2, waitingMax: 1, heapMegabytes: 64 }
const text = '1,2\n'.repeat(200_000)

test('threads run one query after the other, also after one that failed or was stopped', async () => {
  const threads = new QueryThreads(limits)
  for (let round = 0; round < 3; round++) {
    assert.equal(await answer(await threads.start(request('SELECT * FROM S3Object'), sourceOf(text))), text)
    const failing = await threads.start(
      request("SELECT CAST(_1 AS BOOL), INT(_9), INT(_1 || _1 || 'x') FROM S3Object"),
      sourceOf(text),
    )
    await assert.rejects(answer(failing), { code: 'CastFailed' })
    const stopped = await threads.start(request('SELECT * FROM S3Object'), sourceOf(text))
    await stopped.next()
    stopped.stop()
  }
})

test('what reading the object throws comes out as it was', async () => {
  const threads = new QueryThreads(limits)
  const error = new Error('the disk is gone')
  const source: Source = { size: 10, read: () => Promise.reject(error) }
  await assert.rejects(answer(await threads.start(request('SELECT * FROM S3Object'), source)), error)
})

test('S1: a query that needs more memory than it may have ends in an error, and others go on', async () => {
  const threads = new QueryThreads({ ...limits, heapMegabytes: 32 })
  const record = `[${'{},'.repeat(400_000)}0]`
  const query = await threads.start(
    request('SELECT * FROM S3Object', { kind: 'json', isLines: true }),
    sourceOf(record),
  )
  await assert.rejects(answer(query), { code: 'ExternalEvalException' })
  assert.equal(await answer(await threads.start(request('SELECT COUNT(*) FROM S3Object'), sourceOf(text))), '200000\n')
})

test('S1: a query that stands still does not hold up this thread, and can be stopped', async () => {
  const threads = new QueryThreads({ ...limits, runningMax: 1 })
  // A pattern that fails late, everywhere, over a megabyte: minutes of work.
  const pattern = `%${'a'.repeat(8_000)}b%`
  const query = await threads.start(
    request(`SELECT _1 LIKE '${pattern}' FROM S3Object`),
    sourceOf(`${'a'.repeat(1_000_000)}\n`),
  )
  const next = query.next()
  let longest = 0
  let last = performance.now()
  for (let turn = 0; turn < 50; turn++) {
    await wait(10)
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  assert.ok(longest < 400, `nothing else happened for ${longest} ms`)
  assert.equal(await Promise.race([next, wait(10, 'still at it')]), 'still at it')
  query.stop()
  assert.equal(await answer(await threads.start(request('SELECT COUNT(*) FROM S3Object'), sourceOf(text))), '200000\n')
})

test('S2: others wait for their turn, and too many are refused', async () => {
  const threads = new QueryThreads(limits)
  const start = () => threads.start(request('SELECT * FROM S3Object'), sourceOf(text))
  const [first, second] = [await start(), await start()]
  let isThird = false
  const third = start().then((query) => {
    isThird = true
    return query
  })
  await assert.rejects(start(), { code: 'Busy' })
  await first.next()
  await wait(50)
  assert.equal(isThird, false)
  first.stop()
  assert.equal(await answer(await third), text)
  assert.equal(await answer(second), text)
})
