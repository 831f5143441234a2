/**
 * Signatures of version 2, in the Authorization header and in the query: old, but s3cmd, old SDKs and boto still send them.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
 */
import { createHmac } from 'node:crypto'
import { Fault } from '#src/errors.ts'
import type { Identity } from '#src/service/services.ts'
import { decoded, type QueryPair, queryValue } from './canonical.ts'
import { parseDate } from './dates.ts'
import { callerOf, header, joinedValue, type RawRequest, refuseDuplicates } from './request.ts'
import { isSameText } from './signature.ts'
import { checkSkew, type Signed, type Verifier } from './sigv4.ts'

/**
 * Query names that say which thing of a bucket or object is meant, and so are signed. More than AWS's historic list: a name
 * left out could be changed by whoever sees the request.
 */
const subresources = new Set(
  (
    'accelerate acl analytics attributes cors defaultObjectAcl delete encryption intelligent-tiering inventory legal-hold ' +
    'lifecycle location logging metrics notification object-lock ownershipControls partNumber policy policyStatus ' +
    'publicAccessBlock renameObject replication requestPayment response-cache-control response-content-disposition ' +
    'response-content-encoding response-content-language response-content-type response-expires restore retention select ' +
    'select-type storageClass tagging torrent uploadId uploads versionId versioning versions website'
  ).split(' '),
)

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** As bytes in Latin-1, like everything else that is signed: cutting characters down to bytes would make some of them equal. */
const utf8 = (canonical: string): string => Buffer.from(decoded(canonical), 'utf8').toString('latin1')

function canonicalResource(request: RawRequest, pairs: readonly QueryPair[], path: string): string {
  const chosen = pairs.filter(({ name }) => subresources.has(name)).sort((a, b) => compare(a.name, b.name))
  const query = chosen.map(({ name, value, hasValue }) => (hasValue ? `${name}=${utf8(value)}` : name)).join('&')
  const bucket = request.hostBucket === undefined ? '' : `/${request.hostBucket}`
  return `${bucket}${path}${query === '' ? '' : `?${query}`}`
}

function amzHeaders(request: RawRequest): string {
  const names = Object.keys(request.headers).filter((name) => name.startsWith('x-amz-'))
  return names
    .sort(compare)
    .map((name) => `${name}:${joinedValue(request, name, true)}\n`)
    .join('')
}

/** `date`: what stands in the date's place, which is the expiry in a query. */
function textsToSign(request: RawRequest, pairs: readonly QueryPair[], date: string): readonly Buffer[] {
  const md5 = header(request, 'content-md5') ?? ''
  const type = header(request, 'content-type') ?? ''
  const start = `${request.method}\n${md5}\n${type}\n${date}\n${amzHeaders(request)}`
  const { rawPath, hostBucket } = request
  // botocore signs `/bucket/` where it asks for `/bucket`; both name the same bucket and nothing else.
  const isBucket = hostBucket === undefined && rawPath.length > 1 && rawPath.indexOf('/', 1) < 0
  const paths = isBucket ? [rawPath, `${rawPath}/`] : [rawPath]
  return paths.map((path) => Buffer.from(start + canonicalResource(request, pairs, path), 'latin1'))
}

/** In base64; HMAC-SHA1 is what version 2 is. */
function sign2(secret: string, text: Buffer): string {
  return createHmac('sha1', secret).update(text).digest('base64')
}

/** The key's account, if one of the texts is signed with its secret. */
export async function verify2(
  identity: Pick<Identity, 'findKey'>,
  accessKeyId: string,
  signature: string,
  texts: readonly Buffer[],
  token?: string,
): Promise<Signed['caller']> {
  const found = await identity.findKey(accessKeyId, token)
  if (found === undefined || !found.key.isActive) throw new Fault('InvalidAccessKeyId', { AWSAccessKeyId: accessKeyId })
  const { secret } = found.key
  if (!texts.some((text) => isSameText(sign2(secret, text), signature))) {
    const text = texts[0]?.toString('latin1') ?? ''
    throw new Fault('SignatureDoesNotMatch', {
      AWSAccessKeyId: accessKeyId,
      ...(text.includes('-server-side-encryption-customer-key:') ? {} : { StringToSign: text }),
      SignatureProvided: signature,
    })
  }
  return callerOf(found)
}

function payloadOf(request: RawRequest): string {
  return header(request, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD'
}

export async function verifyHeader2(
  request: RawRequest,
  authorization: string,
  pairs: readonly QueryPair[],
  { identity, world }: Verifier,
): Promise<Signed> {
  refuseDuplicates(request.rawHeaders)
  const colon = authorization.lastIndexOf(':')
  if (colon < 5 || colon === authorization.length - 1) {
    throw new Fault('InvalidArgument', {
      message: 'AWS authorization header is invalid.  Expected AwsAccessKeyId:signature',
      ArgumentName: 'Authorization',
      ArgumentValue: authorization,
    })
  }
  const named = header(request, 'x-amz-date')
  const date = named ?? header(request, 'date') ?? ''
  const time = parseDate(date)
  if (time === undefined) {
    throw new Fault('AccessDenied', { message: 'AWS authentication requires a valid Date or x-amz-date header' })
  }
  checkSkew(date, time, world.now())
  const accessKeyId = authorization.slice(4, colon).trim()
  const texts = textsToSign(request, pairs, named === undefined ? date : '')
  const caller = await verify2(identity, accessKeyId, authorization.slice(colon + 1).trim(), texts, request.token)
  return { caller, payload: payloadOf(request) }
}

export async function verifyQuery2(
  request: RawRequest,
  pairs: readonly QueryPair[],
  { identity, world }: Verifier,
): Promise<Signed> {
  refuseDuplicates(request.rawHeaders)
  const names = ['AWSAccessKeyId', 'Signature', 'Expires']
  const [accessKeyId, signature, expires] = names.map((name) =>
    pairs.filter((pair) => pair.name === name).length === 1 ? queryValue(pairs, name) : undefined,
  )
  if (!accessKeyId || !signature || !expires) {
    throw new Fault('AccessDenied', {
      message: 'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters, each once',
    })
  }
  if (!/^-?\d{1,12}$/.test(expires)) {
    throw new Fault('AccessDenied', { message: `Invalid date (should be seconds since epoch): ${expires}` })
  }
  const now = world.now()
  if (now > Number(expires) * 1000) {
    throw new Fault('AccessDenied', {
      message: 'Request has expired',
      Expires: new Date(Number(expires) * 1000).toISOString(),
      ServerTime: new Date(now).toISOString(),
    })
  }
  const caller = await verify2(identity, accessKeyId, signature, textsToSign(request, pairs, expires))
  return { caller, payload: payloadOf(request) }
}
