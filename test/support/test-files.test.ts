import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { type Counts, type Limits, TestFiles } from './test-files.ts'

const root = mkdtempSync(join(tmpdir(), 'meridian-files-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** Of a file that says that it has begun, and does not end. */
const limits: Limits = { concurrency: 2, fileMs: 10_000, wholeMs: 120_000 }

async function run(texts: Readonly<Record<string, string>>, extra: Partial<Limits> = {}): Promise<[Counts, string]> {
  const files = Object.entries(texts).map(([name, text]) => {
    writeFileSync(join(root, name), `import { test } from 'node:test'\n${text}`)
    return join(root, name)
  })
  let printed = ''
  const run = new TestFiles({
    root,
    files,
    options: [
      `--test-reporter=${join(dirname(import.meta.dirname), 'reporter.ts')}`,
      '--test-reporter-destination=stdout',
    ],
    env: process.env,
    limits: { ...limits, ...extra },
    print: (text) => {
      printed += text
    },
  })
  return [await run.run(), printed]
}

test('tests are counted over all files, and failures shown', async () => {
  const [counts, printed] = await run({
    'one.mjs': "test('a', () => {}); test('b', { skip: 'no disk' }, () => {})",
    'two.mjs': "test('c', () => { throw new Error('wrong') }); test('d', () => {})",
  })
  assert.deepEqual(counts, { passed: 2, failed: 1, skipped: 1 })
  assert.match(printed, /FAILED c .*two\.mjs/)
  assert.match(printed, /NOT SHOWN b: no disk/)
})

test('a file that loops, keeps something open or dies is ended and named, and the others are run', async () => {
  const portFile = join(root, 'port')
  const [counts, printed] = await run({
    'loops.mjs': "test('e', () => { for (;;); })",
    'open.mjs': `
      import { spawn } from 'node:child_process'
      const server = "const s = require('net').createServer().listen(0, '127.0.0.1', () => "
        + "require('fs').writeFileSync('${portFile}', String(s.address().port)))"
      test('f', () => { spawn(process.execPath, ['-e', server], { stdio: 'inherit', detached: true }) })`,
    'dies.mjs': "process.kill(process.pid, 'SIGKILL')",
    'late.mjs': "test('g', () => { setTimeout(() => { throw new Error('too late') }, 10) })",
    'good.mjs': "test('h', () => {})",
  })
  assert.match(printed, /FAILED loops\.mjs: did not end within 10 s/)
  assert.match(printed, /FAILED open\.mjs: did not end within 10 s/)
  assert.match(printed, /FAILED dies\.mjs: ended by itself \(SIGKILL\)/)
  assert.match(printed, /too late.*FAILED late\.mjs: ended with 1, though no test failed/s)
  assert.equal(counts.failed, 4)
  assert.match(printed, /slowest: /)
  // What the file had started is gone with it.
  const socket = connect(Number(readFileSync(portFile, 'utf8')), '127.0.0.1')
  await assert.rejects(once(socket, 'connect'), { code: 'ECONNREFUSED' })
})

test('a run whose time is over names the files that were running', async () => {
  const loop = "test('i', () => { for (;;); })"
  const [counts, printed] = await run({ 'x.mjs': loop, 'y.mjs': loop, 'z.mjs': loop }, { wholeMs: 2_000 })
  assert.match(printed, /the run did not end within 2 s: 1 files were not begun/)
  assert.match(printed, /FAILED x\.mjs: was running/)
  assert.match(printed, /FAILED y\.mjs: was running/)
  assert.equal(counts.failed, 2)
})
