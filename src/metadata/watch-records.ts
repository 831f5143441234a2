import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys } from './keyspace.ts'

/** What a cell is doing that people watch from outside its processes. Nothing else goes by it. */

/** How far this cell is behind another one's feed. */
export interface FeedLag {
  /** When this was so, in milliseconds since the epoch. */
  readonly at: number
  /** Whether that cell answered. If it did not, the rest is as it was when it last did. */
  readonly isAway: boolean
  /** Entries that are not applied here yet; of very many, so many at least. */
  readonly entries: number
  /** Since the oldest of them was written, by its stamp. */
  readonly seconds: number
}

/** A comparison with all other cells. */
export interface HealingProgress {
  /** Milliseconds since the epoch. */
  readonly began: number
  readonly ended?: number
  /** Compared so far, of so many: a bucket with each cell that has it counts once. */
  readonly done: number
  readonly of: number
  /** Taken over. */
  readonly records: number
}

const format = 1

async function read<Row>(from: Snapshot, what: string, cell: number): Promise<Row | undefined> {
  const bytes = await from.get(keys.watched(what, cell))
  return bytes === undefined ? undefined : decodeJson<Row>(format, bytes)
}

export const readFeedLag = (from: Snapshot, cell: number): Promise<FeedLag | undefined> => read(from, 'feed', cell)

export function setFeedLag(to: Transaction, cell: number, lag: FeedLag): void {
  to.set(keys.watched('feed', cell), encodeJson(format, lag))
}

/** `cell`: this one. */
export const readHealingProgress = (from: Snapshot, cell: number): Promise<HealingProgress | undefined> =>
  read(from, 'healing', cell)

export function setHealingProgress(to: Transaction, cell: number, progress: HealingProgress): void {
  to.set(keys.watched('healing', cell), encodeJson(format, progress))
}
