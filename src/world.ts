import { randomFillSync } from 'node:crypto'

/** Everything a run takes from outside its inputs. Production passes the real one, the simulation a seeded one. */
export interface World {
  /** Wall clock, in microseconds since the Unix epoch. May jump; only stamps and dates are made of it. */
  nowMicroseconds(): bigint
  /** Wall clock, in milliseconds since the Unix epoch. */
  now(): number
  /** Never goes back, in milliseconds; for measuring how long something takes. */
  monotonic(): number
  randomBytes(size: number): Uint8Array
  /** Rejects with the signal's reason when it is aborted. Does not keep the process alive, unless `ref` is asked for. */
  sleep(milliseconds: number, signal: AbortSignal, options?: { readonly ref: boolean }): Promise<void>
}

/**
 * When something began. What is read for its sake may come of any state of a store that is no older. Two that began at the same time are two:
 * one object stands for one moment.
 */
export interface Moment {
  /** By the world's monotonic clock, in milliseconds. */
  readonly began: number
}

const origin = BigInt(Math.round(performance.timeOrigin * 1000))

export const realWorld: World = {
  // performance.now() has microseconds, Date.now() does not; the difference between both follows clock adjustments.
  nowMicroseconds: () => {
    const wall = Date.now()
    const fine = Number(origin) / 1000 + performance.now()
    return BigInt(Math.round((Math.abs(fine - wall) < 2 ? fine : wall) * 1000))
  },
  now: () => Date.now(),
  monotonic: () => performance.now(),
  randomBytes: random,
  sleep,
}

/** Node's own makes an error of each that is given up, with where it was made: that takes longer than all the rest of it. */
function sleep(milliseconds: number, signal: AbortSignal, options?: { readonly ref: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', giveUp)
      resolve()
    }, milliseconds)
    if (options?.ref !== true) timer.unref()
    function giveUp(): void {
      clearTimeout(timer)
      reject(signal.reason)
    }
    signal.addEventListener('abort', giveUp, { once: true })
  })
}

/** Asking the generator costs the same for an id as for a page of them. */
const pool = Buffer.allocUnsafeSlow(4096)
let drawn = pool.length

function random(size: number): Uint8Array {
  if (size > pool.length) return randomFillSync(Buffer.allocUnsafeSlow(size))
  if (drawn + size > pool.length) {
    randomFillSync(pool)
    drawn = 0
  }
  const bytes = Buffer.from(pool.subarray(drawn, drawn + size))
  // What was given out once is in no later dump of this memory.
  pool.fill(0, drawn, drawn + size)
  drawn += size
  return bytes
}
