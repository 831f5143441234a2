import { readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation } from '#gateway/operations/operation.ts'
import { regionOf } from './bucket-region.ts'

/**
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html; with `?read-stats=true`, as ceph has it, what lies in
 * the bucket is counted too: https://docs.ceph.com/en/latest/radosgw/s3/bucketops/
 */
export const headBucket = operation({
  name: 'HeadBucket',
  match: { method: 'HEAD', scope: 'bucket' },
  action: 's3:ListBucket',
  decode: ({ query }) => query.get('read-stats') === 'true',

  async run(isMeasured, context) {
    const { buckets, listings } = context.services
    const bucket = await readBucket(context)
    return { bucket, most: buckets.most, size: isMeasured ? await listings.measure(bucket, measuredMost) : undefined }
  },

  encode: ({ bucket, size, most }) => ({
    status: 200,
    headers: {
      'x-amz-bucket-region': regionOf(bucket),
      ...(size !== undefined && {
        'x-rgw-object-count': String(size.objects),
        'x-rgw-bytes-used': String(size.bytes),
        'x-rgw-quota-max-buckets': String(most),
      }),
    },
  }),
})

/** A request must end: larger buckets are not counted, and nothing is said of them. */
export const measuredMost = 1_000_000
