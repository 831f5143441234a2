import type { Part } from '#src/model/version.ts'
import type { RecordReader, RecordWriter } from './codec.ts'
import { readChecksum, writeChecksum } from './version-codec.ts'

/** A part as it stands in a manifest's page and in the row of an upload's part. */
export function encodePart(to: RecordWriter, { number, size, etag, blob, modified, checksum }: Part): void {
  to.integer(number).integer(size).hex(etag).hex(blob).integer(modified)
  to.byte(checksum === undefined ? 0 : 1)
  if (checksum !== undefined) writeChecksum(to, checksum)
}

export function decodePart(from: RecordReader): Part {
  const part = {
    number: from.integer(),
    size: from.integer(),
    etag: from.hex(16),
    blob: from.hex(16),
    modified: from.integer(),
  }
  return from.byte() === 0 ? part : { ...part, checksum: readChecksum(from) }
}
