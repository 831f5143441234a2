/**
 * Signatures of version 4, in the Authorization header and in the query.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html
 *
 * V1  the host and every x-amz-* header of the request are under the signature: nobody can add one to a request of another.
 * V2  a signature holds for its own method, path, query, day, region name and service only.
 * V3  nothing is answered about a body before the headers' signature was right.
 */
import { Fault } from '#src/errors.ts'
import type { Caller } from '#src/model/identity.ts'
import type { Identity } from '#src/service/services.ts'
import type { World } from '#src/world.ts'
import { canonicalPath, canonicalQuery, type QueryPair, queryValue } from './canonical.ts'
import { amzDate, parseAmzDate, parseDate, skewMax } from './dates.ts'
import { callerOf, header, joinedValue, type RawRequest, refuseDuplicates } from './request.ts'
import {
  type Credential,
  isSameText,
  parseCredential,
  type SigningKey,
  type SigningKeys,
  sha256Hex,
} from './signature.ts'

export const algorithm = 'AWS4-HMAC-SHA256'
const unsignedPayload = 'UNSIGNED-PAYLOAD'

export interface Verifier {
  readonly identity: Pick<Identity, 'findKey'>
  readonly world: Pick<World, 'now'>
  readonly keys: SigningKeys
  /** Names of services whose credentials are taken: `s3`. */
  readonly services: readonly string[]
  /** Of presigned URLs, in seconds. */
  readonly expiresMax: number
}

/** What the chunks of a signed stream are signed with, and after. */
export interface ChunkSigning {
  readonly key: SigningKey
  readonly date: string
  readonly scope: string
  /** The signature of the headers, which the first chunk's signature follows. */
  readonly seed: string
}

export interface Signed {
  readonly caller: Caller
  /** What the signature says of the body: a hash, or how it is framed. */
  readonly payload: string
  readonly chunks?: ChunkSigning
  /** What the signature is for: `s3`, `iam`. */
  readonly service?: string
  /** By version 4: its query may hold headers. */
  readonly isPresigned?: boolean
}

interface Claim {
  readonly credential: Credential
  readonly signedHeaders: string
  readonly signature: string
}

/** A claim together with everything else that its signature covers. */
interface Signable extends Claim {
  readonly date: string
  readonly query: string
  readonly payload: string
  readonly isPresigned: boolean
}

function malformed(message: string): Fault {
  return new Fault('AuthorizationHeaderMalformed', { message: `The authorization header is malformed; ${message}` })
}

/** The value of one part of the header, which must be there once, behind a space or comma. */
function field(text: string, name: string): string {
  const mark = `${name}=`
  const at = text.indexOf(mark)
  if (at < 0) throw malformed(`missing ${name}.`)
  const before = text[at - 1]
  if ((before !== ' ' && before !== ',') || text.indexOf(mark, at + 1) >= 0) throw malformed(`${name} must come once.`)
  const comma = text.indexOf(',', at)
  const value = text.slice(at + mark.length, comma < 0 ? text.length : comma).trimEnd()
  if (value === '') throw malformed(`missing ${name}.`)
  return value
}

/** `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, in any order, with or without spaces. */
function parseAuthorization(text: string): Claim {
  const credential = parseCredential(field(text, 'Credential'))
  if (credential === undefined) {
    throw malformed('the Credential is malformed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".')
  }
  return { credential, signedHeaders: field(text, 'SignedHeaders'), signature: field(text, 'Signature') }
}

const singleSpaced = (value: string): string => (value.includes('  ') ? value.replace(/ +/g, ' ') : value)

/** V1. The lines of the signed headers; refuses a request that carries what its signature does not cover. */
function canonicalHeaders(request: RawRequest, signedHeaders: string, isPresigned: boolean): string {
  const { headers } = request
  let present = 0
  let amz = 0
  for (const name in headers) {
    present++
    if (name.startsWith('x-amz-')) amz++
  }
  const isRepeated = present * 2 !== request.rawHeaders.length
  if (isRepeated) refuseDuplicates(request.rawHeaders)

  let lines = ''
  let previous = ''
  let hasHost = false
  for (let start = 0; start <= signedHeaders.length; ) {
    const found = signedHeaders.indexOf(';', start)
    const end = found < 0 ? signedHeaders.length : found
    const name = signedHeaders.slice(start, end)
    if (name <= previous) throw malformed('SignedHeaders must be lower-case names, sorted, each once.')
    if (name === 'host') hasHost = true
    // A name without its header counts for none: it must not stand in for an unsigned one.
    else if (name.startsWith('x-amz-') && headers[name] !== undefined) amz--
    lines += `${name}:${singleSpaced(joinedValue(request, name, isRepeated))}\n`
    previous = name
    start = end + 1
  }
  if (!hasHost || amz > 0) checkUnsigned(request, signedHeaders, isPresigned)
  return lines
}

