import type { Conflict } from '#src/model/merge.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { entryBytes, moveEntry, setWithEntry, type Teller } from './feed.ts'
import { keys, partitionOf } from './keyspace.ts'
import { entryOf, type Place, releaseContent } from './object-records.ts'
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

/** Which conflict a row is of. */
export function conflictOfRow({ key, value }: Entry): Place & { readonly conflict: Conflict } {
  const reader = new TupleReader(key, 1)
  return { bucket: reader.number(), key: reader.text(), conflict: decodeConflict(value).conflict }
}

/** Writes a conflict with its entry; `before`: the entry that it had. */
export function setConflict(
  to: Transaction,
  { bucket, key }: Place,
  conflict: Conflict,
  before: Uint8Array | undefined,
  teller?: Teller,
): void {
  const { stamp } = conflict.version
  const change = { bucket, key, slot: stamp, stamp, isConflict: true, ...(teller && { teller }) }
  const order = moveEntry(to, change, before)
  setWithEntry(to, keys.conflict(bucket, key, stamp), encodeConflict(conflict), order, entryOffset)
}

/** Somebody took care of it: its content goes now, its record when it expires, so that no other cell brings it back. */
export async function settleConflict(to: Transaction, place: Place, { conflict, entry }: ConflictRow): Promise<void> {
  if (conflict.isSettled) return
  setConflict(to, place, { ...conflict, isSettled: true }, entry)
  await releaseContent(to, place, conflict.version, conflict.version.stamp)
}

/** Forgets a conflict as it was read, if it still has had its time. Every cell does so by itself. */
export async function dropConflict(to: Transaction, row: Entry, now: number): Promise<void> {
  const { bucket, key, conflict } = conflictOfRow(row)
  const { stamp } = conflict.version
  const there = await readConflict(to, { bucket, key }, stamp)
  if (there === undefined || there.conflict.expires > now) return
  to.clear(keys.conflict(bucket, key, stamp))
  to.clear(Buffer.concat([keys.feed(partitionOf(bucket, key)), there.entry]))
  if (!there.conflict.isSettled) await releaseContent(to, { bucket, key }, there.conflict.version, stamp)
}
