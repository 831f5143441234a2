import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { catalogue, definitions } from './catalogue.ts'
import { exposition } from './exposition.ts'
import { type Definition, Metrics } from './metrics.ts'
import { RequestMeters } from './request-meters.ts'

const counted: Definition = { name: 'sent_total', kind: 'counter', help: 'a "help"\nof \\ two lines', labels: ['to'] }
const timed: Definition = { name: 'took_seconds', kind: 'histogram', help: 'time', labels: [], bounds: [0.1, 1] }
const level: Definition = { name: 'level_bytes', kind: 'gauge', help: 'level', labels: [] }

test('R1: a series is one object that is found again, and is read as it is', async () => {
  const metrics = new Metrics()
  const family = metrics.counter(counted)
  assert.equal(family.of('fra'), family.of('fra'))
  assert.notEqual(family.of('fra'), family.of('iad'))
  family.of('fra').add()
  family.of('fra').add(2)
  assert.deepEqual(await metrics.read(), [
    { name: 'sent_total', labels: ['fra'], value: 3 },
    { name: 'sent_total', labels: ['iad'], value: 0 },
  ])
  assert.throws(() => family.of(), /labels/)
  assert.throws(() => metrics.counter(counted), /twice/)
  assert.throws(() => metrics.gauge({ ...counted, name: 'other' }), /counter/)
})

test('R1: observing requests makes no more series than there are operations and statuses', async () => {
  const metrics = new Metrics()
  const meters = new RequestMeters(metrics)
  for (let at = 0; at < 5_000; at++) meters.answered(`operation ${at}`, 200, 0.01, 10, 20)
  for (let at = 0; at < 1_000; at++) meters.answered('operation 1', 404, 0.01, 10, 20)
  const read = (await metrics.read()).filter(({ name }) => name === catalogue.requests.name)
  // Whatever clients call their requests: a thousand names, and one for the others.
  assert.equal(read.length, 1_002)
  const seriesOf = (...labels: string[]) => read.find((each) => each.labels.join() === labels.join())?.value
  assert.equal(seriesOf('other', '200'), 4_000)
  assert.equal(seriesOf('operation 1', '404'), 1_000)
  assert.equal(seriesOf('operation 1', '200'), 1)
})

test('R2: what cannot be found out is left out, and the rest is told', async () => {
  const metrics = new Metrics()
  metrics.collect(level, () => Promise.reject(new Error('no disk')))
  metrics.collect({ ...level, name: 'thrown' }, () => {
    throw new Error('no disk')
  })
  metrics.collect({ ...level, name: 'known' }, () => [{ labels: [], value: 7 }])
  metrics.counter(counted).of('fra').add()
  assert.deepEqual(
    (await metrics.read()).map(({ name }) => name),
    ['sent_total', 'known'],
  )
})

test('buckets add up, and a bound belongs to its own bucket', async () => {
  const metrics = new Metrics()
  const series = metrics.histogram(timed).of()
  for (const value of [0.05, 0.1, 0.2, 1, 5]) series.observe(value)
  const text = exposition([timed], 'fra', [{ worker: '0', readings: await metrics.read() }])
  assert.equal(
    text,
    [
      '# HELP took_seconds time',
      '# TYPE took_seconds histogram',
      'took_seconds_bucket{region="fra",worker="0",le="0.1"} 2',
      'took_seconds_bucket{region="fra",worker="0",le="1"} 4',
      'took_seconds_bucket{region="fra",worker="0",le="+Inf"} 5',
      'took_seconds_sum{region="fra",worker="0"} 6.35',
      'took_seconds_count{region="fra",worker="0"} 5',
      '',
    ].join('\n'),
  )
})

test('what stands in labels and helps cannot break a line; each process has series of its own', async () => {
  const metrics = new Metrics()
  metrics.counter(counted).of('a"b\\c\nd').add()
  const readings = await metrics.read()
  const text = exposition([counted, level], 'fra', [
    { worker: '0', readings },
    { worker: '1', readings: [...readings, { name: 'unknown', labels: [], value: 1 }] },
  ])
  assert.equal(
    text,
    [
      '# HELP sent_total a "help"\\nof \\\\ two lines',
      '# TYPE sent_total counter',
      'sent_total{to="a\\"b\\\\c\\nd",region="fra",worker="0"} 1',
      'sent_total{to="a\\"b\\\\c\\nd",region="fra",worker="1"} 1',
      '',
    ].join('\n'),
  )
})

test("names keep to Prometheus' conventions: units, and totals for counters alone", () => {
  const names = definitions.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, kind, labels } of definitions) {
    assert.match(name, /^(meridian|process)_[a-z]+(_[a-z]+)*$/)
    assert.equal(name.endsWith('_total'), kind === 'counter', name)
    assert.doesNotMatch(name, /milliseconds|_ms|_kb|_count$|_sum$|_bucket$/)
    for (const label of labels) assert.ok(/^[a-z]+$/.test(label) && !['region', 'worker', 'le'].includes(label), label)
  }
})

test('every metric of the catalogue is measured somewhere', () => {
  const sources = [
    'open/metrics.ts',
    'open.ts',
    'open/tracing.ts',
    'telemetry/process-metrics.ts',
    'telemetry/request-meters.ts',
  ]
    .map((file) => join(import.meta.dirname, '..', file))
    .concat(['measuring.ts', 'replicating-metrics.ts'].map((file) => join(import.meta.dirname, '../../bin', file)))
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
  for (const key of Object.keys(catalogue)) assert.ok(sources.includes(`catalogue.${key}`), key)
})
