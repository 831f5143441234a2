import type { Snapshot, Transaction } from '#src/store/store.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { keys } from './keyspace.ts'

/** How far reading everything has come, so that a node that is often restarted gets to its end too. */
export interface ScrubProgress {
  /** When this round began, in milliseconds since the epoch. */
  readonly began: number
  /** The key to go on from; undefined: the round is done. */
  readonly next?: Uint8Array
}

const format = 1
const writer = new RecordWriter()

export async function readScrubProgress(from: Snapshot, name: string): Promise<ScrubProgress | undefined> {
  const bytes = await from.get(keys.scrub(name))
  // It only saves reading twice: what another version wrote is not worth a failure.
  if (bytes === undefined || bytes[0] !== format) return undefined
  const reader = new RecordReader(bytes, 1)
  const began = reader.integer()
  const next = reader.rest()
  return next.length === 0 ? { began } : { began, next }
}

export function setScrubProgress(to: Transaction, name: string, { began, next }: ScrubProgress): void {
  writer.byte(format).integer(began)
  if (next !== undefined) writer.raw(next)
  to.set(keys.scrub(name), writer.take())
}
