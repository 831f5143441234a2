import { collectVerified } from '#gateway/operations/object/verified-body.ts'
import type { Context, S3Request, S3Response } from '#gateway/operations/operation.ts'
import { decodeDigests } from '#gateway/wire/checksums.ts'
import { parseXml, settingsLimits, type XmlNode } from '#gateway/xml/parse.ts'
import { Fault, type FaultCode } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'

/** The bucket that a request is about, once its guard has seen it. */
export async function readBucket({ services, guard, request }: Context): Promise<Bucket> {
  const bucket = await services.buckets.get(request.bucket)
  guard(undefined, bucket)
  return bucket
}

/** Changes the bucket that a request is about, judged as the transaction finds it. */
export async function changeBucket(context: Context, change: (bucket: Bucket) => Bucket): Promise<Bucket> {
  const { services, guard, request } = context
  return await services.buckets.update(request.bucket, (bucket) => {
    guard(undefined, bucket)
    return change(bucket)
  })
}

/** A setting that may be missing, or the Fault that says so. */
export function present<Setting>(setting: Setting | undefined, absent: FaultCode, { name }: Bucket): Setting {
  if (setting === undefined) throw new Fault(absent, { BucketName: name })
  return setting
}

/** The body of a request that must have one. */
export async function readBody({ body, headers }: S3Request, bytesMax = settingsLimits.bytesMax): Promise<Uint8Array> {
  const bytes = await collectVerified(body, decodeDigests(headers, body), bytesMax)
  if (bytes.length === 0) throw new Fault('MissingRequestBodyError')
  return bytes
}

export const readDocument = async (request: S3Request, root: string): Promise<XmlNode> =>
  parseXml(await readBody(request), root)

export const done = (): S3Response => ({ status: 200 })
export const gone = (): S3Response => ({ status: 204 })
