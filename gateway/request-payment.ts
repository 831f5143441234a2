import type { Bucket } from '#src/model/bucket.ts'
import { payerOf } from '#src/model/request-payment.ts'
import type { Notes } from './access-log.ts'
import type { S3Response } from './operations/operation.ts'

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/ObjectsinRequesterPaysBuckets.html */
export function withCharge(response: S3Response, { bucket, source, request }: Notes): S3Response {
  const { caller } = request ?? {}
  const pays = (of: Bucket | undefined): boolean =>
    of !== undefined && payerOf(of) === 'Requester' && caller?.kind === 'account' && caller.account.id !== of.owner
  if (!pays(bucket) && !pays(source?.bucket)) return response
  return { ...response, headers: { ...response.headers, 'x-amz-request-charged': 'requester' } }
}
