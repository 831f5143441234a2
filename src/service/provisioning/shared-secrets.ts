import type { Keys } from '#src/encryption/key-provider.ts'
import { openSecret, sealSecret } from '#src/encryption/sealed-secret.ts'
import { readSharedSecret, setSharedSecret } from '#src/metadata/provision-records.ts'
import { alphanumeric, randomWord } from '#src/service/random-words.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

interface Parts {
  readonly store: Store
  readonly world: World
  readonly own: Keys['own']
}

const length = 48

/** Secrets that all processes of the store know, made when they are first asked for; in the metadata they are sealed. */
export class SharedSecrets {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async get(name: string): Promise<string> {
    const { store, world, own } = this.#parts
    const context = Buffer.from(`meridian shared secret ${name}`)
    const standing = await store.snapshot((snapshot) => readSharedSecret(snapshot, name))
    if (standing !== undefined) return Buffer.from(await openSecret(own, standing, context)).toString()
    const word = Buffer.from(randomWord(world, alphanumeric, length))
    const sealed = await sealSecret(own, word, context, (size) => world.randomBytes(size))
    const kept = await store.transact(async (transaction) => {
      const other = await readSharedSecret(transaction, name)
      if (other === undefined) setSharedSecret(transaction, name, sealed)
      return other ?? sealed
    })
    return Buffer.from(await openSecret(own, kept, context)).toString()
  }
}
