import { readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation } from '#gateway/operations/operation.ts'

/**
 * Where a bucket is, as Tigris' SDKs read it; and while that changes, how far it is. Asked at the root, which leads the change.
 * https://www.tigrisdata.com/docs/buckets/locations/
 */
export const getBucketInfo = operation({
  name: 'GetBucketInfo',
  match: { method: 'GET', scope: 'bucket', keys: ['metadata'] },
  site: 'root',
  action: 's3:GetBucketLocation',
  decode: () => undefined,

  async run(_, context) {
    const bucket = await readBucket(context)
    return { bucket, progress: await context.services.regions?.progress(bucket) }
  },

  encode: ({ bucket: { name, location, durability }, progress }) => ({
    status: 200,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      name,
      object_regions: location,
      ...(durability !== undefined && { durability_regions: durability }),
      ...(progress !== undefined && {
        location_change: {
          from: progress.from,
          to: progress.to,
          step: progress.step,
          since: new Date(progress.since).toISOString(),
          regions: progress.regions.map(({ region, isDone, records }) => ({
            region,
            done: isDone,
            ...(records !== undefined && { records_copied: records }),
          })),
        },
      }),
    }),
  }),
})
