import type { Entry, Snapshot } from '#src/store/store.ts'
import { afterKey, TupleReader } from '#src/store/tuple.ts'
import type { KeyRange } from './namespace-keys.ts'

/** No name or id is longer; what clients ask for may be, and must not become a key that no store takes (C6). */
const nameLengthMost = 254
const pageRows = 1000

export const isAskable = (name: string): boolean => name.length <= nameLengthMost && name.isWellFormed()

/** Page by page. */
export async function readAll(from: Snapshot, range: KeyRange): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  let start = range.from
  for (;;) {
    const page = await from.range(start, range.to, { limit: pageRows })
    entries.push(...page)
    const last = page.at(-1)
    if (last === undefined || page.length < pageRows) return entries
    start = afterKey(last.key)
  }
}

/** The last of so many texts in a key of the namespace, behind its table. */
export function lastOf(key: Uint8Array, texts: number): string {
  const reader = new TupleReader(key, 1)
  reader.integer()
  let text = ''
  for (let at = 0; at < texts; at++) text = reader.text()
  return text
}
