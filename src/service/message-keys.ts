import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'
import type { MessageKey } from '#src/metadata/namespace-codec.ts'
import { readMessageKey, setMessageKey } from '#src/metadata/topic-records.ts'
import type { Store } from '#src/store/store.ts'
import { selfSigned } from '#src/webhook/certificate.ts'
import type { World } from '#src/world.ts'

const generate = promisify(generateKeyPair)
const yearMilliseconds = 365 * 24 * 3600 * 1000

/** What messages to endpoints are signed with: one key for the whole store, made when it is first needed. */
export class MessageKeys {
  readonly #store: Store
  readonly #world: World
  #known: MessageKey | undefined

  constructor({ store, world }: { readonly store: Store; readonly world: World }) {
    this.#store = store
    this.#world = world
  }

  async current(): Promise<MessageKey> {
    this.#known ??= (await this.#store.snapshot(readMessageKey)) ?? (await this.#make())
    return this.#known
  }

  /** Of several that are made at once, one is kept. */
  async #make(): Promise<MessageKey> {
    const world = this.#world
    const pair = await generate('rsa', {
      modulusLength: 2048,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    })
    const from = world.now()
    const serial = world.randomBytes(15)
    const certificate = selfSigned({
      privateKey: pair.privateKey,
      commonName: 'Meridian notifications',
      serial,
      from: from - 24 * 3600 * 1000,
      to: from + 20 * yearMilliseconds,
    })
    return await this.#store.transact(async (transaction) => {
      const standing = await readMessageKey(transaction)
      if (standing !== undefined) return standing
      const key: MessageKey = { privateKey: pair.privateKey, certificate }
      setMessageKey(transaction, key)
      return key
    })
  }
}
