import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'

/**
 * `npm test`: every *.test.ts beside the code and under test/. Arguments that start with a dash go to node --test, others
 * choose files whose path contains them: `npm test -- dispatch --test-name-pattern=D1`.
 */
const root = dirname(import.meta.dirname)
const words = process.argv.slice(2)
const options = words.filter((each) => each.startsWith('-'))
const wanted = words.filter((each) => !each.startsWith('-'))

const files = globSync('{bin,src,gateway,replicator,test}/**/*.test.ts', { cwd: root })
  .filter((file) => wanted.length === 0 || wanted.some((each) => file.includes(each)))
  .sort()
if (files.length === 0) {
  console.error('no test file matches')
  process.exit(1)
}

const child = spawn(
  process.execPath,
  [
    '--disable-warning=ExperimentalWarning',
    '--test',
    // Two at once: tests start servers and wait for disks, and more would measure each other.
    '--test-concurrency=2',
    `--test-reporter=${join(root, 'test', 'reporter.ts')}`,
    '--test-reporter-destination=stdout',
    ...options,
    ...files.map((each) => join(root, each)),
  ],
  { cwd: root, stdio: 'inherit' },
)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
child.on('exit', (code) => {
  process.exitCode = code ?? 1
})
