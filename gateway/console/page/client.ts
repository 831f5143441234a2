import { type Credentials, digestOf, encodedPath, presigned, queryOf, signedHeaders } from './sign.ts'

/** Why a request was refused, in the words of the store. */
export class Refused extends Error {
  readonly code: string
  readonly status: number

  constructor(status: number, code: string, message: string) {
    super(code === '' ? message : `${message} (${code})`)
    this.code = code
    this.status = status
  }
}

export interface Request {
  readonly method?: string
  /** Not encoded. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Blob | string
  readonly service?: string
  /** Told how many bytes of the body went out. */
  readonly progress?: (sent: number) => void
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly header: (name: string) => string | undefined
  /** Of all headers, in lower case. */
  readonly names: readonly string[]
  readonly text: string
  readonly xml: Document | undefined
}

const textOf = (parent: ParentNode | null | undefined, name: string): string =>
  [...(parent?.children ?? [])].find((each) => each.localName === name)?.textContent ?? ''

export const child = textOf

/** Elements of that name right below. */
export const children = (parent: ParentNode | null | undefined, name: string): readonly Element[] =>
  [...(parent?.children ?? [])].filter((each) => each.localName === name)

/**
 * Browsers take `.` and `..` out of paths, also encoded: what such a key names would be another one. Deletions name keys in
 * their body, and are not concerned.
 */
const isReachable = (path: string): boolean => !path.split('/').some((each) => each === '.' || each === '..')

/** Everything that the page asks for, signed with the key that somebody signed in with. It is kept here, and nowhere else. */
export class Client {
  readonly #credentials: Credentials

  constructor(credentials: Credentials) {
    this.#credentials = credentials
  }

  async send(request: Request): Promise<Answer> {
    const { method = 'GET', path, query = {}, headers = {}, body, service, progress, signal } = request
    checkPath(path)
    const encoded = encodedPath(path)
    const payload = body === undefined ? digestOf('') : await digest(body)
    const signed = signedHeaders(
      {
        method,
        host: location.host,
        path: encoded,
        query,
        headers,
        now: new Date(),
        ...(payload !== undefined && { payload }),
        ...(service !== undefined && { service }),
      },
      this.#credentials,
    )
    const text = queryOf(query)
    const url = text === '' ? encoded : `${encoded}?${text}`
    return await exchange(url, { method, headers: signed, body, progress, signal })
  }

  /** The JSON that the console's own part of the store gives. */
  async api<Value>(path: string, query: Readonly<Record<string, string>> = {}): Promise<Value> {
    return JSON.parse((await this.send({ path: `/-/console/api/${path}`, query })).text) as Value
  }

  async post<Value>(path: string, value: unknown): Promise<Value> {
    const headers = { 'content-type': 'application/json' }
    const body = JSON.stringify(value)
    return JSON.parse(
      (await this.send({ method: 'POST', path: `/-/console/api/${path}`, headers, body })).text,
    ) as Value
  }

  /** A call of IAM. */
  async iam(parameters: Readonly<Record<string, string>>): Promise<Answer> {
    const body = queryOf({ ...parameters, Version: '2010-05-08' })
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return await this.send({ method: 'POST', path: '/', headers, body, service: 'iam' })
  }

  /** A link that is good for so many seconds without a key. */
  link(path: string, seconds: number, query: Readonly<Record<string, string>> = {}): string {
    checkPath(path)
    const request = { method: 'GET', host: location.host, path: encodedPath(path), query, now: new Date(), seconds }
    return location.origin + presigned(request, this.#credentials)
  }
}

function checkPath(path: string): void {
  if (isReachable(path)) return
  throw new Refused(
    0,
    '',
    'A browser cannot ask for a key with a part that is “.” or “..”: use another S3 client for it.',
  )
}

/** Undefined: too large to be hashed without the browser's help, which pages of plain HTTP do not get. */
async function digest(body: Blob | string): Promise<string | undefined> {
  if (typeof body === 'string') return digestOf(body)
  if (!isSecureContext) return undefined
  const hash = await crypto.subtle.digest('SHA-256', await body.arrayBuffer())
  return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

interface Exchanged {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Blob | string | undefined
  readonly progress: ((sent: number) => void) | undefined
  readonly signal: AbortSignal | undefined
}

/** Not `fetch`: that tells no progress of what goes out, and its XML would have to be parsed from text. */
function exchange(url: string, { method, headers, body, progress, signal }: Exchanged): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open(method, url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    const isDocument = isXml(url, method)
    request.responseType = isDocument ? 'document' : 'text'
    if (isDocument) request.overrideMimeType('application/xml')
    if (progress !== undefined) request.upload.addEventListener('progress', ({ loaded }) => progress(loaded))
    request.addEventListener('error', () => reject(new Refused(0, '', 'The store cannot be reached.')))
    request.addEventListener('abort', () => reject(new Refused(0, '', 'It was stopped.')))
    request.addEventListener('load', () => {
      const { status } = request
      const answer: Answer = {
        status,
        header: (name) => request.getResponseHeader(name) ?? undefined,
        names: request
          .getAllResponseHeaders()
          .split('\r\n')
          .map((line) => line.split(':', 1)[0] ?? ''),
        text: request.responseType === 'text' ? request.responseText : '',
        xml: request.responseType === 'document' ? (request.responseXML ?? undefined) : undefined,
      }
      if (status >= 200 && status < 300 && !isError(answer)) resolve(answer)
      else reject(refusalOf(answer))
    })
    signal?.addEventListener('abort', () => request.abort())
    request.send(body ?? null)
  })
}

/** What has no body is not asked for as a document: browsers make one that says so, in a style that the page's policy forbids. */
const isXml = (url: string, method: string): boolean =>
  (method === 'GET' || method === 'POST') && !url.startsWith('/-/console/api/') && !url.includes('meridian-usage')

const errorStart = /^(?:<\?xml[^>]*>\s*)?<Error[\s>]/

/** S3 may find out late, and say so under status 200. */
const isError = ({ xml, text }: Answer): boolean =>
  xml === undefined ? errorStart.test(text) : xml.documentElement.localName === 'Error'

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' }

/** An element of an error that came as text. */
function elementOf(text: string, name: string): string {
  const [, found = ''] = new RegExp(`<${name}>([^<]*)</${name}>`).exec(text) ?? []
  return found.replace(/&(\w+);/g, (whole, entity: string) => entities[entity] ?? whole)
}

function refusalOf({ status, text, xml }: Answer): Refused {
  const otherwise = `The store answered with status ${status}.`
  if (text.startsWith('{')) {
    const { error = '', message = otherwise } = JSON.parse(text) as {
      readonly error?: string
      readonly message?: string
    }
    return new Refused(status, error, message)
  }
  if (text !== '') return new Refused(status, elementOf(text, 'Code'), elementOf(text, 'Message') || otherwise)
  const root = xml?.documentElement
  const error = root?.localName === 'ErrorResponse' ? children(root, 'Error')[0] : root
  return new Refused(status, textOf(error, 'Code'), textOf(error, 'Message') || otherwise)
}
