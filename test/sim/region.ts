import type { UnreadableReason } from '#src/blobs/blobs.ts'
import type { Method, Transport } from '#src/cluster/transport.ts'
import { beginSharing } from '#src/metadata/blob-records.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import { signalFeed } from '#src/metadata/feed-signal.ts'
import { decodeBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import { readReplicated, replicatedSpaces } from '#src/metadata/replicated-rows.ts'
import { endReservation } from '#src/metadata/reservations.ts'
import { abortUploads } from '#src/metadata/upload-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { durable, moved } from '#src/model/move.ts'
import { type Member, type Membership, memberOf } from '#src/model/region.ts'
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
import type { Store } from '#src/store/store.ts'
import type { Write } from '#src/store/writes.ts'
import type { World } from '#src/world.ts'
import { MemoryBlobs } from '../support/memory-blobs.ts'
import type { Disks } from './bereavement.ts'
import { Chance } from './chance.ts'
import { acl, buckets, owner } from './content.ts'
import type { Faults } from './faults.ts'
import type { Ledger } from './ledger.ts'
import { Life, MortalStore, mortalWorld } from './life.ts'
import type { Admission, Network } from './network.ts'
import { cellsIn } from './places.ts'
import type { QuietCell } from './quiet-cell.ts'
import { type Clock, simulatedWorld, type Timeline } from './timeline.ts'

/** What a region does beside requests, and what it answers to others: composed as src/open.ts composes it. */
export interface Composition {
  readonly methods: readonly Method[]
  /** Of the foundation that services have. */
  readonly foundation: Foundation
  /** What it answers to who asks, or why it does not; absent: it answers everybody. */
  readonly admits?: Admission
  readonly buckets: NamespaceBuckets
  /** Until the signal. */
  run(signal: AbortSignal): Promise<void>
}

export interface Composing {
  readonly foundation: Foundation
  readonly transport: Transport
  readonly self: Member
  readonly membership: () => Membership
  /** Whether the cell knows the members by its own rows alone, and any cell may become the root. */
  readonly isByRows: boolean
  /** Whether a copy is taken of what another region wrote, asked for each. */
  readonly isEager: () => boolean
  readonly failed: (error: unknown) => void
}

/** What an operator's command has at hand. */
export interface Operating {
  /** Neither recorded nor guarded. */
  readonly store: Store
  readonly transport: Transport
  readonly world: World
}

/** What clients ask of a region. */
export interface RegionServices {
  readonly objects: Objects
  readonly uploads: Uploads
  readonly listings: Listings
  readonly conflicts: Conflicts
  /** Carries out what an operator asks for beside the region's server, and which ends with it. */
  operate<Done>(command: (parts: Operating) => Promise<Done>): Promise<Done>
  /** In the root: asks for a bucket to be elsewhere. */
  move(bucket: string, location: string): Promise<unknown>
}

export type Compose = (parts: Composing) => Composition

/** Who is a member, as regions ask for it. */
export interface KnownMembers {
  /** As it is. */
  readonly membership: Membership
  /** Whether each cell knows it by its own rows alone; else all know it at once. */
  readonly isByRows: boolean
  /** As a cell knows it, by what its store holds. */
  knownIn(view: View): Membership
  /** Before anything begins: what a region's own store says of it. */
  prepare(region: Region): Promise<void>
}

export interface RegionParts {
  readonly member: Member
  readonly roster: () => KnownMembers
  /** Told of each commit, before anybody can see it. */
  readonly committed: (region: Region, writes: readonly Write[], before: View, after: View) => void
  /** In how many regions writes have to be, by bucket; of what is missing, in one. */
  readonly durability: () => readonly number[]
  readonly seed: string
  readonly timeline: Timeline
  readonly network: Network
  readonly ledger: Ledger
  readonly faults: Faults
  readonly compose: Compose
  /** What happens to a chunk that is read. */
  readonly strike: (region: Region, blob: BlobId) => UnreadableReason | undefined
  readonly failed: (error: unknown) => void
}

/** Objects of up to so many bytes lie beside their record; clients write larger ones too. */
const inlineBytesMax = 64
const leftMost = 10_000
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
  /** Its disks are gone. */
  isLost = false
  /** It may not start yet. */
  isHeld = false
  #isAwaited = false
  readonly #parts: RegionParts
  readonly #chance: Chance
  readonly #world: World
  readonly #eager: number
  #life = new Life()
  #stop = new AbortController()

  constructor(parts: RegionParts) {
    const { member, seed, timeline, ledger, faults, committed } = parts
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
        ledger.committed(this.member.cell, writes, before, after)
        committed(this, writes, before, after)
      },
    })
  }

  /** The buckets are made in the root; the others hear of them. */
  async prepare(): Promise<void> {
    const { region, cell } = this.member
    const { roster, durability } = this.#parts
    await this.store.transact((transaction) => beginSharing(transaction, { region, cell }))
    await roster().prepare(this)
    const { membership } = roster()
    if (membership.root !== cell) return
    await this.store.transact(async (transaction) => new ClusterRecords().setMembership(transaction, membership))
    const store = governNamespace(this.store, cell)
    const all = new NamespaceBuckets({
      store,
      world: this.#world,
      namespace: new Namespace(),
      isEmpty: async () => true,
    })
    for (const [index, { name, versioning }] of buckets.entries()) {
      await all.create({ name, owner, acl, location: '', hasObjectLock: false })
      const regions = durability()[index]
      if (regions !== undefined) await all.update(name, (bucket) => durable(bucket, regions, membership))
      if (versioning !== 'off') await all.update(name, (bucket) => ({ ...bucket, versioning }))
    }
  }

  start(): void {
    if (this.hasLeft || this.isLost) return
    if (this.isHeld) {
      this.#isAwaited = true
      return
    }
    const { roster, timeline, network, compose, failed } = this.#parts
    const membership = (): Membership => this.#membership
    const { isByRows } = roster()
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
    const caller = { cell, region, incarnation: self.incarnation }
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
      admits,
    } = compose({
      foundation: bare,
      transport: alive,
      self,
      membership,
      isByRows,
      isEager,
      failed,
    })
    network.connect(cell, methods, admits)
    this.services = {
      objects: new CellObjects(foundation),
      uploads: new CellUploads(foundation),
      listings: new CellListings(foundation),
      conflicts: new Conflicts(foundation),
      operate: (command) => life.hold(command({ store, transport: alive, world })),
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

  get disks(): Disks {
    return { name: this.member.region, view: this.store.view, isWhole: this.blobs.isWhole.bind(this.blobs) }
  }

  /** As `crash`; and nothing is left of it. */
  lose(): void {
    this.isLost = true
    if (this.isUp) this.crash()
  }

  /** It may start, and does so if that was asked for meanwhile. */
  release(): void {
    this.isHeld = false
    if (this.#isAwaited) this.start()
    this.#isAwaited = false
  }

  /** Nobody comes back to uploads that clients left, nor to writes whose time a clock that was far ahead has drawn out. */
  async endWhatWasLeft(): Promise<void> {
    await this.store.transact(async (transaction) => {
      for (const { id } of buckets) await abortUploads(transaction, id, leftMost)
      for (const { key, value } of await readBlobJobs(transaction, undefined, leftMost)) {
        const job = decodeBlobJob(value)
        if (job.kind !== 'reserved') continue
        await endReservation(transaction, job)
        transaction.clear(key)
      }
    })
  }

  /** What it holds, when nothing is under way any more. */
  async quiet(): Promise<QuietCell> {
    const rows = new Map<string, string>()
    const { cell } = this.member
    const membership = this.#membership
    const here = new Set(
      buckets.flatMap(({ id, name }) => (cellsIn(this.store.view, name, membership).includes(cell) ? [id] : [])),
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
    return { ...this.disks, here, rows }
  }

  /** Whether it is one of a bucket's cells, as it knows itself. */
  has(bucket: string): boolean {
    return this.#state !== 'joining' && cellsIn(this.store.view, bucket, this.#membership).includes(this.member.cell)
  }

  /** Takes requests of clients. */
  get isServing(): boolean {
    return this.isUp && !this.hasLeft && this.#state === 'active'
  }

  get #membership(): Membership {
    return this.#parts.roster().knownIn(this.store.view)
  }

  get #state(): Member['state'] | undefined {
    return memberOf(this.#membership, this.member.cell)?.state
  }

  get isUp(): boolean {
    return this.services !== undefined
  }
}
