import { gone } from '#gateway/operations/configuration/setting.ts'
import { operation } from '#gateway/operations/operation.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html */
export const deleteBucket = operation({
  name: 'DeleteBucket',
  match: { method: 'DELETE', scope: 'bucket' },
  action: 's3:DeleteBucket',
  decode: () => undefined,
  run: (_, { services, guard, request }) =>
    services.buckets.delete(request.bucket, (bucket) => guard(undefined, bucket)),
  encode: gone,
})
