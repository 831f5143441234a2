import type { Entry, Snapshot } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { entryBytes } from './feed.ts'
import { type Subspace, under } from './keyspace.ts'
import { entryOffset } from './version-codec.ts'

/** Where the records of a bucket are that all its cells have alike, once their feeds are drained (I4). */
export const replicatedSpaces = ['current', 'version', 'nullVersion', 'tombstone', 'conflict', 'inline'] as const

export type ReplicatedSpace = (typeof replicatedSpaces)[number]

const withEntries: ReadonlySet<Subspace> = new Set(['current', 'version', 'tombstone', 'conflict'])

/** A row without the feed entry in it, which each cell has its own of. */
export function comparable(space: ReplicatedSpace, { key, value }: Entry): Entry {
  if (!withEntries.has(space)) return { key, value }
  return { key, value: Buffer.concat([value.subarray(0, entryOffset), value.subarray(entryOffset + entryBytes)]) }
}

/** The next rows of one bucket in comparable form, in the order of their keys. `after`: the key of the last one before. */
export async function readReplicated(
  from: Snapshot,
  space: ReplicatedSpace,
  bucket: number,
  after: Uint8Array | undefined,
  limit: number,
): Promise<readonly Entry[]> {
  const all = under(space, [bucket])
  const rows = await from.range(after === undefined ? all.from : afterKey(after), all.to, { limit })
  return rows.map((row) => comparable(space, row))
}
