import type { BlobCache } from '#src/blobs/blob-cache.ts'
import type { Blobs } from '#src/blobs/blobs.ts'
import type { VolumeCache } from '#src/blobs/volume-cache.ts'
import type { Volumes } from '#src/blobs/volumes.ts'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { BucketDeletion } from '#src/cluster/bucket-deletion.ts'
import { BucketMoves } from '#src/cluster/bucket-moves.ts'
import { BucketMoving } from '#src/cluster/bucket-moving.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import type { Copies } from '#src/cluster/copies.ts'
import { Demand } from '#src/cluster/demand.ts'
import { Departing, passedMethod } from '#src/cluster/departure.ts'
import { feedLagMethod } from '#src/cluster/feed-lag.ts'
import { FeedLagWatch } from '#src/cluster/feed-lag-watch.ts'
import { type FeedServer, feedMethods } from '#src/cluster/feed-methods.ts'
import type { FeedTarget } from '#src/cluster/feed-pages.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { ClusterForeignObjects, foreignObjectsMethod } from '#src/cluster/foreign-objects.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import { Healer } from '#src/cluster/healer.ts'
import type { KeeperJobs } from '#src/cluster/keeper-jobs.ts'
import type { Members } from '#src/cluster/members.ts'
import type { PeerHealth } from '#src/cluster/peer-health.ts'
import type { Positions } from '#src/cluster/positions.ts'
import { Prefetching } from '#src/cluster/prefetching.ts'
import { rangeMethods } from '#src/cluster/range-methods.ts'
import type { Region } from '#src/cluster/region.ts'
import { openRegionBytes, type RegionBytes, type RegionBytesOptions } from '#src/cluster/region-bytes.ts'
import type { Succession } from '#src/cluster/succession.ts'
import type { Method } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { setHealingProgress } from '#src/metadata/watch-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Snapshot } from '#src/store/store.ts'
import { Counters } from '#src/telemetry/counters.ts'
import type { Log } from '#src/telemetry/log.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import type { World } from '#src/world.ts'

const dayMilliseconds = 86_400_000

/** What a process has because there are other cells: their records, their bytes, their clocks. */
export interface OpenPeers<Known extends Foundation = Foundation> {
  /** For services: it knows of bytes elsewhere, and whether its clock can be believed. */
  readonly foundation: Known
  /**
   * `cache.hits`, `cache.misses` (both by chunk), `blobs.fetchedBytes`, `blobs.failedSources`, `blobs.repaired`, `copies.taken`.
   */
  readonly counters: Counters
  /** Bytes that were fetched, by the region that gave them. */
  readonly fetched: Counters
  readonly methods: readonly Method[]
  readonly copies: Copies
  /** Asks the other cells before a bucket goes. */
  readonly deletion: BucketDeletion
  /** Takes buckets from one location to another. */
  readonly moves: BucketMoves
  /** Has what a listing showed held here, some time later. */
  prefetch(bucket: string, keys: readonly string[]): Promise<void>
  /** Where what other cells tell is applied. */
  readonly target: FeedTarget & { readonly foundation: Foundation }
  /** What one process of a cell has to do until the signal. */
  work(signal: AbortSignal): Promise<void>
  /** Before the store is closed. */
  settled(): Promise<void>
  /** What every process has to do until the signal. */
  watch(signal: AbortSignal): Promise<void>
}

/** Where copies of what other regions hold are kept for a while. */
export const openNodeCache = (volumes: Volumes, { cacheBytes, cacheDays }: Config): Promise<VolumeCache> =>
  volumes.openCache({
    ageMilliseconds: cacheDays * dayMilliseconds,
    ...(cacheBytes !== undefined && { budget: cacheBytes }),
  })

function clockOf(world: World, { members, transport }: Pick<Region, 'members' | 'transport'>, log: Log): ClockGuard {
  return new ClockGuard({
    world,
    transport,
    peers: () => members.peers.map(({ cell }) => cell),
    report: (isAhead, milliseconds) => {
      if (isAhead) log.error("this node's clock is ahead of the others: it takes no writes", { milliseconds })
      else log.warn("this node's clock agrees with the others again", { milliseconds })
    },
  })
}

