import { sumOf } from '../../test/support/exposition.ts'
import { sendAll } from '../cases/server.ts'
import { objectCalls } from '../shots.ts'
import { eventually, metricsOf, withCluster } from './cluster.ts'
import type { Figure } from './figures.ts'

/** A region stands still while another takes writes, and then catches up. */
export async function catchUp(records: number): Promise<readonly Figure[]> {
  return await withCluster(['fra', 'syd'], 'none', async (cluster) => {
    const group = cluster.pidOf('syd')
    const received = async () => sumOf(await metricsOf(cluster, 'syd'), 'meridian_feed_records_total', { peer: 'fra' })
    const before = await received()
    process.kill(-group, 'SIGSTOP')
    try {
      const client = cluster.client('fra')
      await sendAll(objectCalls('PUT', 500, records, Buffer.alloc(500, 'm')), 48, (call) => client.send(call))
      client.close()
    } finally {
      process.kill(-group, 'SIGCONT')
    }
    // What is late by its own first call is not the catching up: the clock runs from the first record to the last.
    const came: (readonly [at: number, records: number])[] = []
    await eventually(
      async () => {
        const now = (await received()) - before
        came.push([performance.now(), now])
        return now >= records
      },
      300_000,
      50,
    )
    const first = came.findLast(([, count]) => count === 0) ?? came[0]
    const last = came.at(-1)
    if (first === undefined || last === undefined) throw new Error('nothing came')
    const seconds = (last[0] - first[0]) / 1000
    return [
      { name: 'records that were missed', value: last[1], unit: 'records' },
      { name: 'time to catch up', value: seconds, unit: 's' },
      { name: 'records a second', value: (last[1] - first[1]) / seconds, unit: '1/s', wanted: { least: 5_000 } },
    ]
  })
}
