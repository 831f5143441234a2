import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { ClockGuard, clockMethod } from '#src/cluster/clock-guard.ts'
import { feedMethods } from '#src/cluster/feed-methods.ts'
import type { FeedTarget } from '#src/cluster/feed-pages.ts'
import type { Region } from '#src/cluster/region.ts'
import { openRegionBytes } from '#src/cluster/region-bytes.ts'
import type { Method } from '#src/cluster/transport.ts'
import type { Config } from '#src/config/load.ts'
import type { Foundation } from '#src/service/foundation.ts'
import type { Log } from '#src/telemetry/log.ts'

const dayMilliseconds = 86_400_000

/** What a process has because there are other cells: their records, their bytes, their clocks. */
export interface OpenPeers {
  /** For services: it knows of bytes elsewhere, and whether its clock can be believed. */
  readonly foundation: Foundation
  readonly methods: readonly Method[]
  /** Where what other cells tell is applied. */
  readonly target: FeedTarget & { readonly foundation: Foundation }
  /** What every process has to do until the signal. */
  watch(signal: AbortSignal): Promise<void>
}

export function openPeers(
  alone: Foundation,
  { members, transport, health }: Region,
  { config, log }: { readonly config: Config; readonly log: Log },
): OpenPeers {
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
  const known: Foundation = { ...alone, world: clock.world, clock, hasPeers: true }
  const bytes = openRegionBytes({
    foundation: known,
    transport,
    membership: () => members.membership,
    nearest: (regions) => {
      const cells = members.peers.filter(({ region }) => regions.includes(region)).map(({ cell }) => cell)
      const order = health.nearest(cells)
      return order.flatMap((cell) => members.peers.filter((each) => each.cell === cell).map(({ region }) => region))
    },
    failed: (error) => log.error('bytes of another region could not be kept', { error }),
  })
  const foundation: Foundation = { ...known, remote: bytes.remote }
  const cells = new BucketCells(namespace, () => members.membership)
  const { incarnation } = members.self
  return {
    foundation,
    methods: [clockMethod(world), ...feedMethods({ foundation, cells, incarnation, world }), ...bytes.methods],
    target: { foundation, conflictMilliseconds: config.conflictDays * dayMilliseconds },
    watch: (signal) => clock.run(signal),
  }
}
