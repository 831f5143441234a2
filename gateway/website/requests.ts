import { Readable } from 'node:stream'
import type { Address } from '#gateway/address.ts'
import { isMethod } from '#gateway/dispatch.ts'
import type { S3Request } from '#gateway/operations/operation.ts'
import { PlainDecoder, StreamedBody } from '#gateway/wire/body.ts'
import { Fault } from '#src/errors.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { anonymous } from '#src/model/identity.ts'
import { checkKey } from '#src/model/names.ts'
import type { PageRequest } from './serve.ts'

/** The parts of what came from the socket that a page depends on. */
interface Browsing {
  readonly id: string
  readonly method: string
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly remoteAddress: string
  readonly isSecure: boolean
}

const noQuery: ReadonlyMap<string, string> = new Map()

export function pageRequest({ method, headers, isSecure }: Browsing, { key }: Address, bucket: Bucket): PageRequest {
  if (!isMethod(method)) throw new Fault('MethodNotAllowed', { Method: method })
  const host = typeof headers['host'] === 'string' ? headers['host'] : ''
  return { bucket, key, method, origin: { protocol: isSecure ? 'https' : 'http', host } }
}

/** What browsers say of the piece and the state that they want; the rest of a request is for who speaks S3's language. */
const ofRequest = ['range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range']
/** What conditions of policies look at. */
const ofAsker = ['referer', 'user-agent', 'host', 'origin']

/** The request for an object, as nobody makes it (E1). */
export function objectRequest(
  { id, headers, remoteAddress, isSecure }: Browsing,
  { bucket, host }: Address,
  key: string,
  isAsked: boolean,
): S3Request {
  checkKey(key)
  const sent: Record<string, string> = {}
  for (const name of isAsked ? [...ofRequest, ...ofAsker] : ofAsker) {
    const value = headers[name]
    if (typeof value === 'string') sent[name] = value
  }
  const body = new StreamedBody(Readable.from([]), new PlainDecoder(0, undefined), 0)
  const about = { id, remoteAddress, isSecure, host, bucket, key, query: noQuery }
  return { ...about, method: 'GET', scope: 'object', headers: sent, body, caller: anonymous }
}
