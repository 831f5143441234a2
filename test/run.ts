import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { clusterVariable, TestCluster, whyNoFoundationDb } from './support/foundationdb.ts'
import { TestFiles } from './support/test-files.ts'

/**
 * `npm test`: every *.test.ts beside the code and under test/. Arguments that start with a dash go to node, others
 * choose files whose path contains them: `npm test -- dispatch --test-name-pattern=D1`.
 *
 * `npm test -- --metadata foundationdb`: the tests of whole stores (test/s3 and test/service, unless files are chosen), with their metadata
 * in a FoundationDB cluster that is started for the run.
 */
const root = dirname(import.meta.dirname)
const words = process.argv.slice(2)
const cluster = await chosenCluster(words)
const options = words.filter((each) => each.startsWith('-'))
const wanted = words.filter((each) => !each.startsWith('-'))

/** Takes the words of the choice out, and starts what was chosen. */
async function chosenCluster(words: string[]): Promise<TestCluster | undefined> {
  const at = words.indexOf('--metadata')
  const [, driver] = at < 0 ? [] : words.splice(at, 2)
  if (driver === undefined || driver === 'lmdb') return undefined
  const reason = driver === 'foundationdb' ? whyNoFoundationDb() : `there is no driver ${driver}`
  if (reason !== undefined) {
    console.error(`NOT SHOWN: ${reason}`)
    process.exit(1)
  }
  if (words.every((each) => each.startsWith('-'))) words.push('test/s3/', 'test/service/')
  return await TestCluster.start()
}

/** Tests of whole stores make thousands of transactions one after the other, each of which crosses processes ten times there. */
const patience = cluster === undefined ? 1 : 5

const files = globSync('{bin,src,gateway,replicator,test,bench}/**/*.test.ts', { cwd: root })
  .filter((file) => wanted.length === 0 || wanted.some((each) => file.includes(each)))
  .sort()
if (files.length === 0) {
  console.error('no test file matches')
  process.exit(1)
}

const run = new TestFiles({
  root,
  files: files.map((each) => join(root, each)),
  options: [
    '--disable-warning=ExperimentalWarning',
    // A test that hangs is a test that fails, in milliseconds.
    `--test-timeout=${patience * 240_000}`,
    `--test-reporter=${join(root, 'test', 'reporter.ts')}`,
    '--test-reporter-destination=stdout',
    ...options,
  ],
  env: { ...process.env, ...(cluster !== undefined && { [clusterVariable]: cluster.clusterFile }) },
  // Two at once: tests start servers and wait for disks, and more would measure each other.
  limits: { concurrency: 2, fileMs: patience * 600_000, wholeMs: patience * 1_800_000 },
  print: (text) => process.stdout.write(text),
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => run.stop(`was ended by ${signal}`))
const { failed } = await run.run()
process.exitCode = failed === 0 ? 0 : 1
await cluster?.stop()
