import { randomBytes } from 'node:crypto'
import { sumOf } from '../../test/support/exposition.ts'
import { bucket } from '../shots.ts'
import { eventually, expectStatus, metricsOf, withCluster } from './cluster.ts'
import { type Figure, percentile } from './figures.ts'

const [here, there] = ['syd', 'fra'] as const
const bytes = 65_536
const objects = 60
/** Each under a prefix of its own: of one that is read often, the rest is fetched ahead. */
const pathOf = (index: number): string => `/${bucket}/${index}/object`

/** The first read of what another region holds, and the second. */
export async function remote(latency: number): Promise<readonly Figure[]> {
  return await withCluster([there, here], String(latency), async (cluster) => {
    const [writer, reader] = [cluster.client(there), cluster.client(here)]
    for (let index = 0; index < objects; index++) {
      await expectStatus(writer, 'PUT', pathOf(index), 200, randomBytes(bytes))
    }
    for (let index = 0; index < objects; index++) {
      await eventually(async () => (await reader.send({ method: 'HEAD', path: pathOf(index) })).status === 200)
    }
    const timed = async (index: number): Promise<number> => {
      const began = performance.now()
      await expectStatus(reader, 'GET', pathOf(index), 200)
      return performance.now() - began
    }
    const cold: number[] = []
    for (let index = 0; index < objects; index++) cold.push(await timed(index))
    // The cache is written beside reads.
    await new Promise((resolve) => setTimeout(resolve, 500))
    const fetched = async () => sumOf(await metricsOf(cluster, here), 'meridian_remote_bytes_total')
    const before = await fetched()
    const warm: number[] = []
    for (let index = 0; index < objects; index++) warm.push(await timed(index))
    const again = (await fetched()) - before
    const roundTrip = sumOf(await metricsOf(cluster, here), 'meridian_peer_round_trip_seconds', { peer: there }) * 1000
    writer.close()
    reader.close()
    const [first, second] = [percentile(cold, 0.5), percentile(warm, 0.5)]
    return [
      { name: 'round trip', value: roundTrip, unit: 'ms' },
      { name: 'first read of 64 KiB, median', value: first, unit: 'ms' },
      {
        name: 'first read beyond a local one, in round trips',
        value: (first - second) / latency,
        unit: 'round trips',
        wanted: { most: 2 },
      },
      { name: 'second read, median', value: second, unit: 'ms', wanted: { most: latency / 2 } },
      { name: 'bytes that crossed regions for the second reads', value: again, unit: 'bytes', wanted: { most: 0 } },
    ]
  })
}