interface Working {
  readonly jobs: KeeperJobs
  readonly succession: Succession
  readonly departing: Departing
  readonly forgetter: Forgetter
  readonly healer: Healer
  readonly lag: FeedLagWatch
  readonly deletion: BucketDeletion
  readonly moves: BucketMoves
}

async function workOf(
  { jobs, succession, departing, forgetter, healer, lag, deletion, moves }: Working,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all([
    jobs.run(signal, (error) => log.error('letting go of bytes failed', { error })),
    succession.run(signal, (error) => log.error('taking over from a region that is gone failed', { error })),
    departing.run(signal, (error) => log.error('leaving the cluster failed', { error })),
    forgetter.run(signal, (error) => log.error('forgetting what was deleted failed', { error })),
    healer.run(signal),
    lag.run(signal, (error) => log.error('noting how far other regions are ahead failed', { error })),
    deletion.run(signal, (error) => log.error('undoing deletions of buckets failed', { error })),
    moves.run(signal, (error) => log.warn('changing the regions of a bucket failed', { error })),
  ])
}

/** Of some regions the nearest first. */
const nearestRegions =
  (members: Members, health: PeerHealth) =>
  (regions: readonly string[]): readonly string[] => {
    const { peers } = members
    const cells = peers.filter(({ region }) => regions.includes(region)).map(({ cell }) => cell)
    const order = health.nearest(cells)
    return order.flatMap((cell) => peers.filter((each) => each.cell === cell).map(({ region }) => region))
  }

async function mostDurable(from: Snapshot, namespace: Namespace, usual: number): Promise<number> {
  const buckets = await namespace.buckets(from)
  return buckets.reduce((most, { durability = usual }) => Math.max(most, durability), usual)
}

/** What a cell does when buckets change their regions, and what the root does. */
function movesOf(
  target: FeedTarget & { readonly foundation: Foundation },
  { members, transport }: Pick<Region, 'members' | 'transport'>,
  positions: Positions,
  nearest: (cells: readonly number[]) => readonly number[],
): { readonly moving: BucketMoving; readonly moves: BucketMoves } {
  const { store, world, namespace } = target.foundation
  const parts = { store, world, namespace, members, transport }
  const moving = new BucketMoving({ ...parts, target, positions, nearest })
  return { moving, moves: new BucketMoves({ ...parts, moving }) }
}

/** Compares with the cells that should have the same, and takes over what is missing here. */
function healerOf(
  target: FeedTarget & { readonly foundation: Foundation },
  { members, transport }: Pick<Region, 'members' | 'transport'>,
  { log, healed: count }: { readonly log: Log; readonly healed: (region: string, records: number) => void },
): Healer {
  return new Healer({
    target,
    transport,
    peersOf: ({ location }) => {
      const own = members.self.cell
      const sharing = cellsOf(location, members.membership)
      return sharing.includes(own) ? sharing.filter((cell) => cell !== own) : []
    },
    report: (healed) => {
      log.warn('records that were missing here were taken over from another region', { ...healed })
      count(memberOf(members.membership, healed.cell)?.region ?? '', healed.records)
    },
    failed: (error) => log.error('comparing with another region failed', { error }),
    progress: async (progress) => {
      const { store, cell } = target.foundation
      await store.transact(async (transaction) => setHealingProgress(transaction, cell, progress))
    },
  })
}

export interface PeersOptions {
  readonly config: Config
  readonly log: Log
  readonly cache: BlobCache
  /** The volumes of this node, without those of others that share its cell. */
  readonly own: Blobs
  /** Told of records that were missing here, and the region that had them. */
  readonly healed: (region: string, records: number) => void
  readonly tracer: Tracer | undefined
}

