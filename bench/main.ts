import { writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { drivers } from './cases/drivers.ts'
import { largeBodies } from './cases/large.ts'
import { listings } from './cases/listings.ts'
import { memory } from './cases/memory.ts'
import { mixed } from './cases/mixed.ts'
import { smallReads } from './cases/reads.ts'
import { writes } from './cases/writes.ts'
import { pin } from './processes.ts'
import { type Row, table } from './report.ts'

const help = `npm run bench -- [options]

Measures Meridian beside bare servers and bare loops on this machine, in one run, and prints the ratios.

  --seconds N      of each load (5)
  --only LIST      of reads,writes,large,lists,mixed,memory,drivers (all but the last two)
  --metadata foundationdb   only drivers: PUT and GET on LMDB and on FoundationDB
  --keys N         in the large bucket that is listed (1000000)
  --gib N          of the body whose memory is measured (5)
  --json FILE      the rows as JSON too

The load comes from plain sockets that send requests signed beforehand. Where the machine has two processors, the server
that is measured has the first to itself (all of them, where it has several workers), and the generator the second: the
column "generator" tells how busy that was; below 90 % it was not the bottleneck.
`

const cases = { reads: smallReads, writes, large: largeBodies, lists: listings, mixed, memory, drivers }

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: 'reads,writes,large,lists,mixed' },
    keys: { type: 'string', default: '1000000' },
    gib: { type: 'string', default: '5' },
    metadata: { type: 'string', default: 'lmdb' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

async function main(): Promise<void> {
  const options = { seconds: Number(values.seconds), keys: Number(values.keys), gibibytes: Number(values.gib) }
  await pin(process.pid, '1')
  const rows: Row[] = []
  const only = values.metadata === 'foundationdb' ? 'drivers' : values.only
  for (const name of only.split(',')) {
    const run = cases[name as keyof typeof cases]
    if (run === undefined) throw new Error(`there is no case ${name}`)
    process.stderr.write(`measuring ${name}\n`)
    rows.push(...(await run(options)))
  }
  process.stdout.write(`${table(rows)}\n`)
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, undefined, 2)}\n`)
  if (rows.some(({ ratio, wanted }) => ratio !== undefined && wanted !== undefined && ratio < wanted))
    process.exitCode = 1
}

if (values.help) process.stdout.write(help)
else await main()
