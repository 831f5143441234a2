import type { UnreadableReason } from '#src/blobs/blobs.ts'
import type { Method, Transport } from '#src/cluster/transport.ts'
import { beginSharing } from '#src/metadata/blob-records.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { signalFeed } from '#src/metadata/feed-signal.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import { readReplicated, replicatedSpaces } from '#src/metadata/replicated-rows.ts'
import type { BlobId } from '#src/model/blob.ts'
import { moved } from '#src/model/move.ts'
import type { Member, Membership } from '#src/model/region.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Conflicts } from '#src/service/conflicts.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Listings } from '#src/service/listing-services.ts'
import { CellListings } from '#src/service/listings.ts'
import { CellObjects } from '#src/service/objects.ts'
import type { Objects, Uploads } from '#src/service/services.ts'
import { CellUploads } from '#src/service/uploads.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { View } from '#src/store/overlay.ts'
import type { Write } from '#src/store/writes.ts'
import type { World } from '#src/world.ts'
import { MemoryBlobs } from '../support/memory-blobs.ts'
import { Chance } from './chance.ts'
import { acl, buckets, owner } from './content.ts'
import type { Faults } from './faults.ts'
import type { Ledger } from './ledger.ts'
import { Life, MortalStore, mortalWorld } from './life.ts'
import type { Network } from './network.ts'
import { cellsIn } from './places.ts'
import type { QuietCell } from './quiet-cell.ts'
import { type Clock, simulatedWorld, type Timeline } from './timeline.ts'

/** What a region does beside requests, and what it answers to others: composed as src/open.ts composes it. */
export interface Composition {
  readonly methods: readonly Method[]
  /** Of the foundation that services have. */
  readonly foundation: Foundation
  readonly buckets: NamespaceBuckets
  /** Until the signal. */
  run(signal: AbortSignal): Promise<void>
}

export interface Composing {
  readonly foundation: Foundation
  readonly transport: Transport
  readonly self: Member
  readonly membership: () => Membership
  /** Whether a copy is taken of what another region wrote, asked for each. */
  readonly isEager: () => boolean
  readonly failed: (error: unknown) => void
}

/** What clients ask of a region. */
export interface RegionServices {
  readonly objects: Objects
  readonly uploads: Uploads
  readonly listings: Listings
  readonly conflicts: Conflicts
  /** In the root: asks for a bucket to be elsewhere. */
  move(bucket: string, location: string): Promise<unknown>
}

export type Compose = (parts: Composing) => Composition

export interface RegionParts {
  readonly member: Member
  readonly membership: () => Membership
  readonly seed: string
  readonly timeline: Timeline
  readonly network: Network
  readonly ledger: Ledger
  readonly faults: Faults
  readonly compose: Compose
  /** Told of what it commits, before anybody can see it. */
  readonly committed: (region: Region, writes: readonly Write[], after: View) => void
  /** What happens to a chunk that is read. */
  readonly strike: (region: Region, blob: BlobId) => UnreadableReason | undefined
  readonly failed: (error: unknown) => void
}

/** Objects of up to so many bytes lie beside their record; clients write larger ones too. */
const inlineBytesMax = 64
/** How often a region takes a copy of what came, by the seed. */
const eagerness = [0, 0.2, 0.6]

/** One region: a disk that stays, and a process that may die and start again. */
export class Region {
  readonly clock: Clock = { skew: 0 }
  readonly store: MemoryStore
  readonly blobs: MemoryBlobs
  member: Member
  services: RegionServices | undefined
  /** It is no member any more, and does not come back. */
  hasLeft = false
  readonly #parts: RegionParts
  readonly #chance: Chance
  readonly #world: World
  readonly #eager: number
  #life = new Life()
  #stop = new AbortController()

  constructor(parts: RegionParts) {
    const { member, seed, timeline, ledger, faults } = parts
    this.#parts = parts
    this.member = member
    this.#chance = new Chance(`${seed}/${member.region}`)
    this.#world = simulatedWorld(timeline, this.#chance, this.clock)
    const chance = this.#chance
    this.#eager = chance.pick(eagerness)
    this.blobs = new MemoryBlobs({
      world: this.#world,
      syncMilliseconds: () => chance.between(0, 3),
      fault: (blob) => parts.strike(this, blob),
    })
    this.store = new MemoryStore({
      world: this.#world,
      fault: () => {
        if (faults.happens('conflict')) return 'conflict'
        if (faults.happens('unknown committed')) return 'unknown_committed'
        return faults.happens('unknown lost') ? 'unknown_lost' : undefined
      },
      committed: (writes, before, after) => {
        ledger.committed(member.cell, writes, before, after)
        parts.committed(this, writes, after)
      },
    })
  }

