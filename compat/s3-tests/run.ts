import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { attempt } from '#compat/commands.ts'
import { Journal, seconds } from '#compat/journal.ts'
import { person } from '#compat/people.ts'
import { createEncryptionKeys, enrol, startServer } from '#compat/server.ts'
import { type CloudSettings, startCloud } from './cloud.ts'
import {
  addSdkExtras,
  suiteEncryptionKeys,
  suitePeople,
  suitePython,
  unpackSuite,
  writeSettings,
} from './environment.ts'
import { startIssuer, type WebIdentitySettings } from './issuer.ts'
import { type MetadataPlace, startMetadata } from './metadata.ts'
import {
  type Expected,
  groups,
  judge,
  parseExpected,
  type Result,
  readResults,
  renderExpected,
  type Verdict,
} from './results.ts'

/**
 * Runs ceph/s3-tests and compares with what is expected.
 *
 * V1  an unexpected failure, an unexpected pass and a failure without a reason each fail the run.
 * V2  a run that met fewer tests than the suite has fails, whatever they said.
 */

export interface SuiteOptions {
  readonly checkout: string | undefined
  readonly files: readonly string[]
  /** Ceph's additions to what boto3 knows of S3. */
  readonly sdkExtras: string | undefined
  readonly select: string | undefined
  readonly jobs: number
  readonly testTimeout: number
  readonly writeExpected: boolean
  readonly keep: string | undefined
  /** Another server, which knows our people already. */
  readonly endpoint: string | undefined
  /** The driver that keeps the servers' metadata. */
  readonly metadata: string
}

export const defaultFiles = [
  'test_s3.py',
  'test_headers.py',
  'test_s3select.py',
  'test_iam.py',
  'test_sts.py',
  'test_sns.py',
] as const

/**
 * The suite waits for whole days of 10 s (`lc_debug_interval`), and leaves no time to those who, as S3 does, round up to the
 * next midnight: days of 9 s do. Its objects are small, and change their class only where the class takes small ones.
 */
const lifecycleForTests = {
  MERIDIAN_LIFECYCLE_DAY: '9',
  MERIDIAN_TRANSITION_MINIMUM: 'varies_by_storage_class',
  // Ceph's classes are places without an order among them.
  MERIDIAN_TRANSITIONS: 'any',
} as const

/** Its issuer of web identities is on this machine. */
const identityForTests = { MERIDIAN_ISSUER_ENDPOINTS: 'any' } as const

/** What ceph's accounts may own, where nobody says otherwise: two tests ask. */
const quotasForTests = { MERIDIAN_BUCKETS_MAX: '1000' } as const

/**
 * This test looks for objects at the eleventh of its intervals that a rule takes after nine days: its days have to be longer than
 * its intervals. It gets a server of its own.
 */
const longDays = {
  test: 'test_lifecycle_cloud_multiple_transition',
  environment: { MERIDIAN_LIFECYCLE_DAY: '13' },
} as const

/**
 * Of tests of bucket logging. The keys of partitioned logs name the source's region, which ceph calls so where none was set up.
 * Without ceph's additions to boto3 the tests wait for five seconds and a bit for a log to be delivered.
 */
const loggingForTests = ({ sdkExtras }: SuiteOptions) => ({
  MERIDIAN_REGION: 'default',
  ...(sdkExtras === undefined && { MERIDIAN_LOG_ROLL: '5' }),
})

/** How many tests each file has at the pinned commit, skipped ones included (V2). */
const floors: Readonly<Record<string, number>> = {
  'test_s3.py': 835,
  'test_headers.py': 48,
  'test_iam.py': 90,
  'test_sts.py': 36,
  'test_s3select.py': 34,
  'test_sns.py': 5,
}

const expectedFile = join(import.meta.dirname, 'expected-failures.txt')

