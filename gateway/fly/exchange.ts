import type { IncomingMessage } from 'node:http'
import { isFields } from '#src/model/provision.ts'

/** A request, read whole: all of them are small. */
export interface FlyRequest {
  readonly method: string
  /** Without the query, as it came. */
  readonly path: string
  /** Behind the first `?`, as it came: that is what is signed. */
  readonly rawQuery: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

export interface FlyAnswer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** What stands in the path where a route has `:name`. */
export type Parameters = Readonly<Record<string, string>>

export interface Route {
  readonly method: string
  /** `/apps/:name`: a part that begins with a colon is anything but empty. */
  readonly path: string
  readonly handle: (request: FlyRequest, parameters: Parameters) => Promise<FlyAnswer>
}

/** A request, an answer to which says why not. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

export const jsonAnswer = (
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): FlyAnswer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  body: JSON.stringify(value),
})

export const redirect = (location: string, headers: Readonly<Record<string, string>> = {}): FlyAnswer => ({
  status: 303,
  headers: { location, ...headers },
})

/** All answers are small, and so is all that is asked. */
const bodyBytesMax = 256 * 1024

/** Rejects with a Refusal where it is too large. */
export async function readRequest(message: IncomingMessage): Promise<FlyRequest> {
  const target = message.url ?? '/'
  const mark = target.indexOf('?')
  const [path, rawQuery] = mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)]
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of message as AsyncIterable<Buffer>) {
    size += piece.length
    if (size > bodyBytesMax) throw new Refusal(413, 'too_large', `A request has at most ${bodyBytesMax} bytes.`)
    pieces.push(piece)
  }
  return {
    method: message.method ?? 'GET',
    path,
    rawQuery,
    query: new URLSearchParams(rawQuery),
    // Node gives an array for `set-cookie` only, which nobody reads.
    headers: message.headers as Readonly<Record<string, string | undefined>>,
    body: Buffer.concat(pieces),
  }
}

/** An object in JSON. Throws a Refusal where the body is none. */
export function jsonOf({ body }: Pick<FlyRequest, 'body'>): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (isFields(value)) return value
  } catch {
    // Said below.
  }
  throw new Refusal(400, 'malformed', 'The body is not an object in JSON.')
}

function parametersOf(route: readonly string[], path: readonly string[]): Parameters | undefined {
  if (route.length !== path.length) return undefined
  const found: Record<string, string> = {}
  for (const [at, part] of route.entries()) {
    const given = path[at] ?? ''
    if (!part.startsWith(':')) {
      if (part !== given) return undefined
      continue
    }
    const word = decoded(given)
    if (word === undefined || word === '') return undefined
    found[part.slice(1)] = word
  }
  return found
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** The routes in their order: the first that fits is it. */
export class Router {
  readonly #routes: readonly { readonly route: Route; readonly parts: readonly string[] }[]

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, parts: route.path.split('/') }))
  }

  /** Refusal 404, or 405 where another method would do. */
  find({ method, path }: Pick<FlyRequest, 'method' | 'path'>): { route: Route; parameters: Parameters } {
    const parts = path.split('/')
    let isKnown = false
    for (const { route, parts: own } of this.#routes) {
      const parameters = parametersOf(own, parts)
      if (parameters === undefined) continue
      if (route.method === method) return { route, parameters }
      isKnown = true
    }
    if (isKnown) throw new Refusal(405, 'method_not_allowed', `There is no ${method} here.`)
    throw new Refusal(404, 'not_found', `Nothing answers to ${method} ${path} here.`)
  }
}

/** The cookie of that name, or undefined. */
export function cookieOf({ headers }: FlyRequest, name: string): string | undefined {
  const pairs = (headers['cookie'] ?? '').split(';').map((each) => each.trim())
  return pairs.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1)
}
