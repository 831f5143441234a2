import { readBucket } from '#gateway/operations/configuration/setting.ts'
import { operation } from '#gateway/operations/operation.ts'
import { regionOf } from './bucket-region.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html */
export const headBucket = operation({
  name: 'HeadBucket',
  match: { method: 'HEAD', scope: 'bucket' },
  action: 's3:ListBucket',
  decode: () => undefined,
  run: (_, context) => readBucket(context),
  encode: (bucket) => ({ status: 200, headers: { 'x-amz-bucket-region': regionOf(bucket) } }),
})
