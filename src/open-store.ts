import type { Config } from '#src/config/load.ts'
import { DataDirectory } from '#src/data-directory.ts'
import type { LmdbStore } from '#src/store/lmdb/lmdb-store.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

export interface OpenStoreOptions {
  /** Whether to try a data file in another process first: a damaged one kills. One process of several is enough. */
  readonly probed?: boolean
  /** Told once, when this process cannot use the store any more, and has to start again. */
  readonly broken?: (error: unknown) => void
}

export interface OpenedStore {
  readonly store: Store
  /** Where it is embedded: it needs room on this machine's disk. */
  readonly embedded?: LmdbStore
}

/** Opens what keeps the metadata, in a data directory that is prepared. Drivers are loaded when they are chosen. */
export async function openStore(config: Config, world: World, options: OpenStoreOptions = {}): Promise<OpenedStore> {
  const directory = new DataDirectory(config.data)
  if (config.metadata === 'foundationdb') return { store: await openClusterStore(config, world, directory) }
  directory.checkEmbedded()
  const { openLmdbStore } = await import('#src/store/lmdb/open.ts')
  const store = await openLmdbStore({ path: directory.metadata, world, ...options })
  return { store, embedded: store }
}

async function openClusterStore(config: Config, world: World, directory: DataDirectory): Promise<Store> {
  const { openFoundationStore } = await import('#src/store/foundationdb/open.ts')
  const owner = directory.clusterOwner(world)
  const store = await openFoundationStore({
    world,
    owner,
    clusterFile: config.fdbClusterFile,
    prefix: config.fdbPrefix,
    timeout: config.fdbTimeout * 1_000,
    datacenter: config.fdbDatacenter,
    tls: {
      certificate: config.fdbTlsCertificate,
      key: config.fdbTlsKey,
      authority: config.fdbTlsAuthority,
      verifyPeers: config.fdbTlsPeers,
    },
  })
  directory.confirmOwner(owner)
  return store
}
