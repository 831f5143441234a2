import type { Snapshot, Store, Transaction } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { Chance } from './chance.ts'
import type { Timeline } from './timeline.ts'

/**
 * One run of a process, from its start to its death. What a dead process waits for never comes: its promises stay open, and
 * nothing that follows them is ever done.
 */
export class Life {
  #isOver = false

  end(): void {
    this.#isOver = true
  }

  get isOver(): boolean {
    return this.#isOver
  }

  hold<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (!this.#isOver) resolve(value)
        },
        (error: unknown) => {
          if (!this.#isOver) reject(error)
        },
      )
    })
  }
}

/** A world in which nobody wakes up after death. */
export function mortalWorld(world: World, life: Life): World {
  return { ...world, sleep: (...request) => life.hold(world.sleep(...request)) }
}

/**
 * A store as a process sees it: a call takes its time before the commit and after it, so that a process may die with a
 * transaction done that nobody heard of, and two transactions get in each other's way.
 */
export class MortalStore implements Store {
  readonly #store: Store
  readonly #life: Life
  readonly #timeline: Timeline
  readonly #chance: Chance

  constructor(store: Store, life: Life, timeline: Timeline, chance: Chance) {
    this.#store = store
    this.#life = life
    this.#timeline = timeline
    this.#chance = chance
  }

  transact<T>(body: (transaction: Transaction) => Promise<T>): Promise<T> {
    return this.#slow(() =>
      this.#store.transact(async (transaction) => {
        const result = await body(transaction)
        // Between what it read and its commit others commit.
        if (this.#chance.happens(0.3)) await this.#life.hold(this.#timeline.sleep(this.#chance.between(0, 2)))
        // A dead process commits nothing.
        return await this.#life.hold(Promise.resolve(result))
      }),
    )
  }

  snapshot<T>(body: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    return this.#life.hold(this.#store.snapshot(body))
  }

  watch(key: Uint8Array, signal: AbortSignal): Promise<void> {
    return this.#life.hold(this.#store.watch(key, signal))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #slow<T>(call: () => Promise<T>): Promise<T> {
    await this.#pause()
    if (this.#life.isOver) return await new Promise(() => {})
    const result = await this.#life.hold(call())
    await this.#pause()
    return result
  }

  #pause(): Promise<void> {
    return this.#life.hold(this.#timeline.sleep(this.#chance.between(0, 1.5)))
  }
}
