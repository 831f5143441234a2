import { BlobUnreadable } from '#src/blobs/blobs.ts'
import { Fault } from '#src/errors.ts'
import { type BlobRecord, readBlob } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Span } from '#src/model/range.ts'
import type { Part } from '#src/model/version.ts'
import type { Foundation } from './foundation.ts'
import type { Source } from './object-reads.ts'

/** How often a read looks up where a blob's bytes went, before it gives up. */
const lookups = 4
/** Records of parts' blobs that are read ahead in one snapshot. */
const partsAhead = 200

/**
 * The bytes [from, to) of an object, checked (I3): at once where they are small, otherwise as a stream whose first chunk is
 * already read, so that what cannot be read at all fails before anything was sent. A chunk is the reader's until it asks for
 * the next but one.
 */
export async function readContent(
  foundation: Foundation,
  source: Source,
  { from, to }: Span,
): Promise<Uint8Array | AsyncIterable<Uint8Array>> {
  if (source.kind === 'inline') return source.bytes.subarray(from, to)
  if (from === to) return new Uint8Array(0)
  const stream =
    source.kind === 'blob'
      ? readBlobBytes(foundation, source.blob, source.record, from, to)
      : readParts(foundation, source.parts, from, to)
  const first = await stream.next()
  if (first.done === true) return new Uint8Array(0)
  if (first.value.length === to - from) {
    await stream.return(undefined)
    return first.value
  }
  return resumed(first.value, stream)
}

async function* resumed(first: Uint8Array, rest: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first
    yield* rest
  } finally {
    await rest.return(undefined)
  }
}

/** Follows the bytes where compaction moved them: a holder is looked up again before a read gives up (C2). */
async function* readBlobBytes(
  foundation: Foundation,
  blob: BlobId,
  record: BlobRecord,
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  let at = from
  let known = record
  for (let attempt = 1; ; attempt++) {
    const holder = known.holders.find((each) => each.region === foundation.region)
    if (holder === undefined) throw new Fault('ServiceUnavailable')
    try {
      for await (const chunk of foundation.blobs.read(blob, holder.extents, at, to, true)) {
        at += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      if (!(error instanceof BlobUnreadable) || attempt === lookups) throw error
      const now = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
      if (now?.kind !== 'bytes') throw error
      known = now
    }
  }
}

async function* readParts(
  foundation: Foundation,
  parts: readonly Part[],
  from: number,
  to: number,
): AsyncGenerator<Uint8Array> {
  let start = 0
  const touched: { readonly part: Part; readonly start: number }[] = []
  for (const part of parts) {
    if (start < to && start + part.size > from) touched.push({ part, start })
    start += part.size
  }
  for (let first = 0; first < touched.length; first += partsAhead) {
    const ahead = touched.slice(first, first + partsAhead)
    const records = await foundation.store.snapshot((snapshot) =>
      Promise.all(ahead.map(({ part }) => readBlob(snapshot, part.blob))),
    )
    for (const [index, { part, start: partStart }] of ahead.entries()) {
      const record = records[index]
      if (record?.kind !== 'bytes') throw new Error('a part without the record of its blob')
      const partFrom = Math.max(0, from - partStart)
      const partTo = Math.min(part.size, to - partStart)
      yield* readBlobBytes(foundation, part.blob, record, partFrom, partTo)
    }
  }
}
