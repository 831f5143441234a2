import type { BlobCache } from '#src/blobs/blob-cache.ts'
import type { VolumeCache } from '#src/blobs/volume-cache.ts'
import type { Volumes } from '#src/blobs/volumes.ts'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { BucketDeletion } from '#src/cluster/bucket-deletion.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import type { Copies } from '#src/cluster/copies.ts'
import { Demand } from '#src/cluster/demand.ts'
import { Departing, passedMethod } from '#src/cluster/departure.ts'
import { feedLagMethod } from '#src/cluster/feed-lag.ts'
import { FeedLagWatch } from '#src/cluster/feed-lag-watch.ts'
import { type FeedServer, feedMethods } from '#src/cluster/feed-methods.ts'
import type { FeedTarget } from '#src/cluster/feed-pages.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import { Healer } from '#src/cluster/healer.ts'
import { rangeMethods } from '#src/cluster/range-methods.ts'
import type { Region } from '#src/cluster/region.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import type { Method } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import { setHealingProgress } from '#src/metadata/watch-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { Counters } from '#src/telemetry/counters.ts'
import type { Log } from '#src/telemetry/log.ts'

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
  /** Told of records that were missing here, and the region that had them. */
  readonly healed: (region: string, records: number) => void
}

export function openPeers<Known extends Foundation>(
  alone: Known,
  { members, transport, health, routing, confirmations }: Region,
  { config, log, cache, healed }: PeersOptions,
): OpenPeers<Known> {
  const { world, namespace } = alone
  const clock = new ClockGuard({
    world,
    transport,
    peers: () => members.peers.map(({ cell }) => cell),
    report: (isAhead, milliseconds) => {
      if (isAhead) log.error("this node's clock is ahead of the others: it takes no writes", { milliseconds })
      else log.warn("this node's clock agrees with the others again", { milliseconds })
    },
  })
  const isHome = (bucket: Bucket): boolean => routing.home(bucket) === members.self.cell
  const known: Known = { ...alone, world: clock.world, clock, hasPeers: true, isHome }
  const deletion = new BucketDeletion({ store: alone.store, world, namespace, members, transport, confirmations })
  const counters = new Counters()
  const fetched = new Counters()
  const cells = new BucketCells(namespace, () => members.membership)
  const demand = new Demand({
    foundation: known,
    cells,
    promoteReads: config.promoteReads,
    failed: (error) => log.error('a copy of what another region holds could not be asked for', { error }),
  })
  const positions = feedPositions(members.self.incarnation, () => members.membership)
  const bytes = openRegionBytes({
    wanted: demand.wanted,
    foundation: known,
    cache,
    counters,
    fetched,
    transport,
    membership: () => members.membership,
    nearest: (regions) => {
      const cells = members.peers.filter(({ region }) => regions.includes(region)).map(({ cell }) => cell)
      const order = health.nearest(cells)
      return order.flatMap((cell) => members.peers.filter((each) => each.cell === cell).map(({ region }) => region))
    },
    positions,
    durabilityRegions: config.durabilityRegions,
    isReachable: (cell) => health.state(cell).isUp,
    failed: (error) => log.error('bytes of another region could not be kept', { error }),
  })
  const foundation: Known = {
    ...known,
    remote: bytes.remote,
    ...(config.durabilityRegions > 1 && { durability: bytes.durability }),
  }
  const { incarnation } = members.self
  const forgetter = new Forgetter({ foundation, incarnation, peers: () => members.peers })
  const passed: FeedServer['passed'] = (caller, request) =>
    // Whoever follows must not stop because of what is only noted here.
    forgetter.passed(caller, request).catch((error) => log.error('noting how far a cell is failed', { error }))
  const source = { foundation, cells, incarnation }
  const { arrived } = demand
  const target = { foundation, conflictMilliseconds: config.conflictDays * dayMilliseconds, arrived }
  const lag = new FeedLagWatch({ foundation, transport, peers: () => members.peers })
  const departing = new Departing({ foundation, transport, members, positions, succession: bytes.succession, freeing: bytes.freeing })
  const healer = healerOf(target, { members, transport }, { log, healed })
  return {
    foundation,
    counters,
    fetched,
    methods: [
      clockMethod(world),
      ...feedMethods({ ...source, world, passed }),
      feedLagMethod(source, world),
      ...rangeMethods(source),
      ...bytes.methods,
      ...deletion.methods,
      passedMethod(foundation, positions),
    ],
    deletion,
    copies: bytes.copies,
    target,
    work: async (signal) => {
      await Promise.all([
        bytes.jobs.run(signal, (error) => log.error('letting go of bytes failed', { error })),
        bytes.succession.run(signal, (error) => log.error('taking over from a region that is gone failed', { error })),
        departing.run(signal, (error) => log.error('leaving the cluster failed', { error })),
        forgetter.run(signal, (error) => log.error('forgetting what was deleted failed', { error })),
        healer.run(signal),
        lag.run(signal, (error) => log.error('noting how far other regions are ahead failed', { error })),
        deletion.run(signal, (error) => log.error('undoing deletions of buckets failed', { error })),
      ])
    },
    settled: async () => {
      await demand.settled()
      await bytes.copies.settled()
    },
    watch: (signal) => clock.run(signal),
  }
}
