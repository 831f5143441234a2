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
import type { NeededOptions } from '#src/cluster/needed.ts'
import { OutOfPatience } from '#src/cluster/patience.ts'
import { rangeMethods } from '#src/cluster/range-methods.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import { PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import type { Namespace } from '#src/metadata/namespace.ts'
import { NotTheRoot } from '#src/metadata/namespace-feed.ts'
import type { Arrival } from '#src/metadata/receive.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, type Member } from '#src/model/region.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import { StoreError } from '#src/store/store.ts'
import { commonKnowledge, knowledgeByRows } from './knowledge.ts'
import type { Compose } from './region.ts'

/** Longer than any simulation. */
const conflictMilliseconds = 365 * 24 * 3_600_000

/** What goes wrong because the simulation wants it to; anything else is a bug. */
const isExpected = (error: unknown): boolean =>
  [PeerUnreachable, StoreError, OutOfPatience, Fault].some((kind) => error instanceof kind)

const lookMilliseconds = 200

/** Whether all that active members had to tell was applied. */
const isLevel = (peers: readonly Member[], { state }: Followers): boolean =>
  peers.every((peer) => peer.state !== 'active' || state.get(peer.cell)?.level !== undefined)

/** As src/open/peers.ts has it. */
const durabilityOfBuckets = (cells: BucketCells, namespace: Namespace): Partial<NeededOptions> => ({
  durabilityOf: (from, bucket) => cells.durability(from, bucket),
  mostDurable: async (from) =>
    (await namespace.buckets(from)).reduce((most, { durability = 1 }) => Math.max(most, durability), 1),
})

const moveOptions = { pause: 100, patience: 2_000, fence: 3_000, again: 200 }

/** A region as src/open.ts and bin/ make it, without sockets and files. */
export const composeRegion: Compose = (parts) => {
  const { foundation: bare, transport, self, isByRows, isEager, failed } = parts
  const surprised = (error: unknown): void => {
    const isOfChange = isByRows && error instanceof NotTheRoot
    if (!isExpected(error) && !isOfChange) failed(error)
  }
  const caughtUp = async (signal: AbortSignal): Promise<void> => {
    while (!isLevel(members.peers, followers)) await bare.world.sleep(lookMilliseconds, signal)
  }
  const knowledge = isByRows ? knowledgeByRows(parts, surprised, caughtUp) : commonKnowledge(parts, surprised)
  const { members, store } = knowledge
  const membership = () => members.membership
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
  const positions = feedPositions(incarnation, membership)
  const cells = new BucketCells(bare.namespace, membership)
  const bytes = openRegionBytes({
    foundation: known,
    transport,
    membership,
    nearest: (regions) => regions,
    isReachable: knowledge.isReachable,
    positions,
    cellsOfBucket: (from, bucket) => cells.standing(from, bucket),
    durabilityRegions: 1,
    ...(isByRows && durabilityOfBuckets(cells, bare.namespace)),
    reservedFor: 90_000,
    askAgain: 20_000,
    lookAgain: 20_000,
    failed: surprised,
  })
  const foundation = { ...known, remote: bytes.remote, ...(isByRows && { durability: bytes.durability }) }
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
    ...(knowledge.admits !== undefined && { admits: knowledge.admits }),
    buckets: new NamespaceBuckets({ ...rows, isEmpty: async () => true }),
    methods: [
      ...knowledge.methods,
      ...rangeMethods({ foundation, cells, incarnation }),
      ...moving.methods,
      clockMethod(bare.world),
      ...feedMethods({ foundation, cells, incarnation, world: foundation.world, passed }),
      ...bytes.methods,
      passedMethod(foundation, positions),
    ],
    run: async (signal) => {
      await Promise.all([
        guard.run(signal),
        knowledge.run(signal),
        ...(isByRows || members.isRoot ? [moves.run(signal, surprised)] : []),
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
