import type { ConfigurationKind } from '#src/model/configurations.ts'
import type { Entry, Snapshot, Transaction } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import { decodeText, encodeText } from './namespace-codec.ts'
import { configurationKey, configurationsOf, configurationsOfKind } from './namespace-keys.ts'

/** Configurations that a bucket has many of, in rows of their own: the bucket's row is read with every request. */

export async function readConfiguration(
  from: Snapshot,
  bucket: number,
  kind: ConfigurationKind,
  id: string,
): Promise<string | undefined> {
  const bytes = await from.get(configurationKey(bucket, kind, id))
  return bytes === undefined ? undefined : decodeText(bytes)
}

/** Those behind the id `after`, in the order of their ids. */
export async function readConfigurations(
  from: Snapshot,
  bucket: number,
  kind: ConfigurationKind,
  { after, limit }: { readonly after?: string | undefined; readonly limit: number },
): Promise<readonly string[]> {
  const range = configurationsOfKind(bucket, kind)
  const start = after === undefined ? range.from : afterKey(configurationKey(bucket, kind, after))
  const entries: readonly Entry[] = await from.range(start, range.to, { limit })
  return entries.map(({ value }) => decodeText(value))
}

export function setConfiguration(
  to: Transaction,
  bucket: number,
  kind: ConfigurationKind,
  id: string,
  document: string,
): void {
  to.set(configurationKey(bucket, kind, id), encodeText(document))
}

export function clearConfiguration(to: Transaction, bucket: number, kind: ConfigurationKind, id: string): void {
  to.clear(configurationKey(bucket, kind, id))
}

/** All of a bucket's, of every kind. */
export function clearConfigurations(to: Transaction, bucket: number): void {
  const { from, to: end } = configurationsOf(bucket)
  to.clearRange(from, end)
}
