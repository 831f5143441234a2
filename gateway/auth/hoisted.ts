import type { IncomingHttpHeaders } from 'node:http'
import { Fault } from '#src/errors.ts'
import { decoded, type QueryPair } from './canonical.ts'

/**
 * Signers of URLs put into the query what would be headers of the request (`x-amz-acl`, `x-amz-meta-*`), and S3 takes it from
 * there. https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 * Not so what is about the URL itself, or about a body that the signer did not have: the JavaScript SDK signs the checksum of
 * an empty one.
 */
const left = new Set([
  'x-amz-algorithm',
  'x-amz-content-sha256',
  'x-amz-credential',
  'x-amz-date',
  'x-amz-decoded-content-length',
  'x-amz-expires',
  'x-amz-sdk-checksum-algorithm',
  'x-amz-signature',
  'x-amz-signedheaders',
  'x-amz-trailer',
  'x-amz-user-agent',
])

/** The headers of a presigned request, with those that its query holds; a header that was sent stands. */
export function withHoisted(headers: IncomingHttpHeaders, pairs: readonly QueryPair[]): IncomingHttpHeaders {
  let joined: IncomingHttpHeaders | undefined
  for (const pair of pairs) {
    const name = pair.name.toLowerCase()
    if (!name.startsWith('x-amz-') || left.has(name) || name.startsWith('x-amz-checksum-')) continue
    if (headers[name] !== undefined) continue
    // Names of headers are tokens; a name that needs encoding is no such name.
    if (name.includes('%')) throw new Fault('InvalidArgument', { ArgumentName: decoded(pair.name) })
    joined ??= { ...headers }
    joined[name] = headerBytes(name, decoded(pair.value))
  }
  return joined ?? headers
}

/** As Node would have read it from a header: its bytes as Latin-1. */
function headerBytes(name: string, value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (/[\0-\x08\x0a-\x1f\x7f]/.test(value)) {
    throw new Fault('InvalidArgument', { message: 'A header value holds control characters', ArgumentName: name })
  }
  return Buffer.from(value, 'utf8').toString('latin1')
}
