import { readFile } from 'node:fs/promises'

/** What the tests said, and what was expected of them. */

export interface Result {
  /** `test_s3.py::test_bucket_list_empty` */
  readonly test: string
  readonly marks: readonly string[]
  readonly outcome: 'passed' | 'failed' | 'skipped'
  readonly seconds: number
  /** The last line of the error, or why it was skipped. */
  readonly message: string
  readonly trace?: string
}

/** Reasons by test. */
export type Expected = ReadonlyMap<string, string>

export const unexplained = 'UNEXPLAINED'

export async function readResults(files: readonly string[]): Promise<Result[]> {
  const results: Result[] = []
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '')
    for (const line of text.split('\n')) if (line !== '') results.push(JSON.parse(line))
  }
  return results.sort((one, other) => (one.test < other.test ? -1 : 1))
}

/** Reads lines of `test  # reason`; other lines that begin with # are comments. */
export function parseExpected(text: string): Expected {
  const expected = new Map<string, string>()
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const at = line.indexOf('  # ')
    if (at < 0) throw new Error(`expected-failures.txt: no reason in ${JSON.stringify(line)}`)
    const test = line.slice(0, at)
    if (expected.has(test)) throw new Error(`expected-failures.txt: ${test} stands there twice`)
    expected.set(test, line.slice(at + 4).trim())
  }
  return expected
}

/** The list anew: reasons that stand are kept, also those of tests that did not run now. */
export function renderExpected(results: readonly Result[], before: Expected): string {
  const lines = new Map(before)
  for (const { test, outcome, message } of results) {
    if (outcome === 'passed') lines.delete(test)
    else if (outcome === 'skipped') lines.set(test, `skipped by the suite: ${message.replace(/^Skipped: /, '')}`)
    else if (!lines.has(test) || lines.get(test)?.startsWith('skipped by the suite')) lines.set(test, unexplained)
  }
  const sorted = [...lines].sort(([one], [other]) => (one < other ? -1 : 1))
  const head = '# Tests of ceph/s3-tests that Meridian does not pass, each with its reason. Kept by --write-expected.\n'
  return head + sorted.map(([test, reason]) => `${test}  # ${reason}\n`).join('')
}

export interface Verdict {
  readonly unexpectedFailures: readonly Result[]
  readonly unexpectedPasses: readonly Result[]
  /** Expected failures that a whole run did not meet: renamed, or gone from the suite. */
  readonly stale: readonly string[]
  readonly unexplained: readonly string[]
}

/** Skipped counts as not passed: a test that begins to be skipped is as unexpected as one that begins to fail. */
export function judge(results: readonly Result[], expected: Expected, whole: readonly string[]): Verdict {
  const seen = new Set(results.map((each) => each.test))
  return {
    unexpectedFailures: results.filter((each) => each.outcome !== 'passed' && !expected.has(each.test)),
    unexpectedPasses: results.filter((each) => each.outcome === 'passed' && expected.has(each.test)),
    stale: [...expected.keys()].filter((test) => whole.includes(test.split('::')[0] ?? '') && !seen.has(test)),
    unexplained: [...expected].filter(([, reason]) => reason.startsWith(unexplained)).map(([test]) => test),
  }
}

export interface Group {
  readonly name: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly of: number
}

/** Groups by file, and by what the suite marks or names; a test may stand in several. */
export function groups(results: readonly Result[]): Group[] {
  const named = [
    'acl',
    'bucket_logging',
    'copy',
    'cors',
    'encryption',
    'list',
    'multipart',
    'post_object',
    'versioning',
  ]
  const members = new Map<string, Result[]>()
  const add = (name: string, result: Result) => members.set(name, [...(members.get(name) ?? []), result])
  for (const result of results) {
    const [file = '', test = ''] = result.test.split('::')
    const own = new Set([
      ...result.marks.filter((each) => !each.startsWith('fails_')),
      ...named.filter((each) => test.includes(each)),
    ])
    add(file, result)
    add('not fails_on_aws', result)
    if (result.marks.includes('fails_on_aws')) members.get('not fails_on_aws')?.pop()
    for (const name of own) add(name, result)
  }
  return [...members]
    .map(([name, all]) => ({
      name,
      passed: all.filter((each) => each.outcome === 'passed').length,
      failed: all.filter((each) => each.outcome === 'failed').length,
      skipped: all.filter((each) => each.outcome === 'skipped').length,
      of: all.length,
    }))
    .sort((one, other) => Number(other.name.endsWith('.py')) - Number(one.name.endsWith('.py')) || other.of - one.of)
}
