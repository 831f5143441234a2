import type { Snapshot, Transaction } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { keys, under } from './keyspace.ts'

/** How far the rules of a bucket were carried out, so that what was begun is not begun again. */
export interface LifecycleProgress {
  /** When this round began, in milliseconds since the epoch. */
  readonly began: number
  /** Of the rules that it follows. */
  readonly digest: string
  /** The S3 key to go on from; undefined: the round is done. */
  readonly next: string | undefined
}

const format = 1
const writer = new RecordWriter()

export async function readLifecycleProgress(from: Snapshot, bucket: number): Promise<LifecycleProgress | undefined> {
  const bytes = await from.get(keys.lifecycle(bucket))
  // It only saves doing what is done: what another version wrote is not worth a failure.
  if (bytes === undefined || bytes[0] !== format) return undefined
  const reader = new RecordReader(bytes, 1)
  const began = reader.integer()
  const digest = reader.text()
  const isDone = reader.integer() === 1
  const next = reader.text()
  return { began, digest, next: isDone ? undefined : next }
}

export function setLifecycleProgress(to: Transaction, bucket: number, progress: LifecycleProgress): void {
  const { began, digest, next } = progress
  writer
    .byte(format)
    .integer(began)
    .text(digest)
    .integer(next === undefined ? 1 : 0)
    .text(next ?? '')
  to.set(keys.lifecycle(bucket), writer.take())
}

/** Forgets buckets that have no rules any more, or are gone. */
export async function forgetLifecycleProgress(
  to: Transaction,
  isKnown: (bucket: number) => boolean,
  limit: number,
): Promise<void> {
  const all = under('lifecycle', [])
  for (const { key } of await to.range(all.from, all.to, { limit })) {
    if (!isKnown(Number(new TupleReader(key, 1).integer()))) to.clear(key)
  }
}
