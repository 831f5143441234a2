import { Followers } from '#replicator/follow.ts'
import { JobWorker } from '#replicator/job-worker.ts'
import { fetchBlobJob } from '#replicator/jobs/fetch-blob.ts'
import { ProcessQueue } from '#replicator/process-queue.ts'
import { Relay } from '#replicator/relay.ts'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import { Departing, passedMethod } from '#src/cluster/departure.ts'
import { type FeedServer, feedMethods } from '#src/cluster/feed-methods.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import { OutOfPatience } from '#src/cluster/patience.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import { type Method, PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import type { Arrival } from '#src/metadata/receive.ts'
import { memberOf } from '#src/model/region.ts'
import { Collector } from '#src/service/collector.ts'
import { StoreError } from '#src/store/store.ts'
import type { Compose } from './region.ts'

/** Longer than any simulation. */
const conflictMilliseconds = 365 * 24 * 3_600_000

/** What goes wrong because the simulation wants it to; anything else is a bug. */
const isExpected = (error: unknown): boolean =>
  [PeerUnreachable, StoreError, OutOfPatience, Fault].some((kind) => error instanceof kind)

const nothing = new Uint8Array(0)

/** As the root's, whose membership the simulation keeps. */
const rootMethods = (left: (cell: number) => void): readonly Method[] => [
  { name: 'member-leaving', answer: async () => nothing },
  {
    name: 'member-left',
    async answer(_, { cell }) {
      left(cell)
      return nothing
    },
  },
]

/** A region as src/open.ts and bin/ make it, without sockets and files. */
export const composeRegion: Compose = ({ foundation: given, ...parts }) => {
  const { transport, self, membership, isEager, left, failed } = parts
  const bare = { ...given, store: governNamespace(given.store, self.cell) }
  const peers = () => membership().members.filter(({ cell, state }) => cell !== self.cell && state !== 'removed')
  const guard = new ClockGuard({
    world: bare.world,
    transport,
    peers: () => peers().map(({ cell }) => cell),
    report: () => {},
  })
  const known = { ...bare, world: guard.world, clock: guard }
  const { incarnation } = self
  const surprised = (error: unknown): void => {
    if (!isExpected(error)) failed(error)
  }
  const positions = feedPositions(incarnation, membership)
  const bytes = openRegionBytes({
    foundation: known,
    transport,
    membership,
    nearest: (regions) => regions,
    isReachable: () => true,
    positions,
    durabilityRegions: 1,
    failed: surprised,
  })
  const foundation = { ...known, remote: bytes.remote }
  const cells = new BucketCells(foundation.namespace, membership)
  /** As a region does that is told to hold what others write. */
  const arrived = (arrivals: readonly Arrival[]): void => {
    for (const { content } of arrivals) {
      for (const { id } of content.kind === 'blob' ? [content.blob] : content.blobs) {
        if (isEager()) bytes.copies.take(id).catch(surprised)
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
  const followers = new Followers({
    target: { foundation, conflictMilliseconds, arrived },
    transport,
    peers,
    failed: (_, error) => surprised(error),
  })
  const departing = new Departing({
    foundation,
    transport,
    members: {
      get membership() {
        return membership()
      },
      self,
      get isRemoved() {
        return memberOf(membership(), self.cell)?.state === 'removed'
      },
    },
    positions,
    succession: bytes.succession,
    freeing: bytes.freeing,
    // Nobody comes back to an upload that was given up.
    uploadPatience: 60_000,
  })
  const queue = new ProcessQueue(bare.world)
  const { store, world } = foundation
  const kind = fetchBlobJob(bytes.copies)
  const relay = new Relay({ store, world, queue, urgencyOf: () => kind.urgency, failed: surprised })
  const worker = new JobWorker({
    store,
    world,
    queue,
    kinds: new Map([[kind.name, kind]]),
    pace: { concurrency: 4, perSecond: 200 },
    report: (_, error) => surprised(error),
    failed: surprised,
  })
  return {
    foundation,
    methods: [
      clockMethod(bare.world),
      ...feedMethods({ foundation, cells, incarnation, world: foundation.world, passed }),
      ...bytes.methods,
      passedMethod(foundation, positions),
      ...rootMethods(left),
    ],
    run: async (signal) => {
      await Promise.all([
        guard.run(signal),
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
