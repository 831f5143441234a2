/** Signs requests as a client does. Written apart from gateway/auth, so that a misreading there is not repeated here. */
import { createHash, createHmac } from 'node:crypto'
import { Readable } from 'node:stream'
import type { RawRequest } from '#gateway/auth/request.ts'

export interface Plain {
  readonly method: string
  /** As sent. */
  readonly path: string
  /** Name and value, not encoded. */
  readonly query?: readonly (readonly [string, string])[]
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
}

export interface Credentials {
  readonly id: string
  readonly secret: string
  readonly region?: string
}

/** AWS's own, of all its examples. */
export const example: Credentials = {
  id: 'AKIAIOSFODNN7EXAMPLE',
  secret: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  region: 'us-east-1',
}

const sha256 = (data: string | Buffer): string => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`)

export function signingKey({ secret, region = 'us-east-1' }: Credentials, day: string): Buffer {
  return hmac(hmac(hmac(hmac(`AWS4${secret}`, day), region), 's3'), 'aws4_request')
}

const queryText = (query: readonly (readonly [string, string])[]): string =>
  [...query]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')

function signature(plain: Plain, names: readonly string[], payload: string, date: string, by: Credentials): string {
  const path = plain.path.split('/').map((each) => encode(decodeURIComponent(each)))
  const lines = names.map((name) => `${name}:${(plain.headers[name] ?? '').trim().replace(/\s+/g, ' ')}\n`).join('')
  const query = queryText(plain.query ?? [])
  const canonical = [plain.method, path.join('/'), query, lines, names.join(';'), payload].join('\n')
  const scope = `${date.slice(0, 8)}/${by.region ?? 'us-east-1'}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', date, scope, sha256(Buffer.from(canonical, 'latin1'))].join('\n')
  return hmac(signingKey(by, date.slice(0, 8)), text).toString('hex')
}

/** The request with an Authorization header; `payload`: another hash than the body's own. */
export function signHeader(plain: Plain, date: string, by: Credentials = example, payload?: string): Plain {
  const hash = payload ?? sha256(plain.body ?? '')
  const headers = { ...plain.headers, 'x-amz-date': date, 'x-amz-content-sha256': hash }
  const names = Object.keys(headers).sort()
  const signed = signature({ ...plain, headers }, names, hash, date, by)
  const scope = `${date.slice(0, 8)}/${by.region ?? 'us-east-1'}/s3/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 Credential=${by.id}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signed}`
  return { ...plain, headers: { ...headers, authorization } }
}

export function presign(plain: Plain, date: string, expires: number, by: Credentials = example): Plain {
  const names = Object.keys(plain.headers).sort()
  const query: (readonly [string, string])[] = [
    ...(plain.query ?? []),
    ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
    ['X-Amz-Credential', `${by.id}/${date.slice(0, 8)}/${by.region ?? 'us-east-1'}/s3/aws4_request`],
    ['X-Amz-Date', date],
    ['X-Amz-Expires', String(expires)],
    ['X-Amz-SignedHeaders', names.join(';')],
  ]
  const signed = signature({ ...plain, query }, names, 'UNSIGNED-PAYLOAD', date, by)
  return { ...plain, query: [...query, ['X-Amz-Signature', signed]] }
}

function text2(plain: Plain, date: string, subresources: readonly string[]): string {
  const amz = Object.keys(plain.headers).filter((name) => name.startsWith('x-amz-'))
  const lines = amz.sort().map((name) => `${name}:${plain.headers[name]}\n`)
  const chosen = (plain.query ?? []).filter(([name]) => subresources.includes(name)).sort()
  const query = chosen.map(([name, value]) => `${name}=${value}`).join('&')
  const { method, headers, path } = plain
  const top = [method, headers['content-md5'] ?? '', headers['content-type'] ?? '', date].join('\n')
  return `${top}\n${lines.join('')}${path}${query === '' ? '' : `?${query}`}`
}

export function signHeader2(plain: Plain, subresources: readonly string[] = [], by: Credentials = example): Plain {
  const date = plain.headers['x-amz-date'] === undefined ? (plain.headers['date'] ?? '') : ''
  const signed = createHmac('sha1', by.secret)
    .update(text2(plain, date, subresources))
    .digest('base64')
  return { ...plain, headers: { ...plain.headers, authorization: `AWS ${by.id}:${signed}` } }
}

export function presign2(plain: Plain, expires: number, by: Credentials = example): Plain {
  const signed = createHmac('sha1', by.secret)
    .update(text2(plain, String(expires), []))
    .digest('base64')
  const extra: (readonly [string, string])[] = [
    ['AWSAccessKeyId', by.id],
    ['Expires', String(expires)],
    ['Signature', signed],
  ]
  return { ...plain, query: [...(plain.query ?? []), ...extra] }
}

export interface Chunking {
  readonly date: string
  readonly seed: string
  readonly by?: Credentials
  readonly isSigned: boolean
  /** Undefined: the framing has no trailers. */
  readonly trailers?: Readonly<Record<string, string>>
}

/** A body in AWS's chunks, each as one Buffer: heads, bytes, the last chunk, trailers. */
export function chunked(
  pieces: readonly Buffer[],
  { date, seed, by = example, isSigned, trailers }: Chunking,
): Buffer[] {
  const key = signingKey(by, date.slice(0, 8))
  const scope = `${date.slice(0, 8)}/${by.region ?? 'us-east-1'}/s3/aws4_request`
  let previous = seed
  const next = (kind: string, hashes: readonly string[]): string => {
    previous = hmac(key, [`AWS4-HMAC-SHA256-${kind}`, date, scope, previous, ...hashes].join('\n')).toString('hex')
    return previous
  }
  const result: Buffer[] = []
  for (const piece of [...pieces, Buffer.alloc(0)]) {
    const signed = isSigned ? `;chunk-signature=${next('PAYLOAD', [sha256(''), sha256(piece)])}` : ''
    const isLast = piece.length === 0
    result.push(Buffer.from(`${piece.length.toString(16)}${signed}\r\n`), piece)
    if (!isLast || trailers === undefined) result.push(Buffer.from('\r\n'))
  }
  if (trailers !== undefined) {
    const lines = Object.entries(trailers).map(([name, value]) => `${name}:${value}`)
    const signed = isSigned
      ? `x-amz-trailer-signature:${next('TRAILER', [sha256(lines.map((each) => `${each}\n`).join(''))])}\r\n`
      : ''
    result.push(Buffer.from(`${lines.map((each) => `${each}\r\n`).join('')}${signed}\r\n`))
  }
  return result
}

export const queryOf = (plain: Plain): string => queryText(plain.query ?? [])

/** What a gateway sees of it. `pieces`: how the body arrives. */
export function received(
  plain: Plain,
  pieces: readonly Buffer[] = plain.body === undefined ? [] : [plain.body],
): RawRequest {
  const size = pieces.reduce((sum, each) => sum + each.length, 0)
  const length = size > 0 && plain.headers['content-length'] === undefined ? { 'content-length': String(size) } : {}
  const headers = { ...plain.headers, ...length }
  return {
    method: plain.method,
    rawPath: plain.path,
    rawQuery: queryOf(plain),
    headers,
    rawHeaders: Object.entries(headers).flat(),
    stream: Readable.from(pieces, { objectMode: true }),
  }
}
