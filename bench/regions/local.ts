import type { DevCluster } from '../../test/support/dev-cluster.ts'
import { sendAll } from '../cases/server.ts'
import { type LoadResult, load } from '../generator.ts'
import { allProcessors, pin, pinGroup } from '../processes.ts'
import { bucket, objectCalls, shots } from '../shots.ts'
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
const others = ['iad', 'syd'] as const
const leastRounds = 16
/** In seconds: of a shorter one, hundredths of a second of the processor tell too little. */
const shortestWindow = 2.5
/** The others stand still for less than the ten seconds that a request between regions waits: nobody takes them for lost. */
const longestWindow = 8
/** Before each window, in seconds, at its pace: those that stood still catch up meanwhile. */
const settleSeconds = 2
/** Of writes that come as fast as they are answered: more than there can be. */
const mostKeys = 25_000

/** Alone: the other regions stand still. */
type Company = 'alone' | 'followed'
const companies: readonly Company[] = ['alone', 'followed']

/** What requests took in the windows of one kind of company, one in each round. */
interface Taken {
  /** Of each window, in milliseconds. */
  readonly medians: number[]
  /** Of each window, for a request, of the processor of the region that is asked, in microseconds; NaN where the system does not tell. */
  readonly processor: number[]
  /** In a second, as fast as answers come. */
  most: number
}

interface Limits {
  readonly seconds: number
  /** A second; absent: as fast as answers come. */
  readonly rate?: number
}

/** Signs requests now, and gives what sends them. */
type Aim = (limits: Limits) => () => Promise<LoadResult>

/**
 * Reads and writes of a region that two others follow, and of the same one while they stand still: two processes differ from each other
 * by more than what is measured.
 */
export async function local(seconds: number): Promise<readonly Figure[]> {
  const work = async (cluster: DevCluster): Promise<readonly Figure[]> => {
    const figures: Figure[] = []
    for (const kind of kinds) figures.push(...(await measured(kind, cluster, seconds)))
    return figures
  }
  return await withCluster([asked, ...others], 'none', work, { inMemory: others })
}

async function measured(kind: Kind, cluster: DevCluster, seconds: number): Promise<readonly Figure[]> {
  const aim = await aimed(kind, cluster)
  const taken: Record<Company, Taken> = { alone: none(), followed: none() }
  // As often as it takes until the code is made ready.
  await aim({ seconds })()
  await tie(cluster, '0', '1')
  try {
    await aim({ seconds: seconds / 2, rate: kind.rate })()
    // What the machine does meanwhile, which is more than what is measured, it does to both: they take turns.
    const rounds = Math.max(leastRounds, 2 * Math.ceil(seconds / longestWindow / 2))
    const window = Math.max(shortestWindow, seconds / rounds)
    for (let round = 0; round < rounds; round++) {
      for (const company of round % 2 === 0 ? companies : companies.toReversed()) {
        await paced(taken[company], company, cluster, aim, { seconds: window, rate: kind.rate })
      }
    }
  } finally {
    await tie(cluster, allProcessors, allProcessors)
  }
  const most = { seconds: Math.min(seconds / 2, longestWindow) }
  // In this order: those that stood still would have much to catch up with.
  for (const company of companies.toReversed()) {
    taken[company].most = (await inCompany(company, cluster, aim(most))).perSecond
  }
  return figuresOf(kind, taken)
}

/** Requests of a kind to the region that is asked, which has what they are for. */
async function aimed({ name, method, size }: Kind, cluster: DevCluster): Promise<Aim> {
  const client = cluster.client(asked)
  const body = Buffer.alloc(size, 'm')
  await sendAll(objectCalls('PUT', size, keys, body), 16, (call) => client.send(call))
  const reads = method === 'GET' ? shots(client, objectCalls(method, size, keys)) : []
  client.close()
  let written = 0
  // What is overwritten is freed once all regions know of it: then windows in which they run would pay for those in which they stand still.
  const writes = ({ seconds, rate }: Limits) => {
    const first = written
    written += rate === undefined ? mostKeys : Math.ceil(seconds * rate)
    const paths = Array.from({ length: written - first }, (_, index) => `/${bucket}/new/${size}/${first + index}`)
    return shots(
      client,
      paths.map((path) => ({ method, path, body })),
    )
  }
  return (limits) => {
    const once = method === 'PUT'
    const all = once ? writes(limits) : reads
    return async () => {
      const result = await load({ port: cluster.portOf(asked), shots: all, connections, once, ...limits })
      if (result.failures > 0) throw new Error(`${result.failures} of ${result.operations} ${name} failed`)
      return result
    }
  }
}

const none = (): Taken => ({ medians: [], processor: [], most: Number.NaN })

async function paced(
  taken: Taken,
  company: Company,
  cluster: DevCluster,
  aim: Aim,
  { seconds, rate }: Required<Limits>,
): Promise<void> {
  const spent = (): number => processorSeconds(cluster.pidOf(asked)) ?? Number.NaN
  const [catchUp, settle] = [aim({ seconds: settleSeconds / 2, rate }), aim({ seconds: settleSeconds / 2, rate })]
  const measure = aim({ seconds, rate })
  await catchUp()
  await inCompany(company, cluster, async () => {
    await settle()
    const before = spent()
    const { operations, p50 } = await measure()
    taken.processor.push(((spent() - before) * 1e6) / operations)
    taken.medians.push(p50)
  })
}

async function inCompany<Result>(company: Company, cluster: DevCluster, work: () => Promise<Result>): Promise<Result> {
  if (company === 'followed') return await work()
  const groups = others.map((code) => cluster.pidOf(code))
  try {
    for (const group of groups) process.kill(-group, 'SIGSTOP')
    return await work()
  } finally {
    for (const group of groups) process.kill(-group, 'SIGCONT')
  }
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
  const at = `${name}, ${rate} a second`
  return [
    ...compared(`${at}, median`, 'ms', alone.medians, followed.medians),
    ...compared(`${at}, processor time`, 'µs', alone.processor, followed.processor),
    // What all regions do on the processors that they share; nothing is wanted of it.
    { name: `${name}, as many as can be, one region`, value: alone.most, unit: '1/s' },
    { name: `${name}, as many as can be, three regions`, value: followed.most, unit: '1/s' },
  ]
}

/**
 * The medians of the windows, and of how the two of each round are to one another: the machine is another one from minute to minute. What
 * the system does not tell is left out.
 */
function compared(name: string, unit: string, one: readonly number[], three: readonly number[]): readonly Figure[] {
  const ratios = three.map((value, round) => value / (one[round] ?? Number.NaN))
  if (ratios.some(Number.isNaN)) return []
  const median = (of: readonly number[]): number => percentile(of, 0.5)
  return [
    { name: `${name}, one region`, value: median(one), unit },
    { name: `${name}, three regions`, value: median(three), unit },
    { name: `${name}, three to one`, value: median(ratios), unit: 'of 1', wanted: { most: 1.1 } },
  ]
}