/** Bytes of this region and of others: what is read where they are, what is asked for to be held here, and what is fetched ahead. */
function bytesOf(
  parts: Pick<
    RegionBytesOptions,
    'foundation' | 'cache' | 'own' | 'counters' | 'fetched' | 'transport' | 'membership' | 'positions' | 'tracer'
  >,
  places: Pick<RegionBytesOptions, 'nearest' | 'isReachable'>,
  { cells, config, log }: { readonly cells: BucketCells } & Pick<PeersOptions, 'config' | 'log'>,
): { demand: Demand; prefetching: Prefetching; bytes: RegionBytes } {
  const { foundation } = parts
  const demand = new Demand({
    foundation,
    cells,
    tracer: parts.tracer,
    promoteReads: config.promoteReads,
    firstRead: (blob) => prefetching.read(blob),
    failed: (error) => log.error('a copy of what another region holds could not be asked for', { error }),
  })
  const cellsOfBucket: RegionBytesOptions['cellsOfBucket'] = (from, bucket) => cells.standing(from, bucket)
  const prefetching: Prefetching = new Prefetching({
    foundation,
    membership: parts.membership,
    cellsOfBucket,
    hold: (blobs) => demand.hold(blobs),
    cache: (blob, record) => bytes.fetch(blob, record),
    siblings: config.prefetchSiblings,
  })
  const bytes = openRegionBytes({
    ...parts,
    ...places,
    wanted: demand.wanted,
    cellsOfBucket,
    durabilityOf: (from, bucket) => cells.durability(from, bucket),
    mostDurable: (from) => mostDurable(from, foundation.namespace, config.durabilityRegions),
    durabilityRegions: config.durabilityRegions,
    failed: (error) => log.error('bytes of another region could not be kept', { error }),
  })
  return { demand, prefetching, bytes }
}

export function openPeers<Known extends Foundation>(
  alone: Known,
  { members, transport, health, routing, confirmations }: Region,
  { config, log, cache, own, healed, tracer }: PeersOptions,
): OpenPeers<Known> {
  const { world, namespace } = alone
  const clock = clockOf(world, { members, transport }, log)
  const isHome = (bucket: Bucket): boolean => routing.home(bucket) === members.self.cell
  const hasBucket = ({ location }: Bucket): boolean => cellsOf(location, members.membership).includes(members.self.cell)
  const known: Known = { ...alone, world: clock.world, clock, hasPeers: true, isHome, hasBucket }
  const deletion = new BucketDeletion({ store: alone.store, world, namespace, members, transport, confirmations })
  const membership = () => members.membership
  const positions = feedPositions(members.self.incarnation, membership)
  const cells = new BucketCells(namespace, membership)
  const counted = { counters: new Counters(), fetched: new Counters() }
  const { demand, prefetching, bytes } = bytesOf(
    { ...counted, foundation: known, cache, own, transport, membership, positions, tracer },
    { nearest: nearestRegions(members, health), isReachable: (cell) => health.state(cell).isUp },
    { cells, config, log },
  )
  const nearest = (of: readonly number[]): readonly number[] => health.nearest(of)
  const foreign = new ClusterForeignObjects({ foundation: known, transport, membership, nearest, blobs: bytes.passing })
  const foundation: Known = { ...known, remote: bytes.remote, foreign, durability: bytes.durability }
  const { incarnation } = members.self
  const forgetter = new Forgetter({ foundation, incarnation, peers: () => members.peers })
  const passed: FeedServer['passed'] = (caller, request) =>
    // Whoever follows must not stop because of what is only noted here.
    forgetter.passed(caller, request).catch((error) => log.error('noting how far a cell is failed', { error }))
  const source = { foundation, cells, incarnation }
  const { arrived } = demand
  const target = { foundation, conflictMilliseconds: config.conflictDays * dayMilliseconds, cells, arrived }
  const { moving, moves } = movesOf(target, { members, transport }, positions, nearest)
  const lag = new FeedLagWatch({ foundation, transport, peers: () => members.peers })
  const departing = new Departing({ ...bytes, foundation, transport, members, positions })
  const healer = healerOf(target, { members, transport }, { log, healed })
  return {
    foundation,
    ...counted,
    methods: [
      clockMethod(world),
      ...feedMethods({ ...source, world, passed }),
      feedLagMethod(source, world),
      ...rangeMethods(source),
      ...bytes.methods,
      ...deletion.methods,
      ...moving.methods,
      foreignObjectsMethod(foundation),
      passedMethod(foundation, positions),
    ],
    deletion,
    moves,
    prefetch: (bucket, keys) =>
      prefetching.listed(bucket, keys).catch((error) => log.error('what was listed could not be fetched', { error })),
    copies: bytes.copies,
    target,
    work: (signal) => workOf({ ...bytes, departing, forgetter, healer, lag, deletion, moves }, log, signal),
    settled: async () => {
      await prefetching.stop()
      await demand.settled()
      await bytes.stop()
    },
    watch: (signal) => clock.run(signal),
  }
}
