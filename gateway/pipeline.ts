import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import type { Guard } from '#src/model/guard.ts'
import type { Caller } from '#src/model/identity.ts'
import { checkKey } from '#src/model/names.ts'
import type { ConditionValues } from '#src/model/policy-variables.ts'
import type { ObjectVersion, Tags } from '#src/model/version.ts'
import type { AccessRequest } from '#src/service/access.ts'
import type { Domains } from '#src/service/domains.ts'
import type { Services } from '#src/service/services.ts'
import { isCopy, Notes } from './access-log.ts'
import { type Account, accountOf } from './account.ts'
import { type Address, atOwnHost, ownHostOf } from './address.ts'
import type { Authenticate, Authenticated } from './auth/authenticate.ts'
import { conditionValues } from './auth/condition-values.ts'
import { isQueryCall } from './auth/request.ts'
import type { ClusterFront } from './cluster-front.ts'
import { challengeAnswer, isChallenge } from './content/challenges.ts'
import { withSafeHeaders } from './content/serve.ts'
import { crossOrigin, findBucket, preflight, type Settings, single } from './cross-origin.ts'
import { dispatcher, isMethod } from './dispatch.ts'
import type { Incoming } from './incoming.ts'
import { getObject, headObject } from './operations/object/get-object.ts'
import type { Context, Method, Operation, S3Request, S3Response } from './operations/operation.ts'
import type { QueryFront } from './query/front.ts'
import { linkAnswer } from './query/sns/links.ts'
import { withCharge } from './request-payment.ts'
import { objectRequest, pageRequest } from './website/requests.ts'
import { servePage } from './website/serve.ts'
import { hasCustomerKey } from './wire/encryption-headers.ts'

/** Says whether the caller may, as far as that can be said before the object is read; the guard says the rest. */
export interface Access {
  authorize(request: AccessRequest): Promise<Guard>
  isByAcl?(request: AccessRequest, bucket: Bucket, version: ObjectVersion | undefined): boolean
}

export interface PipelineParts {
  readonly services: Services
  readonly authenticate: Authenticate
  readonly access: Access
  readonly operations: readonly Operation[]
  /** The query APIs: IAM, STS, SNS. Absent: there are none. */
  readonly query?: QueryFront
  /** The other regions; absent: there are none. */
  readonly cluster?: ClusterFront
  /** Host names that are buckets' own. Absent: there are none. */
  readonly domains?: Pick<Domains, 'bucketOf'>
  /** Folder of answers to ACME's challenges. */
  readonly challenges?: string
  /** Whether a request with a customer's encryption key is refused where it came unencrypted, as AWS does. */
  readonly customerKeysNeedTls?: boolean
}

/** An answer, or the Fault instead of it; and what a browser is told either way. */
export interface Outcome extends Partial<Account> {
  readonly operation: string
  readonly response?: S3Response
  readonly thrown?: unknown
  readonly corsHeaders?: Readonly<Record<string, string>>
  /** Whether a browser is told what went wrong, by a page. */
  readonly isWebsite?: boolean
  /** What is known of who asked for what. */
  readonly notes?: Notes
}

/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html */
async function checkOwner(buckets: Settings, name: string, expected: string): Promise<void> {
  // Of one that is not there, or is about to be made, the operation itself knows what to say.
  const bucket = await findBucket(buckets, name)
  if (bucket !== undefined && bucket.owner !== expected) throw new Fault('AccessDenied')
}

/** Names of buckets are everybody's: a tenant before one only says whose it has to be (A3). Fault NoSuchBucket otherwise. */
async function checkTenant({ buckets, identity }: Services, { bucket, tenant }: Address): Promise<void> {
  if (tenant === undefined) return
  const { owner } = await buckets.get(bucket)
  const account = await identity.findAccount(owner)
  if ((account?.tenant ?? '') !== tenant) throw new Fault('NoSuchBucket', { BucketName: bucket })
}

/** The name of a request that another region carries out. */
const passedOn = 'Forwarded'

