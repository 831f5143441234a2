import { realFiles } from '#src/blobs/files.ts'
import type { VolumeEvent } from '#src/blobs/volume.ts'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import type { CellNodes } from '#src/cluster/cell-nodes.ts'
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
import { openStore } from '#src/open-store.ts'
import { AccessControl } from '#src/service/access.ts'
import { CellBucketConfigurations } from '#src/service/bucket-configurations.ts'
import { CellBucketNotifications } from '#src/service/bucket-notifications.ts'
import { NamespaceBuckets, type OtherCells } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import { Compactor } from '#src/service/compactor.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { Iam } from '#src/service/iam/iam.ts'
import { NamespaceIdentity } from '#src/service/identity.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import { CellListings } from '#src/service/listings.ts'
import { LogDelivery } from '#src/service/log-delivery.ts'
import { CellLogs } from '#src/service/logs.ts'
import { MessageKeys } from '#src/service/message-keys.ts'
import { MetadataSpace } from '#src/service/metadata-space.ts'
import { Notifier } from '#src/service/notifier.ts'
import { CellObjects } from '#src/service/objects.ts'
import { type Damage, Scrubber } from '#src/service/scrubber.ts'
import type { Services } from '#src/service/services.ts'
import { openSts } from '#src/service/sts/sts.ts'
import { CellTopics } from '#src/service/topics.ts'
import { CellUploads } from '#src/service/uploads.ts'
import type { LmdbStore } from '#src/store/lmdb/lmdb-store.ts'
import type { Counters } from '#src/telemetry/counters.ts'
import type { Log } from '#src/telemetry/log.ts'
import { HttpSender } from '#src/webhook/sender.ts'
import type { World } from '#src/world.ts'
import { openNodes } from './open-nodes.ts'
import { type OpenPeers, openNodeCache, openPeers } from './open-peers.ts'
import { openRegion } from './open-region.ts'
import { openTiers, performTasks, refuseTiers } from './open-tiers.ts'

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
}

