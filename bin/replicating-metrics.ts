import type { Followers } from '#replicator/follow.ts'
import { nextRequest } from '#src/cluster/feed-following.ts'
import { askFeedLag } from '#src/cluster/feed-lag.ts'
import type { FeedTarget } from '#src/cluster/feed-pages.ts'
import type { Members } from '#src/cluster/members.ts'
import { within } from '#src/cluster/patience.ts'
import type { Transport } from '#src/cluster/transport.ts'
import { memberOf } from '#src/model/region.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { catalogue } from '#src/telemetry/catalogue.ts'
import type { Metrics } from '#src/telemetry/metrics.ts'

/** A region that does not say in time how far behind this one is with it is left out, in milliseconds. */
const patienceMs = 2_000

/** Counts what following other cells brings. */
export function followingMeters(metrics: Metrics, members: Members) {
  const records = metrics.counter(catalogue.feedRecords)
  const conflicts = metrics.counter(catalogue.conflicts)
  const failures = metrics.counter(catalogue.feedFailures)
  const regionOf = (cell: number): string => memberOf(members.membership, cell)?.region ?? ''
  for (const { region } of members.peers) for (const each of [records, conflicts, failures]) each.of(region)
  return {
    applied(cell: number, received: number, lost: number): void {
      records.of(regionOf(cell)).add(received)
      conflicts.of(regionOf(cell)).add(lost)
    },
    failed: (cell: number): void => failures.of(regionOf(cell)).add(),
  }
}

export interface LagParts {
  readonly target: FeedTarget & { readonly foundation: Foundation }
  readonly transport: Transport
  readonly members: Members
  readonly followers: Pick<Followers, 'lag'>
}

/** How far this cell is behind others: in time by its own knowledge, in entries by theirs. */
export function measureLag(metrics: Metrics, { target, transport, members, followers }: LagParts): void {
  metrics.collect(catalogue.feedLagSeconds, () =>
    members.peers.map(({ region, cell }) => ({ labels: [region], value: followers.lag(cell) / 1e3 })),
  )
  metrics.collect(catalogue.feedLagEntries, async () => {
    const { world } = target.foundation
    const asked = members.peers.map(async (peer) => {
      const entries = await within(world, patienceMs, async (signal) => {
        const request = await nextRequest(target, peer, { bytes: 0, wait: 0 })
        return (await askFeedLag(transport, peer.cell, request, signal)).entries
      }).catch(() => undefined)
      return entries === undefined ? [] : [{ labels: [peer.region], value: entries }]
    })
    return (await Promise.all(asked)).flat()
  })
}

export type JobEnding = 'done' | 'failed' | 'given_up'

export function jobMeters(metrics: Metrics, kinds: readonly string[]): (kind: string, ending: JobEnding) => void {
  const jobs = metrics.counter(catalogue.jobsDone)
  for (const kind of kinds) for (const ending of ['done', 'failed', 'given_up'] as const) jobs.of(kind, ending)
  return (kind, ending) => jobs.of(kind, ending).add()
}
