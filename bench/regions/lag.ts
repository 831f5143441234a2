import { sumOf } from '../../test/support/exposition.ts'
import { load } from '../generator.ts'
import { bucket, objectCalls, shots } from '../shots.ts'
import { expectStatus, metricsOf, withCluster } from './cluster.ts'
import { type Figure, percentile } from './figures.ts'

const codes = ['fra', 'iad', 'syd']
const writesEach = 500
const keys = 5_000
/** Between two looks for a record that is to come, in milliseconds. */
const lookMs = 4
const probePauseMs = 150

/**
 * How long after the answer to a write another region has its record, while each region takes 500 writes a second. Regions are
 * on one machine without delays between them: what is measured is all there is beside the network.
 */
export async function lag(seconds: number): Promise<readonly Figure[]> {
  return await withCluster(codes, 'none', async (cluster) => {
    const clients = new Map(codes.map((code) => [code, cluster.client(code)] as const))
    let isOver = false
    const lags: number[] = []
    const seen = async (code: string, path: string, since: number): Promise<void> => {
      const client = clients.get(code)
      for (;;) {
        const status = (await client?.send({ method: 'HEAD', path }))?.status
        if (status === 200) break
        if (performance.now() - since > 30_000) throw new Error(`${code} does not have ${path}`)
        await new Promise((resolve) => setTimeout(resolve, lookMs))
      }
      lags.push(performance.now() - since)
    }
    const probe = async (): Promise<void> => {
      for (let at = 0; !isOver; at++) {
        const from = codes[at % codes.length] ?? ''
        const client = clients.get(from)
        const path = `/${bucket}/probe-${at}`
        if (client === undefined) return
        await expectStatus(client, 'PUT', path, 200, Buffer.from(path))
        const since = performance.now()
        await Promise.all(codes.filter((code) => code !== from).map((code) => seen(code, path, since)))
        await new Promise((resolve) => setTimeout(resolve, probePauseMs))
      }
    }
    const shooting = codes.map((code, index) => {
      const client = cluster.client(code)
      const calls = objectCalls('PUT', 1024 + index, keys, Buffer.alloc(1024 + index, 'm'))
      const options = { port: cluster.portOf(code), connections: 16, seconds, rate: writesEach }
      const running = load({ ...options, shots: shots(client, calls) })
      client.close()
      return running
    })
    const loading = Promise.all(shooting).finally(() => {
      isOver = true
    })
    // Together: a probe that fails must not end the process before the cluster is stopped.
    const [loads] = await Promise.all([loading, probe()])
    for (const client of clients.values()) client.close()
    const lines = await metricsOf(cluster, 'syd')
    const ownMilliseconds = percentile(
      loads.map(({ p50 }) => p50),
      0.5,
    )
    return [
      {
        name: 'writes a second, all regions together',
        value: loads.reduce((sum, each) => sum + each.perSecond, 0),
        unit: '1/s',
        wanted: { least: 3 * writesEach * 0.95 },
      },
      {
        name: 'writes that failed',
        value: loads.reduce((sum, each) => sum + each.failures, 0),
        unit: 'writes',
        wanted: { most: 0 },
      },
      { name: 'probes', value: lags.length, unit: 'arrivals' },
      // Where the machine is busy, both are too long: a record is elsewhere after one message, and one commit as every write here has one.
      { name: 'a write in its own region, median', value: ownMilliseconds, unit: 'ms' },
      {
        name: 'metadata lag to a write in its own region, medians',
        value: percentile(lags, 0.5) / ownMilliseconds,
        unit: 'of 1',
      },
      {
        name: 'metadata lag beside the network, median',
        value: percentile(lags, 0.5),
        unit: 'ms',
        wanted: { most: 100 },
      },
      { name: 'metadata lag beside the network, 99th percentile', value: percentile(lags, 0.99), unit: 'ms' },
      { name: 'entries syd was behind at the end', value: sumOf(lines, 'meridian_feed_lag_entries'), unit: 'entries' },
    ]
  })
}
