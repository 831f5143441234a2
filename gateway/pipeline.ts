import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { Fault } from '#src/errors.ts'
import type { Guard } from '#src/model/access.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { checkKey } from '#src/model/names.ts'
import type { Tags } from '#src/model/version.ts'
import type { AccessRequest } from '#src/service/access.ts'
import type { Services } from '#src/service/services.ts'
import type { Address } from './address.ts'
import type { Authenticate } from './auth/authenticate.ts'
import { conditionValues } from './auth/condition-values.ts'
import { isQueryCall } from './auth/request.ts'
import { type CorsQuestion, preflightHeaders, preflightQuestion, responseCorsHeaders } from './cors.ts'
import { dispatcher, isMethod } from './dispatch.ts'
import type { Context, Operation, S3Request, S3Response } from './operations/operation.ts'
import type { QueryFront } from './query/front.ts'
import { linkAnswer } from './query/sns/links.ts'
import { hasCustomerKey } from './wire/encryption-headers.ts'

/** A request as it came from the socket. */
export interface Incoming {
  readonly id: string
  readonly method: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  /** The bytes after the transfer coding. At most one reader. */
  readonly stream: Readable
  readonly remoteAddress: string
  readonly isSecure: boolean
}

/** Says whether the caller may, as far as that can be said before the object is read; the guard says the rest. */
export interface Access {
  authorize(request: AccessRequest): Promise<Guard>
}

export interface PipelineParts {
  readonly services: Services
  readonly authenticate: Authenticate
  readonly access: Access
  readonly operations: readonly Operation[]
  /** The query APIs: IAM, STS, SNS. Absent: there are none. */
  readonly query?: QueryFront
  /** Whether a request with a customer's encryption key is refused where it came unencrypted, as AWS does. */
  readonly customerKeysNeedTls?: boolean
}

/** An answer, or the Fault instead of it; and what a browser is told either way. */
export interface Outcome {
  readonly operation: string
  readonly response?: S3Response
  readonly thrown?: unknown
  readonly corsHeaders?: Readonly<Record<string, string>>
}

type Settings = Pick<Services['buckets'], 'get'>

/** A bucket that is asked for by a name that none can have is simply not there. */
async function findBucket(buckets: Settings, name: string): Promise<Bucket | undefined> {
  try {
    return await buckets.get(name)
  } catch (error) {
    if (error instanceof Fault) return undefined
    throw error
  }
}

const single = (headers: IncomingHttpHeaders): Readonly<Record<string, string | undefined>> =>
  // Node gives an array for `set-cookie` only, which no operation reads.
  headers as Readonly<Record<string, string | undefined>>