export async function runSuite(options: SuiteOptions): Promise<boolean> {
  const journal = new Journal('s3-tests')
  if (options.checkout === undefined) {
    journal.say('NOT RUN: give --checkout DIR, a checkout of https://github.com/ceph/s3-tests')
    return false
  }
  const began = performance.now()
  const home = await mkdtemp(join(tmpdir(), 'meridian-s3-tests-'))
  const reports = options.keep === undefined ? join(home, 'reports') : resolve(options.keep)
  try {
    await mkdir(reports, { recursive: true })
    const suite = join(home, 'suite')
    journal.say(await unpackSuite(resolve(options.checkout), suite))
    const python = await suitePython(suite)
    if (options.sdkExtras !== undefined) await addSdkExtras(resolve(options.sdkExtras), home, python)
    const template = join(home, 'data')
    if (options.endpoint === undefined) await makeTemplate(template, options)
    // The suite names its address, so that there can be one only, for all processes.
    await using issuer = options.files.includes('test_sts.py') ? await startIssuer() : undefined
    const identity = issuer?.settings
    const jobs = Math.max(1, options.endpoint === undefined ? options.jobs : 1)
    await using metadata = await startMetadata(options.metadata)
    await using cloud = options.endpoint === undefined ? await startCloud(home, join(reports, 'cloud.log')) : undefined
    const apart = options.endpoint === undefined && options.files.includes('test_s3.py') ? 1 : 0
    const shards = Array.from({ length: jobs + apart }, (_, shard) => ({
      ...{ shard, jobs, home, reports, suite, python, template, metadata },
      hasLongDays: shard === jobs,
      ...(identity !== undefined && { identity }),
      ...(cloud !== undefined && { cloud }),
    }))
    const files = await Promise.all(shards.map((each) => runShard(each, options, journal)))
    const results = await readResults(files)
    return await report(results, options, journal, began)
  } finally {
    await rm(home, { recursive: true, force: true })
  }
}

/** A data directory that knows our people; each process gets a copy. */
async function makeTemplate(data: string, options: SuiteOptions): Promise<void> {
  const environment = loggingForTests(options)
  const server = await startServer({ owner: person('owner'), data, workers: 1, environment })
  try {
    await enrol(data, suitePeople)
    await createEncryptionKeys(data, suiteEncryptionKeys)
  } finally {
    await server.stop()
  }
}

interface Shard {
  readonly shard: number
  readonly jobs: number
  readonly home: string
  readonly reports: string
  readonly suite: string
  readonly python: string
  readonly template: string
  readonly metadata: MetadataPlace
  /** Runs one test alone, and all of it. */
  readonly hasLongDays: boolean
  readonly identity?: WebIdentitySettings
  readonly cloud?: CloudSettings
}

/** One pytest process with a server of its own, so that no test meets another's buckets. Gives its file of results. */
async function runShard(job: Shard, options: SuiteOptions, journal: Journal): Promise<string> {
  const { shard, jobs, home, reports, suite, python, template, metadata } = job
  const results = join(reports, `results-${shard}.jsonl`)
  const settings = join(home, `s3tests-${shard}.conf`)
  const data = join(home, `data-${shard}`)
  await rm(results, { force: true })
  if (options.endpoint === undefined) await cp(template, data, { recursive: true })
  const place = options.endpoint === undefined ? await metadata.bring(data) : {}
  const server =
    options.endpoint === undefined
      ? await startServer({
          owner: person('owner'),
          data,
          workers: Math.max(1, Math.floor(availableParallelism() / jobs)),
          environment: {
            ...lifecycleForTests,
            ...quotasForTests,
            ...identityForTests,
            ...loggingForTests(options),
            ...place,
            ...(job.cloud !== undefined && { MERIDIAN_TIERS: job.cloud.file }),
            ...(job.hasLongDays && longDays.environment),
          },
          log: join(reports, `server-${shard}.log`),
        })
      : undefined
  try {
    await writeSettings(settings, { ...job, endpoint: options.endpoint ?? server?.site.endpoint ?? '' })
    const files = options.files.map((each) => join('s3tests', 'functional', each))
    const select = ['-k', selectionOf(job, options)]
    const pytest = ['-m', 'pytest', '-p', 'meridian_compat', '-p', 'no:cacheprovider', '--tb=native', '-q', ...select]
    const junit = `--junit-xml=${join(reports, `junit-${shard}.xml`)}`
    const ran = await attempt(python, [...pytest, junit, ...files], {
      cwd: suite,
      log: join(reports, `pytest-${shard}.log`),
      environment: {
        PATH: process.env['PATH'],
        HOME: home,
        LANG: 'C.UTF-8',
        AWS_EC2_METADATA_DISABLED: 'true',
        AWS_CONFIG_FILE: join(home, 'no-such-file'),
        PYTHONPATH: `${join(import.meta.dirname, 'plugin')}:${suite}`,
        PYTHONDONTWRITEBYTECODE: '1',
        PYTHONWARNINGS: 'ignore',
        S3TEST_CONF: settings,
        MERIDIAN_RESULTS: results,
        MERIDIAN_SHARD: job.hasLongDays ? '0/1' : `${shard}/${jobs}`,
        MERIDIAN_TEST_TIMEOUT: String(options.testTimeout),
      },
    })
    // 0: all passed, 1: some did not, 5: none in this shard. Anything else is pytest's own trouble.
    if (![0, 1, 5].includes(Number(ran.code))) {
      throw new Error(`pytest ended with ${ran.code}\n${ran.stdout.slice(-4_000)}\n${ran.stderr.slice(-4_000)}`)
    }
    const which = job.hasLongDays ? 'by itself' : `process ${shard + 1} of ${jobs}`
    journal.say(`${which}: ${ran.stdout.trim().split('\n').at(-1)}`)
  } finally {
    await server?.stop()
  }
  return results
}

