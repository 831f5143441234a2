import type { RequestBody } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'

/** Of one PUT or part. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const bodyBytesMax = 5 * 2 ** 30

/** Known before anything is read, so that a body that is too large costs nothing. */
export function checkBodyLength({ length }: RequestBody): void {
  if (length === undefined) throw new Fault('MissingContentLength')
  if (length > bodyBytesMax) {
    throw new Fault('EntityTooLarge', { ProposedSize: length, MaxSizeAllowed: bodyBytesMax })
  }
}
