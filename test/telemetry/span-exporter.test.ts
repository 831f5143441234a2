import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import type { EndedSpan } from '#src/telemetry/span.ts'
import { SpanExporter, type SpanExporterParts } from '#src/telemetry/span-exporter.ts'
import { Collector } from '../support/collector.ts'
import { freePorts } from '../support/free-ports.ts'

const span = (name = 'x'): EndedSpan => ({
  traceId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  parentId: undefined,
  name,
  kind: 'internal',
  began: 1,
  ended: 2,
  attributes: {},
  events: [],
  links: [],
  hasFailed: false,
})

function exporterOf(endpoint: string, parts: Partial<SpanExporterParts> = {}) {
  const told = { dropped: 0, exported: 0, away: [] as (readonly [boolean, string])[] }
  const exporter = new SpanExporter({
    endpoint,
    headers: {},
    resource: { 'service.name': 'test' },
    version: '1',
    dropped: (spans) => {
      told.dropped += spans
    },
    exported: (spans) => {
      told.exported += spans
    },
    isAway: (isAway, why) => told.away.push([isAway, why]),
    ...parts,
    limits: { everyMs: 10, pauseMs: [10, 50], ...parts.limits },
  })
  return { exporter, told }
}

async function collectorOf(t: TestContext): Promise<Collector> {
  const collector = await Collector.start()
  t.after(() => collector.close())
  return collector
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 3_000, 'it has not become so')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('spans go out together, with the headers of the collector, and the rest when it ends', async (t) => {
  const collector = await collectorOf(t)
  const { exporter, told } = exporterOf(`${collector.endpoint}/`, {
    headers: { 'x-token': 'good' },
    limits: { batchMost: 100, everyMs: 60_000 },
  })
  for (let each = 0; each < 250; each++) exporter.add(span())
  await until(() => collector.spans.length === 200)
  await exporter.close()
  assert.deepEqual([collector.spans.length, told.exported, told.dropped], [250, 250, 0])
  assert.ok(collector.requests.every(({ spans }) => spans <= 100))
  for (const { path, headers } of collector.requests) {
    assert.deepEqual([path, headers['x-token'], headers['content-type']], ['/v1/traces', 'good', 'application/json'])
  }
  exporter.add(span())
  assert.equal(told.dropped, 1, 'too late')
})

test('O3: a collector that fails is asked again, and nothing of what it may have is sent twice once it takes it', async (t) => {
  const collector = await collectorOf(t)
  collector.behaviour = 'fails'
  const { exporter, told } = exporterOf(collector.endpoint)
  for (let each = 0; each < 10; each++) exporter.add(span())
  await until(() => collector.requests.length >= 3)
  collector.behaviour = 'takes'
  await until(() => told.exported === 10)
  assert.deepEqual([collector.spans.length, told.dropped], [10, 0])
  assert.deepEqual(told.away, [
    [true, '503'],
    [false, ''],
  ])
  await exporter.close()
})

test('O3: what a collector refuses is dropped, counted, and not sent again', async (t) => {
  const collector = await collectorOf(t)
  collector.behaviour = 'refuses'
  const { exporter, told } = exporterOf(collector.endpoint)
  for (let each = 0; each < 10; each++) exporter.add(span())
  await until(() => told.dropped === 10)
  await exporter.close()
  assert.equal(told.exported, 0)
  assert.deepEqual(told.away, [[true, '400']])
})

test('O4: whoever ends spans while the collector hangs waits for nothing, so many are kept and no more, and the end is near', async (t) => {
  const collector = await collectorOf(t)
  collector.behaviour = 'hangs'
  const limits = { waitingMost: 1_000, batchMost: 100, closeMs: 200, timeoutMs: 100 }
  const { exporter, told } = exporterOf(collector.endpoint, { limits })
  for (let each = 0; each < 5_000; each++) exporter.add(span())
  assert.ok(told.dropped >= 3_900, String(told.dropped))
  await until(() => told.away.length === 1)
  const began = performance.now()
  await exporter.close()
  assert.ok(performance.now() - began < 10_000)
  assert.deepEqual([told.dropped, told.exported], [5_000, 0])
})

test('O4: an answer that does not come is not waited for at the end', async (t) => {
  const collector = await collectorOf(t)
  collector.behaviour = 'hangs'
  const { exporter, told } = exporterOf(collector.endpoint, { limits: { closeMs: 100, timeoutMs: 100_000 } })
  exporter.add(span())
  await until(() => collector.requests.length === 1)
  const began = performance.now()
  await exporter.close()
  assert.ok(performance.now() - began < 20_000)
  assert.equal(told.dropped, 1)
})

test('O3: nobody there is as good as one who fails', async () => {
  const { exporter, told } = exporterOf(`http://127.0.0.1:${await freePorts(1)}`)
  exporter.add(span())
  await until(() => told.away.length === 1)
  assert.deepEqual(told.away, [[true, 'ECONNREFUSED']])
  await exporter.close()
  assert.equal(told.dropped, 1)
})
