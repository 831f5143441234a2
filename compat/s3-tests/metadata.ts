import { join } from 'node:path'
import { run } from '#compat/commands.ts'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../../test/support/foundationdb.ts'

/** Where the servers under the suite keep their metadata. */
export interface MetadataPlace extends AsyncDisposable {
  /** Brings a data directory's metadata there; gives what its server has to be told. */
  bring(data: string): Promise<Readonly<Record<string, string>>>
}

const launcher = join(import.meta.dirname, '..', '..', 'bin', 'launch.mjs')
/** Seconds: the machine that runs the suite is busy with it. */
const patience = '60'

/** Rejects, where it cannot be shown here, with what is missing. */
export async function startMetadata(driver: string): Promise<MetadataPlace> {
  if (driver === 'lmdb') return { bring: async () => ({}), [Symbol.asyncDispose]: async () => {} }
  const reason = driver === 'foundationdb' ? whyNoFoundationDb() : `there is no driver ${driver}`
  if (reason !== undefined) throw new Error(`NOT SHOWN: ${reason}`)
  const cluster = await TestCluster.start({ engine: 'ssd' })
  return {
    async bring(data) {
      const place = {
        MERIDIAN_FDB_CLUSTER_FILE: cluster.clusterFile,
        MERIDIAN_FDB_PREFIX: freshPrefix(),
        MERIDIAN_FDB_TIMEOUT: patience,
      }
      const words = [launcher, 'metadata', 'copy', '--to', 'foundationdb', '--data', data]
      await run(process.execPath, words, { environment: { ...process.env, ...place } })
      return { ...place, MERIDIAN_METADATA: 'foundationdb' }
    },
    [Symbol.asyncDispose]: () => cluster.stop(),
  }
}
