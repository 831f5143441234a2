import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { ShortLived } from '#src/service/short-lived.ts'
import type { World } from '#src/world.ts'
import { type FlyRequest, jsonOf, Refusal } from './exchange.ts'

/** Whose secret a request is signed with: Fly's, or that of this store's own control plane. */
export type Issuer = 'fly' | 'own'

export interface SigningSecret {
  readonly issuer: Issuer
  readonly secret: string
}

export const signatureHeader = 'x-signature'

const macOf = (secret: string, bytes: Uint8Array): Buffer => createHmac('sha256', secret).update(bytes).digest()

export const signatureOf = (secret: string, bytes: Uint8Array): string => macOf(secret, bytes).toString('hex')

const digestBytes = 32

/** How the digest is written is documented nowhere: in hexadecimal, or in either base64, with or without the name of the hash. */
function digestIn(header: string): Buffer | undefined {
  const text = header.trim().replace(/^sha256=/i, '')
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === digestBytes ? bytes : undefined
}

/** Whose signature it is. Every secret is tried, each in the same time. */
export function signerOf(
  secrets: readonly SigningSecret[],
  header: string | undefined,
  bytes: Uint8Array,
): Issuer | undefined {
  const given = header === undefined ? undefined : digestIn(header)
  let found: Issuer | undefined
  for (const { issuer, secret } of secrets) {
    const isSame = timingSafeEqual(macOf(secret, bytes), given ?? Buffer.alloc(digestBytes))
    if (isSame && given !== undefined) found = issuer
  }
  return found
}

export type Fields = Readonly<Record<string, unknown>>

export interface Signed {
  readonly issuer: Issuer
  /** The body, or the query. */
  readonly fields: Fields
  /** Whether just these bytes came before: whatever is answered, nothing must be done. */
  readonly isResend: boolean
  /** Lets the same bytes be sent again, where they could not be answered for a fault of ours. */
  forget(): Promise<void>
}

export interface VerifierParts {
  /** Read at each request, so that what is rotated counts at once. */
  readonly secrets: () => Promise<readonly SigningSecret[]>
  /** Where the provider is reached, from outside and from here: without a slash at the end. */
  readonly bases: () => readonly string[]
  readonly world: World
  readonly shortLived: ShortLived
  readonly skewMilliseconds: number
}

const unauthorized = (code: string, message: string): Refusal => new Refusal(401, code, message)

/**
 * Requests signed with a shared secret, as Fly signs them: https://fly.io/docs/reference/extensions_api/
 *
 * V1  the signature is over the bytes as they came, of the body, or where there is none of the query; it is compared in constant time.
 * V2  a request is good for its own URL, for as long as its time is near ours, and once: who sends the same bytes again has
 *     nothing done, and who uses a nonce for other bytes is refused. What is remembered for that ends with that time.
 * V3  of what is not signed, nothing is parsed, and nothing is remembered.
 */
export class Verifier {
  readonly #parts: VerifierParts

  constructor(parts: VerifierParts) {
    this.#parts = parts
  }

  async verify(request: FlyRequest): Promise<Signed> {
    const isBody = request.method === 'POST' || request.method === 'PATCH'
    const bytes = isBody ? request.body : Buffer.from(request.rawQuery, 'latin1')
    const issuer = signerOf(await this.#parts.secrets(), request.headers[signatureHeader], bytes)
    if (issuer === undefined)
      throw unauthorized('bad_signature', 'The request is not signed, or not by anybody known here.')
    const fields = isBody ? jsonOf(request) : queryFields(request.query)
    this.#checkTime(fields['timestamp'])
    this.#checkUrl(fields['url'], request.path)
    return { issuer, fields, ...(await this.#takeNonce(issuer, fields['nonce'], request, bytes)) }
  }

  #checkTime(timestamp: unknown): void {
    const seconds = typeof timestamp === 'string' && /^\d{1,12}$/.test(timestamp) ? Number(timestamp) : timestamp
    if (typeof seconds !== 'number' || !Number.isSafeInteger(seconds)) {
      throw unauthorized('stale', 'The request says no time: timestamp is missing, or no whole number of seconds.')
    }
    if (Math.abs(this.#parts.world.now() - seconds * 1000) > this.#parts.skewMilliseconds) {
      throw unauthorized('stale', 'The time in the request is too far from the time here.')
    }
  }

  #checkUrl(url: unknown, path: string): void {
    const given = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
    const isOurs = this.#parts.bases().some((base) => {
      const { origin, pathname } = new URL(base + path)
      return given?.origin === origin && trimmed(given.pathname) === trimmed(pathname)
    })
    if (!isOurs) throw unauthorized('wrong_url', 'The request was signed for another URL.')
  }

  async #takeNonce(
    issuer: Issuer,
    nonce: unknown,
    { method, path }: FlyRequest,
    bytes: Uint8Array,
  ): Promise<Pick<Signed, 'isResend' | 'forget'>> {
    if (typeof nonce !== 'string' || nonce.length < 8 || nonce.length > 256) {
      throw unauthorized('replayed', 'The request has no nonce of 8 to 256 characters.')
    }
    const { shortLived, skewMilliseconds } = this.#parts
    const id = createHash('sha256').update(`${issuer}\n${nonce}`).digest('hex')
    const digest = createHash('sha256').update(`${method}\n${path}\n`).update(bytes).digest('hex')
    // A time that is ahead by the skew is good for twice the skew from now.
    const before = await shortLived.add('nonce', id, digest, 2 * skewMilliseconds + 1_000)
    if (before !== undefined && before !== digest) throw replayed()
    const forget = async (): Promise<void> => {
      await shortLived.take('nonce', id)
    }
    return { isResend: before !== undefined, forget }
  }
}

export const replayed = (): Refusal => unauthorized('replayed', 'The request was made before.')

const trimmed = (path: string): string => path.replace(/\/+$/, '')

function queryFields(query: URLSearchParams): Fields {
  const fields: Record<string, string> = {}
  for (const [name, value] of query) {
    if (name in fields) throw new Refusal(400, 'malformed', `The parameter ${name} is given twice.`)
    fields[name] = value
  }
  return fields
}
