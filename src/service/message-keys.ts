import { generateKeyPair, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import type { Keys } from '#src/encryption/key-provider.ts'
import { openSecret, sealSecret } from '#src/encryption/sealed-secret.ts'
import type { StandingMessageKey } from '#src/metadata/namespace-codec.ts'
import { readMessageKey, setMessageKey } from '#src/metadata/topic-records.ts'
import type { Store } from '#src/store/store.ts'
import { selfSigned } from '#src/webhook/certificate.ts'
import type { World } from '#src/world.ts'

const generate = promisify(generateKeyPair)
const yearMilliseconds = 365 * 24 * 3600 * 1000

/** Both in PEM. */
export interface MessageKey {
  readonly privateKey: string
  readonly certificate: string
}

const context = Buffer.from('meridian notifications key')

/** A certificate says whose key it is: rows that have the same one have the same key, however it is sealed. */
const isSame = (one: StandingMessageKey | undefined, other: StandingMessageKey | undefined): boolean =>
  one?.certificate === other?.certificate

/**
 * What messages to endpoints are signed with: one key for the whole store, made when it is first needed.
 *
 * H10 the private key lies in the metadata sealed by the store's own keys (src/encryption), and nowhere else; one that an
 *     earlier version left in the clear is sealed when it is next used.
 * H11 whoever rotates the key is heard by every process at its next message.
 */
export class MessageKeys {
  readonly #store: Store
  readonly #world: World
  readonly #own: Keys['own']
  #known: MessageKey | undefined

  constructor({ store, world, own }: { readonly store: Store; readonly world: World; readonly own: Keys['own'] }) {
    this.#store = store
    this.#world = world
    this.#own = own
  }

  async current(): Promise<MessageKey> {
    const standing = await this.#store.snapshot(readMessageKey)
    if (standing === undefined) return await this.#make(undefined)
    const { certificate, privateKey: clear, secret } = standing
    if (this.#known?.certificate === certificate && clear === undefined) return this.#known
    const known = { privateKey: clear ?? (await this.#opened(secret)), certificate }
    // A cell that only reads the namespace leaves it to the root, which signs too.
    if (clear !== undefined) await this.#keep(known, standing).catch(() => false)
    this.#known = known
    return known
  }

  /** Makes another key, which every process signs with from now on. Gives its certificate. */
  async rotate(): Promise<MessageKey> {
    return await this.#make(await this.#store.snapshot(readMessageKey))
  }

  async #opened(secret: StandingMessageKey['secret']): Promise<string> {
    if (secret === undefined) throw new Error('a key of notifications without its private half')
    return Buffer.from(await openSecret(this.#own, secret, context)).toString()
  }

  /** Of several that are made at once, one is kept. */
  async #make(instead: StandingMessageKey | undefined): Promise<MessageKey> {
    const world = this.#world
    const pair = await generate('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const from = world.now()
    const certificate = selfSigned({
      privateKey: pair.privateKey,
      commonName: 'Meridian notifications',
      serial: world.randomBytes(15),
      from: from - 24 * 3600 * 1000,
      to: from + 20 * yearMilliseconds,
    })
    const made = { privateKey: pair.privateKey, certificate }
    if (!(await this.#keep(made, instead))) return await this.current()
    this.#known = made
    return made
  }

  /** Whether it was kept: only in the place of what was seen there. */
  async #keep({ privateKey, certificate }: MessageKey, instead: StandingMessageKey | undefined): Promise<boolean> {
    const random = (size: number) => this.#world.randomBytes(size)
    const secret = await sealSecret(this.#own, Buffer.from(privateKey), context, random)
    return await this.#store.transact(async (transaction) => {
      if (!isSame(await readMessageKey(transaction), instead)) return false
      setMessageKey(transaction, { secret, certificate })
      return true
    })
  }
}

/** As people compare certificates. */
export const fingerprintOf = ({ certificate }: MessageKey): string => new X509Certificate(certificate).fingerprint256
