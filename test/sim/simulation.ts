import { type Member, memberOf } from '#src/model/region.ts'
import { checkCopies, checkDurable, checkPlaces, checkReferences, heldIn } from './blob-checkers.ts'
import { Chance } from './chance.ts'
import {
  checkConflicts,
  checkConverged,
  checkFeed,
  checkNothingLost,
  checkReadable,
  checkTags,
  countRows,
} from './checkers.ts'
import { Client } from './clients.ts'
import { Cluster } from './cluster.ts'
import { buckets } from './content.ts'
import { type FaultClass, Faults } from './faults.ts'
import { Ledger } from './ledger.ts'
import { Mover } from './mover.ts'
import { Naming } from './naming.ts'
import { Nemesis } from './nemesis.ts'
import { Network } from './network.ts'
import { Operator } from './operator.ts'
import { rowOf } from './places.ts'
import type { QuietCell } from './quiet-cell.ts'
import type { Compose, Region } from './region.ts'
import { Timeline } from './timeline.ts'

export interface SimulationOptions {
  readonly seed: string
  /** Requests of all clients together. */
  readonly operations: number
  /** Whether the root may change, and regions may be lost. */
  readonly fates?: true
  readonly compose: Compose
  /** Why regions are not at rest; undefined: all that they owe each other has been done. */
  readonly unrest: (cluster: Cluster) => Promise<string | undefined>
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

const clientsPerRegion = 3
/** How often it is looked at whether a region that leaves has left. */
const clearMilliseconds = 500
/** Longer than a write to several regions takes at most. */
const leftMilliseconds = 100_000
/** An hour: far more than any seed needs; what takes longer stands still. */
const longest = 3_600_000
/** How long regions may take to come to rest once nothing disturbs them any more. */
const restMost = 600_000
/** Longer than regions wait between looks at what they have too few copies of. */
const lookMilliseconds = 30_000

/** One history of some regions, from one seed. Rejects with what went wrong. */
export async function simulate({
  seed,
  operations,
  fates,
  compose,
  unrest,
}: SimulationOptions): Promise<SimulationReport> {
  const chance = new Chance(seed)
  const timeline = new Timeline()
  const faults = new Faults(new Chance(`${seed}/faults`))
  const network = new Network(timeline, new Chance(`${seed}/network`), faults)
  const failing = Promise.withResolvers<never>()
  failing.promise.catch(() => undefined)
  const failed = failing.reject
  const ledger = new Ledger((view) => cluster.roster.knownIn(view), failed)
  const cluster: Cluster = new Cluster({
    seed,
    hasFates: fates === true,
    timeline,
    network,
    ledger,
    faults,
    compose,
    failed,
  })
  const { regions, late } = cluster
  const clients = regions.flatMap((region) => {
    const parts = { region, timeline, ledger, cluster }
    return Array.from({ length: clientsPerRegion }, (_, number) => {
      const name = `${region.member.cell}/${number}`
      const naming = new Naming(seed, name, cluster)
      return new Client({ ...parts, chance: new Chance(`${seed}/client/${name}`), naming })
    })
  })
  const each = Math.ceil(operations / clients.length)
  const nemesis = new Nemesis({ timeline, chance: new Chance(`${seed}/nemesis`), network, faults, cluster })
  const mover = new Mover({ timeline, chance: new Chance(`${seed}/mover`), faults, cluster })
  const operator = new Operator({ timeline, chance: new Chance(`${seed}/operator`), faults, cluster, mover })
  const joining = async (): Promise<void> => {
    if (late === undefined) return
    await timeline.sleep(chance.between(1_000, 8_000))
    // Members come with the same feed as locations: who hears of one has heard of where buckets were before.
    while (!areLevel(cluster.membership.members, regions)) await timeline.sleep(20)
    await cluster.join(late)
    await known([late], timeline)
  }
  const leaving = async (): Promise<void> => {
    const { leaver } = cluster
    if (leaver === undefined) return
    await timeline.sleep(chance.between(2_000, 12_000))
    await cluster.leave(leaver)
    while (!leaver.hasLeft) {
      // Nobody may have heard of it but a root that is lost.
      if (memberOf(cluster.membership, leaver.member.cell)?.state === 'active') await cluster.roster.leave(leaver)
      await mover.clear(leaver)
      await timeline.sleep(clearMilliseconds)
    }
  }
  const comeToRest = async (): Promise<void> => {
    const deadline = timeline.now + restMost
    let why: string | undefined
    do {
      await timeline.sleep(1_000)
      if (timeline.now > deadline) throw new Error(`the regions do not come to rest: ${why}`)
      why = cluster.leaver?.hasLeft === false ? 'one has yet to leave' : await unrest(cluster)
    } while (why !== undefined)
  }
  const history = async (): Promise<void> => {
    faults.isOn = false
    for (const region of regions) await region.prepare()
    const first = regions.filter((region) => region !== late)
    for (const region of first) region.start()
    await known(first, timeline)
    faults.isOn = true
    const deeds = Promise.all([nemesis.run(), mover.run()])
    const joined = joining()
    const left = leaving()
    left.catch(failed)
    const operated = operator.run(joined)
    operated.catch(failed)
    await Promise.all(
      clients.map(async (client) => {
        if (client.region === late) await joined
        await client.work(each)
      }),
    )
    nemesis.stop()
    mover.stop()
    faults.isOn = false
    await deeds
    await operated
    if (cluster.roster.isByRows) {
      // A request that nobody waits for any more may be under way still.
      await timeline.sleep(leftMilliseconds)
      for (const region of cluster.staying) await region.endWhatWasLeft()
    }
    await comeToRest()
    // Where a bucket came to another region, what it lacks copies of is found some time later.
    if (cluster.roster.isByRows) {
      await timeline.sleep(lookMilliseconds)
      await comeToRest()
    }
    await left
    mover.look()
    const lost = lostOf(await quietCells(cluster), ledger)
    for (const region of cluster.staying) await checkReadable(region, ledger, timeline, lost)
  }
  await timeline.until(Promise.race([history(), failing.promise]), longest)
  await checkRest(cluster, ledger)
  const sum = (of: (client: Client) => number): number => clients.reduce((total, client) => total + of(client), 0)
  for (const region of cluster.staying) region.crash()
  const [first] = cluster.staying
  return {
    acknowledged: sum((client) => client.acknowledged),
    refused: sum((client) => client.refused),
    unknown: sum((client) => client.unknown),
    faults: faults.counts,
    conflicts: first === undefined ? 0 : countRows(first.store.view, 'conflict'),
    lasted: timeline.now,
  }
}

/** Whether all members have the locations of buckets as the root has them. */
function areLevel(members: readonly Member[], regions: readonly Region[]): boolean {
  const cells = members.filter(({ state }) => state !== 'removed').map(({ cell }) => cell)
  const views = regions.filter(({ member }) => cells.includes(member.cell)).map(({ store }) => store.view)
  return buckets.every(({ name }) => new Set(views.map((view) => rowOf(view, name)?.epoch)).size === 1)
}

/** As members do: they serve once they have copied the namespace. */
async function known(regions: readonly Region[], timeline: Timeline): Promise<void> {
  const hasAll = ({ store }: Region): boolean => buckets.every(({ name }) => rowOf(store.view, name) !== undefined)
  while (!regions.every(hasAll)) await timeline.sleep(50)
}

/** What must hold when nothing is under way any more. */
async function checkRest(cluster: Cluster, ledger: Ledger): Promise<void> {
  const cells = await quietCells(cluster)
  for (const cell of cells) {
    checkNothingLost(ledger, cell)
    checkConflicts(ledger, cell)
    checkReferences(cell)
    checkFeed(cell)
    checkTags(ledger, cell)
  }
  checkConverged(cells)
  checkCopies(cells, ledger.lostBlobs)
  const lost = lostOf(cells, ledger)
  const { fate, whereabouts } = cluster
  checkPlaces(cells, lost, whereabouts)
  const needed = new Map(buckets.map(({ id }, index) => [id, fate.durability[index] ?? 1]))
  if (fate.durability.length > 0) checkDurable(cells, needed, lost, whereabouts)
}

/** Blobs that went with a region, and that nobody has. */
function lostOf(cells: readonly QuietCell[], { lostBlobs }: Ledger): ReadonlySet<string> {
  const held = lostBlobs.size === 0 ? lostBlobs : heldIn(cells)
  return new Set([...lostBlobs].filter((blob) => !held.has(blob)))
}

const quietCells = ({ staying }: Cluster): Promise<readonly QuietCell[]> =>
  Promise.all(staying.map((region) => region.quiet()))
