import type { Member } from '#src/model/region.ts'
import { Chance } from './chance.ts'
import { checkConverged, checkCopies, checkNothingLost, checkReferences, countRows } from './checkers.ts'
import { Client } from './clients.ts'
import { type FaultClass, Faults } from './faults.ts'
import { Ledger } from './ledger.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import { type Compose, Region } from './region.ts'
import { Timeline } from './timeline.ts'

export interface SimulationOptions {
  readonly seed: string
  /** Requests of all clients together. */
  readonly operations: number
  readonly compose: Compose
  /** Whether everything that regions owe each other has been done. */
  readonly isQuiet: (regions: readonly Region[]) => Promise<boolean>
}

export interface SimulationReport {
  readonly acknowledged: number
  readonly refused: number
  readonly unknown: number
  readonly faults: ReadonlyMap<FaultClass, number>
  /** Of conflicts that are kept, in one cell. */
  readonly conflicts: number
  /** Simulated time, in milliseconds. */
  readonly lasted: number
}

const codes = ['fra', 'iad', 'syd', 'nrt'] as const
const clientsPerRegion = 3
/** An hour: far more than any seed needs; what takes longer stands still. */
const longest = 3_600_000
/** How long regions may take to come to rest once nothing disturbs them any more. */
const restMost = 300_000

/** One history of some regions, from one seed. Rejects with what went wrong. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { seed, operations, compose } = options
  const chance = new Chance(seed)
  const timeline = new Timeline()
  const faults = new Faults(new Chance(`${seed}/faults`))
  const network = new Network(timeline, new Chance(`${seed}/network`), faults)
  const failing = Promise.withResolvers<never>()
  failing.promise.catch(() => undefined)
  const ledger = new Ledger((violation) => failing.reject(violation))
  const members: Member[] = codes.slice(0, chance.pick([2, 3, 3, 4])).map((region, index) => ({
    region,
    geography: '',
    cell: index + 1,
    incarnation: `${seed}-${index}`,
    peer: `http://${region}`,
    state: 'active',
  }))
  const regions = members.map(
    (member) =>
      new Region({
        member,
        members,
        seed,
        timeline,
        network,
        ledger,
        faults,
        compose,
        failed: failing.reject,
      }),
  )
  const clients = regions.flatMap((region, index) =>
    Array.from(
      { length: clientsPerRegion },
      (_, number) =>
        new Client({
          cell: region.member.cell,
          timeline,
          chance: new Chance(`${seed}/client/${index}/${number}`),
          ledger,
          objects: () => region.objects,
        }),
    ),
  )
  const nemesis = new Nemesis({ timeline, chance: new Chance(`${seed}/nemesis`), network, faults, regions })
  const history = async (): Promise<void> => {
    faults.isOn = false
    for (const region of regions) await region.prepare()
    faults.isOn = true
    for (const region of regions) region.start()
    const deeds = nemesis.run()
    await Promise.all(clients.map((client) => client.work(Math.ceil(operations / clients.length))))
    nemesis.stop()
    faults.isOn = false
    await deeds
    const deadline = timeline.now + restMost
    do {
      await timeline.sleep(1_000)
      if (timeline.now > deadline) throw new Error('the regions do not come to rest')
    } while (!(await options.isQuiet(regions)))
  }
  await timeline.until(Promise.race([history(), failing.promise]), longest)
  const cells = await Promise.all(regions.map((region) => region.quiet()))
  for (const cell of cells) {
    checkNothingLost(ledger, cell)
    checkReferences(cell)
  }
  checkConverged(cells)
  checkCopies(cells)
  const sum = (of: (client: Client) => number): number => clients.reduce((total, each) => total + of(each), 0)
  for (const region of regions) region.crash()
  return {
    acknowledged: sum((each) => each.acknowledged),
    refused: sum((each) => each.refused),
    unknown: sum((each) => each.unknown),
    faults: faults.counts,
    conflicts: cells[0] === undefined ? 0 : countRows(cells[0].view, 'conflict'),
    lasted: timeline.now,
  }
}
