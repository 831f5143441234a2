/**
 * Who asks. Runs once for every request, before anything is dispatched.
 *
 * A1  a request is anonymous only if nothing in it looks like an attempt to sign; an attempt that fails is refused.
 * A2  no answer, error or log holds a secret or a signing key.
 * A3  a request is signed in one way only, and each header or parameter that says so comes once.
 */
import { hash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { FormAuthority, FormToSign, RequestBody } from '#gateway/operations/operation.ts'
import { PlainDecoder, StreamedBody } from '#gateway/wire/body.ts'
import { Fault } from '#src/errors.ts'
import { anonymous, type Caller } from '#src/model/identity.ts'
import type { Identity } from '#src/service/services.ts'
import type { World } from '#src/world.ts'
import { type QueryPair, queryPairs, queryValue } from './canonical.ts'
import { authenticateForm } from './form.ts'
import { withHoisted } from './hoisted.ts'
import { bodyOf, withoutChunking } from './payload.ts'
import { header, isQueryCall, type RawRequest } from './request.ts'
import { SigningKeys } from './signature.ts'
import { verifyHeader2, verifyQuery2 } from './sigv2.ts'
import { algorithm, type Signed, type Verifier, verifyHeader, verifyQuery } from './sigv4.ts'

export interface Authenticated {
  readonly caller: Caller
  readonly body: RequestBody
  /** The request's, with what a presigned URL says instead, without what belonged to the transfer (`aws-chunked`). */
  readonly headers: IncomingHttpHeaders
  /** What a signature of version 4 is for: `s3`, `iam`. */
  readonly service?: string
  /** For forms, which say in their body who made them. */
  readonly authenticateForm: (form: FormToSign) => Promise<FormAuthority>
}

export interface AuthenticationOptions {
  /** Of presigned URLs, in seconds. AWS: 7 days, which is the default; Tigris: 90. */
  readonly presignedSecondsMax?: number
  /** Service names that credentials may be scoped to. */
  readonly services?: readonly string[]
  /** Those of query calls: `iam`, `sts`, `sns`. */
  readonly queryServices?: readonly string[]
}

export type Authenticate = (raw: RawRequest) => Promise<Authenticated>

const presignedSecondsMax = 7 * 24 * 3600

/** One for each process: it keeps the signing keys that were derived. */
export function authenticator(parts: {
  readonly identity: Pick<Identity, 'findKey'>
  readonly world: Pick<World, 'now'>
  readonly options?: AuthenticationOptions
}): Authenticate {
  const verifier: Verifier = {
    identity: parts.identity,
    world: parts.world,
    keys: new SigningKeys(),
    services: parts.options?.services ?? ['s3'],
    expiresMax: parts.options?.presignedSecondsMax ?? presignedSecondsMax,
  }

  const ofForm: Authenticated['authenticateForm'] = (form) => authenticateForm(form, verifier)

  const ofQuery: Verifier = { ...verifier, services: parts.options?.queryServices ?? ['iam', 'sts', 'sns'] }

  return async (raw) => {
    if (isQueryCall(raw, raw)) return await authenticateQuery(raw, ofQuery, ofForm)
    const pairs = queryPairs(raw.rawQuery)
    const attempt = signing(raw, pairs, verifier)
    const signed = attempt === undefined ? undefined : await attempt
    return {
      caller: signed?.caller ?? anonymous,
      body: bodyOf(raw, payloadOf(raw, signed), signed?.chunks),
      headers: withoutChunking(signed?.isPresigned ? withHoisted(raw.headers, pairs) : raw.headers),
      authenticateForm: ofForm,
    }
  }
}

/** No call is longer: policies of 10 kB, percent-encoded, and messages of 256 kB. */
const queryBytesMax = 1 << 20

/** The body is read first, as the signature is over its hash and no header says it. */
async function authenticateQuery(
  raw: RawRequest,
  verifier: Verifier,
  ofForm: Authenticated['authenticateForm'],
): Promise<Authenticated> {
  const bytes = await bodyOf(raw, undefined, undefined).collect(queryBytesMax)
  const request = { ...raw, payload: hash('sha256', bytes, 'hex') }
  const signed = await signing(request, queryPairs(raw.rawQuery), verifier)
  const decoder = new PlainDecoder(bytes.length, undefined)
  return {
    caller: signed?.caller ?? anonymous,
    body: new StreamedBody(Readable.from([bytes]), decoder, bytes.length),
    headers: raw.headers,
    ...(signed?.service !== undefined && { service: signed.service }),
    authenticateForm: ofForm,
  }
}

const tokenName = 'x-amz-security-token'

/** What is known of the body: for a URL that leaves it open, its bearer may still say its hash. */
function payloadOf(raw: RawRequest, signed: Signed | undefined): string | undefined {
  const named = header(raw, 'x-amz-content-sha256')
  if (signed === undefined || signed.payload === 'UNSIGNED-PAYLOAD') return named ?? signed?.payload
  return signed.payload
}

/** Which attempt to sign the query makes. Any of a form's own names is one, in whatever case (A1). */
function queryForm(pairs: readonly QueryPair[]): 2 | 4 | undefined {
  let form: 2 | 4 | undefined
  for (const { name } of pairs) {
    const lower = name.toLowerCase()
    if (lower === 'x-amz-signature' || lower === 'x-amz-credential' || lower === 'x-amz-algorithm') return 4
    if (lower === 'signature' || lower === 'awsaccesskeyid') form = 2
  }
  return form
}

/** The verification that this request asks for; undefined: it is not signed at all. */
function signing(raw: RawRequest, pairs: readonly QueryPair[], verifier: Verifier): Promise<Signed> | undefined {
  // Browsers ask before the request that is signed, with its URL and without its headers; the answer tells CORS rules only.
  if (raw.method === 'OPTIONS') return undefined
  const authorization = header(raw, 'authorization')
  const form = pairs.length === 0 ? undefined : queryForm(pairs)
  const token = tokenOf(raw, pairs, form)
  const request = token === undefined ? raw : { ...raw, token }
  if (authorization === undefined) {
    if (form === undefined) return undefined
    return form === 4 ? verifyQuery(request, pairs, verifier) : verifyQuery2(request, pairs, verifier)
  }
  if (form !== undefined) {
    throw new Fault('InvalidArgument', {
      message:
        'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter ' +
        'or the Authorization header should be specified',
      ArgumentName: 'Authorization',
    })
  }
  if (authorization.startsWith(`${algorithm} `)) return verifyHeader(request, authorization, pairs, verifier)
  if (authorization.startsWith('AWS ')) return verifyHeader2(request, authorization, pairs, verifier)
  if (authorization === '') throw new Fault('AccessDenied')
  throw new Fault('InvalidArgument', { message: 'Unsupported Authorization Type', ArgumentName: 'Authorization' })
}

/** The token of temporary credentials, where the one way to sign has one. It is signed like all that stands beside it (V1). */
function tokenOf(raw: RawRequest, pairs: readonly QueryPair[], form: 2 | 4 | undefined): string | undefined {
  const named = header(raw, tokenName)
  const inQuery = pairs.filter(({ name }) => name.toLowerCase() === tokenName)
  if (inQuery.length === 0) {
    const isSigned = form !== undefined || header(raw, 'authorization') !== undefined
    if (named !== undefined && (!isSigned || form === 2)) throw new Fault('InvalidToken')
    return named
  }
  // A query of version 2 does not sign it, and one beside a header would be another way to say the same (A3).
  const token = queryValue(pairs, 'X-Amz-Security-Token')
  if (form !== 4 || named !== undefined || inQuery.length > 1 || token === undefined) throw new Fault('InvalidToken')
  return token
}