/** As pytest's -k has it. */
function selectionOf({ hasLongDays }: Shard, { endpoint, select }: SuiteOptions): string {
  const asked = select === undefined ? 'test' : `(${select})`
  if (endpoint !== undefined) return asked
  return `${asked} and ${hasLongDays ? '' : 'not '}${longDays.test}`
}

async function report(all: Result[], options: SuiteOptions, journal: Journal, began: number): Promise<boolean> {
  const results = options.sdkExtras === undefined ? all.filter(({ test }) => !test.includes('bucket_logging')) : all
  if (results.length < all.length) {
    journal.say(`NOT SHOWN: ${all.length - results.length} tests of bucket logging, for want of --sdk-extras`)
  }
  const whole = options.select === undefined ? options.files : []
  const before = parseExpected(await readFile(expectedFile, 'utf8').catch(() => ''))
  if (options.writeExpected) {
    await writeFile(expectedFile, renderExpected(results, before))
    journal.say('expected-failures.txt written')
  }
  const expected = options.writeExpected ? parseExpected(await readFile(expectedFile, 'utf8')) : before
  const verdict = judge(results, expectedOf(expected, options), whole)
  const count = (outcome: Result['outcome']) => results.filter((each) => each.outcome === outcome).length
  for (const { name, passed, failed, skipped, of } of groups(results)) {
    const cells = [name.padEnd(24), `${passed}/${of}`.padStart(9), `${failed} failed`.padStart(11)]
    journal.say(`${cells.join('  ')}  ${`${skipped} skipped`.padStart(11)}`)
  }
  sayVerdict(verdict, journal)
  const floor = whole.reduce((sum, file) => sum + (floors[file] ?? 0), 0)
  if (all.length < floor) journal.say(`TOO FEW: ${all.length} tests ran, the suite has ${floor}`)
  journal.say(
    `${count('passed')} of ${results.length} passed, ${count('failed')} failed, ${count('skipped')} skipped (${seconds(began)})`,
  )
  const surprises = verdict.unexpectedFailures.length + verdict.unexpectedPasses.length + verdict.stale.length
  return surprises + verdict.unexplained.length === 0 && results.length > 0 && all.length >= floor
}

/** Nothing is expected of what is not judged. */
const expectedOf = (expected: Expected, { sdkExtras }: SuiteOptions): Expected =>
  sdkExtras !== undefined ? expected : new Map([...expected].filter(([test]) => !test.includes('bucket_logging')))

function sayVerdict(verdict: Verdict, journal: Journal): void {
  for (const { test, outcome, message } of verdict.unexpectedFailures) {
    journal.say(`UNEXPECTED ${outcome === 'skipped' ? 'SKIP' : 'FAILURE'} ${test}: ${message}`)
  }
  for (const { test } of verdict.unexpectedPasses) journal.say(`UNEXPECTED PASS ${test}: take it off the list`)
  for (const test of verdict.stale) journal.say(`STALE ${test}: the suite has no such test`)
  for (const test of verdict.unexplained) journal.say(`UNEXPLAINED ${test}: give a reason`)
}
