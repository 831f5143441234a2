import type { Context, S3Request } from '#gateway/operations/operation.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import { abortOf, dayMilliseconds, type Expiry, lifecycleOf } from '#src/model/lifecycle.ts'
import type { Upload } from '#src/model/upload.ts'
import type { UploadName } from '#src/service/services.ts'

const partNumberMax = 10_000

export function uploadOf({ bucket, key, query }: S3Request): UploadName {
  return { name: { bucket, key }, uploadId: query.get('uploadId') ?? '' }
}

/** Strict digits, 1 to 10,000 (T13). */
export const partNumberOf = ({ query }: S3Request): number =>
  integerArgument('partNumber', query.get('partNumber') ?? '', 1, partNumberMax)

/** When a rule of the bucket gives the upload up; as other dates, in days of 24 h. */
export async function findAbort({ services }: Context, { name, initiated }: Upload): Promise<Expiry | undefined> {
  const lifecycle = lifecycleOf(await services.buckets.get(name.bucket))
  return lifecycle === undefined ? undefined : abortOf(lifecycle, { key: name.key, initiated }, dayMilliseconds)
}
