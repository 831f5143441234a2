import { join } from 'node:path'
import { realFiles } from '#src/blobs/files.ts'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import type { BucketMoves } from '#src/cluster/bucket-moves.ts'
import { ClusterListings, uploadsMethod } from '#src/cluster/cluster-listings.ts'
import { ClusterRegions } from '#src/cluster/cluster-regions.ts'
import type { Members } from '#src/cluster/members.ts'
import type { Region } from '#src/cluster/region.ts'
import type { Method, Transport } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import { DataDirectory } from '#src/data-directory.ts'
import type { Keys } from '#src/encryption/key-provider.ts'
import { LocalKeys } from '#src/encryption/local-keys.ts'
import { IamRecords } from '#src/metadata/iam-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { bucketIsEmpty } from '#src/metadata/object-records.ts'
import { openStore } from '#src/open/store.ts'
import { AccessControl } from '#src/service/access.ts'
import { type Accounts, openAccounts } from '#src/service/accounts/open.ts'
import { CellBucketConfigurations } from '#src/service/bucket-configurations.ts'
import { CellBucketNotifications } from '#src/service/bucket-notifications.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { NamespaceDomains } from '#src/service/domains.ts'
import { Foresight } from '#src/service/foresight.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { Iam } from '#src/service/iam/iam.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import { CellListings } from '#src/service/listings.ts'
import { LogDelivery } from '#src/service/log-delivery.ts'
import { CellLogs } from '#src/service/logs.ts'
import { MetadataSpace } from '#src/service/metadata-space.ts'
import { CellObjects } from '#src/service/objects.ts'
import type { Services } from '#src/service/services.ts'
import { openSts } from '#src/service/sts/sts.ts'
import { CellTopics } from '#src/service/topics.ts'
import { CellUploads } from '#src/service/uploads.ts'
import type { UsageMeter } from '#src/service/usage-meter.ts'
import type { LmdbStore } from '#src/store/lmdb/lmdb-store.ts'
import { catalogue } from '#src/telemetry/catalogue.ts'
import type { Log } from '#src/telemetry/log.ts'
import { Metrics } from '#src/telemetry/metrics.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'
import {
  messageKeysOf,
  type NodeFoundation,
  raiseLayout,
  tendRecords,
  tendVolumes,
  together,
} from './open/background.ts'
import { measureNode, measurePeers, meteredStore, problemsOf, volumeMeters } from './open/metrics.ts'
import { openNodes } from './open/nodes.ts'
import { type OpenPeers, openNodeCache, openPeers } from './open/peers.ts'
import { openRegion } from './open/region.ts'
import { OpenShadows } from './open/shadows.ts'
import { openTiers, refuseTiers } from './open/tiers.ts'
import { tracedBlobs, tracedStore } from './open/tracing.ts'
import { OpenUsage } from './open/usage.ts'
import { logVolumeEvent } from './volume-events.ts'

export interface OpenOptions {
  readonly config: Config
  readonly world: World
  readonly log: Log
  /** Of several processes on one directory, the first tries the metadata's file in a process apart: a damaged one kills. */
  readonly isFirst: boolean
  /** Keeps the keys of server-side encryption; default: a file. */
  readonly keys?: Keys
  /** How this cell asks others, where it is in a cluster. */
  readonly connect?: (members: Members) => Transport
  /** Resolves once this cell, which joins, has what the others have. */
  readonly caughtUp?: (signal: AbortSignal) => Promise<void>
  /** The metadata cannot be used by this process any more: it has to end, for another to take its place. */
  readonly broken?: () => void
  /** Where what is measured goes; absent: nobody asks. */
  readonly metrics?: Metrics
  /** Makes spans of what requests do; absent: nobody wants to know. */
  readonly tracer?: Tracer | undefined
}

/** A whole store, open in this process. */
export interface OpenNode {
  readonly services: Services
  readonly access: AccessControl
  /** People, what they belong to, and what was made for them. */
  readonly accounts: Accounts
  readonly foundation: Foundation
  /** Counts what requests of this process use. */
  readonly meter: UsageMeter
  /** The other cells, where there are any. */
  readonly region?: Region
  /** Where what other regions hold becomes durable here; absent where there are none. */
  readonly copies?: OpenPeers['copies']
  /** Why this process should get no requests; empty: it may. */
  problems(): Promise<readonly string[]>
  /** What this cell answers to others. */
  readonly methods: readonly Method[]
  /** Where what other cells tell is applied; absent where there are none. */
  readonly target?: OpenPeers['target']
  /** Begins what goes on beside requests. One process of a node is enough. */
  startBackground(once?: (signal: AbortSignal) => Promise<void>): void
  /** Waits for writes under way, then lets go of all files. */
  close(): Promise<void>
}

/** What one process adds to a log at most before it is closed and delivered: a few seconds of a busy bucket. */
const logBytesMax = 16 * 2 ** 20

/** The number of a node that is alone. */
export const onlyCell = 0

export const volumePaths = (config: Config, directory: DataDirectory): readonly string[] =>
  config.volumes.length > 0 ? config.volumes : [directory.volume]

