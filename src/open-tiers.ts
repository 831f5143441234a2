import { S3Endpoint } from '#src/cloud/s3-endpoint.ts'
import { BadSettings, type Config } from '#src/config/load.ts'
import { loadTiers, type TierSettings } from '#src/config/tiers.ts'
import type { DataDirectory } from '#src/data-directory.ts'
import type { Task } from '#src/metadata/task-records.ts'
import type { Tier } from '#src/model/tier.ts'
import type { CloudTier } from '#src/service/cloud-tiers.ts'
import { waitingTasks } from '#src/service/waiting-tasks.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** Storage classes at other endpoints, by name, from their file. */
export const openTiers = (config: Config): ReadonlyMap<string, Tier> =>
  new Map([...loadTiers(config.tiers)].map(([name, each]) => [name, tierOf(name, each)]))

/** A copy there belongs to the record that tells of it, and each cell has its own of a version. */
export function refuseTiers(tiers: ReadonlyMap<string, Tier>, hasOtherCells: boolean): void {
  if (tiers.size > 0 && hasOtherCells) throw new BadSettings('bad settings: --tiers is for stores of one region only')
}

/** The same, with what reaches them. */
export const openEndpoints = (config: Config): ReadonlyMap<string, CloudTier> =>
  new Map(
    [...loadTiers(config.tiers)].map(([name, each]) => [
      name,
      { tier: tierOf(name, each), endpoint: new S3Endpoint(each) },
    ]),
  )

const tierOf = (name: string, { bucket, prefix, retainHead, hideSize }: TierSettings): Tier => ({
  name,
  bucket,
  // Where all buckets share one, their objects must not share names.
  prefix: prefix ?? (bucket.includes('{bucket}') ? '' : '{bucket}/'),
  retainsHead: retainHead,
  hidesSize: hideSize,
})

export interface OpenTasks {
  readonly tasks: () => AsyncGenerator<Task>
  readonly store: Store
}

/** Work that waits for other endpoints or buckets, also beside a server that runs. */
export async function openTasks(directory: DataDirectory, world: World): Promise<OpenTasks> {
  const store = await openLmdbStore({ path: directory.metadata, world })
  return { store, tasks: () => waitingTasks(store) }
}
