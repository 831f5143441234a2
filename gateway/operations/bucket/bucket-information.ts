import { changeBucket, readBody, readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation, type S3Response } from '#gateway/operations/operation.ts'
import { type BucketPatch, decodeBucketPatch, encodeShadow, patchOfHeaders } from '#gateway/wire/bucket-settings.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { StoredByClass } from '#src/model/usage.ts'
import { type MoveProgress, type Regions, several } from '#src/service/regions.ts'

const json = (value: unknown): S3Response => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

/** Exact, though Tigris has names for estimates. All versions count. */
function sizes(stored: StoredByClass) {
  const all = [...stored]
  return {
    tier_sizes: Object.fromEntries(all.map(([name, { bytes }]) => [name, Number(bytes)])),
    estimated_size: all.reduce((sum, [, { bytes }]) => sum + Number(bytes), 0),
    estimated_rows: all.reduce((sum, [, { objects }]) => sum + Number(objects), 0),
  }
}

/** How far a change of a bucket's regions is. */
const changeOf = ({ from, to, step, since, regions }: MoveProgress) => ({
  from,
  to,
  step,
  since: new Date(since).toISOString(),
  regions: regions.map(({ region, isDone, records }) => ({
    region,
    done: isDone,
    ...(records !== undefined && { records_copied: records }),
  })),
})

/** An extension of Tigris: what a bucket is, in JSON; `with-size=true` tells what lies in it too. */
export const getBucketInformation = operation({
  name: 'GetBucketInformation',
  match: { method: 'GET', scope: 'bucket', keys: ['metadata'] },
  action: 's3:GetBucketInformation',
  decode: ({ query }) => query.get('with-size') === 'true',

  async run(isMeasured, context) {
    const bucket = await readBucket(context)
    const stored = isMeasured ? await context.services.usage.stored(bucket.id) : undefined
    return { bucket, stored, progress: await context.services.regions?.progress(bucket) }
  },

  encode: ({ bucket, stored, progress }) =>
    json({
      name: bucket.name,
      created: new Date(bucket.created).toISOString(),
      object_regions: bucket.location,
      ...(bucket.domain !== undefined && { website: { domain_name: bucket.domain } }),
      ...(bucket.cacheControl !== undefined && { cache_control: bucket.cacheControl }),
      ...(bucket.durability !== undefined && { durability_regions: bucket.durability }),
      ...(progress !== undefined && { location_change: changeOf(progress) }),
      ...(bucket.shadow !== undefined && { shadow_bucket: encodeShadow(bucket.shadow) }),
      ...(stored !== undefined && sizes(stored)),
    }),
})

/** An extension of Tigris: changes settings of a bucket that S3 has no operation for. */
export const patchBucket = operation({
  name: 'PatchBucket',
  match: { method: 'PATCH', scope: 'bucket' },
  action: 's3:PutBucketInformation',
  decode: async (request) => patchOfHeaders(request.headers) ?? decodeBucketPatch(await readBody(request)),

  async run({ shadow, domain, cacheControl, ...placing }, context) {
    const { services, guard, request } = context
    const judge = (bucket: Bucket): void => guard(undefined, bucket)
    if (placing.regions !== undefined || placing.durability !== undefined) {
      await changeBucket(context, (bucket) => placed(bucket, placing, services.regions))
    }
    if (shadow !== undefined) await services.shadows.configure(request.bucket, shadow ?? undefined, judge)
    if (domain !== undefined) await services.domains.set(request.bucket, domain ?? undefined, judge)
    if (cacheControl === undefined) return
    await services.buckets.update(request.bucket, (bucket) => {
      judge(bucket)
      const { cacheControl: _before, ...rest } = bucket
      return cacheControl === null ? rest : { ...rest, cacheControl }
    })
  },

  encode: () => json({ status: 'success' }),
})

/** Where the bucket is to be, and in how many regions its writes. */
function placed(bucket: Bucket, { regions, durability }: BucketPatch, cluster: Regions | undefined): Bucket {
  const all = several(cluster)
  const kept = durability === undefined ? bucket : all.durable(bucket, durability)
  if (regions === undefined) return kept
  return all.moved(kept, regions === '' ? '' : all.chosen(regions))
}
