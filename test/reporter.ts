import type { TestEvent } from 'node:test/reporters'

interface Counted {
  passed: number
  failed: number
  skipped: number
}

/**
 * Shows failures whole, and what was not shown, and closes with the counts, which test/support/test-files.ts adds up. Node wants a reporter
 * as default export.
 */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counted: Counted = { passed: 0, failed: 0, skipped: 0 }
  for await (const { type, data } of source) {
    if (type === 'test:pass' && data.details.type !== 'suite') {
      const isSkipped = data.skip !== undefined && data.skip !== false
      counted[isSkipped ? 'skipped' : 'passed'] += 1
      if (isSkipped) yield `NOT SHOWN ${data.name}: ${String(data.skip)}\n`
    }
    if (type === 'test:fail' && data.details.type !== 'suite') {
      counted.failed += 1
      yield `FAILED ${data.name} (${data.file ?? ''}:${data.line ?? ''})\n${describe(data.details.error)}\n`
    }
    // What was thrown when no test was running any more.
    if (type === 'test:diagnostic' && /^(?:Error|Warning): /.test(data.message)) yield `${data.message}\n`
  }
  yield `\n${counted.passed} passed, ${counted.failed} failed, ${counted.skipped} skipped\n`
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error
  return cause.stack ?? cause.message
}
