import type { Conflict } from '#src/model/merge.ts'
import type { Snapshot } from '#src/store/store.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { entryBytes } from './feed.ts'
import { keys } from './keyspace.ts'
import { entryOf, type Place } from './object-records.ts'
import { decodeVersion, encodeVersion, entryOffset } from './version-codec.ts'

/** A conflict record, as it was read. */
export interface ConflictRow {
  readonly conflict: Conflict
  readonly entry: Uint8Array
}

const format = 1
const settled = 1
const writer = new RecordWriter()

/** Like any replicated record it begins with its format and its feed entry. */
export function encodeConflict({ version, expires, isSettled }: Conflict): Uint8Array {
  writer
    .byte(format)
    .raw(new Uint8Array(entryBytes))
    .byte(isSettled ? settled : 0)
    .integer(expires)
  return writer.raw(encodeVersion(version)).take()
}

export function decodeConflict(bytes: Uint8Array): ConflictRow {
  const from = new RecordReader(bytes, entryOffset + entryBytes)
  const isSettled = from.byte() === settled
  const expires = from.integer()
  const version = decodeVersion(from.rest())
  if (version.kind !== 'object') throw new Error('a conflict about a delete marker')
  return { conflict: { version, expires, isSettled }, entry: entryOf(bytes) }
}

export async function readConflict(
  from: Snapshot,
  { bucket, key }: Place,
  stamp: Conflict['version']['stamp'],
): Promise<ConflictRow | undefined> {
  const bytes = await from.get(keys.conflict(bucket, key, stamp))
  return bytes === undefined ? undefined : decodeConflict(bytes)
}
