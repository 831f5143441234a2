import { parseArgs } from 'node:util'
import { clients } from './clients.ts'
import { parseSize } from './files.ts'
import { runFlyctl } from './flyctl/run.ts'
import { runClients } from './run-clients.ts'
import { defaultFiles, runSuite } from './s3-tests/run.ts'
import type { Site } from './server.ts'

const help = `What other people's programs think of Meridian.

  npm run compat -- [what …] [options]

what: s3-tests, flyctl, ${clients.map((each) => each.name).join(', ')}, all (every client; s3-tests too when --checkout is given)

flyctl                  the binary on the path, or MERIDIAN_FLYCTL

clients
  --tree-files N        how many real files are synced both ways (4000)
  --big SIZE            how big the file is that goes in parts (3GiB)
  --allow-missing       a client that this machine cannot have is no failure
  --endpoint URL        another S3 server, with its keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
  --workers N           worker processes of the server

s3-tests
  --checkout DIR        a checkout of github.com/ceph/s3-tests, or its git directory (or MERIDIAN_S3_TESTS)
  --files A,B           test files (${defaultFiles.join(',')})
  -k EXPRESSION         only tests that pytest's -k selects
  --sdk-extras FILE     ceph's additions to boto3, examples/rgw/boto3/service-2.sdk-extras.json of github.com/ceph/ceph
                        (or MERIDIAN_SDK_EXTRAS); without it, tests of bucket logging are not judged
  --jobs N              pytest processes, each with a server of its own (2)
  --test-timeout N      seconds that one test may take (300)
  --metadata DRIVER     lmdb, or foundationdb: a cluster is started for the run, and each server's metadata copied into it (lmdb)
  --write-expected      write expected-failures.txt anew, keeping its reasons
  --keep DIR            keep results and logs here
`

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'allow-missing': { type: 'boolean', default: false },
    big: { type: 'string', default: '3GiB' },
    checkout: { type: 'string' },
    endpoint: { type: 'string' },
    files: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
    jobs: { type: 'string', default: '2' },
    keep: { type: 'string' },
    'sdk-extras': { type: 'string' },
    metadata: { type: 'string', default: 'lmdb' },
    select: { type: 'string', short: 'k' },
    'test-timeout': { type: 'string', default: '300' },
    'tree-files': { type: 'string', default: '4000' },
    workers: { type: 'string' },
    'write-expected': { type: 'boolean', default: false },
  },
})

const checkout = given.checkout ?? process.env['MERIDIAN_S3_TESTS']

function otherSite(): Site | undefined {
  const { AWS_ACCESS_KEY_ID: accessKey = '', AWS_SECRET_ACCESS_KEY: secretKey = '' } = process.env
  return given.endpoint === undefined
    ? undefined
    : { endpoint: given.endpoint, region: 'us-east-1', accessKey, secretKey }
}

async function main(): Promise<boolean> {
  const known = new Set(['s3-tests', 'flyctl', 'all', ...clients.map((each) => each.name)])
  const unknown = positionals.filter((each) => !known.has(each))
  if (given.help || positionals.length === 0 || unknown.length > 0) {
    process.stdout.write(unknown.length > 0 ? `unknown: ${unknown.join(', ')}\n\n${help}` : help)
    return given.help
  }
  const all = positionals.includes('all')
  const chosen = clients.filter((each) => all || positionals.includes(each.name))
  const workers = given.workers === undefined ? undefined : Number(given.workers)
  let passed = true
  if (chosen.length > 0) {
    passed = await runClients(chosen, {
      treeFiles: Number(given['tree-files']),
      bigBytes: parseSize(given.big),
      allowMissing: given['allow-missing'],
      workers,
      site: otherSite(),
    })
  }
  if (positionals.includes('flyctl')) passed = (await runFlyctl(given['allow-missing'])) && passed
  if (positionals.includes('s3-tests') || (all && checkout !== undefined)) {
    const suite = await runSuite({
      checkout,
      files: given.files?.split(',') ?? defaultFiles,
      sdkExtras: given['sdk-extras'] ?? process.env['MERIDIAN_SDK_EXTRAS'],
      select: given.select,
      jobs: Number(given.jobs),
      testTimeout: Number(given['test-timeout']),
      writeExpected: given['write-expected'],
      keep: given.keep,
      endpoint: given.endpoint,
      metadata: given.metadata,
    })
    passed = suite && passed
  }
  return passed
}

process.exitCode = (await main()) ? 0 : 1
