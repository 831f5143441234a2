import {
  clearDeadLetter,
  type DeadLetter,
  type PlacedDeadLetter,
  publish,
  readDeadLetters,
  setDelivery,
} from '#src/metadata/notification-records.ts'
import type { Store } from '#src/store/store.ts'
import type { World } from '#src/world.ts'

const lettersPerTransaction = 64

/** Which: of all accounts, of one, or of one of its topics. */
export interface LettersOf {
  readonly owner?: string
  readonly topic?: string
}

/** Messages that were given up: listed, tried again, or forgotten at last. */
export class DeadLetters {
  readonly #store: Store
  readonly #world: World

  constructor({ store, world }: { readonly store: Store; readonly world: World }) {
    this.#store = store
    this.#world = world
  }

  async *list(of: LettersOf): AsyncGenerator<DeadLetter> {
    for await (const page of this.#pages(of)) for (const { letter } of page) yield letter
  }

  /** Their time begins anew. Gives how many. */
  async retry(of: LettersOf): Promise<number> {
    return await this.#end(of, true)
  }

  async delete(of: LettersOf): Promise<number> {
    return await this.#end(of, false)
  }

  async *#pages(of: LettersOf): AsyncGenerator<readonly PlacedDeadLetter[]> {
    let after: Uint8Array | undefined
    for (;;) {
      const from = after
      const page = await this.#store.snapshot((snapshot) =>
        readDeadLetters(snapshot, of, { after: from, limit: lettersPerTransaction }),
      )
      if (page.length === 0) return
      after = page.at(-1)?.key
      yield page
    }
  }

  async #end(of: LettersOf, isRetried: boolean): Promise<number> {
    let ended = 0
    for await (const page of this.#pages(of)) {
      ended += await this.#store.transact(async (transaction) => {
        let done = 0
        for (const placed of page) {
          const { key, letter } = placed
          // Somebody else may be at it.
          if ((await transaction.get(key)) === undefined) continue
          clearDeadLetter(transaction, placed)
          done++
          if (!isRetried) continue
          const { target, topic, message, source } = letter
          const since = this.#world.now()
          const delivery = { message, region: topic.region, attempts: 0, since }
          const anew = { topic, message: { ...message, time: since }, ...(source !== undefined && { source }) }
          if (target === undefined) publish(transaction, anew)
          else setDelivery(transaction, { target, due: since, delivery })
        }
        return done
      })
    }
    return ended
  }
}
