import { isDeepStrictEqual } from 'node:util'
import { readHeads } from '#src/cluster/feed-methods.ts'
import { readCursor } from '#src/metadata/cursors.ts'
import { decodeBlobJob, readBlobJobs, readJobs } from '#src/metadata/jobs.ts'
import { isSettled as isTakenOver, readSuccession } from '#src/metadata/succession-records.ts'
import { memberOf } from '#src/model/region.ts'
import type { Cluster } from './cluster.ts'
import { buckets } from './content.ts'
import { rowOf } from './places.ts'
import type { Region } from './region.ts'

/** Why regions are not at rest; undefined: every cell has applied all that any other one has to tell, and has done what it owes. */
export async function unrest(cluster: Cluster): Promise<string | undefined> {
  const { staying: regions, root } = cluster
  const moving = movingAmong(regions, root)
  if (moving !== undefined) return moving
  const behind = cluster.roster.isByRows ? await membersBehind(cluster) : undefined
  if (behind !== undefined) return behind
  for (const { store, member } of regions) {
    const { blobs, others } = await store.snapshot(async (snapshot) => ({
      blobs: await readBlobJobs(snapshot, undefined, jobsMost),
      others: await readJobs(snapshot, 1),
    }))
    const owed = blobs.map(({ value }) => decodeBlobJob(value))
    if (owed.length + others.length > 0) return `${member.region} has jobs left: ${JSON.stringify(owed)}`
  }
  for (const source of regions) {
    const { cell, incarnation, region } = source.member
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
      if (!isLevel) return `${target.member.region} has not all of ${region}`
    }
  }
  return undefined
}

/** Told of, where there are more. */
const jobsMost = 5

/** Whether all know the same members, all of them active, and have taken over what those left behind that are gone. */
async function membersBehind({ staying, membership, roster }: Cluster): Promise<string | undefined> {
  const isGone = membership.members.some(({ state }) => state === 'removed')
  for (const { store, member } of staying) {
    const known = roster.knownIn(store.view)
    const state = memberOf(known, member.cell)?.state
    if (known.epoch !== membership.epoch) return `${member.region} does not know all members`
    if (state !== 'active') return `${member.region} is ${state}`
    const succession = isGone ? await store.snapshot(readSuccession) : undefined
    if (isGone && !isTakenOver(succession, membership.epoch)) {
      return `${member.region} has not taken over what was left: ${JSON.stringify(succession)}`
    }
  }
  return undefined
}

/** Whether a bucket is on its way, or a region does not know where it is. */
function movingAmong(regions: readonly Region[], root: Region): string | undefined {
  for (const { name } of buckets) {
    const row = rowOf(root.store.view, name)
    if (row?.move !== undefined) return `the bucket ${name} moves: ${JSON.stringify(row)}`
    const other = regions.find(({ store }) => !isDeepStrictEqual(rowOf(store.view, name), row))
    if (other !== undefined) return `${other.member.region} does not know where the bucket ${name} is`
  }
  return undefined
}