export async function openNodeVolumes(
  {
    config,
    world,
    log,
    metrics = new Metrics(),
    tracer,
  }: Pick<OpenOptions, 'config' | 'world' | 'log' | 'metrics' | 'tracer'>,
  directory: DataDirectory,
): Promise<Volumes> {
  const { synced, told } = volumeMeters(metrics)
  return await openVolumes({
    world,
    paths: volumePaths(config, directory),
    ...(config.reserve === undefined ? {} : { reserveBytes: config.reserve }),
    synced,
    tracer,
    report: (event) => {
      told(event)
      logVolumeEvent(log, event)
    },
  })
}

/** Of the metadata's disk, with what is free within the file. */
const lookAt = (path: string, store: LmdbStore) => async () => {
  const { free, total } = await realFiles.space(path)
  return { free: free + store.reusableBytes(), total }
}

async function openMetadataSpace(
  { config, world, log }: OpenOptions,
  path: string,
  look: ReturnType<typeof lookAt>,
): Promise<MetadataSpace> {
  const space = new MetadataSpace({
    world,
    look,
    reserveBytes: config.reserve,
    report: (isFull) => {
      if (isFull) log.warn("the metadata's disk is full: only deletions go on", { path })
      else log.info("the metadata's disk has room again", { path })
    },
  })
  await space.refresh()
  return space
}

function servicesOf(
  foundation: NodeFoundation,
  { config, log }: OpenOptions,
  region: Region | undefined,
  peers: Pick<OpenPeers, 'deletion' | 'moves' | 'prefetch'> | undefined,
  usage: OpenUsage,
): { services: Services; access: AccessControl; accounts: Accounts; shadows: OpenShadows } {
  const { store, world, namespace } = foundation
  const { transitionMinimum, transitions, publicUrl, notificationEndpoints: reach } = config
  const records = new IamRecords()
  const isEmpty = (...[from, bucket]: Parameters<ConstructorParameters<typeof NamespaceBuckets>[0]['isEmpty']>) =>
    bucketIsEmpty(from, bucket.id)
  const logs = new CellLogs(foundation, new LogDelivery(foundation), (error) =>
    log.error('logging a bucket failed', { error }),
  )
  const parts = { store, world, namespace, isEmpty, logs, most: config.bucketsMax }
  const buckets = new NamespaceBuckets({ ...parts, ...(peers !== undefined && { others: peers.deletion }) })
  const shadows = new OpenShadows(foundation, buckets, config.shadowEndpoints)
  const identity = new NamespaceIdentity({ store, world, namespace, records })
  const access = new AccessControl({ buckets, accounts: identity, world })
  const domains = domainsOf(foundation, config)
  const accountsParts = { store, world, namespace, records, identity, buckets, domains, own: foundation.keys.own }
  const services = {
    buckets,
    ...shadows.over({
      objects: new CellObjects(foundation),
      uploads: new CellUploads(foundation),
      ...placedServices(foundation, region, peers?.moves),
    }),
    ...(peers !== undefined && { prefetch: peers.prefetch }),
    identity,
    iam: new Iam({ store, world, namespace, records }),
    sts: openSts({ store, world, namespace, records }, config.issuerEndpoints),
    // Regions merge to the deeper class: what led up in one would be led down again by another.
    lifecycle: {
      transitionMinimum,
      transitions: region === undefined ? transitions : 'down',
      tiers: new Set(foundation.tiers?.keys()),
    },
    logs,
    topics: new CellTopics({
      store,
      world,
      region: foundation.region,
      publicUrl,
      reach,
      keys: messageKeysOf(foundation),
    }),
    notifications: new CellBucketNotifications({ store, world, namespace, access }),
    configurations: new CellBucketConfigurations({ store, namespace }),
    usage: usage.service,
    domains,
    ...(store.foresee !== undefined && { foresight: new Foresight({ store, world, namespace }) }),
  }
  return { services, access, accounts: openAccounts({ ...accountsParts, shadows: services.shadows }), shadows }
}

/** What buckets' own domains are kept by; the server's own are none's. */
export function domainsOf(
  parts: Pick<Foundation, 'store' | 'world' | 'namespace'>,
  { domains, websiteDomains, contentDomains }: Config,
): NamespaceDomains {
  return new NamespaceDomains(parts, [...domains, ...websiteDomains, ...contentDomains])
}

/** What depends on whether there are other cells. */
function placedServices(
  foundation: Foundation,
  region: Region | undefined,
  moves: BucketMoves | undefined,
): Pick<Services, 'listings' | 'regions'> {
  const local = new CellListings(foundation)
  if (region === undefined || moves === undefined) return { listings: local }
  const { members, transport, health } = region
  const { store, namespace } = foundation
  return {
    listings: new ClusterListings({ local, store, namespace, members, transport }),
    regions: new ClusterRegions(members, moves, foundation.world, health),
  }
}

