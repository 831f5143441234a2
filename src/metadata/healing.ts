import type { Snapshot, Transaction } from '#src/store/store.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { keys } from './keyspace.ts'

/**
 * That records come in from other cells beside the feeds, and may be older than what the feeds have told.
 *
 * T3  meanwhile nothing that was deleted is forgotten (C10): who forgets reads this row, and who brings such records in reads it
 *     too, in the transaction that does so.
 */
const format = 1
const writer = new RecordWriter()

/** Milliseconds since the epoch; 0: nothing does. */
async function readUntil(from: Snapshot): Promise<number> {
  const bytes = await from.get(keys.healing)
  return bytes === undefined ? 0 : new RecordReader(bytes, 1).integer()
}

export const isHealing = async (from: Snapshot, now: number): Promise<boolean> => (await readUntil(from)) > now

/** From this commit on, until a time; several at once end with the last. */
export async function beginHealing(to: Transaction, until: number): Promise<void> {
  if (until > (await readUntil(to))) to.set(keys.healing, writer.byte(format).integer(until).take())
}

/** Others, if there are any, notice, and begin again. */
export async function endHealing(to: Transaction): Promise<void> {
  to.clear(keys.healing)
}
