import { writeFile } from 'node:fs/promises'
import { cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { plotText } from '../plot.ts'
import { catchUp } from './catch-up.ts'
import { type Figure, figureLine, holds } from './figures.ts'
import { lag } from './lag.ts'
import { local } from './local.ts'
import { remote } from './remote.ts'
import { shift } from './shift.ts'

const help = `npm run bench:regions -- [options]

Measures regions that follow each other: \`meridian dev\` on this machine, with delays between them where the case has some.

  --only LIST      of shift,lag,local,remote,catch-up (all)
  --seconds N      of each load (10); the shift of demand takes six times that, and \`local\` nine minutes at least
  --latency N      round trip of the remote read, in milliseconds (100)
  --records N      that a region misses before it catches up (30000)
  --plot FILE      where the shift of demand is drawn, as SVG
  --json FILE      the figures as JSON too

All regions and the load share this machine's processors: on few, "as many as can be" tells of the machine as much as of Meridian. What is
compared "three to one" has a processor of its own, where there are two, and \`taskset\`.
`

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: 'shift,lag,local,remote,catch-up' },
    seconds: { type: 'string', default: '10' },
    latency: { type: 'string', default: '100' },
    records: { type: 'string', default: '30000' },
    plot: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const seconds = Number(values.seconds)
/** What else the machine did when it began: figures of a busy one are no figures. */
const machine = { processors: cpus().length, load: loadavg()[0] ?? 0 }
const note = `${machine.processors} processors, load ${machine.load.toFixed(1)} at the begin`

async function shifted(): Promise<readonly Figure[]> {
  const { figures, plot } = await shift({ seconds: 6 * seconds, reads: 40, objects: 150, bytes: 256 * 1024 }, note)
  if (values.plot !== undefined) await writeFile(values.plot, plotText(plot))
  return figures
}

const cases: Readonly<Record<string, () => Promise<readonly Figure[]>>> = {
  shift: shifted,
  lag: () => lag(seconds),
  local: () => local(seconds),
  remote: () => remote(Number(values.latency)),
  'catch-up': () => catchUp(Number(values.records)),
}

async function main(): Promise<void> {
  const measured: Record<string, readonly Figure[]> = {}
  console.log(note)
  for (const name of values.only.split(',')) {
    const run = cases[name]
    if (run === undefined) throw new Error(`there is no case ${name}`)
    const figures = await run()
    measured[name] = figures
    console.log(`${name}:`)
    for (const figure of figures) console.log(`  ${figureLine(figure)}`)
  }
  if (values.json !== undefined)
    await writeFile(values.json, `${JSON.stringify({ machine, measured }, undefined, 2)}\n`)
  if (Object.values(measured).some((figures) => !figures.every(holds))) process.exitCode = 1
}

if (values.help) process.stdout.write(help)
else await main()
