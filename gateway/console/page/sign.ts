import { hex, hmac, sha256 } from './sha256.ts'

/** Signatures of version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */

export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
  /** Of temporary credentials. */
  readonly token?: string
}

export interface ToSign {
  readonly method: string
  readonly host: string
  /** Percent-encoded already. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Lower-case names. */
  readonly headers?: Readonly<Record<string, string>>
  /** SHA-256 of the body in hexadecimal; default: it is not signed. */
  readonly payload?: string
  /** `s3`, `iam`. */
  readonly service?: string
  readonly now: Date
}

const algorithm = 'AWS4-HMAC-SHA256'
const unsigned = 'UNSIGNED-PAYLOAD'
const encoder = new TextEncoder()

/** RFC 3986, as AWS wants it. */
export const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)

export const encodedPath = (text: string): string => text.split('/').map(encoded).join('/')

export const digestOf = (text: string): string => hex(sha256(encoder.encode(text)))

export function queryOf(query: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(query).map(([name, value]) => [encoded(name), encoded(value)] as const)
  const sorted = pairs.sort(([a], [b]) => (a < b ? -1 : 1))
  return sorted.map(([name, value]) => `${name}=${value}`).join('&')
}

const timeOf = (now: Date): string => now.toISOString().replace(/[-:]|\.\d{3}/g, '')

const scopeOf = (time: string, service: string): readonly string[] => [
  time.slice(0, 8),
  'auto',
  service,
  'aws4_request',
]

function signature({ secretKey }: Credentials, scope: readonly string[], text: string): string {
  let key = encoder.encode(`AWS4${secretKey}`) as Uint8Array
  for (const step of scope) key = hmac(key, encoder.encode(step))
  return hex(hmac(key, encoder.encode(text)))
}

function toSign(time: string, scope: readonly string[], canonical: string): string {
  return [algorithm, time, scope.join('/'), digestOf(canonical)].join('\n')
}

/** The headers to send, without `host`, which browsers send themselves. */
export function signedHeaders(request: ToSign, credentials: Credentials): Record<string, string> {
  const { method, host, path, query = {}, headers = {}, payload = unsigned, service = 's3', now } = request
  const time = timeOf(now)
  const { accessKey, token } = credentials
  const sent: Record<string, string> = {
    ...headers,
    'x-amz-date': time,
    ...(service === 's3' && { 'x-amz-content-sha256': payload }),
    ...(token !== undefined && { 'x-amz-security-token': token }),
  }
  const all: Record<string, string> = { ...sent, host }
  const names = Object.keys(all).sort()
  const lines = names.map((name) => `${name}:${all[name]?.trim().replace(/ {2,}/g, ' ')}\n`).join('')
  const canonical = [method, path, queryOf(query), lines, names.join(';'), payload].join('\n')
  const scope = scopeOf(time, service)
  const proof = signature(credentials, scope, toSign(time, scope, canonical))
  sent['authorization'] =
    `${algorithm} Credential=${accessKey}/${scope.join('/')}, SignedHeaders=${names.join(';')}, Signature=${proof}`
  return sent
}

/** Path and query of a link that is good for so many seconds without further credentials. */
export function presigned(request: ToSign & { readonly seconds: number }, credentials: Credentials): string {
  const { method, host, path, query = {}, now, seconds } = request
  const time = timeOf(now)
  const scope = scopeOf(time, 's3')
  const { accessKey, token } = credentials
  const all = {
    ...query,
    'X-Amz-Algorithm': algorithm,
    'X-Amz-Credential': `${accessKey}/${scope.join('/')}`,
    'X-Amz-Date': time,
    'X-Amz-Expires': String(seconds),
    'X-Amz-SignedHeaders': 'host',
    ...(token !== undefined && { 'X-Amz-Security-Token': token }),
  }
  const canonical = [method, path, queryOf(all), `host:${host}\n`, 'host', unsigned].join('\n')
  return `${path}?${queryOf({ ...all, 'X-Amz-Signature': signature(credentials, scope, toSign(time, scope, canonical)) })}`
}
