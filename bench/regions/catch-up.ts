import { sumOf } from '../../test/support/exposition.ts'
import { sendAll } from '../cases/server.ts'
import { objectCalls } from '../shots.ts'
import { eventually, metricsOf, withCluster } from './cluster.ts'
import type { Figure } from './figures.ts'
import { processorSeconds } from './processors.ts'

const [source, follower] = ['fra', 'syd'] as const
const wanted = 5_000
/** Between two looks, in milliseconds: each look costs the region that catches up. */
const lookMs = 200

/** A region stands still while another takes writes, and then catches up. */
export async function catchUp(records: number): Promise<readonly Figure[]> {
  return await withCluster([source, follower], 'none', async (cluster) => {
    const group = cluster.pidOf(follower)
    const received = async () =>
      sumOf(await metricsOf(cluster, follower), 'meridian_feed_records_total', { peer: source })
    const before = await received()
    process.kill(-group, 'SIGSTOP')
    try {
      const client = cluster.client(source)
      await sendAll(objectCalls('PUT', 500, records, Buffer.alloc(500, 'm')), 48, (call) => client.send(call))
      client.close()
    } finally {
      process.kill(-group, 'SIGCONT')
    }
    const taken = () => [source, follower].map((code) => processorSeconds(cluster.pidOf(code)))
    // What is late by its own first call is not the catching up: the clock runs from the first record to the last.
    const came: { readonly at: number; readonly count: number; readonly processor: ReturnType<typeof taken> }[] = []
    await eventually(
      async () => {
        const count = (await received()) - before
        came.push({ at: performance.now(), count, processor: taken() })
        return count >= records
      },
      300_000,
      lookMs,
    )
    const first = came.findLast(({ count }) => count === 0) ?? came[0]
    const last = came.at(-1)
    if (first === undefined || last === undefined) throw new Error('nothing came')
    const seconds = (last.at - first.at) / 1000
    const caught = last.count - first.count
    const perProcessor = [source, follower].flatMap((code, at): readonly Figure[] => {
      const spent = (last.processor[at] ?? Number.NaN) - (first.processor[at] ?? Number.NaN)
      if (Number.isNaN(spent)) return []
      const name = `records for each second of the processor in ${code}, which ${code === source ? 'tells' : 'catches up'}`
      return [{ name, value: caught / spent, unit: '1/s', wanted: { least: wanted } }]
    })
    return [
      { name: 'records that were missed', value: last.count, unit: 'records' },
      { name: 'time to catch up', value: seconds, unit: 's' },
      { name: 'records a second', value: caught / seconds, unit: '1/s', wanted: { least: wanted } },
      // Where other work shares the machine, only this tells what it could do: the two regions have a machine each.
      ...perProcessor,
    ]
  })
}
