import type { DevCluster } from '../../test/support/dev-cluster.ts'
import { sendAll } from '../cases/server.ts'
import { type LoadResult, load } from '../generator.ts'
import { allProcessors, pin, pinGroup } from '../processes.ts'
import { objectCalls, shots } from '../shots.ts'
import { withCluster } from './cluster.ts'
import type { Figure } from './figures.ts'
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
const rounds = 3

interface Result {
  /** As fast as answers come. */
  readonly perSecond: number
  /** Of the processor, each, in the region that is asked; NaN where the system does not tell. */
  readonly microseconds: number
  /** In milliseconds. */
  readonly median: number
}

type Results = ReadonlyMap<string, Result>

async function measured(codes: readonly string[], seconds: number): Promise<Results> {
  return await withCluster(codes, 'none', async (cluster) => {
    const results = new Map<string, Result>()
    for (const kind of kinds) results.set(kind.name, await measuredOf(kind, cluster, seconds))
    return results
  })
}

async function measuredOf(kind: Kind, cluster: DevCluster, seconds: number): Promise<Result> {
  const { name, method, size, rate } = kind
  const client = cluster.client('fra')
  const body = Buffer.alloc(size, 'm')
  await sendAll(objectCalls('PUT', size, keys, body), 16, (call) => client.send(call))
  const all = shots(client, objectCalls(method, size, keys, method === 'PUT' ? body : undefined))
  client.close()
  const run = async (limits: { readonly seconds: number; readonly rate?: number }): Promise<LoadResult> => {
    const result = await load({ port: cluster.portOf('fra'), shots: all, connections, ...limits })
    if (result.failures > 0) throw new Error(`${result.failures} of ${result.operations} ${name} failed`)
    return result
  }
  const spent = (): number => processorSeconds(cluster.pidOf('fra')) ?? Number.NaN
  await run({ seconds: Math.min(2, seconds) })
  const { perSecond } = await run({ seconds })
  await tie(cluster, '0', '1')
  try {
    await run({ seconds: 1, rate })
    const before = spent()
    const { operations, p50 } = await run({ seconds, rate })
    return { perSecond, microseconds: ((spent() - before) * 1e6) / operations, median: p50 }
  } finally {
    await tie(cluster, allProcessors, allProcessors)
  }
}

/**
 * Gives the region that is asked a processor of its own, as it has a machine of its own in earnest: on one that others use too, a
 * request takes up to twice the time of the processor, however little these have to do with it.
 */
async function tie(cluster: DevCluster, asked: string, others: string): Promise<void> {
  await pin(process.pid, others)
  for (const code of cluster.codes) await pinGroup(cluster.pidOf(code), code === 'fra' ? asked : others)
}

/** Reads and writes of one region, with two others that follow it and without; each some times in turn, and the best counts. */
export async function local(seconds: number): Promise<readonly Figure[]> {
  const alone: Results[] = []
  const followed: Results[] = []
  for (let round = 0; round < rounds; round++) {
    alone.push(await measured(['fra'], seconds / rounds))
    followed.push(await measured(['fra', 'iad', 'syd'], seconds / rounds))
  }
  return kinds.flatMap(({ name, rate }): readonly Figure[] => {
    const least = (of: readonly Results[], what: 'microseconds' | 'median'): number =>
      Math.min(...of.map((each) => each.get(name)?.[what] ?? Number.NaN))
    const most = (of: readonly Results[]): number =>
      Math.max(...of.map((each) => each.get(name)?.perSecond ?? Number.NaN))
    const paced = `${name}, ${rate} a second`
    return [
      ...compared(`${paced}, median`, 'ms', least(alone, 'median'), least(followed, 'median')),
      ...compared(`${paced}, processor time`, 'µs', least(alone, 'microseconds'), least(followed, 'microseconds')),
      // What all regions do on the processors that they share; nothing is wanted of it.
      { name: `${name}, as many as can be, one region`, value: most(alone), unit: '1/s' },
      { name: `${name}, as many as can be, three regions`, value: most(followed), unit: '1/s' },
    ]
  })
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
