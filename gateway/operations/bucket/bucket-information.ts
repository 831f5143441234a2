import { readBody, readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation, type S3Response } from '#gateway/operations/operation.ts'
import { decodeBucketPatch, encodeShadow } from '#gateway/wire/bucket-settings.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { StoredByClass } from '#src/model/usage.ts'

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

/** An extension of Tigris: what a bucket is, in JSON; `with-size=true` tells what lies in it too. */
export const getBucketInformation = operation({
  name: 'GetBucketInformation',
  match: { method: 'GET', scope: 'bucket', keys: ['metadata'] },
  action: 's3:GetBucketInformation',
  decode: ({ query }) => query.get('with-size') === 'true',

  async run(isMeasured, context) {
    const bucket = await readBucket(context)
    const stored = isMeasured ? await context.services.usage.stored(bucket.id) : undefined
    return { bucket, stored }
  },

  encode: ({ bucket, stored }) =>
    json({
      name: bucket.name,
      created: new Date(bucket.created).toISOString(),
      object_regions: bucket.location,
      ...(bucket.domain !== undefined && { website: { domain_name: bucket.domain } }),
      ...(bucket.cacheControl !== undefined && { cache_control: bucket.cacheControl }),
      ...(bucket.shadow !== undefined && { shadow_bucket: encodeShadow(bucket.shadow) }),
      ...(stored !== undefined && sizes(stored)),
    }),
})

/** An extension of Tigris: changes settings of a bucket that S3 has no operation for. */
export const patchBucket = operation({
  name: 'PatchBucket',
  match: { method: 'PATCH', scope: 'bucket' },
  action: 's3:PutBucketInformation',
  decode: async (request) => decodeBucketPatch(await readBody(request)),

  async run(patch, { services, guard, request }) {
    const { shadow, domain, cacheControl } = patch
    const judge = (bucket: Bucket): void => guard(undefined, bucket)
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
