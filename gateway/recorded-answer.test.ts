import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import type { Ending } from './access-log.ts'
import type { S3Response } from './operations/operation.ts'
import { withRecord } from './recorded-answer.ts'
import { el } from './xml/render.ts'

/** A log that takes its time. */
function slowLog() {
  const begun: Ending[] = []
  const done: Ending[] = []
  const write = async (ending: Ending) => {
    begun.push(ending)
    await new Promise((resolve) => setTimeout(resolve, 5))
    done.push(ending)
  }
  return { begun, done, write }
}

async function* pieces(...all: readonly number[]): AsyncGenerator<Uint8Array> {
  for (const size of all) {
    if (size < 0) throw new Fault('SlowDown')
    yield new Uint8Array(size)
  }
}

const streamed = (length: number, ...sizes: readonly number[]): S3Response => ({
  status: 200,
  headers: { 'content-length': String(length) },
  body: pieces(...sizes),
})

test('an answer that is there at once is handed on after its record', async () => {
  const answers: readonly (readonly [S3Response, number])[] = [
    [{ status: 204, headers: { 'x-amz-version-id': 'v' } }, 0],
    [{ status: 200, body: 'ümlaut' }, 7],
    [{ status: 200, body: new Uint8Array(9) }, 9],
  ]
  for (const [response, bytesSent] of answers) {
    const { done, write } = slowLog()
    assert.equal(await withRecord(response, false, write), response)
    const versionId = response.headers === undefined ? {} : { versionId: 'v' }
    assert.deepEqual(done, [{ status: response.status, bytesSent, ...versionId }])
  }
})

test('a document is rendered once, and counted as it is sent', async () => {
  const { done, write } = slowLog()
  const { body, headers } = await withRecord({ status: 200, body: el('A', 'ü') }, false, write)
  assert.ok(typeof body === 'string' && headers?.['content-type'] === 'application/xml')
  assert.deepEqual(done, [{ status: 200, bytesSent: Buffer.byteLength(body) }])
})

test('of a HEAD no bytes are told, and no stream is read', async () => {
  const { done, write } = slowLog()
  await withRecord(streamed(5, -1), true, write)
  assert.deepEqual(done, [{ status: 200, bytesSent: 0 }])
})

test('the last piece of a stream comes after the record', async () => {
  const { begun, done, write } = slowLog()
  const { body } = await withRecord(streamed(6, 3, 2, 1), false, write)
  const seen: string[] = []
  for await (const piece of body as AsyncIterable<Uint8Array>)
    seen.push(`${piece.length}: ${begun.length} ${done.length}`)
  assert.deepEqual(seen, ['3: 0 0', '2: 0 0', '1: 1 1'])
  assert.deepEqual(done, [{ status: 200, bytesSent: 6 }])
})

test('what the client did not wait for is told as far as it went; what fails at once gets another answer, and record', async () => {
  const left = slowLog()
  const { body } = await withRecord(streamed(6, 3, 2, 1), false, left.write)
  const chunks = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  await chunks.next()
  await chunks.next()
  await chunks.return?.()
  assert.deepEqual(left.done, [{ status: 200, bytesSent: 3 }])

  const failed = slowLog()
  const answer = await withRecord(streamed(6, -1), false, failed.write)
  const broken = (answer.body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]()
  await assert.rejects(broken.next())
  assert.deepEqual(failed.begun, [])
})

test('what is answered late is told with what became of it', async () => {
  const good = slowLog()
  const { later } = await withRecord({ status: 200, later: Promise.resolve(el('A')) }, false, good.write)
  assert.equal((await later)?.name, 'A')
  assert.equal(good.done[0]?.status, 200)

  for (const [thrown, expected] of [
    [new Fault('NoSuchKey'), { status: 404, errorCode: 'NoSuchKey' }],
    [new Error('a bug'), { status: 500, errorCode: 'InternalError' }],
  ] as const) {
    const bad = slowLog()
    const answer = await withRecord({ status: 200, later: Promise.reject(thrown) }, false, bad.write)
    await assert.rejects(answer.later ?? Promise.resolve(), thrown)
    assert.deepEqual(bad.done, [expected])
  }
})

test('each of many objects has a record of its own, before the request’s', async () => {
  const { done, write } = slowLog()
  const each = [
    { key: 'a', status: 204 },
    { key: 'b', status: 403, errorCode: 'AccessDenied' },
  ]
  await withRecord({ status: 200, each }, false, write)
  assert.deepEqual(done, [
    { status: 204, ofKey: 'a' },
    { status: 403, errorCode: 'AccessDenied', ofKey: 'b' },
    { status: 200, bytesSent: 0 },
  ])
})
