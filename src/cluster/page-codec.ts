import { RecordReader, RecordWriter } from '#src/metadata/codec.ts'
import { entryBytes } from '#src/metadata/feed.ts'
import { readReceived, writeReceived } from '#src/metadata/received-codec.ts'
import type { Page } from './feed-pages.ts'

/** What a cell asks another's feed. */
export interface FeedRequest {
  /** Of the cell that is asked, as the asking one knows it: the cursors belong to it. */
  readonly incarnation: string
  /** Of each partition, how far it has been applied: entries behind it are asked for. Says, too, that nothing before is needed. */
  readonly cursors: readonly Uint8Array[]
  /** Where the asking cell's own feed ends, read in the same snapshot as the cursors (C10); empty where it does not say. */
  readonly heads: readonly Uint8Array[]
  /** About so many bytes, of all pages together. */
  readonly bytes: number
  /** So long it may wait for something to tell, in milliseconds. */
  readonly wait: number
  /** Where pages are still being applied: of each partition, entries behind this are asked for, and not those behind the cursor. */
  readonly behind?: readonly Uint8Array[]
}

export interface FeedAnswer {
  readonly incarnation: string
  /** Of partitions that have something to tell. */
  readonly pages: readonly Page[]
}

/** Of a cell's own feed, of each partition where it ends. */
export interface Heads {
  readonly incarnation: string
  readonly heads: readonly Uint8Array[]
}

const format = 1
const writer = new RecordWriter()

function readerOf(bytes: Uint8Array): RecordReader {
  const from = new RecordReader(bytes)
  if (from.byte() !== format) throw new Error('a format of a feed that is not known here')
  return from
}

function writePositions(positions: readonly Uint8Array[]): void {
  writer.integer(positions.length)
  for (const position of positions) writer.raw(position)
}

const readPositions = (from: RecordReader): Uint8Array[] => from.list(() => from.raw(entryBytes))

export function encodeFeedRequest({ incarnation, cursors, heads, bytes, wait, behind }: FeedRequest): Uint8Array {
  writer.byte(format).text(incarnation)
  writePositions(cursors)
  writePositions(heads)
  writer.integer(bytes).integer(wait)
  if (behind !== undefined) writePositions(behind)
  return writer.take()
}

export function decodeFeedRequest(bytes: Uint8Array): FeedRequest {
  const from = readerOf(bytes)
  const incarnation = from.text()
  const cursors = readPositions(from)
  const heads = readPositions(from)
  const request = { incarnation, cursors, heads, bytes: from.integer(), wait: from.integer() }
  return from.ended ? request : { ...request, behind: readPositions(from) }
}

export function encodeFeedAnswer({ incarnation, pages }: FeedAnswer): Uint8Array {
  writer.byte(format).text(incarnation).integer(pages.length)
  for (const { partition, layout, from, to, hasMore, items } of pages) {
    writer
      .integer(partition)
      .integer(layout)
      .raw(from)
      .raw(to)
      .byte(hasMore ? 1 : 0)
    writer.integer(items.length)
    for (const { position, record } of items) writeReceived(writer.raw(position), record)
  }
  return writer.take()
}

export function decodeFeedAnswer(bytes: Uint8Array): FeedAnswer {
  const from = readerOf(bytes)
  const incarnation = from.text()
  const pages = from.list((): Page => {
    const head = { partition: from.integer(), layout: from.integer(), incarnation }
    const span = { from: from.raw(entryBytes), to: from.raw(entryBytes), hasMore: from.byte() === 1 }
    const items = from.list(() => ({ position: from.view(entryBytes), record: readReceived(from) }))
    return { ...head, ...span, items }
  })
  return { incarnation, pages }
}

export function encodeHeads({ incarnation, heads }: Heads): Uint8Array {
  writer.byte(format).text(incarnation)
  writePositions(heads)
  return writer.take()
}

export function decodeHeads(bytes: Uint8Array): Heads {
  const from = readerOf(bytes)
  return { incarnation: from.text(), heads: readPositions(from) }
}