/** Names what is not signed. A presigned URL's body is nobody's secret: who adds its hash only takes less. */
function checkUnsigned(request: RawRequest, signedHeaders: string, isPresigned: boolean): void {
  const signed = new Set(signedHeaders.split(';'))
  const unsigned = Object.keys(request.headers).filter((name) => name.startsWith('x-amz-') && !signed.has(name))
  if (!signed.has('host')) unsigned.push('host')
  if (isPresigned && unsigned.length === 1 && unsigned[0] === 'x-amz-content-sha256') {
    const hash = header(request, 'x-amz-content-sha256') ?? ''
    if (hash === unsignedPayload || hash.length === 64) return
  }
  throw new Fault('AccessDenied', {
    message: 'There were headers present in the request which were not signed',
    HeadersNotSigned: unsigned.join(', '),
  })
}

const hexBytes = (text: string): string =>
  Array.from(Buffer.from(text, 'latin1'), (byte) => byte.toString(16).padStart(2, '0')).join(' ')

function mismatch(claim: Claim, stringToSign: string, canonicalRequest: string): Fault {
  // S3 shows what it hashed, so that clients can be mended; a customer's encryption key stays out of answers and logs.
  const isShown = !canonicalRequest.includes('-server-side-encryption-customer-key:')
  return new Fault('SignatureDoesNotMatch', {
    AWSAccessKeyId: claim.credential.accessKeyId,
    StringToSign: stringToSign,
    SignatureProvided: claim.signature,
    StringToSignBytes: hexBytes(stringToSign),
    ...(isShown ? { CanonicalRequest: canonicalRequest, CanonicalRequestBytes: hexBytes(canonicalRequest) } : {}),
  })
}

async function verify(request: RawRequest, signable: Signable, verifier: Verifier): Promise<Signed> {
  const { credential, signedHeaders, signature, date, payload } = signable
  const lines = canonicalHeaders(request, signedHeaders, signable.isPresigned)
  const found = await verifier.identity.findKey(credential.accessKeyId, request.token, request.since)
  if (found === undefined || !found.key.isActive) {
    throw new Fault('InvalidAccessKeyId', { AWSAccessKeyId: credential.accessKeyId })
  }
  const key = verifier.keys.find(credential, found.key.secret)
  const canonical = (path: string): string =>
    `${request.method}\n${path}\n${signable.query}\n${lines}\n${signedHeaders}\n${payload}`
  const toSign = (text: string): string => `${algorithm}\n${date}\n${credential.scope}\n${sha256Hex(text)}`

  const path = canonicalPath(request.rawPath)
  const canonicalRequest = canonical(path)
  const stringToSign = toSign(canonicalRequest)
  if (!isSameText(key.sign(stringToSign), signature)) {
    // Some clients sign the path as they send it (`+`, `%2F`); it names the same key, so nothing else can pass by this.
    const isAsSent = path !== request.rawPath && isSameText(key.sign(toSign(canonical(request.rawPath))), signature)
    if (!isAsSent) throw mismatch(signable, stringToSign, canonicalRequest)
  }
  verifier.keys.keep(credential, found.key.secret, key)
  return {
    caller: callerOf(found),
    payload,
    service: credential.service,
    isPresigned: signable.isPresigned,
    chunks: { key, date, scope: credential.scope, seed: signature },
  }
}

/** The moment of signing, as the string to sign has it. */
function headerDate(request: RawRequest, now: number): string {
  const named = header(request, 'x-amz-date')
  const text = named ?? header(request, 'date')
  const time = text === undefined ? undefined : named === undefined ? parseDate(text) : parseAmzDate(text)
  if (text === undefined || time === undefined) {
    throw new Fault('AccessDenied', { message: 'AWS authentication requires a valid Date or x-amz-date header' })
  }
  checkSkew(text, time, now)
  return named ?? amzDate(time)
}

export function checkSkew(text: string, time: number, now: number): void {
  if (Math.abs(now - time) <= skewMax) return
  throw new Fault('RequestTimeTooSkewed', {
    RequestTime: text,
    ServerTime: new Date(now).toISOString(),
    MaxAllowedSkewMilliseconds: skewMax,
  })
}

