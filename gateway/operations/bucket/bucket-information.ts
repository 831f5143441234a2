import { readBody, readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation, type S3Response } from '#gateway/operations/operation.ts'
import { decodeBucketPatch, encodeShadow } from '#gateway/wire/bucket-settings.ts'
import { measuredMost } from './head-bucket.ts'

const json = (value: unknown): S3Response => ({
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

/** An extension of Tigris: what a bucket is, in JSON; `with-size=true` counts what lies in it. */
export const getBucketInformation = operation({
  name: 'GetBucketInformation',
  match: { method: 'GET', scope: 'bucket', keys: ['metadata'] },
  action: 's3:GetBucketInformation',
  decode: ({ query }) => query.get('with-size') === 'true',

  async run(isMeasured, context) {
    const bucket = await readBucket(context)
    const size = isMeasured ? await context.services.listings.measure(bucket, measuredMost) : undefined
    return { bucket, size }
  },

  encode: ({ bucket, size }) =>
    json({
      name: bucket.name,
      created: new Date(bucket.created).toISOString(),
      object_regions: bucket.location,
      ...(bucket.shadow !== undefined && { shadow_bucket: encodeShadow(bucket.shadow) }),
      ...(size !== undefined && { estimated_size: size.bytes, estimated_unique_rows: size.objects }),
    }),
})

/** An extension of Tigris: changes settings of a bucket that S3 has no operation for. */
export const patchBucket = operation({
  name: 'PatchBucket',
  match: { method: 'PATCH', scope: 'bucket' },
  action: 's3:PutBucketInformation',
  decode: async (request) => decodeBucketPatch(await readBody(request)),

  async run(patch, { services, guard, request }) {
    const { shadow } = patch
    if (shadow !== undefined) {
      await services.shadows.configure(request.bucket, shadow ?? undefined, (bucket) => guard(undefined, bucket))
    }
  },

  encode: () => json({ status: 'success' }),
})