  /** The buckets are made in the root; the others hear of them. */
  async prepare(): Promise<void> {
    const { region, cell } = this.member
    await this.store.transact((transaction) => beginSharing(transaction, { region, cell }))
    const membership = this.#parts.membership()
    if (membership.root !== cell) return
    await this.store.transact(async (transaction) => new ClusterRecords().setMembership(transaction, membership))
    const store = governNamespace(this.store, cell)
    const all = new NamespaceBuckets({
      store,
      world: this.#world,
      namespace: new Namespace(),
      isEmpty: async () => true,
    })
    for (const { name, versioning } of buckets) {
      await all.create({ name, owner, acl, location: '', hasObjectLock: false })
      if (versioning !== 'off') await all.update(name, (bucket) => ({ ...bucket, versioning }))
    }
  }

  start(): void {
    if (this.hasLeft) return
    const { membership, timeline, network, compose, failed } = this.#parts
    const self = this.member
    this.#life = new Life()
    this.#stop = new AbortController()
    const life = this.#life
    const world = mortalWorld(this.#world, life)
    const store = signalFeed(new MortalStore(this.store, life, timeline, this.#chance))
    const { region, cell } = self
    const namespace = new Namespace()
    const { blobs } = this
    const limits = { inlineBytesMax, partBytesMin: 1 }
    const bare: Foundation = { store, world, namespace, blobs, region, cell, hasPeers: true, ...limits }
    const caller = { cell, region }
    const transport = network.transport(caller)
    const alive: Transport = {
      ask: (...request) => life.hold(transport.ask(...request)),
      stream: transport.stream,
    }
    const isEager = (): boolean => this.#chance.happens(this.#eager)
    const {
      methods,
      run,
      foundation,
      buckets: all,
    } = compose({
      foundation: bare,
      transport: alive,
      self,
      membership,
      isEager,
      failed,
    })
    network.connect(cell, methods)
    this.services = {
      objects: new CellObjects(foundation),
      uploads: new CellUploads(foundation),
      listings: new CellListings(foundation),
      conflicts: new Conflicts(foundation),
      move: (name, location) =>
        all.update(name, (bucket) => moved(bucket, location, membership(), Math.floor(foundation.world.now()))),
    }
    run(this.#stop.signal).catch((error: unknown) => {
      if (!life.isOver && !this.#stop.signal.aborted) failed(error)
    })
  }

  /** As kill -9: what was committed is there, and nothing else. */
  crash(): void {
    this.#life.end()
    this.#stop.abort()
    this.blobs.crash()
    this.#parts.network.disconnect(this.member.cell)
    this.services = undefined
  }

  /** What it holds, when nothing is under way any more. */
  async quiet(): Promise<QuietCell> {
    const rows = new Map<string, string>()
    const { view } = this.store
    const { cell } = this.member
    const membership = this.#parts.membership()
    const here = new Set(
      buckets.flatMap(({ id, name }) => (cellsIn(view, name, membership).includes(cell) ? [id] : [])),
    )
    await this.store.snapshot(async (snapshot) => {
      for (const { id } of buckets) {
        for (const space of replicatedSpaces) {
          // Each cell forgets what was deleted in its own time; that nothing comes back, the ledger sees.
          if (space === 'tombstone') continue
          const found = await readReplicated(snapshot, space, id, undefined, 1_000_000)
          for (const { key, value } of found) {
            rows.set(`${id} ${space} ${Buffer.from(key).toString('hex')}`, Buffer.from(value).toString('hex'))
          }
        }
      }
    })
    return { name: this.member.region, view, here, rows, isWhole: this.blobs.isWhole.bind(this.blobs) }
  }

  /** Whether it is one of a bucket's cells, as it knows itself. */
  has(bucket: string): boolean {
    return cellsIn(this.store.view, bucket, this.#parts.membership()).includes(this.member.cell)
  }

  get isUp(): boolean {
    return this.services !== undefined
  }
}
