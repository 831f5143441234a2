import { sendAll } from '../cases/server.ts'
import { type LoadResult, load } from '../generator.ts'
import { objectCalls, shots } from '../shots.ts'
import { withCluster } from './cluster.ts'
import type { Figure } from './figures.ts'
import { processorSeconds } from './processors.ts'

const kinds = [
  { name: 'GET 1 KiB', method: 'GET', size: 1024 },
  { name: 'GET 64 KiB', method: 'GET', size: 65_536 },
  { name: 'PUT 1 KiB', method: 'PUT', size: 1024 },
  { name: 'PUT 64 KiB', method: 'PUT', size: 65_536 },
] as const
const keys = 500
const connections = 16
/** A second, where it is asked how long one takes: far from what any machine can. */
const unhurried = 100

interface Result {
  readonly perSecond: number
  /** Of the processor, each, in the region that is asked; NaN where the system does not tell. */
  readonly microseconds: number
  /** How long one takes while few are under way, in milliseconds: the median. */
  readonly median: number
}

type Results = ReadonlyMap<string, Result>

async function measured(codes: readonly string[], seconds: number): Promise<Results> {
  return await withCluster(codes, 'none', async (cluster) => {
    const results = new Map<string, Result>()
    const spent = () => processorSeconds(cluster.pidOf('fra')) ?? Number.NaN
    for (const { name, method, size } of kinds) {
      const client = cluster.client('fra')
      const body = Buffer.alloc(size, 'm')
      await sendAll(objectCalls('PUT', size, keys, body), 16, (call) => client.send(call))
      const all = shots(client, objectCalls(method, size, keys, method === 'PUT' ? body : undefined))
      client.close()
      const options = { port: cluster.portOf('fra'), shots: all, connections }
      await load({ ...options, seconds: Math.min(2, seconds) })
      const before = spent()
      const result: LoadResult = await load({ ...options, seconds })
      if (result.failures > 0) throw new Error(`${result.failures} of ${result.operations} ${name} failed`)
      const microseconds = ((spent() - before) * 1e6) / result.operations
      const few = await load({ ...options, seconds, rate: unhurried })
      if (few.failures > 0) throw new Error(`${few.failures} of ${few.operations} ${name} failed`)
      results.set(name, { perSecond: result.perSecond, microseconds, median: few.p50 })
    }
    return results
  })
}

/** Reads and writes of one region, with two others that follow it and without. Once alone before, and once after: the better counts. */
export async function local(seconds: number): Promise<readonly Figure[]> {
  const before = await measured(['fra'], seconds)
  const three = await measured(['fra', 'iad', 'syd'], seconds)
  const after = await measured(['fra'], seconds)
  return kinds.flatMap(({ name }): readonly Figure[] => {
    const one = Math.max(before.get(name)?.perSecond ?? 0, after.get(name)?.perSecond ?? 0)
    const with3 = three.get(name)?.perSecond ?? 0
    const least = Math.min(...[before, after].map((each) => each.get(name)?.microseconds ?? Number.NaN))
    const microseconds = three.get(name)?.microseconds ?? Number.NaN
    const median = Math.min(...[before, after].map((each) => each.get(name)?.median ?? Number.NaN))
    const median3 = three.get(name)?.median ?? Number.NaN
    return [
      { name: `${name}, ${unhurried} a second, median, one region`, value: median, unit: 'ms' },
      { name: `${name}, ${unhurried} a second, median, three regions`, value: median3, unit: 'ms' },
      {
        name: `${name}, ${unhurried} a second, median, three to one`,
        value: median3 / median,
        unit: 'of 1',
        wanted: { most: 1.1 },
      },
      { name: `${name}, one region`, value: one, unit: '1/s' },
      { name: `${name}, three regions`, value: with3, unit: '1/s' },
      { name: `${name}, three to one`, value: with3 / one, unit: 'of 1', wanted: { least: 0.9 } },
      ...(Number.isNaN(microseconds) ? [] : processorFigures(name, least, microseconds)),
    ]
  })
}

/** Where other work shares the machine, the rate tells of that; this does not. */
const processorFigures = (name: string, one: number, three: number): readonly Figure[] => [
  { name: `${name}, processor time in its region, one region`, value: one, unit: 'µs' },
  { name: `${name}, processor time in its region, three regions`, value: three, unit: 'µs' },
]
