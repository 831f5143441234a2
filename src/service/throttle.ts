import type { World } from '#src/world.ts'

/** Less than this is not waited for: timers are not that exact. */
const leastMilliseconds = 20
/** What was not read in time is not caught up with: after a pause, work goes on at the rate, not faster. */
const burstMilliseconds = 1_000

/** Keeps work in the background to so many bytes a second. */
export class Throttle {
  readonly #world: World
  readonly #bytesPerMillisecond: number
  /** When what was spent so far is paid for. */
  #paidAt: number

  constructor(world: World, bytesPerSecond: number) {
    this.#world = world
    this.#bytesPerMillisecond = bytesPerSecond / 1000
    this.#paidAt = world.monotonic()
  }

  /** Waits until so many bytes more are within the rate, or for the signal. */
  async spend(bytes: number, signal: AbortSignal): Promise<void> {
    const now = this.#world.monotonic()
    this.#paidAt = Math.max(this.#paidAt, now - burstMilliseconds) + bytes / this.#bytesPerMillisecond
    const wait = this.#paidAt - now
    if (wait >= leastMilliseconds) await this.#world.sleep(wait, signal).catch(() => undefined)
  }
}
