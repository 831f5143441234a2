import type { Stamp } from '#src/model/stamp.ts'
import type { RecordReader, RecordWriter } from './codec.ts'
import { decodeConflict, encodeConflict } from './conflict-records.ts'
import { decodeTombstone, encodeTombstone } from './object-records.ts'
import type { BlobNote, Received, ReceivedContent } from './received.ts'
import { decodeVersion, encodeVersion } from './version-codec.ts'

/** Records on their way between cells: as they are kept, with their feed entries left empty, and what belongs to them. */
const kinds = ['version', 'removal', 'conflict'] as const
const contents = ['none', 'inline', 'blob', 'manifest'] as const

function writeBytes(to: RecordWriter, bytes: Uint8Array): void {
  to.integer(bytes.length).raw(bytes)
}

/** They go on lying in the page that they came with, which lives no longer than what is done with them. */
const readBytes = (from: RecordReader): Uint8Array => from.view(from.integer())

export function writeReceived(to: RecordWriter, item: Received): void {
  to.byte(kinds.indexOf(item.kind)).integer(item.bucket).text(item.key)
  if (item.kind === 'removal') {
    to.stamp(item.slot)
    writeBytes(to, encodeTombstone(item.removal))
    return
  }
  writeBytes(to, item.kind === 'version' ? encodeVersion(item.version) : encodeConflict(item.conflict))
  writeContent(to, item.content)
}

export function readReceived(from: RecordReader): Received {
  const kind = kinds[from.byte()]
  const place = { bucket: from.integer(), key: from.text() }
  if (kind === 'removal') {
    const slot: Stamp = from.stamp()
    const { stamp, vector } = decodeTombstone(readBytes(from))
    return { ...place, kind, slot, removal: { kind: 'removal', stamp, vector } }
  }
  const bytes = readBytes(from)
  const content = readContent(from)
  if (kind === 'version') return { ...place, kind, version: decodeVersion(bytes), content }
  if (kind === 'conflict') return { ...place, kind, conflict: decodeConflict(bytes).conflict, content }
  throw new Error('a kind of record that is not known here')
}

function writeContent(to: RecordWriter, content: ReceivedContent | undefined): void {
  to.byte(contents.indexOf(content?.kind ?? 'none'))
  if (content === undefined) return
  if (content.kind === 'inline') writeBytes(to, content.bytes)
  else if (content.kind === 'blob') writeNote(to, content.blob)
  else {
    to.hex(content.id).integer(content.size).integer(content.parts).integer(content.pages.length)
    for (const page of content.pages) writeBytes(to, page)
    to.integer(content.blobs.length)
    for (const blob of content.blobs) writeNote(to, blob)
  }
}

function readContent(from: RecordReader): ReceivedContent | undefined {
  const kind = contents[from.byte()]
  switch (kind) {
    case 'inline':
      return { kind, bytes: readBytes(from) }
    case 'blob':
      return { kind, blob: readNote(from) }
    case 'manifest': {
      const head = { id: from.hex(16), size: from.integer(), parts: from.integer() }
      const pages = from.list(() => readBytes(from))
      return { kind, ...head, pages, blobs: from.list(() => readNote(from)) }
    }
    case 'none':
      return undefined
    default:
      throw new Error('a kind of content that is not known here')
  }
}

function writeNote(to: RecordWriter, { id, size, digest, keeper, regions }: BlobNote): void {
  to.hex(id).integer(size).hex(digest).integer(keeper).integer(regions.length)
  for (const region of regions) to.text(region)
}

function readNote(from: RecordReader): BlobNote {
  const head = { id: from.hex(16), size: from.integer(), digest: from.hex(32), keeper: from.integer() }
  return { ...head, regions: from.list(() => from.text()) }
}
