import { createHmac, createSecretKey, hash, type KeyObject, timingSafeEqual } from 'node:crypto'

/** SHA-256 of nothing, in hexadecimal. */
export const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'

/** Compares without telling by its time where two signatures differ (T16). Exact: upper-case hexadecimal is another text. */
export function isSameText(ours: string, theirs: string): boolean {
  const own = Buffer.from(ours, 'utf8')
  const other = Buffer.from(theirs, 'utf8')
  return own.length === other.length && timingSafeEqual(own, other)
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Node gives header bytes as Latin-1 characters: hashing them as such hashes the bytes that were sent. */
export function sha256Hex(text: string): string {
  return hash('sha256', Buffer.from(text, 'latin1'), 'hex')
}

/** A key of one day, region and service; never leaves this process. */
export class SigningKey {
  /** A key object: an HMAC from it takes a fraction of the time that one from bytes takes. */
  readonly #key: KeyObject

  constructor(secret: string, date: string, region: string, service: string) {
    this.#key = createSecretKey(hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request'))
  }

  sign(text: string): string {
    return createHmac('sha256', this.#key).update(text).digest('hex')
  }
}

/** `access key/date/region/service/aws4_request`, taken apart. */
export interface Credential {
  readonly text: string
  readonly accessKeyId: string
  readonly date: string
  readonly region: string
  readonly service: string
  /** Everything behind the access key. */
  readonly scope: string
}

/** From its end, so that access keys may hold slashes. Undefined: not of that shape. */
export function parseCredential(text: string): Credential | undefined {
  const end = text.lastIndexOf('/')
  if (end < 0 || !text.endsWith('/aws4_request')) return undefined
  const service = text.lastIndexOf('/', end - 1)
  const region = service <= 0 ? -1 : text.lastIndexOf('/', service - 1)
  const date = region <= 0 ? -1 : text.lastIndexOf('/', region - 1)
  if (date <= 0 || region - date !== 9) return undefined
  return {
    text,
    accessKeyId: text.slice(0, date),
    date: text.slice(date + 1, region),
    region: text.slice(region + 1, service),
    service: text.slice(service + 1, end),
    scope: text.slice(date + 1),
  }
}

// One entry is some 300 bytes; an active key needs one a day for each region name that its clients use.
const keysMax = 10_000

/**
 * Signing keys by credential. Only what has verified a signature is kept, so that strangers cannot fill it with
 * made-up regions; the secret is compared, so that a changed one takes effect at once.
 */
export class SigningKeys {
  readonly #kept = new Map<string, { readonly secret: string; readonly key: SigningKey }>()

  find(credential: Credential, secret: string): SigningKey {
    const kept = this.#kept.get(credential.text)
    if (kept !== undefined && kept.secret === secret) return kept.key
    return new SigningKey(secret, credential.date, credential.region, credential.service)
  }

  keep(credential: Credential, secret: string, key: SigningKey): void {
    if (this.#kept.get(credential.text)?.key === key) return
    if (this.#kept.size >= keysMax) {
      const oldest = this.#kept.keys().next()
      if (!oldest.done) this.#kept.delete(oldest.value)
    }
    this.#kept.set(credential.text, { secret, key })
  }
}
