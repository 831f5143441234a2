import type { World } from '#src/world.ts'
import { isOver, OutOfPatience } from './patience.ts'

/** Carries something out that is told to stop after so many milliseconds, by OutOfPatience, or when the signal says so. */
export async function within<T>(
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
