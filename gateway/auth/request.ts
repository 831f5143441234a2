import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import { Fault } from '#src/errors.ts'
import type { Caller } from '#src/model/identity.ts'
import type { FoundKey } from '#src/service/services.ts'
import type { Moment } from '#src/world.ts'

/** A request as it came, before anybody believes it. */
export interface RawRequest {
  readonly method: string
  /** Exactly as sent, before `?`. */
  readonly rawPath: string
  /** Exactly as sent, after `?`; empty where there is none. */
  readonly rawQuery: string
  /** Node's own joining of `rawHeaders`, unchanged: names that Node keeps once must be counted against the raw ones. */
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly stream: Readable
  /** The bucket that the Host header names, in virtual-hosted style; signatures of version 2 are over it. */
  readonly hostBucket?: string | undefined
  /** SHA-256 of the body, where it was read before: then no header says what is signed. */
  readonly payload?: string
  /** Of temporary credentials, where they are what it is signed with. */
  readonly token?: string
  /** When it began: keys are looked for in no older state. Absent: in that of now. */
  readonly since?: Moment
}

/** A form posted to `/` is a call of one of the query APIs, whose signatures cover the body's hash though no header names it. */
export function isQueryCall(
  { method, headers }: Pick<RawRequest, 'method' | 'headers'>,
  { rawPath, hostBucket }: Pick<RawRequest, 'rawPath' | 'hostBucket'>,
): boolean {
  if (method !== 'POST' || rawPath !== '/' || hostBucket !== undefined) return false
  return headers['content-type']?.toLowerCase().startsWith('application/x-www-form-urlencoded') === true
}

export function header(request: RawRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Names that come once or the request is refused: Node would keep the first of some, and a proxy perhaps the last. */
const single = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-md5',
  'content-type',
  'date',
  'expires',
  'host',
  'transfer-encoding',
])

/** Two Host or Authorization headers let a proxy and us see different requests (T2). User metadata may repeat: S3 joins it. */
export function refuseDuplicates(rawHeaders: readonly string[]): void {
  const seen = new Set<string>()
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase()
    const isOnce = single.has(name) || (name.startsWith('x-amz-') && !name.startsWith('x-amz-meta-'))
    if (isOnce && seen.has(name)) {
      throw new Fault('InvalidRequest', { message: `The header ${name} must not be given more than once` })
    }
    seen.add(name)
  }
}

/** The value of a header, of repeated ones joined by a comma alone, as signatures have it. */
export function joinedValue(request: RawRequest, name: string, isRepeated: boolean): string {
  const value = header(request, name) ?? ''
  if (!isRepeated) return value
  const { rawHeaders } = request
  const all: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === name) all.push((rawHeaders[at + 1] ?? '').trim())
  }
  return all.join(',')
}

/** Whoever has shown to have this key's secret. */
export const callerOf = ({ key, account, principal }: FoundKey): Caller => ({
  kind: 'account',
  account,
  accessKeyId: key.id,
  ...(principal !== undefined && { principal }),
})
