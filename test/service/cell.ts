import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVolumes } from '#src/blobs/volumes.ts'
import { LocalKeys } from '#src/encryption/local-keys.ts'
import { signalFeed } from '#src/metadata/feed-signal.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { bucketIsEmpty } from '#src/metadata/object-records.ts'
import type { Acl } from '#src/model/access.ts'
import type { ObjectAttributes } from '#src/model/upload.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import { Compactor } from '#src/service/compactor.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { LogDelivery } from '#src/service/log-delivery.ts'
import { CellLogs } from '#src/service/logs.ts'
import { CellObjects } from '#src/service/objects.ts'
import type { Body } from '#src/service/services.ts'
import { CellUploads } from '#src/service/uploads.ts'
import { openFoundationStore } from '#src/store/foundationdb/open.ts'
import { MemoryStore, type StoreFault } from '#src/store/memory/memory-store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import { metadataSettings } from '../support/foundationdb.ts'

/** A world whose clock stands still until a test moves it, and where nobody sleeps. */
export function stoppedWorld(now: number) {
  const clock = { now }
  const world: World = {
    ...realWorld,
    now: () => clock.now,
    nowMicroseconds: () => BigInt(clock.now) * 1000n,
    sleep: async () => await new Promise((resolve) => setImmediate(resolve)),
  }
  return { clock, world }
}

/** Small, so that tests need few bytes to have blobs. */
const inlineBytesMax = 16

/** In memory, or where this run of tests wants the metadata; the faults are the memory's. */
async function openCellStore(world: World, fault: (() => StoreFault | undefined) | undefined): Promise<Store> {
  const { fdbClusterFile, fdbPrefix } = metadataSettings()
  if (fdbClusterFile === undefined || fdbPrefix === undefined || fault !== undefined) {
    return new MemoryStore({ world, ...(fault !== undefined && { fault }) })
  }
  return await openFoundationStore({ world, clusterFile: fdbClusterFile, prefix: fdbPrefix, timeout: 60_000 })
}

/** One of several, or the only one. */
const alone: Pick<Foundation, 'region' | 'cell' | 'hasPeers'> = { region: 'fra', cell: 7 }

/** Services over a store and a volume in a temporary folder. */
export async function openCell(world: World = realWorld, fault?: () => StoreFault | undefined, place = alone) {
  const folder = await mkdtemp(join(tmpdir(), 'meridian-cell-'))
  const bare = await openCellStore(world, fault)
  const store = place.hasPeers === true ? signalFeed(bare) : bare
  const namespace = new Namespace()
  const blobs = await openVolumes({
    world,
    paths: [join(folder, 'volume')],
    reserveBytes: 0,
    segmentBytes: 8 * 2 ** 20,
  })
  const keys = LocalKeys.open(join(folder, 'keys.json'), world)
  const foundation: Foundation = { store, world, namespace, blobs, ...place, inlineBytesMax, keys }
  const isEmpty = (
    ...[transaction, bucket]: Parameters<ConstructorParameters<typeof NamespaceBuckets>[0]['isEmpty']>
  ) => bucketIsEmpty(transaction, bucket.id)
  const logDelivery = new LogDelivery(foundation)
  const logs = new CellLogs(foundation, logDelivery, (error) => {
    throw error
  })
  return {
    store,
    blobs,
    keys,
    foundation,
    objects: new CellObjects(foundation),
    uploads: new CellUploads(foundation),
    collector: new Collector(foundation),
    compactor: new Compactor(foundation, blobs.maintenance, () => {}),
    buckets: new NamespaceBuckets({ store, world, namespace, isEmpty, logs }),
    logs,
    logDelivery,
    async close() {
      await store.close()
      await blobs.close()
      await rm(folder, { recursive: true })
    },
  }
}

export const owner = 'owner'
export const acl: Acl = {
  owner,
  grants: [{ grantee: { kind: 'account', id: owner, displayName: '' }, permission: 'FULL_CONTROL' }],
}

export const attributes: ObjectAttributes = { owner, acl, headers: {}, metadata: new Map(), storageClass: 'STANDARD' }

export function body(bytes: Uint8Array): Body {
  return {
    length: bytes.length,
    async *stream() {
      yield bytes
    },
    pieces: async () => [bytes],
  }
}

export async function bytesOf(bytes: Uint8Array | AsyncIterable<Uint8Array>): Promise<Buffer> {
  if (bytes instanceof Uint8Array) return Buffer.from(bytes)
  const chunks: Uint8Array[] = []
  // Chunks are lent: what is kept has to be copied.
  for await (const chunk of bytes) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
