import { readBlob } from '#src/metadata/blob-records.ts'
import { type LostBlob, readLost } from '#src/metadata/succession-records.ts'
import { type DamagedObject, nameBlobs } from './damage-names.ts'
import type { Foundation } from './foundation.ts'

/** An object of which no region has the bytes, since a region went that had them. */
export interface LostObject extends DamagedObject {
  /** Milliseconds since the epoch. */
  readonly since: number
}

const blobsPerPage = 500

/** Of those that this cell keeps; what was found, deleted or written anew since is none of them. */
export async function lostObjects(foundation: Foundation): Promise<readonly LostObject[]> {
  const lost = new Map<string, number>()
  for await (const { blob, since } of lostBlobs(foundation)) lost.set(blob, since)
  if (lost.size === 0) return []
  const names = await nameBlobs(foundation, new Set(lost.keys()))
  return [...names].flatMap(([blob, objects]) => objects.map((each) => ({ ...each, since: lost.get(blob) ?? 0 })))
}

async function* lostBlobs({ store }: Foundation): AsyncGenerator<LostBlob> {
  let after: string | undefined
  for (;;) {
    const start = after
    const page = await store.snapshot(async (snapshot) => {
      const rows = await readLost(snapshot, start, blobsPerPage)
      const records = await Promise.all(rows.map(({ blob }) => readBlob(snapshot, blob)))
      // Known to be somewhere again: the next look takes the row away.
      const isLost = (index: number): boolean => {
        const record = records[index]
        return record?.kind === 'bytes' && record.isUnreferenced === undefined && record.holders.length === 0
      }
      return { rows, lost: rows.filter((_, index) => isLost(index)) }
    })
    yield* page.lost
    after = page.rows.at(-1)?.blob
    if (after === undefined) return
  }
}
