import { Followers } from '#replicator/follow.ts'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import { type FeedServer, feedMethods } from '#src/cluster/feed-methods.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import { OutOfPatience } from '#src/cluster/patience.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import { PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import type { Arrival } from '#src/metadata/receive.ts'
import { Collector } from '#src/service/collector.ts'
import { StoreError } from '#src/store/store.ts'
import type { Compose } from './region.ts'

/** Longer than any simulation. */
const conflictMilliseconds = 365 * 24 * 3_600_000

/** What goes wrong because the simulation wants it to; anything else is a bug. */
const isExpected = (error: unknown): boolean =>
  [PeerUnreachable, StoreError, OutOfPatience, Fault].some((kind) => error instanceof kind)

/** A region as src/open.ts and bin/ make it, without sockets and files. */
export const composeRegion: Compose = ({ foundation: bare, transport, self, membership, isEager, failed }) => {
  const peers = () => membership().members.filter(({ cell }) => cell !== self.cell)
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
  const bytes = openRegionBytes({
    foundation: known,
    transport,
    membership,
    nearest: (regions) => regions,
    isReachable: () => true,
    positions: feedPositions(incarnation, membership),
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
  return {
    foundation,
    methods: [
      clockMethod(bare.world),
      ...feedMethods({ foundation, cells, incarnation, world: foundation.world, passed }),
      ...bytes.methods,
    ],
    run: async (signal) => {
      await Promise.all([
        guard.run(signal),
        followers.run(signal),
        bytes.jobs.run(signal, surprised),
        bytes.succession.run(signal, surprised),
        forgetter.run(signal, surprised),
        new Collector(foundation).run(foundation.world, signal, surprised),
      ])
    },
  }
}
