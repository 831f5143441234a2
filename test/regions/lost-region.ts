import { makeBucket } from './buckets.ts'
import { type Check, type Outcome, wait } from './check.ts'
import type { Cluster } from './cluster.ts'
import { Store } from './s3.ts'
import { type Phase, sumsOf, Writer } from './writers.ts'

const bucket = 'durable'
const writersEach = 2
/** Writes of each region before one is destroyed, and of the others afterwards; and how long that may take, in milliseconds. */
const acknowledgedLeast = 20
const workMost = 90_000

/** What the cluster's regions are started with. */
export const durableFlags: readonly string[] = ['--durability-regions', '2']

/** As an operator does who gives a region up. */
async function remove(cluster: Cluster, code: string): Promise<void> {
  await cluster.meridian(cluster.codes[0] ?? '', 'regions', 'remove', '--lost', '--region', code)
}

/** Writers in all regions; in the midst of it one region's metadata and volumes are gone for ever. Gives what is wrong. */
async function lose(cluster: Cluster, lost: string, round: number): Promise<Outcome> {
  const stores = cluster.codes.map((code) => new Store(code, cluster.client(code), bucket))
  const others = stores.filter(({ region }) => region !== lost)
  const writers = stores.flatMap((store) =>
    Array.from({ length: writersEach }, (_, number) => new Writer(store, `${round}-${store.region}-${number}`)),
  )
  const phase: Phase = { isOver: false, isFaulty: false }
  const working = Promise.all(writers.map((each) => each.work(phase)))
  const by = (region: string): number => sumsOf(writers.filter((each) => each.region === region)).operations
  const work = async (isEnough: () => boolean): Promise<void> => {
    const deadline = performance.now() + workMost
    while (!isEnough() && performance.now() < deadline) await wait(100)
  }
  const events = async (): Promise<void> => {
    await work(() => cluster.codes.every((code) => by(code) >= acknowledgedLeast))
    phase.isFaulty = true
    await cluster.destroy(lost)
    await work(() => sumsOf(writers).duringFaults >= acknowledgedLeast)
  }
  try {
    await Promise.race([events(), working])
  } finally {
    phase.isOver = true
  }
  await working
  const failures = [
    ...(await complaints(writers, others, `without ${lost}`)),
    ...(await replaced(cluster, lost, writers, stores)),
  ]
  const { operations, duringFaults } = sumsOf(writers)
  const there = by(lost)
  if (duringFaults < acknowledgedLeast) failures.push(`only ${duringFaults} writes were acknowledged without ${lost}`)
  if (there < acknowledgedLeast) failures.push(`only ${there} writes were acknowledged by ${lost}`)
  const note = `${there} acknowledged by ${lost} before it was destroyed, ${duringFaults} by others afterwards`
  return { operations, failures, note }
}

async function complaints(writers: readonly Writer[], stores: readonly Store[], when: string): Promise<string[]> {
  const found = await Promise.all(writers.map((each) => each.verify(stores)))
  return found.flat().map((each) => `${when}: ${each}`)
}

/** A new region of that code, from nothing, gets all there is. */
async function replaced(
  cluster: Cluster,
  lost: string,
  writers: readonly Writer[],
  stores: readonly Store[],
): Promise<readonly string[]> {
  await remove(cluster, lost)
  await cluster.startRegion(lost)
  return await complaints(writers, stores, `with a new ${lost}`)
}

export const lostRegion: Check = {
  name: 'the disks of a region are destroyed, with a durability of two regions: nothing acknowledged is lost, and a new one takes its place',
  async run(cluster, { isLong }): Promise<Outcome> {
    const [root = '', ...others] = cluster.codes
    await makeBucket(cluster, root, bucket)
    const outcomes: Outcome[] = []
    const rounds = isLong ? 6 : 1
    for (let round = 0; round < rounds; round++) {
      outcomes.push(await lose(cluster, others[(round + 1) % others.length] ?? '', round))
    }
    return {
      operations: outcomes.reduce((sum, { operations }) => sum + operations, 0),
      failures: outcomes.flatMap(({ failures }) => failures),
      note: outcomes.map(({ note }) => note).join('; '),
    }
  },
}
