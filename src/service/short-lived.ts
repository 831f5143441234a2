import { clearShortLived, readShortLived, setShortLived } from '#src/metadata/short-lived-records.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

/** What is good for some minutes, for all processes of this cell. Ids are at most 200 characters. */
export class ShortLived {
  readonly #store: Store
  readonly #world: World

  constructor({ store, world }: { readonly store: Store; readonly world: World }) {
    this.#store = store
    this.#world = world
  }

  /** Adds or overwrites; it is found for so many milliseconds. */
  async set(kind: string, id: string, value: unknown, milliseconds: number): Promise<void> {
    const now = this.#world.now()
    await this.#store.transact((transaction) =>
      setShortLived(transaction, kind, id, value, { ends: now + milliseconds, now }),
    )
  }

  /** Adds it where there is none; otherwise gives what there is. Of several at once, one adds. */
  async add<Value>(kind: string, id: string, value: Value, milliseconds: number): Promise<Value | undefined> {
    const now = this.#world.now()
    return await this.#store.transact(async (transaction) => {
      const standing = await readShortLived<Value>(transaction, kind, id, now)
      if (standing === undefined) {
        await setShortLived(transaction, kind, id, value, { ends: now + milliseconds, now })
      }
      return standing
    })
  }

  async get<Value>(kind: string, id: string): Promise<Value | undefined> {
    const now = this.#world.now()
    return await this.#store.snapshot((snapshot) => readShortLived<Value>(snapshot, kind, id, now))
  }

  /** Gives it, and takes it away: to one of those who ask. */
  async take<Value>(kind: string, id: string): Promise<Value | undefined> {
    const now = this.#world.now()
    return await this.#store.transact(async (transaction) => {
      const value = await readShortLived<Value>(transaction, kind, id, now)
      if (value !== undefined) await clearShortLived(transaction, kind, id)
      return value
    })
  }
}