function elsewhereOf({ operation, response }: Outcome): 'no' | 'answered' | 'failed' {
  if (operation !== passedOn) return 'no'
  return response === undefined ? 'failed' : 'answered'
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

/** The first row counts: a request that changes how its bucket is logged is itself logged as it found it. */
function note(notes: Notes, bucket: Bucket): void {
  notes.bucket ??= bucket
}

const noting =
  (guard: Guard, notes: Notes): Guard =>
  (version, bucket) => {
    note(notes, bucket)
    notes.version = version
    guard(version, bucket)
  }

/** At a host that is a bucket's own, the request is about that bucket; most are not, and wait for nothing here. */
function placed({ domains }: PipelineParts, asked: Address): Address | Promise<Address> {
  const own = domains === undefined ? undefined : ownHostOf(asked)
  const found = own === undefined ? undefined : domains?.bucketOf(own)
  const at = (bucket: string | undefined): Address => (bucket === undefined ? asked : atOwnHost(asked, bucket))
  return found instanceof Promise ? found.then(at) : at(found)
}

/** A challenge is answered by the region that is asked: others are not known to have been given what it is answered with. */
const frontOf = ({ cluster, challenges }: PipelineParts, { isContent, key }: Address): ClusterFront | undefined =>
  challenges !== undefined && isContent === true && isChallenge(key) ? undefined : cluster

/** The request, with the moment at which it began, where what it will read is asked for at once. */
function foreseen({ foresight }: Services, incoming: Incoming, { bucket, key, query }: Address): Incoming {
  if (foresight === undefined) return incoming
  const { method, headers } = incoming
  const isSigned = headers.authorization !== undefined || query.has('X-Amz-Signature')
  const isPlain = isSigned && [...query.keys()].every((name) => name === 'x-id' || name.startsWith('X-Amz-'))
  return { ...incoming, since: foresight.begin({ method, bucket, key, isPlain }) }
}

/** Who may do what beside the request itself; of a copy, what it reads is noted. */
function authorizing(access: Access, request: S3Request, values: ConditionValues, notes: Notes): Context['authorize'] {
  const { caller, since } = request
  return async (action, resource) => {
    const { bucket, key, isNew } = resource
    const isOwn = bucket === request.bucket
    if (isOwn && (notes.match === undefined || !isCopy(notes.match))) {
      return await access.authorize({ caller, action, values, since, ...resource, seen: (seen) => note(notes, seen) })
    }
    if (isNew === true || key === undefined || notes.source !== undefined) {
      return await access.authorize({ caller, action, values, since, ...resource })
    }
    const source: NonNullable<Notes['source']> = { key }
    notes.source = source
    const seen = (row: Bucket): void => {
      source.bucket = row
    }
    const guard = await access.authorize({ caller, action, values, since, ...resource, seen })
    return (version, row) => {
      source.bucket ??= row
      if (version !== undefined) source.version = version
      guard(version, row)
    }
  }
}

const isRead: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/** What the operation may do, if the one who asks may have it done. */
async function contextOf(
  { services, access, customerKeysNeedTls }: PipelineParts,
  operation: Operation,
  request: S3Request,
  notes: Notes,
  requestTags?: Tags,
): Promise<Context> {
  const { caller, bucket, key, query, since } = request
  if (customerKeysNeedTls === true && !request.isSecure && hasCustomerKey(request.headers)) throw insecure()
  const values = conditionValues(request)
  const authorize = authorizing(access, request, values, notes)
  const versionId = query.get('versionId')
  const resource = {
    bucket,
    ...(key !== '' && { key }),
    ...(versionId !== undefined && { versionId }),
    ...(requestTags !== undefined && { requestTags }),
  }
  const action = operation.action(request)
  // Only of a read, which begins at once: what writes may wait for its body, and the bucket's policy may change meanwhile.
  const known = isRead.has(request.method) && notes.bucket?.name === bucket ? { known: notes.bucket } : {}
  const asked: AccessRequest = {
    caller,
    action,
    values,
    since,
    ...resource,
    ...known,
    seen: (seen) => note(notes, seen),
  }
  notes.asked = asked
  const guard = action === 'each' ? refuseAll : noting(await access.authorize(asked), notes)
  const owner = request.headers['x-amz-expected-bucket-owner']
  if (owner !== undefined && bucket !== '') await checkOwner(services.buckets, bucket, owner)
  return { services, caller, guard, authorize, request }
}

/** A page of a bucket's website. */
async function page(parts: PipelineParts, incoming: Incoming, address: Address, notes: Notes): Promise<S3Response> {
  const bucket = await parts.services.buckets.get(address.bucket)
  note(notes, bucket)
  return await servePage(pageRequest(incoming, address, bucket), async (key, method, isAsked) => {
    const operation = method === 'GET' ? getObject : headObject
    const request = objectRequest(incoming, address, key, isAsked)
    notes.match = operation.match
    notes.request = request
    return await operation.handle(request, () => contextOf(parts, operation, request, notes))
  })
}

/** An object of a bucket, at a host that shows nothing else (E3). */
async function content(
  parts: PipelineParts,
  incoming: Incoming,
  address: Address,
  notes: Notes,
  signed: (incoming: Incoming) => Promise<S3Response>,
): Promise<S3Response> {
  const { method, isSecure } = incoming
  const { key, query } = address
  if (parts.challenges !== undefined && isChallenge(key)) return await challengeAnswer(parts.challenges, key)
  const bucket = await parts.services.buckets.get(address.bucket)
  note(notes, bucket)
  if (method !== 'GET' && method !== 'HEAD') throw new Fault('MethodNotAllowed', { Method: method, allow: 'GET, HEAD' })
  const isSigned = query.has('X-Amz-Signature')
  const safe = (response: S3Response) => withSafeHeaders(response, bucket, { isSecure, isSigned })
  if (isSigned && key !== '') return safe(await signed(incoming))
  if (bucket.website !== undefined) return safe(await page(parts, incoming, address, notes))
  if (key === '') throw new Fault('AccessDenied')
  const operation = method === 'GET' ? getObject : headObject
  const request = objectRequest(incoming, address, key, true)
  notes.match = operation.match
  notes.request = request
  return safe(await operation.handle(request, () => contextOf(parts, operation, request, notes)))
}

function requestOf(
  { id, remoteAddress, isSecure, forwardedBy, since }: Incoming,
  method: Method,
  { scope, bucket, key, query, host }: Address,
  authenticated: Authenticated,
): S3Request {
  const { caller, body, authenticateForm } = authenticated
  const headers = single(authenticated.headers)
  return {
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
    ...(forwardedBy !== undefined && { forwardedBy }),
    isSecure,
    host,
    authenticateForm,
    since,
  }
}

/** The one way of every request: authenticate, dispatch, decode, authorize, run, encode. */
export function pipeline(parts: PipelineParts): Route {
  const { services, authenticate, operations, cluster } = parts
  const dispatch = dispatcher(operations)
  const { buckets } = services

  async function answer(
    incoming: Incoming,
    address: Address,
    notes: Notes,
    name: (operation: string, caller?: Caller) => void,
  ): Promise<S3Response> {
    if (incoming.method === 'OPTIONS') return await preflight(buckets, address, incoming)
    if (address.isWebsite === true) {
      name('Website')
      return await page(parts, incoming, address, notes)
    }

    if (address.isContent === true) {
      name(incoming.method === 'HEAD' ? 'HeadObject' : 'GetObject')
      return await content(parts, incoming, address, notes, (signed) => bySignature(signed, address, notes, name))
    }

    const link = linkAnswer(services, incoming, address)
    if (link !== undefined) return await link
    const { rawPath, rawQuery, hostBucket, host } = address
    if (parts.query !== undefined && isQueryCall(incoming, address)) {
      return await parts.query({ ...incoming, rawPath, rawQuery, hostBucket, host }, name)
    }
    return await bySignature(incoming, address, notes, name)
  }

  async function bySignature(
    incoming: Incoming,
    address: Address,
    notes: Notes,
    name: (operation: string) => void,
  ): Promise<S3Response> {
    const { rawPath, rawQuery, hostBucket } = address
    const authenticated = await authenticate({ ...incoming, rawPath, rawQuery, hostBucket })
    if (!isMethod(incoming.method)) throw new Fault('MethodNotAllowed', { Method: incoming.method })
    cluster?.checkFresh(authenticated.caller)
    const headers = single(authenticated.headers)
    const operation = dispatch({ method: incoming.method, scope: address.scope, query: address.query, headers })
    const isBeyond = address.isContent === true && operation !== getObject && operation !== headObject
    if (operation === undefined || isBeyond) throw new Fault('MethodNotAllowed', { Method: incoming.method })
    name(operation.name)
    notes.match = operation.match
    if (address.scope === 'object') checkKey(address.key)
    await checkTenant(services, address)

    const request = requestOf(incoming, incoming.method, address, authenticated)
    notes.request = request
    const authorized = (instead = request, tags?: Tags) => contextOf(parts, operation, instead, notes, tags)
    return withCharge(await operation.handle(request, authorized), notes)
  }

  return async (arrived, asked) => {
    const at = placed(parts, asked)
    const address = at instanceof Promise ? await at : at
    const incoming = foreseen(services, arrived, address)
    // What is not carried out here is known by no other name.
    let operation = cluster === undefined ? incoming.method : passedOn
    const notes = new Notes()
    const outcome: { -readonly [Each in keyof Outcome]: Outcome[Each] } = { operation, notes }
    // Before anything is done: an answer must not be lost because this cannot be read after it.
    const asking = crossOrigin(buckets, address, incoming)
    const corsHeaders = asking instanceof Promise ? await asking : asking
    try {
      const here = (settled: Incoming) => {
        operation = incoming.method
        return answer(settled, address, notes, (name, caller) => {
          operation = name
          notes.caller = caller
        })
      }
      const seen = (bucket: Bucket): void => note(notes, bucket)
      const front = frontOf(parts, address)
      outcome.response = await (front === undefined
        ? here(incoming)
        : front.answer(incoming, address, dispatch, here, seen))
    } catch (thrown) {
      outcome.thrown = thrown
    }
    outcome.operation = operation
    if (address.bucket !== '') {
      // Of those that were refused before anybody looked at the bucket, and of administrators, whom nobody refuses.
      const bucket = notes.bucket ?? (await findBucket(buckets, address.bucket).catch(() => undefined))
      const elsewhere = elsewhereOf(outcome)
      Object.assign(outcome, accountOf(parts.access, { notes, incoming, address, bucket, elsewhere }))
    }
    if (corsHeaders !== undefined) outcome.corsHeaders = corsHeaders
    if (address.isWebsite === true || address.isContent === true) outcome.isWebsite = true
    return outcome
  }
}
