import { isDeepStrictEqual } from 'node:util'
import { readHeads } from '#src/cluster/feed-methods.ts'
import { readCursor } from '#src/metadata/cursors.ts'
import { readBlobJobs, readJobs } from '#src/metadata/jobs.ts'
import type { Cluster } from './cluster.ts'
import { buckets } from './content.ts'
import { rowOf } from './places.ts'
import type { Region } from './region.ts'

/** Whether every cell has applied all that any other one has to tell, and has done what it owes. */
export async function isQuiet(cluster: Cluster): Promise<boolean> {
  const { staying: regions, root } = cluster
  if (!isSettled(regions, root)) return false
  for (const { store } of regions) {
    const owed = await store.snapshot(
      async (snapshot) => (await readBlobJobs(snapshot, undefined, 1)).length + (await readJobs(snapshot, 1)).length,
    )
    if (owed > 0) return false
  }
  for (const source of regions) {
    const { cell, incarnation } = source.member
    const heads = await source.store.snapshot(readHeads)
    for (const target of regions) {
      if (target === source) continue
      const isLevel = await target.store.snapshot(async (snapshot) => {
        for (const [partition, head] of heads.entries()) {
          const cursor = await readCursor(snapshot, { cell, incarnation, partition })
          // Behind the head, where the last entry was of something that has been forgotten.
          if (Buffer.compare(cursor, head) < 0) return false
        }
        return true
      })
      if (!isLevel) return false
    }
  }
  return true
}

/** Whether no bucket is on its way, and all regions know where they are. */
function isSettled(regions: readonly Region[], root: Region): boolean {
  return buckets.every(({ name }) => {
    const row = rowOf(root.store.view, name)
    return row?.move === undefined && regions.every(({ store }) => isDeepStrictEqual(rowOf(store.view, name), row))
  })
}
