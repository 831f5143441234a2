import type { Entry, Snapshot } from '#src/store/store.ts'
import { decodeJson } from './json-rows.ts'
import { type Subspace, under } from './keyspace.ts'

/** How much work waits, or was given up, by kind. */
export type Backlog = ReadonlyMap<string, number>

/** Rows of a kind that are counted; those of notifications have messages in them, and are read less far. */
const rowsMost = 10_000
const messagesMost = 500

const rows = async (
  from: Snapshot,
  space: Subspace,
  parts: readonly string[],
  most: number,
): Promise<readonly Entry[]> => {
  const range = under(space, parts)
  return await from.range(range.from, range.to, { limit: most })
}

const kindOf = ({ value }: Entry): string => decodeJson<{ readonly kind: string }>(1, value).kind

function byKind(found: readonly Entry[]): Map<string, number> {
  const kinds = new Map<string, number>()
  for (const row of found) {
    const kind = kindOf(row)
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
  }
  return kinds
}

/** What the outbox has for the queue, by kind; and what the cell does by itself: freeing, word to keepers, tasks, notifications. */
export async function readBacklog(from: Snapshot): Promise<Backlog> {
  const jobs = byKind(await rows(from, 'job', ['region'], rowsMost))
  const others = [
    ['collect', await rows(from, 'job', ['collect'], rowsMost)],
    ['keep', await rows(from, 'job', ['blobs'], rowsMost)],
    ['task', await rows(from, 'taskDue', [], rowsMost)],
    ['publish', await rows(from, 'job', ['publish'], messagesMost)],
    ['deliver', await rows(from, 'delivery', [], messagesMost)],
  ] as const
  return new Map([...jobs, ...others.map(([kind, { length }]) => [kind, length] as const)])
}

/** What was given up: jobs by kind, and notifications. */
export async function readGivenUp(from: Snapshot): Promise<Backlog> {
  const letters = await rows(from, 'deadLetter', [], messagesMost)
  return new Map([...byKind(await rows(from, 'deadJob', [], rowsMost)), ['notification', letters.length]])
}
