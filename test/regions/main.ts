import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { tellHelp } from '../support/tell-help.ts'
import type { Check, Extent, Outcome } from './check.ts'
import type { Cluster } from './cluster.ts'
import { Machines } from './machines.ts'
import { type Scene, scenesOf } from './scenes.ts'

tellHelp(`npm run regions:check -- [options]

Three regions, each on a machine of its own (a network namespace; needs root), and clients that look whether what they promise holds.

  --short            what CI runs: 20 iterations, 3 rounds of faults
  --only WORDS       the check of that name, or those whose names contain them (all)
  --latency N        round trip between regions, in milliseconds (100)
  --iterations N     of each check of consistency (1000)
  --rounds N         of faults (20)
  --metadata DRIVER  lmdb, or foundationdb: each region has a cluster of its own (lmdb)
  --waive            a machine that cannot run them is no failure
`)

const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    latency: { type: 'string', default: '100' },
    iterations: { type: 'string' },
    rounds: { type: 'string' },
    waive: { type: 'boolean', default: false },
    metadata: { type: 'string', default: 'lmdb' },
    inside: { type: 'string' },
  },
})

const codes = ['fra', 'iad', 'syd']
const extent: Extent = {
  iterations: Number(values.iterations ?? (values.short ? 20 : 1_000)),
  rounds: Number(values.rounds ?? (values.short ? 3 : 20)),
  isLong: !values.short,
}
/** A check that does not end is one that fails, in milliseconds. */
const longest = values.short ? 480_000 : 2_400_000
/** Of what a region's processes said, how many characters are shown. */
const shownOfLog = 2_000

function outside(): void {
  const hindrance = Machines.hindrance()
  if (hindrance !== undefined) {
    console.log(`NOT SHOWN: ${hindrance}`)
    process.exitCode = values.waive ? 0 : 1
    return
  }
  const machines = Machines.create(codes)
  try {
    const words = [...process.execArgv, process.argv[1] ?? '', ...process.argv.slice(2), '--inside', machines.name]
    const { status } = spawnSync('ip', ['netns', 'exec', machines.hub, process.execPath, ...words], {
      stdio: 'inherit',
    })
    process.exitCode = status ?? 1
  } finally {
    machines.destroy()
  }
}

async function bounded(running: Promise<Outcome>): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const timer = setTimeout(() => resolve({ operations: 0, failures: ['it finds no end'] }), longest)
  const thrown = running.catch((error: unknown) => ({ operations: 0, failures: [String(error)] }))
  return await Promise.race([thrown, promise]).finally(() => clearTimeout(timer))
}

/** Whether it is good. */
async function run(check: Check, cluster: Cluster): Promise<boolean> {
  const began = performance.now()
  const { operations, failures, note } = await bounded(check.run(cluster, extent))
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  const verdict = failures.length === 0 ? 'good' : 'FAILED'
  const more = note === undefined ? '' : `; ${note}`
  console.log(`${verdict}: ${check.name} (${operations} operations, ${seconds} s${more})`)
  for (const failure of failures.slice(0, 5)) console.log(`  ${failure}`)
  return failures.length === 0
}

const scenes = scenesOf(values.metadata)
const names = scenes.flatMap((scene) => scene.names)
const isWanted = (name: string): boolean =>
  names.includes(values.only) ? name === values.only : name.includes(values.only)

/** How many of its checks failed. */
async function play(scene: Scene, machines: Machines): Promise<number> {
  const { cluster, checks, close } = await scene.open({ machines, codes, latency: Number(values.latency) })
  let failed = 0
  try {
    for (const check of checks) if (isWanted(check.name) && !(await run(check, cluster))) failed++
  } finally {
    if (failed > 0) for (const code of codes) console.log(`-- ${code}\n${cluster.log(code).slice(-shownOfLog)}`)
    await close()
  }
  return failed
}

async function inside(name: string): Promise<void> {
  const machines = new Machines(name, codes)
  if (!names.some(isWanted)) throw new Error(`no check is called ${values.only}`)
  let [failed, notShown] = [0, 0]
  for (const scene of scenes) {
    const wanted = scene.names.filter(isWanted)
    if (wanted.length === 0) continue
    const hindrance = scene.hindrance()
    if (hindrance === undefined) {
      failed += await play(scene, machines)
      continue
    }
    for (const each of wanted) console.log(`NOT SHOWN: ${each} (${hindrance})`)
    notShown += wanted.length
  }
  console.log(failed === 0 ? 'all checks are good' : `${failed} checks failed`)
  process.exit(failed > 0 || (notShown > 0 && !values.waive) ? 1 : 0)
}

if (values.inside === undefined) outside()
else await inside(values.inside)
