import type { Snapshot, Transaction } from '#src/store/store.ts'
import { decodeJson, encodeJson } from './json-rows.ts'
import { keys } from './keyspace.ts'

/** That a store is a copy of another. */
export interface Copying {
  /** `copying`: it is not whole, and must not be served. */
  readonly state: 'copying' | 'done'
  /** In milliseconds since the epoch. */
  readonly began: number
}

const format = 1

export async function readCopying(from: Snapshot): Promise<Copying | undefined> {
  const bytes = await from.get(keys.copying)
  return bytes === undefined ? undefined : decodeJson<Copying>(format, bytes)
}

export function setCopying(to: Transaction, copying: Copying): void {
  to.set(keys.copying, encodeJson(format, copying))
}
