import type { S3Request } from '#gateway/operations/operation.ts'
import { integerArgument } from '#gateway/wire/integer.ts'
import type { UploadName } from '#src/service/services.ts'

const partNumberMax = 10_000

export function uploadOf({ bucket, key, query }: S3Request): UploadName {
  return { name: { bucket, key }, uploadId: query.get('uploadId') ?? '' }
}

/** Strict digits, 1 to 10,000 (T13). */
export const partNumberOf = ({ query }: S3Request): number =>
  integerArgument('partNumber', query.get('partNumber') ?? '', 1, partNumberMax)
