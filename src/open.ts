import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import type { Config } from '#src/config/load.ts'
import { DataDirectory } from '#src/data-directory.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { bucketIsEmpty } from '#src/metadata/object-records.ts'
import { AccessControl } from '#src/service/access.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import { Compactor } from '#src/service/compactor.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import { CellListings } from '#src/service/listings.ts'
import { CellObjects } from '#src/service/objects.ts'
import type { Services } from '#src/service/services.ts'
import { CellUploads } from '#src/service/uploads.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import type { Store } from '#src/store/store.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { World } from '#src/world.ts'

export interface OpenOptions {
  readonly config: Config
  readonly world: World
  readonly log: Log
  /** Of several processes on one directory, the first tries the metadata's file in a process apart: a damaged one kills. */
  readonly isFirst: boolean
}

/** A whole store, open in this process. */
export interface OpenNode {
  readonly services: Services
  readonly access: AccessControl
  /** Begins what goes on beside requests. One process of a node is enough. */
  startBackground(): void
  /** Waits for writes under way, then lets go of all files. */
  close(): Promise<void>
}

/** This node's number among cells; there is one cell until regions come. */
const cell = 0

async function openNodeVolumes({ config, world, log }: OpenOptions, directory: DataDirectory): Promise<Volumes> {
  const paths = config.volumes.length > 0 ? config.volumes : [directory.volume]
  return await openVolumes({
    world,
    paths,
    ...(config.reserve === undefined ? {} : { reserveBytes: config.reserve }),
    report: ({ kind, ...fields }) => log.error(`a volume is ${kind}`, fields),
  })
}

/** What runs until the signal, and may be waited for. */
async function background(foundation: Foundation, volumes: Volumes, log: Log, signal: AbortSignal): Promise<void> {
  const compactor = new Compactor(foundation, volumes.maintenance, (event) => {
    if (event.kind === 'compacted') log.info('a segment was compacted', event)
    else log.error('bytes that are named cannot be read', { error: event.error })
  })
  await Promise.all([
    new Collector(foundation).run(foundation.world, signal, (error) => log.error('collecting failed', { error })),
    compactor.run(signal, (error) => log.error('compacting failed', { error })),
  ])
}

function servicesOf(foundation: Foundation): Services {
  const { store, world, namespace } = foundation
  const isEmpty = (...[from, bucket]: Parameters<ConstructorParameters<typeof NamespaceBuckets>[0]['isEmpty']>) =>
    bucketIsEmpty(from, bucket.id)
  return {
    buckets: new NamespaceBuckets({ store, world, namespace, isEmpty }),
    objects: new CellObjects(foundation),
    uploads: new CellUploads(foundation),
    listings: new CellListings(foundation),
    identity: new NamespaceIdentity({ store, world, namespace }),
  }
}

/** The composition of a node: everything below the gateway, built from a Config. */
export async function openNode(options: OpenOptions): Promise<OpenNode> {
  const { config, world, log, isFirst } = options
  const directory = new DataDirectory(config.data)
  const store = await openLmdbStore({ path: directory.metadata, world, probed: isFirst })
  const volumes = await openNodeVolumes(options, directory).catch(async (error: unknown) => {
    await store.close()
    throw error
  })
  const { region, inlineBytesMax } = config
  const namespace = new Namespace()
  const foundation: Foundation = { store, world, namespace, blobs: volumes, region, cell, inlineBytesMax }
  const services = servicesOf(foundation)
  const stopping = new AbortController()
  let running: Promise<void> = Promise.resolve()
  return {
    services,
    access: new AccessControl({ buckets: services.buckets, world }),
    startBackground: () => {
      running = background(foundation, volumes, log, stopping.signal)
    },
    close: async () => {
      stopping.abort()
      await running
      await volumes.close()
      await store.close()
    },
  }
}

export interface OpenIdentity {
  readonly identity: NamespaceIdentity
  readonly store: Store
}

/** Accounts and keys alone, also beside a server that runs. */
export async function openIdentity(directory: DataDirectory, world: World): Promise<OpenIdentity> {
  const store = await openLmdbStore({ path: directory.metadata, world })
  return { store, identity: new NamespaceIdentity({ store, world, namespace: new Namespace() }) }
}
