import { composeRegion } from './compose.ts'
import { unrest } from './quiet.ts'
import type { Seed } from './seeds.ts'
import { type SimulationReport, simulate } from './simulation.ts'

/** What a process tells of a seed that it ran. */
export interface Told {
  readonly ran: Seed
  /** Of the processor, in milliseconds. */
  readonly cpu: number
  readonly report?: Omit<SimulationReport, 'faults'> & { readonly faults: readonly (readonly [string, number])[] }
  /** What went wrong. */
  readonly failure?: string
}

async function run(ran: Seed): Promise<Told> {
  const began = process.cpuUsage()
  const cpu = (): number => {
    const { user, system } = process.cpuUsage(began)
    return (user + system) / 1000
  }
  try {
    const report = await simulate({ ...ran, compose: composeRegion, unrest })
    return { ran, cpu: cpu(), report: { ...report, faults: [...report.faults] } }
  } catch (error) {
    return { ran, cpu: cpu(), failure: error instanceof Error ? `${error.stack}${causeOf(error)}` : String(error) }
  }
}

const causeOf = ({ cause }: Error): string => (cause instanceof Error ? `\nbecause of ${cause.stack}` : '')

/** Runs the seeds that it is sent, one after the other. */
process.on('message', (ran: Seed) => {
  run(ran).then(
    (told) => process.send?.(told),
    (error: unknown) => {
      throw error
    },
  )
})
// Nobody waits for what is under way.
process.on('disconnect', () => process.exit())