async function openMeteredPeers(
  alone: NodeFoundation,
  region: Region,
  { config, log, metrics, tracer }: OpenOptions & { readonly metrics: Metrics },
  volumes: Volumes,
): Promise<OpenPeers<NodeFoundation>> {
  const cache = await openNodeCache(volumes, config)
  const healed = metrics.counter(catalogue.healed)
  for (const { region: code } of region.members.peers) healed.of(code)
  const peers = openPeers(alone, region, {
    config,
    log,
    cache,
    own: volumes,
    tracer,
    healed: (code, records) => healed.of(code).add(records),
  })
  measurePeers(metrics, { region, cache, counters: peers.counters, fetched: peers.fetched })
  return peers
}

/** The composition of a node: everything below the gateway, built from a Config. */
export async function openNode(options: OpenOptions): Promise<OpenNode> {
  const { config, world, isFirst, metrics = new Metrics(), tracer } = options
  const directory = new DataDirectory(config.data)
  const tiers = openTiers(config)
  const keys = options.keys ?? openKeys(config, world)
  const opening = await openStore(config, world, {
    probed: isFirst,
    broken: (error) => {
      options.log.error('the metadata could not be made durable: this process gives up', { error })
      options.broken?.()
    },
  })
  const { store: opened, embedded, node } = opening
  const bare = tracedStore(meteredStore(opened, metrics, config.metadata, world), tracer, config.metadata)
  const volumes = await openNodeVolumes({ ...options, metrics }, directory).catch(async (error: unknown) => {
    await bare.close()
    throw error
  })
  const { region: code, inlineBytesMax } = config
  const namespace = new Namespace()
  const { store: single, region } = await openRegion(bare, options)
  const broken = (): void => options.broken?.()
  const shared =
    node && region && (await openNodes({ bare, store: single, node, volumes, region, world, log: options.log, broken }))
  const store = shared?.store ?? single
  const look = embedded && lookAt(directory.metadata, embedded)
  const space = look && (await openMetadataSpace(options, directory.metadata, look))
  const logs = { rollSeconds: config.logRoll, bytesMax: logBytesMax }
  const cell = region?.members.self.cell ?? onlyCell
  const records = { store, world, namespace, region: region?.members.self.region ?? code, cell, logs }
  refuseTiers(tiers, region !== undefined)
  const days = { tiers, dayMilliseconds: config.lifecycleDay * 1000 }
  const blobs = tracedBlobs(shared?.blobs ?? volumes, tracer)
  const alone: NodeFoundation = { ...records, blobs, inlineBytesMax, keys, ...(space && { space }), ...days }
  const peers = region && (await openMeteredPeers(alone, region, { ...options, metrics }, volumes))
  const foundation: NodeFoundation = { ...(peers?.foundation ?? alone), keys }
  const usage = await OpenUsage.open(foundation, options, join(directory.path, 'usage'))
  const { services, access, accounts, shadows } = servicesOf(foundation, options, region, peers, usage)
  const stopping = new AbortController()
  const running: Promise<void>[] = []
  if (region !== undefined) running.push(region.watch(stopping.signal))
  if (peers !== undefined) running.push(peers.watch(stopping.signal))
  running.push(usage.count(stopping.signal))
  if (shared !== undefined) running.push(shared.nodes.watch(stopping.signal))
  const once = { ...foundation, store: shared?.nodes.fenced(store) ?? store }
  const tending = { ...options, metrics, ...(shared !== undefined && { nodes: shared.nodes }) }
  return {
    services,
    access,
    accounts,
    foundation,
    meter: usage.meter,
    ...(region !== undefined && { region }),
    methods:
      region === undefined
        ? []
        : [...region.methods, ...(peers?.methods ?? []), uploadsMethod(new CellListings(foundation))],
    ...(peers !== undefined && { target: peers.target, copies: peers.copies }),
    problems: () => problemsOf(foundation, volumes.maintenance, region),
    startBackground: (more) => {
      const { signal } = stopping
      measureNode(metrics, { foundation, maintenance: volumes.maintenance, ...(look && { space: look }) })
      running.push(tendVolumes(foundation, volumes, tending, signal))
      running.push(usage.keep(signal))
      const work = (signal: AbortSignal): Promise<void> =>
        together(signal, [
          (either) => tendRecords(once, tending, either),
          (either) => raiseLayout(shared?.nodes.fenced(bare) ?? bare, world, options.log, either),
          (either) => shadows.work(options.log, either),
          (either) => region?.followRoot(either),
          (either) => peers?.work(either),
          (either) => more?.(either),
        ])
      running.push(shared === undefined ? work(signal) : shared.nodes.run(signal, work))
    },
    close: async () => {
      stopping.abort()
      await shadows.close()
      await Promise.all(running)
      await peers?.settled()
      await volumes.close()
      await bare.close()
    },
  }
}

const keyFileOf = ({ keyFile, data }: Config): string => keyFile ?? new DataDirectory(data).keyFile

/** The keys of server-side encryption, in their file; a server's first start makes it. */
export const openKeys = (config: Config, world: World): LocalKeys => LocalKeys.open(keyFileOf(config), world)

/** The same, of a server that has made it. */
export const openKeysBeside = (config: Config, world: World): LocalKeys => LocalKeys.existing(keyFileOf(config), world)
