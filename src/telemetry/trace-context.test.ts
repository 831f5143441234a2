import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTraceparent, writeTraceparent } from './trace-context.ts'

const [trace, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']

test('a traceparent is read as the specification has it', () => {
  const read = (text: string | string[] | undefined) => readTraceparent(text)
  assert.deepEqual(read(`00-${trace}-${span}-01`), { traceId: trace, spanId: span, isSampled: true })
  assert.equal(read(`00-${trace}-${span}-00`)?.isSampled, false)
  // Other flags say other things.
  assert.equal(read(`00-${trace}-${span}-02`)?.isSampled, false)
  assert.equal(read(`00-${trace}-${span}-ff`)?.isSampled, true)
  // Of versions to come, what is known.
  assert.equal(read(`01-${trace}-${span}-01-what-else`)?.traceId, trace)
  const bad = [
    undefined,
    '',
    [`00-${trace}-${span}-01`],
    `00-${trace}-${span}-01, 00-${trace}-${span}-01`,
    `ff-${trace}-${span}-01`,
    `00-${trace}-${span}-01-more`,
    `00-${trace}-${span}`,
    `00-${trace.toUpperCase()}-${span}-01`,
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${trace}-${'0'.repeat(16)}-01`,
    `00-${trace}x-${span}-01`,
    ` 00-${trace}-${span}-01`,
    `01-${trace}-${span}-01-${'x'.repeat(1_000)}`,
  ]
  for (const each of bad) assert.equal(read(each), undefined, String(each))
})

test('what is written is read again', () => {
  for (const isSampled of [true, false]) {
    const context = { traceId: trace, spanId: span, isSampled }
    assert.deepEqual(readTraceparent(writeTraceparent(context)), context)
  }
})
