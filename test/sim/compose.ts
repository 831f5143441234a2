import { Followers } from '#replicator/follow.ts'
import { JobWorker } from '#replicator/job-worker.ts'
import { fetchBlobJob } from '#replicator/jobs/fetch-blob.ts'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { Relay } from '#replicator/relay.ts'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { BucketMoves } from '#src/cluster/bucket-moves.ts'
import { BucketMoving } from '#src/cluster/bucket-moving.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import { Departing, passedMethod } from '#src/cluster/departure.ts'
import { type FeedServer, feedMethods } from '#src/cluster/feed-methods.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import { letGo } from '#src/cluster/founding.ts'
import { decodeMessage } from '#src/cluster/messages.ts'
import { NamespaceFollower } from '#src/cluster/namespace-follower.ts'
import { NamespaceRoot } from '#src/cluster/namespace-root.ts'
import { OutOfPatience } from '#src/cluster/patience.ts'
import { rangeMethods } from '#src/cluster/range-methods.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import { type Method, PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Departure } from '#src/metadata/departure-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import type { Arrival } from '#src/metadata/receive.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, type Member, type Membership, memberOf } from '#src/model/region.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import { passedOn } from '#src/store/passing.ts'
import { type Store, StoreError } from '#src/store/store.ts'
import type { Compose } from './region.ts'

/** Longer than any simulation. */
const conflictMilliseconds = 365 * 24 * 3_600_000

/** What goes wrong because the simulation wants it to; anything else is a bug. */
const isExpected = (error: unknown): boolean =>
  [PeerUnreachable, StoreError, OutOfPatience, Fault].some((kind) => error instanceof kind)

const nothing = new Uint8Array(0)

/** As the root's. The simulation keeps the membership: each transaction finds it as it is, and the row that ends one is heard of. */
function rootMethods(store: Store, membership: () => Membership): readonly Method[] {
  const records = new ClusterRecords()
  const recording: Store = {
    ...passedOn(store),
    transact: (body) =>
      store.transact(async (transaction) => {
        records.setMembership(transaction, membership())
        return await body(transaction)
      }),
  }
  return [
    { name: 'member-leaving', answer: async () => nothing },
    {
      name: 'member-left',
      async answer(request, { cell }) {
        await letGo(recording, new Namespace(), cell, decodeMessage<Departure>(request))
        return nothing
      },
    },
  ]
}

const moveOptions = { pause: 100, patience: 2_000, fence: 3_000, again: 200 }

/** What a cell knows of itself and the others, and its store as all but the follower of the namespace have it. */
function placesOf(bare: Store, self: Member, membership: () => Membership) {
  const members = {
    self,
    get membership() {
      return membership()
    },
    get peers() {
      return membership().members.filter(({ cell, state }) => cell !== self.cell && state !== 'removed')
    },
    isRoot: membership().root === self.cell,
    get isRemoved() {
      return memberOf(membership(), self.cell)?.state === 'removed'
    },
  }
  return { members, store: governNamespace(bare, self.cell) }
}

/** A region as src/open.ts and bin/ make it, without sockets and files. */
export const composeRegion: Compose = ({ foundation: bare, ...parts }) => {
  const { transport, self, membership, isEager, failed } = parts
  const { members, store } = placesOf(bare.store, self, membership)
  const peers = () => members.peers
  const guard = new ClockGuard({
    world: bare.world,
    transport,
    peers: () => peers().map(({ cell }) => cell),
    report: () => {},
  })
  const hasBucket = ({ location }: Bucket): boolean => cellsOf(location, membership()).includes(self.cell)
  const known = { ...bare, store, world: guard.world, clock: guard, hasBucket }
  const { incarnation } = self
  const surprised = (error: unknown): void => {
    if (!isExpected(error)) failed(error)
  }
  const positions = feedPositions(incarnation, membership)
  const cells = new BucketCells(bare.namespace, membership)
  const bytes = openRegionBytes({
    foundation: known,
    transport,
    membership,
    nearest: (regions) => regions,
    isReachable: () => true,
    positions,
    cellsOfBucket: (from, bucket) => cells.standing(from, bucket),
    durabilityRegions: 1,
    askAgain: 20_000,
    failed: surprised,
  })
  const foundation = { ...known, remote: bytes.remote }
  /** As a region does that is told to hold what others write. */
  const arrived = (arrivals: readonly Arrival[]): void => {
    for (const { content, isRestricted } of arrivals) {
      for (const { id } of content.kind === 'blob' ? [content.blob] : content.blobs) {
        if (isEager() && !isRestricted) bytes.copies.take(id).catch(surprised)
      }
    }
  }
  // All in a hurry: whatever it forgets too early, something that is still on its way brings back.
  const forgetter = new Forgetter({
    foundation,
    incarnation,
    peers,
    youngest: 0,
    interval: 100,
    pause: 300,
  })
  const passed: FeedServer['passed'] = (caller, request) => forgetter.passed(caller, request).catch(surprised)
  const target = { foundation, conflictMilliseconds, cells, arrived }
  const rows = { store, world: foundation.world, namespace: foundation.namespace }
  const moving = new BucketMoving({ ...rows, target, members, transport, positions, nearest: (of) => of })
  const moves = new BucketMoves({ ...rows, members, transport, moving, options: moveOptions })
  const { world } = bare
  const follower = new NamespaceFollower({ store: bare.store, world, transport, members })
  const followers = new Followers({
    target,
    transport,
    headsMilliseconds: 100,
    peers,
    failed: (_, error) => surprised(error),
  })
  const departing = new Departing({
    foundation,
    transport,
    members,
    positions,
    succession: bytes.succession,
    freeing: bytes.freeing,
    // Nobody comes back to an upload that was given up.
    uploadPatience: 60_000,
  })
  const queue = new ProcessQueue(bare.world)
  const kind = fetchBlobJob(bytes.copies)
  const relay = new Relay({ store, world: foundation.world, queue, urgencyOf: () => kind.urgency, failed: surprised })
  const worker = new JobWorker({
    store,
    world: foundation.world,
    queue,
    kinds: new Map([[kind.name, kind]]),
    pace: { concurrency: 4, perSecond: 200 },
    report: (_, error) => surprised(error),
    failed: surprised,
  })
  return {
    foundation,
    buckets: new NamespaceBuckets({ ...rows, isEmpty: async () => true }),
    methods: [
      ...new NamespaceRoot({ store: bare.store, world, members }).methods(),
      ...rangeMethods({ foundation, cells, incarnation }),
      ...moving.methods,
      clockMethod(bare.world),
      ...feedMethods({ foundation, cells, incarnation, world: foundation.world, passed }),
      ...bytes.methods,
      passedMethod(foundation, positions),
      ...rootMethods(store, membership),
    ],
    run: async (signal) => {
      await Promise.all([
        guard.run(signal),
        members.isRoot ? moves.run(signal, surprised) : follower.run(signal, surprised),
        followers.run(signal),
        bytes.jobs.run(signal, surprised),
        bytes.succession.run(signal, surprised),
        departing.run(signal, surprised),
        relay.run(signal),
        worker.run(signal),
        forgetter.run(signal, surprised),
        new Collector(foundation).run(foundation.world, signal, surprised),
      ])
    },
  }
}
