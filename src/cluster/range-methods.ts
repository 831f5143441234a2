import { Fault } from '#src/errors.ts'
import { RecordReader, RecordWriter } from '#src/metadata/codec.ts'
import type { Change } from '#src/metadata/feed.ts'
import { readChanged } from '#src/metadata/feed-reading.ts'
import { readFloors } from '#src/metadata/forgetting.ts'
import { digestOf, type Keys, splitAfter, type Walk, walk, walkStart } from '#src/metadata/key-ranges.ts'
import type { Received } from '#src/metadata/received.ts'
import { readReceived, writeReceived } from '#src/metadata/received-codec.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Snapshot } from '#src/store/store.ts'
import { type FeedSource, sizeOf } from './feed-pages.ts'
import type { Caller, Method, Transport } from './transport.ts'

/**
 * What cells tell each other when they compare what they have, beside their feeds: digests over ranges of keys, and the records
 * of a range.
 */
export interface Piece {
  /** Where it ends; undefined: with the range. */
  readonly until: string | undefined
  readonly digest: string
}

interface DigestsRequest {
  readonly keys: Keys
  /** About so many rows in each piece. */
  readonly rows: number
  /** No more pieces than that. */
  readonly pieces: number
}

export interface Rows {
  readonly records: readonly Received[]
  /** Of the cell that told them, then: whoever copies them draws no stamp that is not above (T7). */
  readonly floors: ReadonlyMap<number, Stamp>
  /** Where to go on. */
  readonly next?: Walk
}

/** What one snapshot may take to read. */
const rowsMost = 50_000
const answerBytes = 2 ** 20
const recordsPerRead = 32

const format = 1
const writer = new RecordWriter()

function writeText(text: string | undefined): void {
  writer.byte(text === undefined ? 0 : 1)
  if (text !== undefined) writer.text(text)
}

const readText = (from: RecordReader): string | undefined => (from.byte() === 0 ? undefined : from.text())

function writeKeys({ bucket, after, until }: Keys): void {
  writer.byte(format).integer(bucket)
  writeText(after)
  writeText(until)
}

function readKeys(from: RecordReader): Keys {
  if (from.byte() !== format) throw new Error('a format of ranges that is not known here')
  const bucket = from.integer()
  const [after, until] = [readText(from), readText(from)]
  return { bucket, ...(after !== undefined && { after }), ...(until !== undefined && { until }) }
}

function writeWalk(at: Walk | undefined): void {
  writeText(at?.space)
  if (at === undefined) return
  const row = at.row ?? new Uint8Array(0)
  writer.integer(row.length).raw(row)
}

function readWalk(from: RecordReader): Walk | undefined {
  const space = readText(from) as Walk['space'] | undefined
  if (space === undefined) return undefined
  const row = from.raw(from.integer())
  return row.length === 0 ? { space } : { space, row }
}

async function checkShare({ cells }: FeedSource, from: Snapshot, bucket: number, { cell }: Caller): Promise<void> {
  if ((await cells.share(from, bucket, cell)) !== 'yes') throw new Fault('AccessDenied')
}

/** `digests`: the pieces of a range, and a digest of each. */
function digestsMethod(source: FeedSource): Method {
  return {
    name: 'digests',
    answer: async (bytes, caller) => {
      const reader = new RecordReader(bytes)
      const keys = readKeys(reader)
      const rows = Math.min(reader.integer(), rowsMost)
      const most = Math.min(reader.integer(), Math.max(1, Math.floor(rowsMost / rows)))
      const pieces = await source.foundation.store.snapshot(async (snapshot) => {
        await checkShare(source, snapshot, keys.bucket, caller)
        return await piecesOf(snapshot, keys, rows, most)
      })
      writer.integer(pieces.length)
      for (const { until, digest } of pieces) {
        writeText(until)
        writer.hex(digest)
      }
      return writer.take()
    },
  }
}

async function piecesOf(from: Snapshot, keys: Keys, rows: number, most: number): Promise<readonly Piece[]> {
  const pieces: Piece[] = []
  let rest = keys
  while (pieces.length < most) {
    const until = await splitAfter(from, rest, rows)
    const piece = until === undefined ? rest : { ...rest, until }
    pieces.push({ until, digest: await digestOf(from, piece) })
    if (until === undefined) break
    rest = { ...rest, after: until }
  }
  return pieces
}

/** `rows`: the records of a range, page by page. */
function rowsMethod(source: FeedSource): Method {
  return {
    name: 'rows',
    answer: async (bytes, caller) => {
      const reader = new RecordReader(bytes)
      const keys = readKeys(reader)
      const start = readWalk(reader) ?? walkStart
      const { records, floors, next } = await source.foundation.store.snapshot(async (snapshot) => {
        await checkShare(source, snapshot, keys.bucket, caller)
        return await rowsOf(snapshot, keys, start)
      })
      writeWalk(next)
      writer.integer(records.length)
      for (const record of records) writeReceived(writer, record)
      writer.integer(floors.size)
      for (const [partition, floor] of floors) writer.integer(partition).stamp(floor)
      return writer.take()
    },
  }
}

async function rowsOf(from: Snapshot, keys: Keys, start: Walk): Promise<Rows> {
  const records: Received[] = []
  let bytes = 0
  let at: Walk | undefined = start
  while (at !== undefined && bytes < answerBytes) {
    const step: Awaited<ReturnType<typeof walk>> = await walk(from, keys, at, recordsPerRead)
    for (const record of await Promise.all(withNulls(step.changes).map((change) => readChanged(from, change)))) {
      if (record === undefined) continue
      records.push(record)
      bytes += sizeOf(record)
    }
    at = step.next
  }
  const floors = await readFloors(from)
  return at === undefined ? { records, floors } : { records, floors, next: at }
}

/**
 * The `null` version moves between `current` and `version` without a change of its own, as others come and go: a walk that passes
 * one after the other might miss it. So it is told of with every record of its key, wherever it is in that snapshot.
 */
function withNulls(changes: readonly Change[]): readonly Change[] {
  const told = new Map<string, Change>()
  for (const change of changes) {
    if (change.isConflict === true) continue
    const { bucket, key } = change
    told.set(`${bucket} ${key}`, { bucket, key, slot: 0n, stamp: 0n })
  }
  return [...changes.filter(({ slot }) => slot !== 0n), ...told.values()]
}

export const rangeMethods = (source: FeedSource): readonly Method[] => [digestsMethod(source), rowsMethod(source)]

export async function askDigests(
  transport: Transport,
  cell: number,
  { keys, rows, pieces }: DigestsRequest,
  signal: AbortSignal,
): Promise<readonly Piece[]> {
  writeKeys(keys)
  const answer = await transport.ask(cell, 'digests', writer.integer(rows).integer(pieces).take(), signal)
  const reader = new RecordReader(answer)
  return reader.list(() => ({ until: readText(reader), digest: reader.hex(32) }))
}

export async function askRows(
  transport: Transport,
  cell: number,
  keys: Keys,
  at: Walk | undefined,
  signal: AbortSignal,
): Promise<Rows> {
  writeKeys(keys)
  writeWalk(at)
  const reader = new RecordReader(await transport.ask(cell, 'rows', writer.take(), signal))
  const next = readWalk(reader)
  const records = reader.list(() => readReceived(reader))
  const floors = new Map(reader.list(() => [reader.integer(), reader.stamp()] as const))
  return next === undefined ? { records, floors } : { records, floors, next }
}
