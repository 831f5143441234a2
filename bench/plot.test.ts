import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plotText } from './plot.ts'

test('a plot is one well-formed document, with every line on its axis and what has no value left out', () => {
  const text = plotText({
    title: 'a <title> & more',
    note: 'a note',
    times: [0, 1, 2],
    panels: [
      { title: 'one', format: String, lines: [{ name: 'fra', values: [0, Number.NaN, 80] }] },
      { title: 'two', format: String, most: 1, lines: [{ name: 'syd', values: [0, 0.5, 3] }] },
    ],
  })
  const open: string[] = []
  for (const [, closing, name = '', own] of text.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (own === '/') continue
    if (closing === '/') assert.equal(open.pop(), name)
    else open.push(name)
  }
  assert.deepEqual(open, [])
  assert.ok(text.includes('a &lt;title&gt; &amp; more') && !text.includes('NaN'))
  // The axis of the first ends at 100: 80 is at a fifth from its top; the value without a number has no point.
  assert.match(text, /d="M70\.0 226\.0L630\.0 90\.0"/)
  // What is above an axis that was asked for ends at its top.
  assert.match(text, /d="M70\.0 442\.0L350\.0 357\.0L630\.0 272\.0"/)
})
