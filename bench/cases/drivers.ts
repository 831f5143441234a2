import { freshPrefix, TestCluster, whyNoFoundationDb } from '../../test/support/foundationdb.ts'
import type { BenchOptions } from '../options.ts'
import type { Row } from '../report.ts'
import { objectCalls, shots } from '../shots.ts'
import { type Measured, measure, sendAll, withMeridian } from './server.ts'

const count = 1_000
const connections = 32
const sizes = [1024, 65_536]

/** PUT and GET of small objects with the metadata in LMDB and in FoundationDB, one after the other in one run. */
export async function drivers({ seconds }: BenchOptions): Promise<Row[]> {
  const reason = whyNoFoundationDb()
  if (reason !== undefined) throw new Error(`NOT SHOWN: ${reason}`)
  const cluster = await TestCluster.start({ engine: 'ssd' })
  try {
    const run = async ({ client, port }: Measured) => {
      const results = new Map<string, Row>()
      for (const size of sizes) {
        await sendAll(objectCalls('PUT', size, count, Buffer.alloc(size, 'm')), connections, (call) =>
          client.send(call),
        )
        for (const method of ['PUT', 'GET', 'HEAD']) {
          const body = method === 'PUT' ? Buffer.alloc(size, 'm') : undefined
          const result = await measure(
            port,
            shots(client, objectCalls(method, size, count, body)),
            connections,
            seconds,
          )
          const name = `${method} ${size / 1024} KiB`
          results.set(name, { name, perSecond: result.perSecond, result })
        }
      }
      return results
    }
    const embedded = await withMeridian(run)
    const place = ['--fdb-cluster-file', cluster.clusterFile, '--fdb-prefix', freshPrefix(), '--fdb-timeout', '60']
    const clustered = await withMeridian(run, { flags: ['--metadata', 'foundationdb', ...place] })
    const rows: Row[] = []
    for (const [name, row] of embedded) {
      rows.push({ ...row, name: `${name}, LMDB` })
      const other = clustered.get(name)
      if (other === undefined) continue
      const ratio = other.perSecond / row.perSecond
      rows.push({ ...other, name: `${name}, FoundationDB`, against: `${name}, LMDB`, ratio })
    }
    return rows
  } finally {
    await cluster.stop()
  }
}
