import { type ChildProcess, fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { tellHelp } from '../support/tell-help.ts'
import { isSame, Journal } from './journal.ts'
import { knownSeeds, remember, type Seed } from './seeds.ts'
import { Summary } from './summary.ts'
import type { Told } from './worker.ts'

tellHelp(`npm run sim -- [options]

Histories of regions, each from its seed; docs/simulation.md tells what is checked. Seeds that failed once run first, and whatever fails
is added to them.

  --seeds N         how many (100)
  --from N          the first of them (1)
  --seed WORD       that one alone
  --operations N    requests of clients in each (2000)
  --fates           in some the root changes, or a region is lost
  --minutes N       begins none after that time, and tells how many are left
  --journal FILE    notes what became of each, leaves those out that are noted there, and sums all of them up: many are run in parts
  --processes N     how many run at once (as many as there are cores)
  --until-failure   stops at the first seed that fails
`)

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    from: { type: 'string', default: '1' },
    operations: { type: 'string', default: '2000' },
    seed: { type: 'string' },
    minutes: { type: 'string' },
    journal: { type: 'string' },
    processes: { type: 'string', default: String(availableParallelism()) },
    fates: { type: 'boolean', default: false },
    'until-failure': { type: 'boolean', default: false },
  },
})
const progressMilliseconds = 30_000

const operations = Number(values.operations)
const first = Number(values.from)
const count = Number(values.seeds)
const processes = Number(values.processes)
if (![operations, first, count, processes - 1].every((each) => Number.isSafeInteger(each) && each >= 0)) {
  throw new Error('--seeds, --from, --operations and --processes are whole numbers')
}
/** Whether the root changes in some of them, and regions are lost. */
const fates = values.fates ? { fates: true as const } : {}
const numbered: readonly Seed[] = Array.from({ length: count }, (_, index) => ({
  seed: String(first + index),
  operations,
  ...fates,
}))
// Those that failed once come first: what they found may be back.
const known = knownSeeds()
const asked = values.seed === undefined ? [...known, ...numbered] : [{ seed: values.seed, operations, ...fates }]
const journal = values.journal === undefined ? undefined : new Journal(values.journal)
const before = journal?.read() ?? []
const wanted = asked.filter((each) => !before.some(({ ran }) => isSame(ran, each)))

const total = asked.length
const summary = new Summary()
// One that failed once goes as far as it went then.
const isKnown = (ran: Seed): boolean => known.some((each) => isSame(each, ran))
for (const told of before) summary.add(told, isKnown(told.ran))
const begun = performance.now()
let shown = begun
/** Milliseconds; after them, no seed is begun. */
const patience = values.minutes === undefined ? Number.POSITIVE_INFINITY : Number(values.minutes) * 60_000

function hear(told: Told): void {
  const { ran, failure } = told
  summary.add(told, isKnown(ran))
  journal?.add(told)
  if (failure !== undefined) {
    console.log(`\nseed ${ran.seed} FAILED: ${failure}`)
    console.log(
      `again: npm run sim -- --seed ${ran.seed} --operations ${ran.operations}${ran.fates === true ? ' --fates' : ''}\n`,
    )
    remember(ran)
    if (values['until-failure']) wanted.length = 0
  }
  if (performance.now() - shown < progressMilliseconds) return
  shown = performance.now()
  console.log(`${summary.seeds} of ${total} seeds, ${summary.failed.length} failed`)
}

/** In one process: what a history leaves in its memory goes with it. */
const seedsPerProcess = 50

const isOver = (): boolean => wanted.length === 0 || performance.now() - begun >= patience

/** Runs some seeds in a process of its own. */
function workIn(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = seedsPerProcess
    const next = (): void => {
      const seed = left-- > 0 && !isOver() ? wanted.shift() : undefined
      if (seed === undefined) child.disconnect()
      else child.send(seed)
    }
    child.on('message', (told: Told) => {
      hear(told)
      next()
    })
    child.on('error', reject)
    child.on('exit', (code) => {
      if (code === 0) resolve()
      else reject(new Error(`a process of the simulation ended with ${code}`))
    })
    next()
  })
}

const worker = join(import.meta.dirname, 'worker.ts')

/** Until no seed is left. */
async function work(): Promise<void> {
  while (!isOver()) await workIn(fork(worker))
}

await Promise.all(Array.from({ length: processes }, work))
const minutes = (performance.now() - begun) / 60_000
for (const line of summary.lines()) console.log(line)
console.log(`${((summary.seeds - before.length) / minutes).toFixed(0)} seeds a minute, by ${processes} processes`)
if (wanted.length > 0) console.log(`NOT SHOWN: ${wanted.length} seeds were not begun within ${values.minutes} minutes`)
const isWhole = values.seed === undefined && !values['until-failure']
const shortcomings = isWhole ? summary.shortcomings() : []
for (const line of shortcomings) console.log(`NOT SHOWN: ${line}`)
if (summary.failed.length > 0) console.log(`FAILED: ${summary.failed.join(' ')}`)
process.exitCode = summary.failed.length + shortcomings.length > 0 ? 1 : 0