async function preflight(buckets: Settings, address: Address, incoming: Incoming): Promise<S3Response> {
  const question = preflightQuestion(single(incoming.headers))
  const bucket = address.bucket === '' ? undefined : await findBucket(buckets, address.bucket)
  return { status: 200, headers: preflightHeaders(bucket?.cors, question) }
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html */
async function checkExpectedOwner(buckets: Settings, request: S3Request): Promise<void> {
  const expected = request.headers['x-amz-expected-bucket-owner']
  if (expected === undefined || request.bucket === '') return
  if ((await buckets.get(request.bucket)).owner !== expected) throw new Fault('AccessDenied')
}

type CrossOrigin = Readonly<Record<string, string>> | undefined

async function readCrossOrigin(buckets: Settings, address: Address, incoming: Incoming): Promise<CrossOrigin> {
  const origin = incoming.headers.origin ?? ''
  const bucket = await findBucket(buckets, address.bucket)
  // Some clients say here what they asked in the preflight; S3 then answers for that method.
  const asked = single(incoming.headers)['access-control-request-method']
  const question: CorsQuestion = { origin, method: asked ?? incoming.method, headers: [] }
  return responseCorsHeaders(bucket?.cors, question)
}

/** What a browser is told of any answer; most requests are no browser's, and wait for nothing here. */
function crossOrigin(buckets: Settings, address: Address, incoming: Incoming): CrossOrigin | Promise<CrossOrigin> {
  const isAsked = incoming.headers.origin !== undefined && address.bucket !== '' && incoming.method !== 'OPTIONS'
  return isAsked ? readCrossOrigin(buckets, address, incoming) : undefined
}

type Route = (incoming: Incoming, address: Address) => Promise<Outcome>

const insecure = (): Fault =>
  new Fault('InvalidRequest', {
    message:
      'Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.',
  })

/** Of operations that ask for each of their resources: what was not asked for is refused. */
const refuseAll: Guard = () => {
  throw new Fault('AccessDenied')
}

/** The one way of every request: authenticate, dispatch, decode, authorize, run, encode. */
export function pipeline(parts: PipelineParts): Route {
  const { services, authenticate, access, operations, customerKeysNeedTls: needsTls = false } = parts
  const dispatch = dispatcher(operations)
  const { buckets } = services

  /** What the operation may do, if the one who asks may have it done. */
  async function contextOf(operation: Operation, request: S3Request, requestTags?: Tags): Promise<Context> {
    const { caller, bucket, key, query } = request
    if (needsTls && !request.isSecure && hasCustomerKey(request.headers)) throw insecure()
    const values = conditionValues(request)
    const authorize: Context['authorize'] = (action, resource) =>
      access.authorize({ caller, action, values, ...resource })
    const versionId = query.get('versionId')
    const resource = {
      bucket,
      ...(key !== '' && { key }),
      ...(versionId !== undefined && { versionId }),
      ...(requestTags !== undefined && { requestTags }),
    }
    const action = operation.action(request)
    const guard = action === 'each' ? refuseAll : await authorize(action, resource)
    await checkExpectedOwner(buckets, request)
    return { services, caller, guard, authorize, request }
  }

  async function answer(incoming: Incoming, address: Address, name: (operation: string) => void): Promise<S3Response> {
    if (incoming.method === 'OPTIONS') return await preflight(buckets, address, incoming)

    const link = linkAnswer(services, incoming, address)
    if (link !== undefined) return await link
    const { rawPath, rawQuery, hostBucket } = address
    const raw = { ...incoming, rawPath, rawQuery, hostBucket }
    if (parts.query !== undefined && isQueryCall(raw)) return await parts.query({ ...raw, host: address.host }, name)
    const authenticated = await authenticate(raw)
    if (!isMethod(incoming.method)) throw new Fault('MethodNotAllowed', { Method: incoming.method })
    const { caller, body, authenticateForm } = authenticated
    const headers = single(authenticated.headers)
    const operation = dispatch({ method: incoming.method, scope: address.scope, query: address.query, headers })
    if (operation === undefined) throw new Fault('MethodNotAllowed', { Method: incoming.method })
    name(operation.name)
    if (address.scope === 'object') checkKey(address.key)

    const { id, method, remoteAddress, isSecure } = incoming
    const { scope, bucket, key, query, host } = address
    const request: S3Request = {
      id,
      method,
      scope,
      bucket,
      key,
      query,
      headers,
      body,
      caller,
      remoteAddress,
      isSecure,
      host,
      authenticateForm,
    }
    return await operation.handle(request, (instead = request, tags) => contextOf(operation, instead, tags))
  }

  return async (incoming, address) => {
    let operation = incoming.method
    const outcome: { response?: S3Response; thrown?: unknown } = {}
    // Before anything is done: an answer must not be lost because this cannot be read after it.
    const asking = crossOrigin(buckets, address, incoming)
    const corsHeaders = asking instanceof Promise ? await asking : asking
    try {
      outcome.response = await answer(incoming, address, (name) => {
        operation = name
      })
    } catch (thrown) {
      outcome.thrown = thrown
    }
    return corsHeaders === undefined ? { operation, ...outcome } : { operation, ...outcome, corsHeaders }
  }
}
