import { S3Endpoint } from '#src/cloud/s3-endpoint.ts'
import { BadSettings, type Config } from '#src/config/load.ts'
import { loadTiers, type TierSettings } from '#src/config/tiers.ts'
import type { Tier } from '#src/model/tier.ts'
import { type CloudTier, CloudTiers } from '#src/service/cloud-tiers.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { Replicator } from '#src/service/replication.ts'
import type { Log } from '#src/telemetry/log.ts'

/** Storage classes at other endpoints, by name, from their file. */
export const openTiers = (config: Config): ReadonlyMap<string, Tier> =>
  new Map([...loadTiers(config.tiers)].map(([name, each]) => [name, tierOf(name, each)]))

/** A copy there belongs to the record that tells of it, and each cell has its own of a version. */
export function refuseTiers(tiers: ReadonlyMap<string, Tier>, hasOtherCells: boolean): void {
  if (tiers.size > 0 && hasOtherCells) throw new BadSettings('bad settings: --tiers is for stores of one region only')
}

/** The same, with what reaches them. */
const openEndpoints = (config: Config): ReadonlyMap<string, CloudTier> =>
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

/** What waits for other endpoints and other buckets, until the signal. */
export async function performTasks(
  foundation: Foundation,
  config: Config,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const tiers = new CloudTiers(foundation, {
    tiers: openEndpoints(config),
    report: (failure) => log.warn('work at another endpoint failed, and is tried again', { ...failure }),
    failed: (error) => log.error('working at other endpoints failed', { error }),
  })
  const replicator = new Replicator(foundation, {
    report: (failure) => log.warn('replicating failed, and is tried again', { ...failure }),
    failed: (error) => log.error('replicating failed', { error }),
  })
  await Promise.all([tiers.run(signal), replicator.runner.run(signal)])
}
