import { Fault } from '#src/errors.ts'
import type { World } from '#src/world.ts'
import { within } from './patience.ts'
import type { Method, Transport } from './transport.ts'

/**
 * Whether this node's clock can be believed, by those of other cells.
 *
 * L1  only who would draw a stamp from a clock that is ahead refuses, and only writes; what others wrote is never refused (C8).
 * L2  a node that hears of nobody goes on from the last time that it knew, by its monotonic clock (C8).
 */

/**
 * How far ahead of the others a clock may be, in milliseconds, beyond what cannot be told: stamps of later writes elsewhere would lose
 * to its own for as long.
 */
const aheadMost = 500
/** How often others are asked, in milliseconds. */
const roundMilliseconds = 1_000
/** An answer that took longer tells too little of the time that it was given at. */
const roundTripMost = 2_000
/** Without an answer for so long, a node hears of nobody. */
const isolatedMilliseconds = 10_000

const name = 'clock'

/** Answers what time it is, in microseconds since the epoch. */
export const clockMethod = (world: World): Method => ({
  name,
  answer: async () => Buffer.from(world.nowMicroseconds().toString()),
})

/** How far another clock is ahead of ours, give or take `doubt`, in milliseconds: nobody knows when on its way an answer was given. */
interface Offset {
  readonly ahead: number
  readonly doubt: number
}

const own: Offset = { ahead: 0, doubt: 0 }

export interface ClockGuardParts {
  readonly world: World
  readonly transport: Transport
  /** The other cells, as of now. */
  peers(): readonly number[]
  /** Told once when the clock begins to be ahead, and once when that has ended. */
  report(isAhead: boolean, milliseconds: number): void
}

export class ClockGuard {
  /** As the node's own, but for stamps: alone and with a clock that was turned, it goes on by what it knew. */
  readonly world: World
  readonly #parts: ClockGuardParts
  /** What time the others had, and at which reading of our monotonic clock; undefined: nobody was heard yet. */
  #reference: { readonly wall: number; readonly monotonic: number; readonly doubt: number } | undefined
  #isAhead = false

  constructor(parts: ClockGuardParts) {
    const { world } = parts
    this.#parts = parts
    this.world = {
      ...world,
      nowMicroseconds: () =>
        this.#isIsolated() ? BigInt(Math.floor(this.#expected() * 1000)) : world.nowMicroseconds(),
    }
  }

  /** Before a stamp is drawn. Throws Fault `ServiceUnavailable` while the clock is ahead. */
  check(): void {
    if (this.#reference === undefined || this.#isIsolated()) return
    const ahead = this.#parts.world.now() - this.#expected()
    const isAhead = ahead > aheadMost + this.#reference.doubt
    if (isAhead !== this.#isAhead) {
      this.#isAhead = isAhead
      this.#parts.report(isAhead, ahead)
    }
    if (isAhead) {
      throw new Fault('ServiceUnavailable', {
        message: 'The clock of this node is ahead of the others: it takes no writes.',
      })
    }
  }

  /** Until the signal. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.measure(signal)
      await this.#parts.world.sleep(roundMilliseconds, signal).catch(() => undefined)
    }
  }

  /** Asks all others once. */
  async measure(signal: AbortSignal): Promise<void> {
    const { world, peers } = this.#parts
    const offsets = (await Promise.all(peers().map((cell) => this.#offsetOf(cell, signal)))).filter(
      (each) => each !== undefined,
    )
    if (offsets.length === 0) return
    // Of two, the earlier; of more, the one in the middle: ours is one of them.
    const sorted = [own, ...offsets].sort((one, other) => one.ahead - other.ahead)
    const { ahead, doubt } = sorted[(sorted.length - 1) >> 1] ?? own
    this.#reference = { wall: world.now() + ahead, monotonic: world.monotonic(), doubt }
  }

  /** As of the middle of the answer's way. */
  async #offsetOf(cell: number, signal: AbortSignal): Promise<Offset | undefined> {
    const { world, transport } = this.#parts
    const sent = world.monotonic()
    try {
      const answer = await within(world, roundTripMost, (over) =>
        transport.ask(cell, name, new Uint8Array(0), AbortSignal.any([signal, over])),
      )
      const trip = world.monotonic() - sent
      const theirs = Number(BigInt(Buffer.from(answer).toString())) / 1000
      return { ahead: theirs + trip / 2 - world.now(), doubt: trip / 2 }
    } catch {
      // Who cannot be asked is not counted.
      return undefined
    }
  }

  #expected(): number {
    const { world } = this.#parts
    const reference = this.#reference ?? { wall: world.now(), monotonic: world.monotonic() }
    return reference.wall + (world.monotonic() - reference.monotonic)
  }

  #isIsolated(): boolean {
    const reference = this.#reference
    return reference !== undefined && this.#parts.world.monotonic() - reference.monotonic > isolatedMilliseconds
  }
}
