import { randomBytes } from 'node:crypto'
import { type Address, ownHostOf } from '#gateway/address.ts'
import type { Authenticate } from '#gateway/auth/authenticate.ts'
import { conditionValues } from '#gateway/auth/condition-values.ts'
import { answerOf, faultOf } from '#gateway/errors.ts'
import type { Incoming } from '#gateway/incoming.ts'
import type { S3Response } from '#gateway/operations/operation.ts'
import type { Outcome } from '#gateway/pipeline.ts'
import { Fault } from '#src/errors.ts'
import type { Caller } from '#src/model/identity.ts'
import { isAdministrator } from '#src/service/access.ts'
import type { Log } from '#src/telemetry/log.ts'
import { type Assets, loadAssets } from './assets.ts'
import type { Asked, ConsoleServices, Resource } from './resource.ts'
import { allResources } from './resources/index.ts'

export interface ConsoleParts extends ConsoleServices {
  readonly authenticate: Authenticate
  readonly log: Log
  /** Throws where keys and policies may be out of date beyond what is allowed (C24). */
  readonly checkFresh?: (caller: Caller) => void
}

type Route = (incoming: Incoming, address: Address) => Promise<Outcome>

const root = '/-/console'
const apiRoot = `${root}/api/`
const bodyBytesMax = 64 * 1024
const yearSeconds = 31_536_000

/** On every answer: nobody else may keep it, frame it, load it or guess its type. */
const common: Readonly<Record<string, string>> = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
}

/**
 * The console: a page, and the JSON that it asks for beside S3.
 *
 * G1  it is where no bucket can be, and on no bucket's own host: what lies in a bucket is served as ever.
 * G2  nothing runs in its page but its own files: not even what lies in a bucket of the same origin.
 * G3  its API asks the access control that everybody is asked by; a browser sends no credentials by itself, so no other page can ask
 *     in somebody's name.
 */
export class Console {
  readonly #parts: ConsoleParts
  readonly #resources: ReadonlyMap<string, readonly Resource[]>
  #assets: Assets | undefined

  constructor(parts: ConsoleParts) {
    this.#parts = parts
    this.#resources = Map.groupBy(allResources, ({ path }) => path)
  }

  /** The way of requests, with the console before it. */
  before(route: Route): Route {
    return (incoming, address) =>
      isConsole(address) ? this.#unlessOfBucket(incoming, address, route) : route(incoming, address)
  }

  async #unlessOfBucket(incoming: Incoming, address: Address, route: Route): Promise<Outcome> {
    return await ((await this.#isOfBucket(address)) ? route(incoming, address) : this.#answer(incoming, address))
  }

  /** Whether the host is a bucket's own domain. */
  async #isOfBucket(address: Address): Promise<boolean> {
    const own = ownHostOf(address)
    return own !== undefined && (await this.#parts.services.domains.bucketOf(own)) !== undefined
  }

  async #answer(incoming: Incoming, address: Address): Promise<Outcome> {
    try {
      const response = address.rawPath.startsWith(apiRoot)
        ? await this.#api(incoming, address)
        : this.#page(incoming, address)
      return { operation: 'Console', response }
    } catch (thrown) {
      return { operation: 'Console', response: this.#refusal(incoming, address, thrown) }
    }
  }

  #refusal({ id }: Incoming, { rawPath }: Address, thrown: unknown): S3Response {
    const { fault, isExpected } = faultOf(thrown)
    if (!isExpected)
      this.#parts.log.error('a request of the console failed', { error: thrown, request: id, path: rawPath })
    const { status, message } = answerOf(fault.code)
    const answer = { error: fault.code, message: fault.details['message'] ?? message, request: id }
    return json(status, answer)
  }

  async #api(incoming: Incoming, address: Address): Promise<S3Response> {
    const { authenticate, checkFresh } = this.#parts
    const { rawPath, rawQuery, query } = address
    const { caller, body, headers } = await authenticate({ ...incoming, rawPath, rawQuery })
    // Links that were signed for somebody else to follow are for objects.
    if (caller.kind === 'anonymous' || incoming.headers.authorization === undefined) throw new Fault('AccessDenied')
    checkFresh?.(caller)
    const found = this.#resources.get(rawPath.slice(apiRoot.length))
    if (found === undefined) throw new Fault('NoSuchKey', { message: 'There is nothing of that name here.' })
    const resource = found.find(({ method }) => method === incoming.method)
    if (resource === undefined) throw new Fault('MethodNotAllowed')
    if (resource.audience === 'administrator' && !isAdministrator(caller)) throw new Fault('AccessDenied')
    const asked: Asked = {
      caller,
      query,
      body: resource.method === 'POST' ? objectOf(await body.collect(bodyBytesMax)) : {},
      values: conditionValues({
        ...incoming,
        headers: headers as Readonly<Record<string, string | undefined>>,
        query,
      }),
    }
    return json(200, await resource.run(asked, this.#parts))
  }

  #page({ method, headers }: Incoming, { rawPath }: Address): S3Response {
    if (method !== 'GET' && method !== 'HEAD') throw new Fault('MethodNotAllowed')
    if (rawPath === root) return { status: 301, headers: { ...common, location: `${root}/` } }
    this.#assets ??= loadAssets()
    const { digest, files, html } = this.#assets
    if (rawPath === `${root}/`) return htmlAnswer(html)
    const [folder, name = '', ...more] = rawPath.slice(root.length + 1).split('/')
    const asset = folder === digest && more.length === 0 ? files.get(name) : undefined
    if (asset === undefined) throw new Fault('NoSuchKey', { message: 'There is nothing of that name here.' })
    const { type, etag, bytes, zipped } = asset
    const kept = {
      ...common,
      etag,
      vary: 'accept-encoding',
      'cache-control': `public, max-age=${yearSeconds}, immutable`,
    }
    if (headers['if-none-match'] === etag) return { status: 304, headers: kept }
    const isZipped = /\bgzip\b/.test(String(headers['accept-encoding'] ?? ''))
    const coding = isZipped ? { 'content-encoding': 'gzip' } : {}
    return { status: 200, headers: { ...kept, ...coding, 'content-type': type }, body: isZipped ? zipped : bytes }
  }
}

/** Buckets have no such name; on a host of a bucket's own the path is a key. */
const isConsole = ({ rawPath, hostBucket, isWebsite }: Address): boolean =>
  rawPath.startsWith(root) &&
  (rawPath.length === root.length || rawPath[root.length] === '/') &&
  hostBucket === undefined &&
  isWebsite !== true

function htmlAnswer(html: string): S3Response {
  // Not `'self'`: objects of buckets have the same origin, and whoever may write one must not write this page's scripts.
  const nonce = randomBytes(16).toString('base64')
  const policy = [
    "default-src 'none'",
    `script-src 'nonce-${nonce}'`,
    `style-src 'nonce-${nonce}'`,
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]
  return {
    status: 200,
    headers: {
      ...common,
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': policy.join('; '),
      'cross-origin-opener-policy': 'same-origin',
      'x-frame-options': 'DENY',
    },
    body: html.replaceAll('%nonce%', nonce),
  }
}

const json = (status: number, value: unknown): S3Response => ({
  status,
  headers: { ...common, 'cache-control': 'no-store', 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

function objectOf(bytes: Uint8Array): Asked['body'] {
  const invalid = new Fault('InvalidArgument', { message: 'The body is not a JSON object.' })
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw invalid
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid
  return value as Asked['body']
}
