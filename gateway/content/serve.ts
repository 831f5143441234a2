import type { S3Response } from '#gateway/operations/operation.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cacheControlOf } from '#src/model/content-host.ts'

/** A year: whoever has a certificate for a host goes on having one. */
const strictTransport = 'max-age=31536000'

/**
 * What an answer of a content host says besides.
 *
 * E3  on hosts of content nothing is changed and nothing is listed; whoever asks is nobody, unless the URL itself is signed. No cookie
 *     is set or looked at, and browsers are told not to guess what an object is.
 */
export function withSafeHeaders(
  response: S3Response,
  bucket: Bucket,
  { isSecure, isSigned }: { readonly isSecure: boolean; readonly isSigned: boolean },
): S3Response {
  const headers: Record<string, string> = {
    'x-content-type-options': 'nosniff',
    ...(isSecure && { 'strict-transport-security': strictTransport }),
    ...response.headers,
  }
  const { status } = response
  if (!isSigned && (status === 200 || status === 206) && headers['cache-control'] === undefined) {
    const cacheControl = cacheControlOf(bucket, headers['content-type'])
    if (cacheControl !== undefined) headers['cache-control'] = cacheControl
  }
  return { ...response, headers }
}
