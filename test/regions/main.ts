import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { type Check, consistencyChecks, prepare } from './checks.ts'
import { Cluster } from './cluster.ts'
import { faultChecks } from './faults.ts'
import { Machines } from './machines.ts'

/**
 * `npm run regions:check`: three regions, each on a machine of its own (a network namespace), 100 ms apart, and clients that look
 * whether what they promise holds. `--short` is what CI runs.
 */
const { values } = parseArgs({
  options: {
    short: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    latency: { type: 'string', default: '100' },
    iterations: { type: 'string' },
    rounds: { type: 'string' },
    waive: { type: 'boolean', default: false },
    inside: { type: 'string' },
  },
})

const codes = ['fra', 'iad', 'syd']

function outside(): void {
  const hindrance = Machines.hindrance()
  if (hindrance !== undefined) {
    console.log(`NOT SHOWN: ${hindrance}`)
    process.exitCode = values.waive ? 0 : 1
    return
  }
  const machines = Machines.create(codes)
  const destroy = (): void => machines.destroy()
  try {
    const words = [...process.execArgv, process.argv[1] ?? '', ...process.argv.slice(2), '--inside', machines.name]
    const { status } = spawnSync('ip', ['netns', 'exec', machines.hub, process.execPath, ...words], {
      stdio: 'inherit',
    })
    process.exitCode = status ?? 1
  } finally {
    destroy()
  }
}

async function inside(name: string): Promise<void> {
  const machines = new Machines(name, codes)
  const cluster = new Cluster({ machines, codes, latency: Number(values.latency) })
  let failed = 0
  const isWanted = ({ name: title }: Check): boolean => title.includes(values.only)
  const run = async (check: Check, times: number): Promise<void> => {
    const began = performance.now()
    const { operations, failures, note } = await check.run(cluster, times)
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    const verdict = failures.length === 0 ? 'good' : 'FAILED'
    console.log(
      `${verdict}: ${check.name} (${operations} operations, ${seconds} s${note === undefined ? '' : `; ${note}`})`,
    )
    for (const failure of failures.slice(0, 5)) console.log(`  ${failure}`)
    if (failures.length > 0) failed++
  }
  try {
    await cluster.start()
    await prepare(cluster)
    const iterations = Number(values.iterations ?? (values.short ? 20 : 1_000))
    for (const check of consistencyChecks.filter(isWanted)) await run(check, iterations)
    const rounds = Number(values.rounds ?? (values.short ? 3 : 30))
    for (const check of faultChecks(machines, values.short ? 5_000 : 120_000).filter(isWanted)) await run(check, rounds)
  } finally {
    if (failed > 0) for (const code of codes) console.log(`-- ${code}\n${cluster.log(code).slice(-2_000)}`)
    await cluster.close()
  }
  console.log('NOT SHOWN here: clocks that are turned, Redis that is wiped, a region whose disks are destroyed')
  console.log(failed === 0 ? 'all checks are good' : `${failed} checks failed`)
  process.exitCode = failed === 0 ? 0 : 1
}

if (values.inside === undefined) outside()
else await inside(values.inside)
