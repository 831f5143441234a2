import type { Sample } from './exposition.ts'
import { sizeOf, table } from './printing.ts'

/** What a server told of itself at a moment. */
export interface Look {
  /** Seconds, by a clock that only goes on. */
  readonly at: number
  readonly samples: readonly Sample[]
}

const named = ({ samples }: Look, name: string): readonly Sample[] => samples.filter((each) => each.name === name)

/** Sums by a label. */
function by(look: Look, name: string, label: string): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const { labels, value } of named(look, name)) {
    const key = labels[label] ?? ''
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  return sums
}

const sum = (look: Look, name: string): number => named(look, name).reduce((total, { value }) => total + value, 0)

const rate = (before: number | undefined, now: number, seconds: number): number =>
  Math.max(0, now - (before ?? 0)) / seconds

const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

interface RequestRow {
  readonly operation: string
  readonly 'per second': number
  readonly 'mean ms': number
  readonly all: number
}

function requests(before: Look, now: Look, seconds: number): readonly RequestRow[] {
  const counts = by(now, 'meridian_requests_total', 'operation')
  const countsBefore = by(before, 'meridian_requests_total', 'operation')
  const [spent, spentBefore] = [now, before].map((each) =>
    by(each, 'meridian_request_duration_seconds_sum', 'operation'),
  )
  const [timed, timedBefore] = [now, before].map((each) =>
    by(each, 'meridian_request_duration_seconds_count', 'operation'),
  )
  const rows = [...counts].map(([operation, all]): RequestRow => {
    const count = (timed?.get(operation) ?? 0) - (timedBefore?.get(operation) ?? 0)
    const took = (spent?.get(operation) ?? 0) - (spentBefore?.get(operation) ?? 0)
    return {
      operation,
      'per second': round(rate(countsBefore.get(operation), all, seconds)),
      'mean ms': count > 0 ? round((took / count) * 1000, 2) : 0,
      all,
    }
  })
  return rows.sort((one, other) => other['per second'] - one['per second'] || other.all - one.all)
}

const rowsMost = 15

/** As a machine reads it. */
export function topReport(before: Look, now: Look) {
  const seconds = Math.max(now.at - before.at, 0.001)
  const perSecond = (name: string): number => round(rate(sum(before, name), sum(now, name), seconds))
  return {
    requests: requests(before, now, seconds),
    requestsPerSecond: perSecond('meridian_requests_total'),
    failuresPerSecond: perSecond('meridian_request_failures_total'),
    bytesIn: perSecond('meridian_received_bytes_total'),
    bytesOut: perSecond('meridian_sent_bytes_total'),
    underWay: sum(now, 'meridian_requests_in_progress'),
    connections: sum(now, 'meridian_connections'),
    transactionsPerSecond: perSecond('meridian_transactions_total'),
    conflicts: sum(now, 'meridian_conflicts_total'),
    jobsWaiting: sum(now, 'meridian_jobs_waiting'),
    lag: [...by(now, 'meridian_feed_lag_seconds', 'peer')].map(([region, lag]) => ({ region, seconds: round(lag, 3) })),
    volumes: [...by(now, 'meridian_volume_used_bytes', 'volume')].map(([volume, used]) => ({
      volume,
      used,
      dead: by(now, 'meridian_volume_dead_bytes', 'volume').get(volume) ?? 0,
      free: by(now, 'meridian_volume_free_bytes', 'volume').get(volume) ?? 0,
    })),
  }
}

/** As people read it, on so many lines. */
export function topScreen(before: Look, now: Look, where: string): string {
  const { requests: all, lag, volumes, ...told } = topReport(before, now)
  const head = [
    `${where}   ${told.requestsPerSecond} requests/s, ${told.failuresPerSecond} failures/s, ${told.underWay} under way, ${told.connections} connections`,
    `in ${sizeOf(told.bytesIn)}/s, out ${sizeOf(told.bytesOut)}/s   ${told.transactionsPerSecond} transactions/s   ${told.conflicts} conflicts, ${told.jobsWaiting} jobs wait`,
  ]
  const parts = [head.join('\n'), table(all.slice(0, rowsMost).map((row) => ({ ...row })))]
  if (lag.length > 0)
    parts.push(table(lag.map(({ region, seconds }) => ({ 'follows region': region, 'lag s': seconds }))))
  if (volumes.length > 0) {
    const rows = volumes.map(({ volume, used, dead, free }) => ({
      volume,
      used: sizeOf(used),
      dead: sizeOf(dead),
      free: sizeOf(free),
    }))
    parts.push(table(rows))
  }
  return parts.filter((part) => part !== '').join('\n\n')
}
