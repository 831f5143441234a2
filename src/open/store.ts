import type { Config } from '#src/config/load.ts'
import { type ClusterOwner, DataDirectory, DataDirectoryError } from '#src/data-directory.ts'
import { readCopying } from '#src/metadata/copying.ts'
import { keys } from '#src/metadata/keyspace.ts'
import { readLayout, whyNotRead } from '#src/metadata/layout-records.ts'
import { layouts } from '#src/metadata/layouts.ts'
import { readNodes } from '#src/metadata/node-records.ts'
import type { FoundationStore } from '#src/store/foundationdb/foundation-store.ts'
import type { LmdbStore } from '#src/store/lmdb/lmdb-store.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

export interface OpenStoreOptions {
  /** Whether to try a data file in another process first: a damaged one kills. One process of several is enough. */
  readonly probed?: boolean
  /** Told once, when this process cannot use the store any more, and has to start again. */
  readonly broken?: (error: unknown) => void
}

/** One of the data directories that keep their metadata in a cell of a cluster. */
export interface CellNode {
  /** By which the cell knows it. */
  readonly id: string
  /** It has the cell for itself, or had it before others came. */
  readonly isFirst: boolean
  /** To be called once the cell knows it. */
  confirm(): void
}

export interface OpenedStore {
  readonly store: Store
  /** Where it is embedded: it needs room on this machine's disk. */
  readonly embedded?: LmdbStore
  /** Where others may share it. */
  readonly node?: CellNode
}

/** Opens what keeps the metadata, in a data directory that is prepared. Drivers are loaded when they are chosen. */
export async function openStore(config: Config, world: World, options: OpenStoreOptions = {}): Promise<OpenedStore> {
  const directory = new DataDirectory(config.data)
  if (config.metadata === 'foundationdb') return await openClusterStore(config, world, directory)
  directory.checkEmbedded()
  const { openLmdbStore } = await import('#src/store/lmdb/open.ts')
  const store = await openLmdbStore({ path: directory.metadata, world, ...options })
  await closedUnless(store, checkWhole(store))
  return { store, embedded: store }
}

/** Whether other nodes may come: they have to prove to each other who they are. */
const mayShare = ({ clusterSecret, clusterSecretFile }: Config): boolean =>
  clusterSecret !== undefined || clusterSecretFile !== undefined

async function openClusterStore(config: Config, world: World, directory: DataDirectory): Promise<OpenedStore> {
  const owner = directory.clusterOwner(world)
  const store = await openCluster(config, world, { ...owner, mayShare: mayShare(config) })
  await closedUnless(store, checkKnown(store, owner, config))
  await closedUnless(store, checkWhole(store))
  if (store.isFirst) directory.confirmOwner(owner)
  return { store, node: { id: owner.id, isFirst: store.isFirst, confirm: () => directory.confirmOwner(owner) } }
}

/** The store in a cluster, as somebody's who is known there, or is to be. */
export async function openCluster(
  config: Config,
  world: World,
  owner: ClusterOwner & { readonly mayShare?: boolean },
): Promise<FoundationStore> {
  const { openFoundationStore } = await import('#src/store/foundationdb/open.ts')
  return await openFoundationStore({ world, owner, ...clusterOf(config), timeout: config.fdbTimeout * 1_000 })
}

/** Where the cluster is, which keys in it are this store's, and how it is spoken to. */
export const clusterOf = (config: Config) => ({
  clusterFile: config.fdbClusterFile,
  prefix: config.fdbPrefix,
  datacenter: config.fdbDatacenter,
  tls: {
    certificate: config.fdbTlsCertificate,
    key: config.fdbTlsKey,
    authority: config.fdbTlsAuthority,
    verifyPeers: config.fdbTlsPeers,
  },
})

async function closedUnless(store: Store, check: Promise<void>): Promise<void> {
  try {
    await check
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Rows of a layout that is not known would be read wrongly (U1). */
async function checkLayout(store: Store): Promise<void> {
  const reason = whyNotRead(await store.snapshot(readLayout), layouts)
  if (reason !== undefined) throw new DataDirectoryError(reason)
}

/** A copy that was cut short lacks rows, whose bytes would be swept. One that is whole is the metadata from now on. */
async function checkWhole(store: Store): Promise<void> {
  await checkLayout(store)
  const copying = await store.snapshot(readCopying)
  if (copying?.state === 'done') await store.transact(async (transaction) => transaction.clear(keys.copying))
  if (copying?.state === 'copying') {
    throw new DataDirectoryError('the metadata is a copy that was cut short: begin `meridian metadata copy` again')
  }
}

/** Where several share the cell, it knows all of them: whom it knows no more was removed, or belongs to another. */
async function checkKnown(
  store: FoundationStore,
  { id, isKnown }: ClusterOwner,
  { data, fdbPrefix }: Config,
): Promise<void> {
  if (!isKnown) return
  const nodes = await store.snapshot(readNodes)
  if (nodes.has(id) || (nodes.size === 0 && store.isFirst)) return
  const name = JSON.stringify(fdbPrefix)
  throw new DataDirectoryError(
    nodes.size === 0
      ? `the metadata under the prefix ${name} belongs to another data directory: give each its own --fdb-prefix`
      : `${data} is none of the nodes under the prefix ${name}: it was removed, or is another region's`,
  )
}
