import type { World } from '#src/world.ts'
import type { Chance } from './chance.ts'

interface Event {
  readonly at: number
  readonly order: number
  run: (() => void) | undefined
}

/**
 * Time that passes only when nothing is left to do at this moment: events in their order, and between two of them everything
 * that promises still had to say. Nothing in a simulation may wait for anything but events.
 */
export class Timeline {
  /** Milliseconds since the simulation began. */
  now = 0
  #order = 0
  /** A binary heap by time, and by order where times are equal. */
  readonly #events: Event[] = []

  /** Gives what calls it off. */
  after(delay: number, run: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, delay), order: this.#order++, run }
    this.#push(event)
    return () => {
      event.run = undefined
    }
  }

  sleep(delay: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (signal?.aborted === true) {
      reject(signal.reason)
      return promise
    }
    const abort = (): void => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = this.after(delay, () => {
      signal?.removeEventListener('abort', abort)
      resolve()
    })
    signal?.addEventListener('abort', abort, { once: true })
    return promise
  }

  /** Until a promise is settled; rejects where nothing is left that could settle it, or `most` milliseconds have passed. */
  until<T>(promise: Promise<T>, most: number): Promise<T> {
    const { promise: result, resolve, reject } = Promise.withResolvers<T>()
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    promise.then(over, over)
    const end = this.now + most
    const step = (): void => {
      if (isOver) return
      try {
        this.#next(end, most)
      } catch (error) {
        over()
        reject(error)
      }
    }
    // Promises say what they have to say after each callback, so some events may share one turn of Node's loop.
    const turn = (): void => {
      if (isOver) return
      for (let left = eventsATurn; left > 0; left--) setImmediate(step)
      setImmediate(turn)
    }
    setImmediate(turn)
    promise.then(resolve, reject)
    return result
  }

  /** Lets the next event happen. */
  #next(end: number, most: number): void {
    let event: Event | undefined
    do {
      event = this.#pop()
      if (event === undefined) throw new Error('the simulation waits for something that is no event')
      if (event.at > end) throw new Error(`the simulation did not come to its end in ${most} ms`)
    } while (event.run === undefined)
    this.now = event.at
    event.run()
  }

  #push(event: Event): void {
    const events = this.#events
    let place = events.push(event) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      const above = events[parent]
      if (above === undefined || !isBefore(event, above)) break
      events[place] = above
      place = parent
    }
    events[place] = event
  }

  #pop(): Event | undefined {
    const events = this.#events
    const first = events[0]
    const last = events.pop()
    if (first === undefined || last === undefined || events.length === 0) return first
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      let least = events[child]
      if (least === undefined) break
      const right = events[child + 1]
      if (right !== undefined && isBefore(right, least)) {
        child++
        least = right
      }
      if (!isBefore(least, last)) break
      events[place] = least
      place = child
    }
    events[place] = last
    return first
  }
}

const isBefore = (one: Event, other: Event): boolean =>
  one.at < other.at || (one.at === other.at && one.order < other.order)

const eventsATurn = 64

/** 2026-01-01, when all simulations begin. */
const epoch = 1_767_225_600_000

/** What a node takes for the time, and how far that is from what it is. */
export interface Clock {
  /** Milliseconds. */
  skew: number
}

/** The world as one node sees it. */
export function simulatedWorld(timeline: Timeline, chance: Chance, clock: Clock): World {
  const now = (): number => epoch + timeline.now + clock.skew
  return {
    now: () => Math.floor(now()),
    nowMicroseconds: () => BigInt(Math.floor(now() * 1000)),
    monotonic: () => timeline.now,
    randomBytes: (size) => chance.bytes(size),
    sleep: (milliseconds, signal) => timeline.sleep(milliseconds, signal),
  }
}
