import type { BlobCache } from '#src/blobs/blob-cache.ts'
import type { Blobs } from '#src/blobs/blobs.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Membership } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { RemoteBlobs } from '#src/service/remote-blobs.ts'
import type { Durability } from '#src/service/spread.ts'
import type { Counters } from '#src/telemetry/counters.ts'
import type { Tracer } from '#src/telemetry/tracer.ts'
import { Adopting } from './adopting.ts'
import { blobMethod } from './blob-source.ts'
import { Copies } from './copies.ts'
import { Freeing } from './freeing.ts'
import { Keeper } from './keeper.ts'
import { KeeperJobs } from './keeper-jobs.ts'
import type { NeededOptions, ShortBlob } from './needed.ts'
import type { Positions } from './positions.ts'
import { RegionBlobs } from './region-blobs.ts'
import { Shortages } from './shortages.ts'
import { Spreading, type SpreadingOptions, spreadMethods } from './spreading.ts'
import { Succession, type SuccessionOptions } from './succession.ts'
import { successionMethods } from './succession-methods.ts'
import type { Method, Transport } from './transport.ts'

export interface RegionBytesOptions
  extends Pick<SuccessionOptions, 'askAgain' | 'lookAgain'>,
    Pick<SpreadingOptions, 'reservedFor'>,
    NeededOptions {
  /** Without `remote`, which is made here. */
  readonly foundation: Foundation
  readonly transport: Transport
  readonly membership: () => Membership
  /** The regions, nearest first. */
  readonly nearest: (regions: readonly string[]) => readonly string[]
  readonly positions: Positions
  /**
   * In how many regions a write has to be before it is acknowledged, and a blob before one may give its copy up; where the bucket
   * does not say.
   */
  readonly durabilityRegions: number
  /** Whether a cell seems to answer. */
  readonly isReachable: (cell: number) => boolean
  readonly cache?: BlobCache
  /** The volumes of this node, where others share its cell. */
  readonly own?: Blobs
  /** Told of each read of what is not held here. */
  readonly wanted?: (blob: BlobId) => void
  readonly counters?: Counters
  /** Bytes that came, by the region that gave them. */
  readonly fetched?: Counters
  readonly failed: (error: unknown) => void
  readonly tracer?: Tracer | undefined
}

/** All that a process does with bytes of other regions. */
export interface RegionBytes {
  /** For the foundation that services are made of. */
  readonly remote: RemoteBlobs
  /** All of a blob of another region, through the cache, on nobody's behalf. */
  fetch(blob: BlobId, record: BlobRecord): AsyncIterable<Uint8Array>
  /** As `remote`, of what is not to be kept here on its way. */
  readonly passing: RemoteBlobs
  readonly durability: Durability
  readonly copies: Copies
  /** What goes on beside requests, in one process of a node. */
  readonly jobs: KeeperJobs
  /** As `jobs`. */
  readonly succession: Succession
  readonly freeing: Freeing
  /** What other cells may ask. */
  readonly methods: readonly Method[]
  /** For good, before the store is closed: resolves once no copies are being taken, nor asked for any more. */
  stop(): Promise<void>
}

export function openRegionBytes(options: RegionBytesOptions): RegionBytes {
  const { foundation, failed, cache, own } = options
  const remote: RegionBlobs = new RegionBlobs({ wanted: () => {}, ...options, repair: (blob) => copies.repair(blob) })
  const { cache: _, ...uncached } = options
  const passing = new RegionBlobs({ ...uncached, wanted: () => {}, repair: () => {} })
  const copies = new Copies({
    ...options,
    read: (...range) => remote.fetch(...range),
  })
  const source = {
    foundation,
    knownChecksums: remote.knownChecksums.bind(remote),
    repair: copies.repair.bind(copies),
    ...(cache !== undefined && { cache }),
    ...(own !== undefined && { own }),
  }
  const succession = new Succession(options)
  const shortages = new Shortages({ replenish: (blobs, signal) => succession.replenish(blobs, signal), failed })
  const replenish = (blobs: readonly ShortBlob[]): void => shortages.add(blobs)
  const keeper = new Keeper({ ...options, repair: (blob) => copies.repair(blob), replenish })
  const jobs = new KeeperJobs({ ...options, keeper, succession, lostOf: (blobs) => succession.lostOf(blobs) })
  const freeing = new Freeing({ ...options, keeper })
  const durability = new Spreading({ ...options, regions: Math.max(1, options.durabilityRegions) })
  const adopting = new Adopting({ foundation, copies, failed })
  const methods = [
    blobMethod(source),
    ...keeper.methods,
    ...adopting.methods,
    ...spreadMethods({ ...options, copies }),
    ...successionMethods({
      ...options,
      copies,
      replenish,
      resolve: (blobs) => succession.resolve(blobs, true),
    }),
  ]
  const stop = async (): Promise<void> => {
    await shortages.stop()
    await adopting.settled()
    await copies.stop()
  }
  const fetch = (blob: BlobId, record: BlobRecord) => remote.fetch(blob, record, 0, record.size)
  return { remote, fetch, passing, durability, copies, jobs, succession, freeing, methods, stop }
}
