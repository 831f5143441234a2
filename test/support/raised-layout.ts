import assert from 'node:assert/strict'
import { keys, under } from '#src/metadata/keyspace.ts'
import type { Layouts } from '#src/metadata/layout-records.ts'
import type { Snapshot, Store } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'

/**
 * A layout that only tests know: rows of two kinds are a format and a number, and the second format has the number twice as wide. What was
 * raised is counted by an atomic counter, so that a row which is raised twice shows.
 */
const kinds = ['lifecycle', 'usageTick'] as const
const counter = keys.stored(0, 'test', 'raised')

export const rowKey = (index: number): Uint8Array => keys[kinds[index % kinds.length] ?? 'lifecycle'](index)

export function encodeRow(format: 1 | 2, value: number): Uint8Array {
  const row = Buffer.alloc(1 + 4 * format)
  row[0] = format
  row.writeUIntBE(value, 1 + 4 * (format - 1), 4)
  return row
}

export function decodeRow(bytes: Uint8Array): { readonly format: number; readonly value: number } {
  const row = Buffer.from(bytes)
  const format = row[0] ?? 0
  assert.ok((format === 1 || format === 2) && row.length === 1 + 4 * format, 'a row of either format')
  return { format, value: row.readUIntBE(row.length - 4, 4) }
}

/** `raising`: called with each page that is raised. */
export const testLayouts = (
  raising: () => Promise<void> | void = () => {},
  { isReadBefore = false }: { readonly isReadBefore?: boolean } = {},
): Layouts => ({
  oldest: 1,
  steps: [
    {
      to: 2,
      name: 'wider numbers',
      isReadBefore,
      ranges: kinds.map((kind) => under(kind, [])),
      raise: async (to, rows) => {
        for (const { key, value } of rows) {
          const row = decodeRow(value)
          if (row.format === 2) continue
          to.set(key, encodeRow(2, row.value))
          to.add(counter, 1n)
        }
        await raising()
      },
    },
  ],
})

export async function fillRows(store: Store, count: number): Promise<void> {
  for (let from = 0; from < count; from += 500) {
    await store.transact(async (transaction) => {
      for (let index = from; index < Math.min(count, from + 500); index++) {
        transaction.set(rowKey(index), encodeRow(1, index))
      }
    })
  }
}

/** All rows, by number; and how often one was raised. */
export async function lookAtRows(from: Snapshot) {
  const rows = new Map<number, ReturnType<typeof decodeRow>>()
  for (const kind of kinds) {
    const all = under(kind, [])
    for (const { key, value } of await from.range(all.from, all.to, { limit: 100_000 })) {
      rows.set(Number(new TupleReader(key, 1).integer()), decodeRow(value))
    }
  }
  const raised = Buffer.from((await from.get(counter)) ?? Buffer.alloc(8)).readBigInt64LE()
  return { rows, raised: Number(raised) }
}
