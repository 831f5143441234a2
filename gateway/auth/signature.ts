import { createHmac, hash, timingSafeEqual } from 'node:crypto'

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

/** SHA-256 takes its input in blocks of so many bytes; HMAC pads its key to one. */
const blockBytes = 64
const digestBytes = 32
/** In bytes of UTF-8. Strings to sign have some 140, those of chunks 270. */
const textMost = 1_024
/** A pad, and what is hashed behind it. */
const padded = Buffer.alloc(blockBytes + textMost)

/**
 * A key of one day, region and service; never leaves this process. Its HMAC is put together from two digests, each a single call:
 * `createHmac` makes an object that outlives the call, and collecting that costs more than the digests.
 * https://www.rfc-editor.org/rfc/rfc2104#section-2
 */
export class SigningKey {
  readonly #key: Buffer
  readonly #inner = Buffer.alloc(blockBytes, 0x36)
  readonly #outer = Buffer.alloc(blockBytes, 0x5c)

  constructor(secret: string, date: string, region: string, service: string) {
    this.#key = hmac(hmac(hmac(hmac(`AWS4${secret}`, date), region), service), 'aws4_request')
    for (const [at, byte] of this.#key.entries()) {
      this.#inner[at] = 0x36 ^ byte
      this.#outer[at] = 0x5c ^ byte
    }
  }

  /** In hexadecimal. */
  sign(text: string): string {
    // A character takes three bytes at most. The region's name comes from the client, and a form's policy is of any length.
    if (text.length * 3 > textMost) return hmac(this.#key, text).toString('hex')
    padded.set(this.#inner)
    const end = blockBytes + padded.write(text, blockBytes)
    const digest = hash('sha256', padded.subarray(0, end), 'hex')
    padded.set(this.#outer)
    padded.write(digest, blockBytes, 'hex')
    return hash('sha256', padded.subarray(0, blockBytes + digestBytes), 'hex')
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
