import type { World } from '#src/world.ts'
import type { Handler, JobQueue, Task, WorkOptions } from './job-queue.ts'

/** The queue of a node that needs no other program: in memory, in order of urgency. */
export class ProcessQueue implements JobQueue {
  readonly #world: World
  /** By urgency; a map keeps the order in which ids were added. */
  readonly #waiting = new Map<number, Set<string>>()
  /** By id: what came with it. */
  readonly #known = new Map<string, string | undefined>()
  readonly #sleepers = new Set<() => void>()

  constructor(world: World) {
    this.#world = world
  }

  async add(tasks: readonly Task[]): Promise<void> {
    for (const { id, urgency, trace } of tasks) {
      if (this.#known.has(id)) continue
      this.#known.set(id, trace)
      const equals = this.#waiting.get(urgency) ?? new Set<string>()
      this.#waiting.set(urgency, equals.add(id))
    }
    for (const wake of this.#sleepers) wake()
  }

  async work(handler: Handler, { signal, pace, failed }: WorkOptions): Promise<void> {
    const inHand = new Set<Promise<void>>()
    let ended = (): void => {}
    const gap = 1000 / pace.perSecond
    let next = this.#world.monotonic()
    while (!signal.aborted) {
      if (inHand.size >= pace.concurrency) {
        await until(signal, (wake) => {
          ended = wake
        })
        continue
      }
      const id = this.#take()
      if (id === undefined) {
        await this.#added(signal)
        continue
      }
      const early = next - this.#world.monotonic()
      if (early > 0) await this.#world.sleep(early, signal).catch(() => undefined)
      next = Math.max(next, this.#world.monotonic()) + gap
      const working = handler(id, this.#known.get(id))
        .catch(failed)
        .finally(() => {
          this.#known.delete(id)
          inHand.delete(working)
          ended()
        })
      inHand.add(working)
    }
    await Promise.all(inHand)
  }

  async waiting(): Promise<number> {
    let sum = 0
    for (const ids of this.#waiting.values()) sum += ids.size
    return sum
  }

  async close(): Promise<void> {
    this.#waiting.clear()
  }

  #take(): string | undefined {
    let most: number | undefined
    for (const urgency of this.#waiting.keys()) if (most === undefined || urgency < most) most = urgency
    if (most === undefined) return undefined
    const ids = this.#waiting.get(most) ?? new Set()
    const [id] = ids
    if (id !== undefined) ids.delete(id)
    if (ids.size === 0) this.#waiting.delete(most)
    return id
  }

  async #added(signal: AbortSignal): Promise<void> {
    let sleeper = (): void => {}
    await until(signal, (wake) => {
      sleeper = wake
      this.#sleepers.add(wake)
    })
    this.#sleepers.delete(sleeper)
  }
}

/**
 * Until `begin`'s wake is called, or the signal is aborted, which it is not yet. Nothing of it is left afterwards: each race against one
 * promise that lasts as long as the process would leave something there.
 */
async function until(signal: AbortSignal, begin: (wake: () => void) => void): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const wake = (): void => resolve()
  signal.addEventListener('abort', wake, { once: true })
  begin(wake)
  await promise
  signal.removeEventListener('abort', wake)
}
