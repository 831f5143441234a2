import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { processorTime } from '../../test/support/processor-time.ts'
import { compilePattern, joinPattern, matches } from './wildcard.ts'

/** The definition, word for word; takes exponential time. */
function naive(pattern: string, text: string): boolean {
  if (pattern === '') return text === ''
  const rest = pattern.slice(1)
  if (pattern[0] === '*') return naive(rest, text) || (text !== '' && naive(pattern, text.slice(1)))
  return text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && naive(rest, text.slice(1))
}

/** Long runs, so that the search for long ones is met too. */
const pieces = fc.array(
  fc.constantFrom('a', 'b', 'ab', 'aab', 'aabaaabaaab', 'aab?aabaaabaaabaaabaaabaaabaaabaaabaaab', '*', '?'),
  { maxLength: 7 },
)
const pattern = pieces.map((each) => each.join(''))
const text = fc
  .array(fc.constantFrom('a', 'b', 'aab', 'aabaaabaaab', 'aabbaabaaabaaabaaabaaabaaabaaabaaabaaab'), { maxLength: 6 })
  .map((each) => each.join(''))

test('a pattern matches what its definition says', () => {
  const small = (letters: string[]) =>
    fc.array(fc.constantFrom(...letters), { maxLength: 8 }).map((all) => all.join(''))
  fc.assert(
    fc.property(small(['a', 'b', '*', '*', '?']), small(['a', 'a', 'b']), (source, candidate) =>
      assert.equal(matches(compilePattern(source), candidate), naive(source, candidate)),
    ),
    { numRuns: 20_000 },
  )
  fc.assert(
    fc.property(pattern, text, (source, candidate) =>
      assert.equal(matches(compilePattern(source), candidate), naive(source, candidate)),
    ),
    { numRuns: 5000 },
  )
})

test('a text that was made from a pattern matches it', () => {
  const filled = fc
    .tuple(
      pieces,
      fc.infiniteStream(fc.string({ maxLength: 12 })),
      fc.infiniteStream(fc.constantFrom('a', '?', '*', 'é')),
    )
    .map(([all, runs, units]) => ({
      source: all.join(''),
      candidate: all
        .map((piece) => (piece === '*' ? runs.next().value : piece === '?' ? units.next().value : piece))
        .join(''),
    }))
  fc.assert(fc.property(filled, ({ source, candidate }) => assert.ok(matches(compilePattern(source), candidate))))
})

test('W2: a literal star matches a star only', () => {
  const literal = joinPattern([{ literal: 'home/*/' }, '*'])
  assert.ok(matches(literal, 'home/*/x'))
  assert.ok(!matches(literal, 'home/bob/x'))
})

test('W1: hostile patterns take time in proportion to the text', () => {
  const hostile = [
    `${'*a'.repeat(10_000)}*b`,
    `*${'a'.repeat(2000)}b*`,
    `*b${'a'.repeat(2000)}*`,
    `*${'a'.repeat(2000)}?b*`,
    '*a?b*',
    '*aaaaaaab*',
  ]
  const time = (source: string, size: number): number => {
    const compiled = compilePattern(source)
    const text = 'a'.repeat(size)
    return processorTime(() => assert.equal(matches(compiled, text), false))
  }
  for (const source of hostile) {
    const small = time(source, 1 << 14)
    const large = time(source, 1 << 18)
    // 16 times the text; quadratic time would be 256 times.
    assert.ok(large <= 80 * small + 10, `${source.slice(0, 20)}: ${small} ms, then ${large} ms`)
  }
})