/** A whole store, open in this process. */
export interface OpenNode {
  readonly services: Services
  readonly access: AccessControl
  readonly foundation: Foundation
  /** The other cells, where there are any. */
  readonly region?: Region
  /** Where what other regions hold becomes durable here; absent where there are none. */
  readonly copies?: OpenPeers['copies']
  /** What this process counts, beside requests, where there are other cells. */
  readonly counters?: Counters
  /** What this cell answers to others. */
  readonly methods: readonly Method[]
  /** Where what other cells tell is applied; absent where there are none. */
  readonly target?: OpenPeers['target']
  /**
   * Begins what goes on beside requests. One process of a node is enough. `once`: what only one node of a cell is to do; its signal
   * says when this one is not it any more.
   */
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

/** What an operator is told of a volume, and how urgently: a disk that is full does what it should. */
function logVolumeEvent(log: Log, { kind, ...fields }: VolumeEvent): void {
  switch (kind) {
    case 'full':
      log.warn('a volume is full: it takes no more bodies', fields)
      break
    case 'roomy':
      log.info('a volume has room again', fields)
      break
    case 'restored':
      log.warn('a volume was checked, and takes writes again', fields)
      break
    case 'retired':
      log.error('a volume failed, and takes no writes until it is checked', fields)
      break
    case 'unreadable':
      log.error('a volume could not give bytes as they were written', fields)
      break
  }
}

export async function openNodeVolumes(
  { config, world, log }: Pick<OpenOptions, 'config' | 'world' | 'log'>,
  directory: DataDirectory,
): Promise<Volumes> {
  return await openVolumes({
    world,
    paths: volumePaths(config, directory),
    ...(config.reserve === undefined ? {} : { reserveBytes: config.reserve }),
    report: (event) => logVolumeEvent(log, event),
  })
}

async function openMetadataSpace(
  { config, world, log }: OpenOptions,
  path: string,
  store: LmdbStore,
): Promise<MetadataSpace> {
  const space = new MetadataSpace({
    world,
    look: async () => {
      const { free, total } = await realFiles.space(path)
      return { free: free + store.reusableBytes(), total }
    },
    reserveBytes: config.reserve,
    report: (isFull) => {
      if (isFull) log.warn("the metadata's disk is full: only deletions go on", { path })
      else log.info("the metadata's disk has room again", { path })
    },
  })
  await space.refresh()
  return space
}

function logDamage(log: Log, { kind, error, objects, ...fields }: Damage): void {
  log.error(kind === 'blob' ? 'a blob is damaged' : 'a value of the metadata is damaged', { ...fields, error, objects })
}

/** Reads everything, slowly, round after round. */
async function scrub(
  foundation: Foundation,
  volumes: Volumes,
  { config, log }: OpenOptions,
  nodes: CellNodes | undefined,
  signal: AbortSignal,
) {
  if (config.scrubDays === 0) return
  const options = {
    bytesPerSecondMin: config.scrubRate,
    periodMilliseconds: config.scrubDays * 86_400_000,
    report: (damage: Damage) => logDamage(log, damage),
    done: (report: object) => log.info('everything was read', { ...report }),
  }
  const node = nodes && { name: nodes.node, isElsewhere: nodes.isElsewhere.bind(nodes) }
  const scrubber = new Scrubber(foundation, volumes.maintenance, node)
  await scrubber.run(signal, options, (error) => log.error('scrubbing failed', { error }))
}

/** What a node does for its own volumes until the signal. */
async function tendVolumes(
  foundation: NodeFoundation,
  volumes: Volumes,
  options: OpenOptions,
  nodes: CellNodes | undefined,
  signal: AbortSignal,
): Promise<void> {
  const { log } = options
  const compactor = new Compactor(foundation, volumes.maintenance, (event) => {
    if (event.kind === 'compacted') log.info('a segment was compacted', event)
    else log.error('bytes that are named cannot be read', { error: event.error })
  })
  await Promise.all([
    compactor.run(signal, (error) => log.error('compacting failed', { error })),
    scrub(foundation, volumes, options, nodes, signal),
  ])
}

/** What is done once in a cell, until the signal. */
async function tendRecords(
  foundation: NodeFoundation,
  { config, log }: OpenOptions,
  signal: AbortSignal,
): Promise<void> {
  const lifecycle = new LifecycleWorker(foundation, {
    dayMilliseconds: config.lifecycleDay * 1000,
    report: (done) => log.info('lifecycle rules were carried out', { ...done }),
    failed: (error) => log.error('carrying out lifecycle rules failed', { error }),
  })
  await Promise.all([
    new Collector(foundation).run(foundation.world, signal, (error) => log.error('collecting failed', { error })),
    lifecycle.run(signal),
    performTasks(foundation, config, log, signal),
    new LogDelivery(foundation).run(signal, (error) => log.error('delivering a log failed', { error })),
    notify(foundation, config, log, signal),
  ])
}

/** A node's own, which can encrypt. */
type NodeFoundation = Foundation & { readonly keys: Keys }

const messageKeysOf = ({ store, world, keys: { own } }: NodeFoundation): MessageKeys =>
  new MessageKeys({ store, world, own })

/** Takes what buckets and topics tell to their endpoints. */
async function notify(foundation: NodeFoundation, config: Config, log: Log, signal: AbortSignal): Promise<void> {
  const { store, world } = foundation
  const notifier = new Notifier({
    store,
    world,
    keys: messageKeysOf(foundation),
    sender: new HttpSender(world, config.notificationEndpoints),
    giveUpMilliseconds: config.notificationHours * 3_600_000,
    deadLettersMost: config.deadLettersMax,
    forgotten: (event) => log.error('the oldest dead letters of a topic were forgotten for newer ones', event),
    report: ({ kind, ...fields }) => {
      if (kind === 'given up') log.error('a notification was given up, and is a dead letter', fields)
      else log.warn('a notification was not taken, and is tried again', fields)
    },
    failed: (error) => log.error('sending notifications failed', { error }),
  })
  await notifier.run(signal)
}

function servicesOf(
  foundation: NodeFoundation,
  { config, log }: OpenOptions,
  region: Region | undefined,
  others: OtherCells | undefined,
): { services: Services; access: AccessControl } {
  const { store, world, namespace } = foundation
  const { transitionMinimum, transitions, publicUrl, notificationEndpoints: reach } = config
  const records = new IamRecords()
  const isEmpty = (...[from, bucket]: Parameters<ConstructorParameters<typeof NamespaceBuckets>[0]['isEmpty']>) =>
    bucketIsEmpty(from, bucket.id)
  const logs = new CellLogs(foundation, new LogDelivery(foundation), (error) =>
    log.error('logging a bucket failed', { error }),
  )
  const parts = { store, world, namespace, isEmpty, logs, most: config.bucketsMax }
  const buckets = new NamespaceBuckets({ ...parts, ...(others !== undefined && { others }) })
  const identity = new NamespaceIdentity({ store, world, namespace, records })
  const access = new AccessControl({ buckets, accounts: identity, world })
  const services = {
    buckets,
    objects: new CellObjects(foundation),
    uploads: new CellUploads(foundation),
    ...placedServices(foundation, region),
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
  }
  return { services, access }
}

/** What depends on whether there are other cells. */
function placedServices(foundation: Foundation, region: Region | undefined): Pick<Services, 'listings' | 'regions'> {
  const local = new CellListings(foundation)
  if (region === undefined) return { listings: local }
  const { members, routing, transport } = region
  const { store, namespace } = foundation
  return {
    listings: new ClusterListings({ local, store, namespace, members, routing, transport }),
    regions: new ClusterRegions(members),
  }
}

/** The composition of a node: everything below the gateway, built from a Config. */
export async function openNode(options: OpenOptions): Promise<OpenNode> {
  const { config, world, isFirst } = options
  const directory = new DataDirectory(config.data)
  const tiers = openTiers(config)
  const keys = options.keys ?? openKeys(config, world)
  const {
    store: bare,
    embedded,
    node,
  } = await openStore(config, world, {
    probed: isFirst,
    broken: (error) => {
      options.log.error('the metadata could not be made durable: this process gives up', { error })
      options.broken?.()
    },
  })
  const volumes = await openNodeVolumes(options, directory).catch(async (error: unknown) => {
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
  const space = embedded && (await openMetadataSpace(options, directory.metadata, embedded))
  const logs = { rollSeconds: config.logRoll, bytesMax: logBytesMax }
  const cell = region?.members.self.cell ?? onlyCell
  const records = { store, world, namespace, region: region?.members.self.region ?? code, cell, logs }
  refuseTiers(tiers, region !== undefined)
  const days = { tiers, dayMilliseconds: config.lifecycleDay * 1000 }
  const blobs = shared?.blobs ?? volumes
  const alone: NodeFoundation = { ...records, blobs, inlineBytesMax, keys, ...(space && { space }), ...days }
  const peers =
    region && openPeers(alone, region, { ...options, own: volumes, cache: await openNodeCache(volumes, config) })
  const foundation: NodeFoundation = { ...(peers?.foundation ?? alone), keys }
  const { services, access } = servicesOf(foundation, options, region, peers?.deletion)
  const stopping = new AbortController()
  const running: Promise<void>[] = []
  if (region !== undefined) running.push(region.watch(stopping.signal))
  if (peers !== undefined) running.push(peers.watch(stopping.signal))
  if (shared !== undefined) running.push(shared.nodes.watch(stopping.signal))
  const once = { ...foundation, store: shared?.nodes.fenced(store) ?? store }
  return {
    services,
    access,
    foundation,
    ...(region !== undefined && { region }),
    methods:
      region === undefined
        ? []
        : [...region.methods, ...(peers?.methods ?? []), uploadsMethod(new CellListings(foundation))],
    ...(peers !== undefined && { target: peers.target, copies: peers.copies, counters: peers.counters }),
    startBackground: (more) => {
      const { signal } = stopping
      running.push(tendVolumes(foundation, volumes, options, shared?.nodes, signal))
      const work = async (signal: AbortSignal): Promise<void> => {
        const all = [
          tendRecords(once, options, signal),
          region?.followRoot(signal),
          peers?.work(signal),
          more?.(signal),
        ]
        await Promise.all(all)
      }
      running.push(shared === undefined ? work(signal) : shared.nodes.run(signal, work))
    },
    close: async () => {
      stopping.abort()
      await Promise.all(running)
      await peers?.settled()
      await volumes.close()
      await bare.close()
    },
  }
}

/** The keys of server-side encryption, in their file. */
export const openKeys = (config: Config, world: World): LocalKeys =>
  LocalKeys.open(config.keyFile ?? new DataDirectory(config.data).keyFile, world)
