import type { DevCluster } from '../../test/support/dev-cluster.ts'
import { sendAll } from '../cases/server.ts'
import { type LoadResult, load } from '../generator.ts'
import { allProcessors, pin, pinGroup } from '../processes.ts'
import { objectCalls, shots } from '../shots.ts'
import { withCluster } from './cluster.ts'
import { type Figure, percentile } from './figures.ts'
import { processorSeconds } from './processors.ts'

/** A second, about half of what one processor can: what is measured is a request, not how long it waits for others. */
const kinds = [
  { name: 'GET 1 KiB', method: 'GET', size: 1024, rate: 1_000 },
  { name: 'GET 64 KiB', method: 'GET', size: 65_536, rate: 1_000 },
  { name: 'PUT 1 KiB', method: 'PUT', size: 1024, rate: 500 },
  { name: 'PUT 64 KiB', method: 'PUT', size: 65_536, rate: 250 },
] as const
type Kind = (typeof kinds)[number]

const keys = 500
const connections = 16
const asked = 'fra'
/** Each has windows of both clusters, in turn: what the machine does meanwhile, which is more than what is measured, it does to both. */
const rounds = 4
/** Before each window, in seconds. */
const settleSeconds = 1

type Company = 'alone' | 'followed'
const companies: readonly Company[] = ['alone', 'followed']
const codesOf: Readonly<Record<Company, readonly string[]>> = { alone: [asked], followed: [asked, 'iad', 'syd'] }

/** What requests took in the windows of one cluster. */
interface Taken {
  /** Of each window, in milliseconds. */
  readonly medians: number[]
  /** Of the processor, in the region that is asked; NaN where the system does not tell. */
  seconds: number
  operations: number
  /** In a second, as fast as answers come. */
  most: number
}

type Clusters = Readonly<Record<Company, DevCluster>>
type Run = (limits: { readonly seconds: number; readonly rate?: number }) => Promise<LoadResult>

/** Reads and writes of a region that two others follow, and of one that has none; both run all the time, and are asked in turn. */
export async function local(seconds: number): Promise<readonly Figure[]> {
  return await withCluster(codesOf.alone, 'none', (alone) =>
    withCluster(codesOf.followed, 'none', async (followed) => {
      const figures: Figure[] = []
      for (const kind of kinds) figures.push(...(await measured(kind, { alone, followed }, seconds)))
      return figures
    }),
  )
}

async function measured(kind: Kind, clusters: Clusters, seconds: number): Promise<readonly Figure[]> {
  const each = async <T>(work: (company: Company) => Promise<T>): Promise<Record<Company, T>> => ({
    alone: await work('alone'),
    followed: await work('followed'),
  })
  const runs = await each((company) => prepared(kind, clusters[company]))
  const taken = await each(async () => none())
  // As often as it takes until the code is made ready: before that, a process differs from another by more than what is measured.
  await each((company) => runs[company]({ seconds }))
  await each((company) => tie(clusters[company], '0', '1'))
  try {
    await each((company) => runs[company]({ seconds: seconds / 2, rate: kind.rate }))
    for (let round = 0; round < rounds; round++) {
      for (const company of round % 2 === 0 ? companies : companies.toReversed()) {
        const limits = { seconds: seconds / rounds, rate: kind.rate }
        await paced(taken[company], clusters[company], runs[company], limits)
      }
    }
  } finally {
    await each((company) => tie(clusters[company], allProcessors, allProcessors))
  }
  await each(async (company) => {
    taken[company].most = (await runs[company]({ seconds: seconds / 2 })).perSecond
  })
  return figuresOf(kind, taken)
}

/** Requests of a kind to the region of a cluster that is asked, which has what they are for. */
async function prepared({ name, method, size }: Kind, cluster: DevCluster): Promise<Run> {
  const client = cluster.client(asked)
  const body = Buffer.alloc(size, 'm')
  await sendAll(objectCalls('PUT', size, keys, body), 16, (call) => client.send(call))
  const all = shots(client, objectCalls(method, size, keys, method === 'PUT' ? body : undefined))
  client.close()
  return async (limits) => {
    const result = await load({ port: cluster.portOf(asked), shots: all, connections, ...limits })
    if (result.failures > 0) throw new Error(`${result.failures} of ${result.operations} ${name} failed`)
    return result
  }
}

const none = (): Taken => ({ medians: [], seconds: 0, operations: 0, most: Number.NaN })

async function paced(
  taken: Taken,
  cluster: DevCluster,
  run: Run,
  limits: { readonly seconds: number; readonly rate: number },
): Promise<void> {
  const spent = (): number => processorSeconds(cluster.pidOf(asked)) ?? Number.NaN
  await run({ seconds: settleSeconds, rate: limits.rate })
  const before = spent()
  const { operations, p50 } = await run(limits)
  taken.seconds += spent() - before
  taken.operations += operations
  taken.medians.push(p50)
}

/**
 * Gives the region that is asked a processor of its own, as it has a machine of its own in earnest: on one that others use too, a
 * request takes up to twice the time of the processor, however little these have to do with it.
 */
async function tie(cluster: DevCluster, ofAsked: string, ofOthers: string): Promise<void> {
  await pin(process.pid, ofOthers)
  for (const code of cluster.codes) await pinGroup(cluster.pidOf(code), code === asked ? ofAsked : ofOthers)
}

function figuresOf({ name, rate }: Kind, { alone, followed }: Record<Company, Taken>): readonly Figure[] {
  const microseconds = ({ seconds, operations }: Taken): number => (seconds * 1e6) / operations
  const median = ({ medians }: Taken): number => percentile(medians, 0.5)
  const at = `${name}, ${rate} a second`
  return [
    ...compared(`${at}, median`, 'ms', median(alone), median(followed)),
    ...compared(`${at}, processor time`, 'µs', microseconds(alone), microseconds(followed)),
    // What all regions do on the processors that they share; nothing is wanted of it.
    { name: `${name}, as many as can be, one region`, value: alone.most, unit: '1/s' },
    { name: `${name}, as many as can be, three regions`, value: followed.most, unit: '1/s' },
  ]
}

/** What the system does not tell is left out. */
function compared(name: string, unit: string, one: number, three: number): readonly Figure[] {
  if (Number.isNaN(one + three)) return []
  return [
    { name: `${name}, one region`, value: one, unit },
    { name: `${name}, three regions`, value: three, unit },
    { name: `${name}, three to one`, value: three / one, unit: 'of 1', wanted: { most: 1.1 } },
  ]
}
