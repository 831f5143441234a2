import type { World } from '#src/world.ts'

/** Nothing came in time. */
export class OutOfPatience extends Error {
  constructor(milliseconds: number) {
    super(`nothing came for ${milliseconds} ms`)
  }
}

/** Nobody waits any more. One for all: making one, with where it was made, takes longer than many a wait. */
export const isOver = new Error('nobody waits for it any more')

/**
 * What `run` gives, if it does so in time; otherwise its signal is aborted, and OutOfPatience thrown at once, whether it heeds that or not.
 * So it is, with an error of the sleep's, where `until` is aborted.
 */
export async function within<T>(
  world: World,
  milliseconds: number,
  run: (signal: AbortSignal) => Promise<T>,
  until?: AbortSignal,
): Promise<T> {
  const over = new AbortController()
  const asleep = until === undefined ? over.signal : AbortSignal.any([over.signal, until])
  const late = world.sleep(milliseconds, asleep).then(() => {
    throw new OutOfPatience(milliseconds)
  })
  // Of the two, the one that loses is heard by nobody.
  late.catch(() => {})
  const running = run(over.signal)
  running.catch(() => {})
  try {
    return await Promise.race([running, late])
  } finally {
    over.abort(isOver)
  }
}

/** What `body` gives, which is told to stop after so many milliseconds, or when the signal says so, and is waited for until it has. */
export async function stoppedAfter<T>(
  world: World,
  milliseconds: number,
  signal: AbortSignal,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController()
  const done = new AbortController()
  world.sleep(milliseconds, AbortSignal.any([signal, done.signal])).then(
    () => late.abort(new OutOfPatience(milliseconds)),
    () => {},
  )
  try {
    return await body(AbortSignal.any([signal, late.signal]))
  } finally {
    done.abort(isOver)
  }
}