export function verifyHeader(
  request: RawRequest,
  authorization: string,
  pairs: readonly QueryPair[],
  verifier: Verifier,
): Promise<Signed> {
  const claim = parseAuthorization(authorization)
  const date = headerDate(request, verifier.world.now())
  if (!verifier.services.includes(claim.credential.service)) {
    throw malformed(
      `incorrect service "${claim.credential.service}". This endpoint belongs to "${verifier.services[0]}".`,
    )
  }
  if (!date.startsWith(claim.credential.date)) {
    throw malformed(`Invalid credential date "${claim.credential.date}". This date is not the same as X-Amz-Date.`)
  }
  const payload = request.payload ?? header(request, 'x-amz-content-sha256')
  if (payload === undefined) {
    throw new Fault('InvalidRequest', { message: 'Missing required header for this request: x-amz-content-sha256' })
  }
  const query = canonicalQuery(pairs)
  return verify(request, { ...claim, date, query, payload, isPresigned: false }, verifier)
}

function badQuery(message: string): Fault {
  return new Fault('AuthorizationQueryParametersError', { message })
}

const queryNames = ['Algorithm', 'Credential', 'Date', 'Expires', 'SignedHeaders', 'Signature'] as const

/** The six parameters of a presigned URL, each there once. */
function queryClaim(pairs: readonly QueryPair[]): Record<(typeof queryNames)[number], string> {
  const claim = { Algorithm: '', Credential: '', Date: '', Expires: '', SignedHeaders: '', Signature: '' }
  for (const each of queryNames) {
    const name = `X-Amz-${each}`
    const same = pairs.filter((pair) => pair.name.toLowerCase() === name.toLowerCase())
    const value = same.length === 1 ? queryValue(pairs, name) : undefined
    if (value === undefined || value === '') {
      throw badQuery(
        'Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, ' +
          'X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters, each once.',
      )
    }
    claim[each] = value
  }
  return claim
}

function checkExpiry(date: string, time: number, expires: string, { world, expiresMax }: Verifier): void {
  if (!/^-?\d{1,12}$/.test(expires)) throw badQuery('X-Amz-Expires should be a number')
  const seconds = Number(expires)
  if (seconds > expiresMax) {
    throw badQuery(`X-Amz-Expires must be less than ${expiresMax} seconds`)
  }
  const now = world.now()
  if (time - now > skewMax) {
    throw new Fault('AccessDenied', { message: 'Request is not yet valid', 'X-Amz-Date': date })
  }
  // Nothing lasts zero seconds or fewer: such a URL was never valid.
  if (seconds <= 0 || now > time + seconds * 1000) {
    throw new Fault('AccessDenied', {
      message: 'Request has expired',
      'X-Amz-Expires': expires,
      Expires: new Date(time + seconds * 1000).toISOString(),
      ServerTime: new Date(now).toISOString(),
    })
  }
}

export function verifyQuery(request: RawRequest, pairs: readonly QueryPair[], verifier: Verifier): Promise<Signed> {
  const claim = queryClaim(pairs)
  if (claim.Algorithm !== algorithm) throw badQuery(`X-Amz-Algorithm only supports "${algorithm}"`)
  const credential = parseCredential(claim.Credential)
  if (credential === undefined || !verifier.services.includes(credential.service)) {
    throw badQuery(
      'Error parsing the X-Amz-Credential parameter; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
    )
  }
  const time = parseAmzDate(claim.Date)
  if (time === undefined) throw badQuery("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
  if (!claim.Date.startsWith(credential.date)) {
    throw badQuery(
      `Invalid credential date "${credential.date}". This date is not the same as X-Amz-Date: "${claim.Date}".`,
    )
  }
  checkExpiry(claim.Date, time, claim.Expires, verifier)
  const signedHeaders = claim.SignedHeaders
  const signedHash = `;${signedHeaders};`.includes(';x-amz-content-sha256;')
    ? header(request, 'x-amz-content-sha256')
    : undefined
  const payload = queryValue(pairs, 'X-Amz-Content-Sha256') ?? signedHash ?? unsignedPayload
  return verify(
    request,
    {
      credential,
      signedHeaders,
      signature: claim.Signature,
      date: claim.Date,
      query: canonicalQuery(pairs, 'X-Amz-Signature'),
      payload,
      isPresigned: true,
    },
    verifier,
  )
}
