import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import { feedMethods } from '#src/cluster/feed-methods.ts'
import type { FeedTarget } from '#src/cluster/feed-pages.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import type { Region } from '#src/cluster/region.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import type { Method } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Log } from '#src/telemetry/log.ts'

const dayMilliseconds = 86_400_000

/** What a process has because there are other cells: their records, their bytes, their clocks. */
export interface OpenPeers<Known extends Foundation = Foundation> {
  /** For services: it knows of bytes elsewhere, and whether its clock can be believed. */
  readonly foundation: Known
  readonly methods: readonly Method[]
  /** Where what other cells tell is applied. */
  readonly target: FeedTarget & { readonly foundation: Foundation }
  /** What one process of a cell has to do until the signal. */
  work(signal: AbortSignal): Promise<void>
  /** Before the store is closed. */
  settled(): Promise<void>
  /** What every process has to do until the signal. */
  watch(signal: AbortSignal): Promise<void>
}

export function openPeers<Known extends Foundation>(
  alone: Known,
  { members, transport, health }: Region,
  { config, log }: { readonly config: Config; readonly log: Log },
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
  const known: Known = { ...alone, world: clock.world, clock, hasPeers: true }
  const bytes = openRegionBytes({
    foundation: known,
    transport,
    membership: () => members.membership,
    nearest: (regions) => {
      const cells = members.peers.filter(({ region }) => regions.includes(region)).map(({ cell }) => cell)
      const order = health.nearest(cells)
      return order.flatMap((cell) => members.peers.filter((each) => each.cell === cell).map(({ region }) => region))
    },
    positions: feedPositions(members.self.incarnation, () => members.membership),
    durabilityRegions: 1,
    failed: (error) => log.error('bytes of another region could not be kept', { error }),
  })
  const foundation: Known = { ...known, remote: bytes.remote }
  const cells = new BucketCells(namespace, () => members.membership)
  const { incarnation } = members.self
  return {
    foundation,
    methods: [clockMethod(world), ...feedMethods({ foundation, cells, incarnation, world }), ...bytes.methods],
    target: { foundation, conflictMilliseconds: config.conflictDays * dayMilliseconds },
    work: (signal) => bytes.jobs.run(signal, (error) => log.error('letting go of bytes failed', { error })),
    settled: () => bytes.copies.settled(),
    watch: (signal) => clock.run(signal),
  }
}
