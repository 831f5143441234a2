import type { Namespace } from '#src/metadata/namespace.ts'
import { readOwners, readStored, readUsage, type UsageCount, type UsageOwner } from '#src/metadata/usage-records.ts'
import { formatDay, formatMonth, isSum, monthOf, type StoredByClass, type UsageRow } from '#src/model/usage.ts'
import type { Store } from '#src/store/store.ts'

const ownersPerPage = 100
const countsPerPage = 10_000

/** Which usage is asked for; days since the epoch, both included. */
export interface UsageQuery {
  /** Absent: of all. */
  readonly account?: string
  readonly bucket?: string
  readonly from: number
  readonly to: number
  readonly by: 'day' | 'month'
}

export interface Usage {
  /** By bucket and period. Buckets that are gone are told of too, under the names that they had. */
  rows(query: UsageQuery): AsyncGenerator<UsageRow>
  /** What lies in a bucket now. */
  stored(bucket: number): Promise<StoredByClass>
}

export interface CellUsageParts {
  readonly store: Store
  readonly namespace: Namespace
  readonly region: string
  /** What this process still counts is added first. */
  readonly flush: () => Promise<void>
}

/** The usage that this region counted. */
export class CellUsage implements Usage {
  readonly #parts: CellUsageParts

  constructor(parts: CellUsageParts) {
    this.#parts = parts
  }

  async stored(bucket: number): Promise<StoredByClass> {
    return await this.#parts.store.snapshot((snapshot) => readStored(snapshot, bucket))
  }

  async *rows(query: UsageQuery): AsyncGenerator<UsageRow> {
    const { store, flush } = this.#parts
    await flush()
    let after: number | undefined
    for (;;) {
      const start = after
      const owners = await store.snapshot((snapshot) => readOwners(snapshot, start, ownersPerPage))
      for (const owner of owners) {
        const isAsked =
          (query.account === undefined || owner.account === query.account) &&
          (query.bucket === undefined || owner.name === query.bucket)
        if (isAsked) yield* this.#rowsOf(owner, query)
      }
      after = owners.at(-1)?.bucket
      if (after === undefined) return
    }
  }

  async *#rowsOf(owner: UsageOwner & { readonly bucket: number }, query: UsageQuery): AsyncGenerator<UsageRow> {
    const { store, region } = this.#parts
    const days = await store.snapshot((snapshot) =>
      readUsage(snapshot, 'usageDay', owner.bucket, { from: query.from, to: query.to }, countsPerPage),
    )
    const row = ({ metric, value }: UsageCount, period: string): UsageRow => {
      const [, name = metric, kind = ''] = /^(requests|stored|objects|byte-seconds) (.*)$/.exec(metric) ?? []
      return { period, account: owner.account, bucket: owner.name, region, metric: name, class: kind, value }
    }
    if (query.by === 'day') {
      for (const each of days) yield row(each, formatDay(each.period))
      return
    }
    const periods = { from: monthOf(query.from), to: monthOf(query.to) }
    const folded = await store.snapshot((snapshot) =>
      readUsage(snapshot, 'usageMonth', owner.bucket, periods, countsPerPage),
    )
    for (const each of byMonth(folded, days)) yield row(each, formatMonth(each.period))
  }
}

/** Days that were folded, and those that were not: what adds up is added, of the rest the last day counts. */
function byMonth(folded: readonly UsageCount[], days: readonly UsageCount[]): readonly UsageCount[] {
  const found = new Map<string, UsageCount>()
  const take = (count: UsageCount): void => {
    const id = `${count.period} ${count.metric}`
    const before = found.get(id)
    const value = before !== undefined && isSum(count.metric) ? before.value + count.value : count.value
    found.set(id, { ...count, value })
  }
  for (const each of folded) take(each)
  for (const each of days) take({ ...each, period: monthOf(each.period) })
  return [...found.values()].sort((one, other) => one.period - other.period)
}
