import type { World } from '#src/world.ts'

/** Milliseconds between two looks at other processes' commits: how late a watch across processes may be. */
const interval = 10
/**
 * Milliseconds. LMDB counts a commit when its last page is written, and lets readers see it only when that page is synced. So for a
 * while after a new number each look asks, and then one a second: a sync that takes longer still makes a watch late, not deaf.
 */
const settling = 1_000

interface Watch {
  changed(): boolean
  resolve(): void
  reject(error: unknown): void
}

/** Who waits for a key to change. Looks at the store's last commit only while somebody does. */
export class Watches {
  readonly #world: World
  readonly #lastCommit: () => number
  readonly #watches = new Set<Watch>()
  #end: Error | undefined
  #poll: AbortController | undefined

  constructor(world: World, lastCommit: () => number) {
    this.#world = world
    this.#lastCommit = lastCommit
  }

  /** Resolves once `changed` says so; it is asked after commits. */
  async add(changed: () => boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#end !== undefined) throw this.#end
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const watch = { changed, resolve, reject }
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    this.#watches.add(watch)
    // Once at the beginning: the commit before may have been between what the caller knows and now.
    ask(watch)
    this.#start()
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', abort)
      this.#watches.delete(watch)
      if (this.#watches.size === 0) this.#poll?.abort()
    }
  }

  /** To be called after a commit of this process; others' commits are found by polling. */
  check(): void {
    for (const watch of this.#watches) ask(watch)
  }

  /** Ends all watches, also those to come. */
  stop(error: Error): void {
    this.#end = error
    for (const watch of this.#watches) watch.reject(error)
  }

  #start(): void {
    if (this.#poll !== undefined && !this.#poll.signal.aborted) return
    const controller = new AbortController()
    this.#poll = controller
    this.#run(controller.signal).catch((error: Error) => this.stop(error))
  }

  async #run(signal: AbortSignal): Promise<void> {
    let seen = -1
    let changed = 0
    let asked = 0
    while (!signal.aborted) {
      const last = this.#lastCommit()
      const now = this.#world.monotonic()
      if (last !== seen) changed = now
      seen = last
      if (now - changed <= settling || now - asked >= settling) {
        this.check()
        asked = now
      }
      try {
        await this.#world.sleep(interval, signal)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }
}

function ask(watch: Watch): void {
  try {
    if (watch.changed()) watch.resolve()
  } catch (error) {
    watch.reject(error)
  }
}
