import type { Snapshot } from '#src/store/store.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { entryBytes } from './feed.ts'
import { keys } from './keyspace.ts'

/** A position of each partition of a feed. */
export type Positions = readonly Uint8Array[]

/** What a cell said at one moment: how far it had followed this cell's feed, and where its own ended. */
export interface Observation {
  /** Of the cell that said so, and of this one, whose feed it was. */
  readonly incarnation: string
  readonly ours: string
  readonly cursors: Positions
  readonly heads: Positions
}

/**
 * What follows from the observations of one cell (C10).
 *
 * T2  `settled` are positions of this cell's feed that the other has passed, and all that it had to tell at that moment has been
 *     applied here since.
 */
export interface Passing {
  readonly incarnation: string
  readonly ours: string
  readonly settled: Positions | undefined
  /** What it said, of which not all has arrived yet. */
  readonly waiting: Pick<Observation, 'cursors' | 'heads'> | undefined
}

const hasReached = (positions: Positions, heads: Positions): boolean =>
  heads.every((head, index) => Buffer.compare(positions[index] ?? nowhere, head) >= 0)

const nowhere = new Uint8Array(entryBytes)

/** `applied`: how far this cell has followed the feed of the one that was observed. */
export function observe(before: Passing | undefined, observation: Observation, applied: Positions): Passing {
  const { incarnation, ours, cursors, heads } = observation
  const isSame = before?.incarnation === incarnation && before.ours === ours
  let settled = isSame ? before.settled : undefined
  let waiting = isSame ? before.waiting : undefined
  if (waiting !== undefined && hasReached(applied, waiting.heads)) {
    settled = waiting.cursors
    waiting = undefined
  }
  // An observation waits until it is settled, however many come meanwhile: a cell that writes all the time is never level.
  return { incarnation, ours, settled, waiting: waiting ?? { cursors, heads } }
}

/** Whether an entry of this cell's feed is behind every other cell, for good. */
export const isPassed = (entry: Uint8Array, partition: number, passings: readonly Passing[]): boolean =>
  passings.every(({ settled }) => Buffer.compare(settled?.[partition] ?? nowhere, entry) >= 0)

const format = 1
const writer = new RecordWriter()

function writePositions(positions: Positions | undefined): void {
  writer.integer(positions?.length ?? 0)
  for (const position of positions ?? []) writer.raw(position)
}

function readPositions(from: RecordReader): Positions | undefined {
  const positions = from.list(() => from.raw(entryBytes))
  return positions.length === 0 ? undefined : positions
}

export function encodePassing({ incarnation, ours, settled, waiting }: Passing): Uint8Array {
  writer.byte(format).text(incarnation).text(ours)
  writePositions(settled)
  writePositions(waiting?.cursors)
  writePositions(waiting?.heads)
  return writer.take()
}

export async function readPassing(from: Snapshot, cell: number): Promise<Passing | undefined> {
  const bytes = await from.get(keys.passing(cell))
  if (bytes === undefined) return undefined
  const reader = new RecordReader(bytes, 1)
  const head = { incarnation: reader.text(), ours: reader.text(), settled: readPositions(reader) }
  const [cursors, heads] = [readPositions(reader), readPositions(reader)]
  return { ...head, waiting: cursors === undefined || heads === undefined ? undefined : { cursors, heads } }
}
