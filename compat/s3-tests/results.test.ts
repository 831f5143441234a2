import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groups, judge, parseExpected, type Result, renderExpected } from './results.ts'

const result = (name: string, outcome: Result['outcome'], marks: string[] = []): Result => ({
  test: `test_s3.py::${name}`,
  outcome,
  marks,
  seconds: 0,
  message: outcome === 'skipped' ? 'Skipped: no such thing' : 'it broke',
})

const list = '# a comment\n\ntest_s3.py::test_known  # not built yet\ntest_s3.py::test_gone  # an old name\n'

test('V1: an unexpected failure, pass and skip are told, and what is expected is not', () => {
  const verdict = judge(
    [result('test_known', 'failed'), result('test_new', 'failed'), result('test_fine', 'passed')],
    parseExpected(list),
    [],
  )
  assert.deepEqual(
    verdict.unexpectedFailures.map((each) => each.test),
    ['test_s3.py::test_new'],
  )
  assert.deepEqual(verdict.unexpectedPasses, [])
  const fixed = judge([result('test_known', 'passed'), result('test_other', 'skipped')], parseExpected(list), [])
  assert.equal(fixed.unexpectedPasses.length, 1)
  assert.equal(fixed.unexpectedFailures.length, 1)
})

test('V1: a listed test that a whole run does not meet is stale; a part of the suite judges nothing it did not run', () => {
  const results = [result('test_known', 'failed')]
  assert.deepEqual(judge(results, parseExpected(list), ['test_s3.py']).stale, ['test_s3.py::test_gone'])
  assert.deepEqual(judge(results, parseExpected(list), ['test_headers.py']).stale, [])
})

test('V1: a list without reasons is refused', () => {
  assert.throws(() => parseExpected('test_s3.py::test_known\n'), /no reason/)
  assert.throws(() => parseExpected(list + list), /twice/)
  const fresh = parseExpected(renderExpected([result('test_new', 'failed')], new Map()))
  assert.deepEqual(judge([], fresh, []).unexplained, ['test_s3.py::test_new'])
})

test('a list written anew keeps its reasons, drops what passes now and says why the suite skips', () => {
  const results = [result('test_known', 'failed'), result('test_gone', 'passed'), result('test_away', 'skipped')]
  assert.deepEqual(
    [...parseExpected(renderExpected(results, parseExpected(list)))],
    [
      ['test_s3.py::test_away', 'skipped by the suite: no such thing'],
      ['test_s3.py::test_known', 'not built yet'],
    ],
  )
})

test('a parameter with spaces and hashes survives the list', () => {
  const odd = result('test_odd[a # b]', 'failed')
  const written = renderExpected([odd], new Map([[odd.test, 'because']]))
  assert.deepEqual([...parseExpected(written)], [[odd.test, 'because']])
})

test('groups count by file, mark and name', () => {
  const all = [
    result('test_multipart_copy', 'passed', ['copy']),
    result('test_rgw_only', 'failed', ['fails_on_aws', 'lifecycle']),
  ]
  const found = new Map(groups(all).map(({ name, passed, of }) => [name, `${passed}/${of}`]))
  assert.deepEqual([...found].sort(), [
    ['copy', '1/1'],
    ['lifecycle', '0/1'],
    ['multipart', '1/1'],
    ['not fails_on_aws', '1/1'],
    ['test_s3.py', '1/2'],
  ])
})
