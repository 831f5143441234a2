import type { RequestBody, S3Request } from '#gateway/operations/operation.ts'
import { Fault } from '#src/errors.ts'
import type { Body } from '#src/service/services.ts'

/** Of one PUT or part. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html */
export const bodyBytesMax = 5 * 2 ** 30

/**
 * The body of an object or a part. A length that is too large is refused before anything is read; a body in HTTP's own chunks,
 * which has none, as soon as it has grown too large. A request that says nothing of its body is 411, not an empty object.
 */
export function boundedBody({ body, headers }: S3Request): Body {
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
    throw new Fault('MissingContentLength')
  }
  if (body.length === undefined)
    return { length: undefined, stream: () => counted(body), pieces: (max) => body.pieces(max) }
  if (body.length > bodyBytesMax) throw tooLarge(body.length)
  return body
}

async function* counted(body: RequestBody): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const chunk of body.stream()) {
    size += chunk.length
    if (size > bodyBytesMax) throw tooLarge(size)
    yield chunk
  }
}

const tooLarge = (size: number): Fault =>
  new Fault('EntityTooLarge', { ProposedSize: size, MaxSizeAllowed: bodyBytesMax })
