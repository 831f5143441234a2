import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { encodeSpans } from './otlp.ts'
import type { EndedSpan } from './span.ts'
import { Tracer } from './tracer.ts'

function tracerOf(ratio: number, monotonic = () => performance.now()) {
  const ended: EndedSpan[] = []
  const tracer = new Tracer({
    nowMicroseconds: () => 1_700_000_000_000_000n,
    monotonic,
    randomBytes,
    ratio,
    isExpected: (error) => error instanceof Error && error.message === 'expected',
    ended: (span) => ended.push(span),
  })
  return { tracer, ended }
}

const parent = (flags: string): string => `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-${flags}`

test('O1: no more than the ratio are traced, whatever clients ask for', () => {
  for (const [ratio, most] of [
    [1, 10_000],
    [0.1, 1_011],
    [0.001, 21],
    [0, 0],
  ] as const) {
    for (const asked of [parent('01'), undefined]) {
      const { tracer } = tracerOf(ratio)
      let traced = 0
      for (let request = 0; request < 10_000; request++) if (tracer.request('x', asked, {}) !== undefined) traced += 1
      assert.ok(traced <= most, `${traced} of 10,000 at ${ratio}`)
      // Chance seldom gives less than half of what is due, and of those who ask, each is served that may be.
      if (ratio >= 0.1) assert.ok(traced >= (asked === undefined ? 500 : most - 11), `${traced} at ${ratio}`)
    }
  }
})

test('a client that wants no trace gets none, and what it says of its own is the parent', () => {
  const { tracer, ended } = tracerOf(1)
  assert.equal(tracer.request('x', parent('00'), {}), undefined)
  tracer.request('x', parent('01'), {})?.end()
  assert.deepEqual([ended[0]?.traceId, ended[0]?.parentId], [parent('01').slice(3, 35), parent('01').slice(36, 52)])
  const own = tracer.request('x', 'nonsense', {})
  own?.end()
  assert.match(own?.context.traceId ?? '', /^[0-9a-f]{32}$/)
  assert.equal(ended[1]?.parentId, undefined)
})

test('what was begun elsewhere is traced if it is there, at any ratio', () => {
  const { tracer } = tracerOf(0.001)
  for (let call = 0; call < 100; call++) assert.ok(tracer.resume('x', parent('01'), {}))
  assert.equal(tracer.resume('x', parent('00'), {}), undefined)
  assert.equal(tracer.resume('x', undefined, {}), undefined)
})

test('O2: work belongs to the span that it was begun in, across whatever it waits for, and to no other', async () => {
  const { tracer, ended } = tracerOf(1)
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  async function* numbers(): AsyncGenerator<string | undefined> {
    for (let number = 0; number < 3; number++) {
      await turn()
      yield await tracer.inSpan('number', {}, async (span) => span?.context.traceId)
    }
  }
  const request = async (): Promise<void> => {
    const span = tracer.request('request', undefined, {})
    assert.ok(span !== undefined)
    await tracer.within(span, async () => {
      for await (const trace of tracer.reading('numbers', {}, numbers)) {
        await turn()
        assert.equal(trace, span.context.traceId)
        assert.equal(tracer.current, span)
      }
      await tracer.inSpan('outer', {}, async (outer) => {
        await turn()
        assert.equal(tracer.current, outer)
      })
    })
    span.end()
  }
  await Promise.all(Array.from({ length: 20 }, request))
  assert.equal(ended.length, 20 * 6)
  assert.equal(tracer.current, undefined)
  assert.equal(await tracer.inSpan('alone', {}, async (span) => span), undefined)
  assert.equal(ended.length, 20 * 6)
  for (const root of ended.filter(({ name }) => name === 'request')) {
    const all = ended.filter(({ traceId }) => traceId === root.traceId)
    const [reading, outer] = all.filter(({ parentId }) => parentId === root.spanId)
    assert.deepEqual([reading?.name, outer?.name], ['numbers', 'outer'])
    assert.equal(all.filter(({ parentId }) => parentId === reading?.spanId).length, 3)
  }
})

test('a trace has a thousand spans in a process at most, and work goes on without', async () => {
  const { tracer, ended } = tracerOf(1)
  const span = tracer.request('request', undefined, {})
  assert.ok(span !== undefined)
  let done = 0
  await tracer.within(span, async () => {
    for (let part = 0; part < 3_000; part++) {
      await tracer.inSpan('part', {}, async () => {
        done += 1
      })
    }
  })
  span.end()
  assert.deepEqual([done, ended.length], [3_000, 1_000])
})

test('a failure is told by its kind alone, and an answer is none', async () => {
  const { tracer, ended } = tracerOf(1)
  const span = tracer.request('request', undefined, {})
  assert.ok(span !== undefined)
  await tracer.within(span, async () => {
    const failing = (error: Error) =>
      assert.rejects(
        tracer.inSpan('part', {}, () => Promise.reject(error)),
        error,
      )
    await failing(new Error('expected'))
    await failing(Object.assign(new Error('a secret'), { code: 'ECONNRESET' }))
  })
  assert.deepEqual(
    ended.map(({ attributes, hasFailed }) => [attributes['error.type'], hasFailed]),
    [
      ['Error', false],
      ['ECONNRESET', true],
    ],
  )
  assert.ok(!JSON.stringify(ended).includes('a secret'))
})

test('a clock that is set bends no trace, and what is sent is what OTLP says', () => {
  let time = 5_000
  const { tracer, ended } = tracerOf(1, () => time)
  const span = tracer.request('request', parent('01'), { kind: 'server', attributes: { text: 'x', whole: 7 } })
  time += 1.5
  span?.event('it happened')
  span?.set('part', 0.5)
  span?.set('is', true)
  time += 1
  span?.end()
  span?.end()
  assert.equal(ended.length, 1)
  assert.deepEqual(JSON.parse(encodeSpans({ 'service.name': 'meridian' }, '1.2.3', ended)), {
    resourceSpans: [
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: 'meridian' } }] },
        scopeSpans: [
          {
            scope: { name: 'meridian', version: '1.2.3' },
            spans: [
              {
                traceId: parent('01').slice(3, 35),
                spanId: span?.context.spanId,
                parentSpanId: parent('01').slice(36, 52),
                flags: 1,
                name: 'request',
                kind: 2,
                startTimeUnixNano: '1700000000000000000',
                endTimeUnixNano: '1700000000002500000',
                attributes: [
                  { key: 'text', value: { stringValue: 'x' } },
                  { key: 'whole', value: { intValue: '7' } },
                  { key: 'part', value: { doubleValue: 0.5 } },
                  { key: 'is', value: { boolValue: true } },
                ],
                events: [{ name: 'it happened', timeUnixNano: '1700000000001500000' }],
                status: {},
              },
            ],
          },
        ],
      },
    ],
  })
})
