import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys, under } from './keyspace.ts'

/**
 * What is good for some minutes, and no longer: nonces, codes, attempts. It stays in the cell that it came to.
 *
 * Q1  nothing is found behind its end, and each addition takes away some of what has ended: so no more is kept than was added
 *     within a lifetime, and the clock's jumps aside nothing lies for ever.
 */
interface Row<Value> {
  /** In milliseconds since the epoch. */
  readonly ends: number
  readonly value: Value
}

const format = 1
const forgottenAtOnce = 4

const nothing = new Uint8Array(0)

async function readRow<Value>(from: Snapshot, kind: string, id: string): Promise<Row<Value> | undefined> {
  const bytes = await from.get(keys.shortLived(kind, id))
  return bytes === undefined ? undefined : decodeJson<Row<Value>>(format, bytes)
}

export async function readShortLived<Value>(
  from: Snapshot,
  kind: string,
  id: string,
  now: number,
): Promise<Value | undefined> {
  const row = await readRow<Value>(from, kind, id)
  return row === undefined || row.ends <= now ? undefined : row.value
}

/** Adds, or overwrites. */
export async function setShortLived(
  to: Transaction,
  kind: string,
  id: string,
  value: unknown,
  { ends, now }: { readonly ends: number; readonly now: number },
): Promise<void> {
  await clearShortLived(to, kind, id)
  await forgetEnded(to, now)
  to.set(keys.shortLived(kind, id), encodeJson(format, { ends, value }))
  to.set(keys.shortLivedEnd(ends, kind, id), nothing)
}

export async function clearShortLived(to: Transaction, kind: string, id: string): Promise<void> {
  const before = await readRow(to, kind, id)
  if (before === undefined) return
  to.clear(keys.shortLived(kind, id))
  to.clear(keys.shortLivedEnd(before.ends, kind, id))
}

/** Reads relaxed: that another transaction takes the same away is no conflict. */
async function forgetEnded(to: Transaction, now: number): Promise<void> {
  const { from } = under('shortLivedEnd', [])
  const { from: end } = under('shortLivedEnd', [now + 1])
  const ended = await to.relaxed.range(from, end, { limit: forgottenAtOnce })
  for (const { key } of ended) {
    const reader = new TupleReader(key, 1)
    reader.integer()
    const [kind, id] = [reader.text(), reader.text()]
    const row = await readRow(to, kind, id)
    to.clear(key)
    if (row !== undefined && row.ends <= now) to.clear(keys.shortLived(kind, id))
  }
}
