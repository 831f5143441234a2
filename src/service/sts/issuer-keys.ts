import { createPublicKey, type JsonWebKeyInput, type KeyObject, X509Certificate } from 'node:crypto'
import { get as getPlainly, type IncomingMessage, type RequestOptions } from 'node:http'
import { get as getSafely } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { Fault } from '#src/errors.ts'
import type { Provider } from '#src/model/iam.ts'
import type { Reach } from '#src/webhook/addresses.ts'
import { checkNumber, judgedLookup } from '#src/webhook/reach.ts'
import type { World } from '#src/world.ts'

/** A key that an issuer signs by. */
export interface VerifyingKey {
  readonly id: string | undefined
  readonly key: KeyObject
  /** Where the issuer says that it is for one algorithm only. */
  readonly algorithm: string | undefined
}

const unreachable = (message: string, cause?: unknown): Fault =>
  new Fault('IDPCommunicationError', { message }, { cause })

const beyond = (host: string): Fault =>
  unreachable(`The issuer is at ${host}, an address that may not be asked (--issuer-endpoints).`)

const documentBytesMax = 256 << 10
const patienceMs = 5_000
/** How long what was fetched is used, and how soon it may be fetched again for a key that is not in it, in milliseconds. */
const freshMs = 300_000
const againMs = 10_000
const issuersMost = 1_000

type Fields = Readonly<Record<string, unknown>>

const normal = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase()

const isPinned = (provider: Provider, fingerprint: string): boolean =>
  provider.thumbprints.some((each) => normal(each) === normal(fingerprint))

/** Of the server's chain as it was sent: any certificate whose thumbprint the provider lists. */
function hasPinned(provider: Provider, socket: TLSSocket): boolean {
  let certificate = socket.getPeerCertificate(true)
  for (let depth = 0; depth < 10 && certificate?.fingerprint !== undefined; depth++) {
    if (isPinned(provider, certificate.fingerprint)) return true
    const above = certificate.issuerCertificate
    if (above === undefined || above === certificate) return false
    certificate = above
  }
  return false
}

async function fetchJson(provider: Provider, url: URL, reach: Reach): Promise<Fields> {
  checkNumber(url, reach, beyond)
  const isSafe = url.protocol === 'https:'
  // Whom the system's authorities do not vouch for, the thumbprints may; that is looked at before anything is believed.
  const options: RequestOptions & { rejectUnauthorized: boolean } = {
    signal: AbortSignal.timeout(patienceMs),
    headers: { accept: 'application/json' },
    rejectUnauthorized: false,
    agent: false,
    lookup: judgedLookup(reach, beyond),
  }
  try {
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const sent = isSafe ? getSafely(url, options, resolve) : getPlainly(url, options, resolve)
      sent.on('error', reject)
    })
    if (isSafe) {
      const socket = answer.socket as TLSSocket
      if (!socket.authorized && !hasPinned(provider, socket))
        throw unreachable('No thumbprint fits the certificate of the issuer.')
    }
    // A redirection could lead anywhere, past what is pinned.
    if (answer.statusCode !== 200) throw unreachable(`The issuer answered ${answer.statusCode}.`)
    const pieces: Buffer[] = []
    let size = 0
    for await (const piece of answer as AsyncIterable<Buffer>) {
      size += piece.length
      if (size > documentBytesMax) throw unreachable('The document of the issuer is too long.')
      pieces.push(piece)
    }
    const document: unknown = JSON.parse(Buffer.concat(pieces).toString('utf8'))
    if (typeof document === 'object' && document !== null) return document as Fields
    throw unreachable('The document of the issuer is malformed.')
  } catch (error) {
    if (error instanceof Fault) throw error
    throw unreachable('The issuer could not be reached.', error)
  }
}

/** Undefined: a key that is not for signatures, or that none of the thumbprints vouches for where the way was open. */
function readKey(provider: Provider, entry: unknown): VerifyingKey | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined
  const { kid, use, alg, x5c, kty } = entry as Fields
  if ((use !== undefined && use !== 'sig') || (kty !== 'RSA' && kty !== 'EC')) return undefined
  const id = typeof kid === 'string' ? kid : undefined
  const algorithm = typeof alg === 'string' ? alg : undefined
  try {
    if (!provider.url.startsWith('http:'))
      return { id, algorithm, key: createPublicKey({ key: entry as JsonWebKeyInput['key'], format: 'jwk' }) }
    const [first] = Array.isArray(x5c) ? (x5c as unknown[]) : []
    if (typeof first !== 'string') return undefined
    const certificate = new X509Certificate(Buffer.from(first, 'base64'))
    return isPinned(provider, certificate.fingerprint) ? { id, algorithm, key: certificate.publicKey } : undefined
  } catch {
    return undefined
  }
}

interface Kept {
  readonly fetched: number
  readonly keys: Promise<readonly VerifyingKey[]>
}

/**
 * The keys of issuers, as they publish them: found by discovery (OpenID Connect Discovery 1.0), fetched by HTTPS from one whose
 * certificate the system or a thumbprint vouches for. What comes by plain HTTP counts only in a certificate that is pinned.
 *
 * I14 nobody is asked at an address beyond the reach that was configured: neither an issuer nor where it says that its keys are.
 */
export class IssuerKeys {
  readonly #world: Pick<World, 'monotonic'>
  readonly #reach: Reach
  readonly #kept = new Map<string, Kept>()

  constructor(world: Pick<World, 'monotonic'>, reach: Reach) {
    this.#world = world
    this.#reach = reach
  }

  /** Those that may have signed: of the id, where the token names one. */
  async of(provider: Provider, id: string | undefined): Promise<readonly VerifyingKey[]> {
    const first = await this.#all(provider, freshMs)
    const chosen = chosenOf(first, id)
    if (chosen.length > 0) return chosen
    // The issuer may have begun to use a new key since.
    return chosenOf(await this.#all(provider, againMs), id)
  }

  async #all(provider: Provider, ageMost: number): Promise<readonly VerifyingKey[]> {
    const name = JSON.stringify([provider.url, provider.thumbprints])
    const now = this.#world.monotonic()
    const kept = this.#kept.get(name)
    if (kept !== undefined && now - kept.fetched < ageMost) return await kept.keys
    if (this.#kept.size >= issuersMost) this.#kept.clear()
    const keys = this.#fetch(provider)
    this.#kept.set(name, { fetched: now, keys })
    // A failure is not kept: the next one asks again.
    keys.catch(() => this.#kept.delete(name))
    return await keys
  }

  async #fetch(provider: Provider): Promise<readonly VerifyingKey[]> {
    const base = provider.url.replace(/\/$/, '')
    const discovered = await fetchJson(provider, new URL(`${base}/.well-known/openid-configuration`), this.#reach)
    if (discovered['issuer'] !== provider.url) throw unreachable('The issuer gives itself another name.')
    const address = String(discovered['jwks_uri'])
    const url = URL.canParse(address) ? new URL(address) : undefined
    const isKnown = url?.protocol === 'https:' || (url?.protocol === 'http:' && provider.url.startsWith('http:'))
    if (url === undefined || !isKnown) throw unreachable('The issuer names no keys.')
    const { keys } = await fetchJson(provider, url, this.#reach)
    const entries: readonly unknown[] = Array.isArray(keys) ? keys : []
    return entries.map((each) => readKey(provider, each)).filter((each) => each !== undefined)
  }
}

const chosenOf = (keys: readonly VerifyingKey[], id: string | undefined): readonly VerifyingKey[] =>
  id === undefined ? keys : keys.filter((each) => each.id === id)
