import { composeRegion } from './compose.ts'
import { type FaultClass, faultClasses } from './faults.ts'
import { isQuiet } from './quiet.ts'
import { type SimulationReport, simulate } from './simulation.ts'

const first = Number(process.argv[2] ?? 0)
const count = Number(process.argv[3] ?? 10)
const operations = Number(process.argv[4] ?? 2000)
const totals = new Map<FaultClass, number>()
let failures = 0
for (let seed = first; seed < first + count; seed++) {
  const began = performance.now()
  try {
    const report: SimulationReport = await simulate({
      seed: String(seed),
      operations,
      compose: composeRegion,
      isQuiet,
    })
    for (const [fault, times] of report.faults) totals.set(fault, (totals.get(fault) ?? 0) + times)
    console.log(
      seed,
      report.acknowledged,
      report.refused,
      report.unknown,
      'conflicts',
      report.conflicts,
      Math.round(report.lasted),
      'ms',
      Math.round(performance.now() - began),
      'ms real',
    )
  } catch (error) {
    failures++
    console.log(seed, 'FAILED', error)
  }
}
console.log(failures, 'failures', faultClasses.map((each) => `${each} ${totals.get(each) ?? 0}`).join(', '))
