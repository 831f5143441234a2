import type { Cluster } from './cluster.ts'
import { isBroken } from './s3.ts'

export interface Outcome {
  readonly operations: number
  readonly failures: readonly string[]
  readonly note?: string
}

/** How much of it. */
export interface Extent {
  readonly iterations: number
  /** Of faults. */
  readonly rounds: number
  readonly isLong: boolean
}

export interface Check {
  readonly name: string
  run(cluster: Cluster, extent: Extent): Promise<Outcome>
}

/** What comes from elsewhere must be there by then, in milliseconds, where nothing is broken. */
const convergenceMost = 20_000
/** How long a right answer must go on being given: an old one that comes back later is as wrong. */
const afterwards = 2_000
const lookMilliseconds = 20
const lookAgainMilliseconds = 200
const atOnce = 40
/** Of all iterations, how many may be made again for a connection that broke. */
const brokenMost = 0.005

export const wait = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** Runs an iteration many times, some at once; collects what was wrong. Each has keys of its own, or does not care. */
export async function repeat(
  iterations: number,
  perIteration: number,
  body: (index: number) => Promise<string | undefined>,
): Promise<{ operations: number; failures: string[] }> {
  const failures: string[] = []
  let [next, broken] = [0, 0]
  const once = async (index: number): Promise<string | undefined> => {
    for (;;) {
      try {
        return await body(index)
      } catch (error) {
        // A server may close an idle connection at the moment at which a request is sent on it, as HTTP has it.
        if (!isBroken(error) || ++broken > Math.ceil(iterations * brokenMost))
          return `iteration ${index}: ${String(error)}`
      }
    }
  }
  const worker = async (): Promise<void> => {
    for (let index = next++; index < iterations; index = next++) {
      const failure = await once(index)
      if (failure !== undefined) failures.push(failure)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, iterations) }, worker))
  return { operations: iterations * perIteration, failures }
}

export interface Settled {
  readonly milliseconds: number
  readonly failure?: string
}

export interface Looking {
  /** How long it may take, in milliseconds; 0: the first look is right. */
  readonly within?: number
  /** How long it must stay, in milliseconds. */
  readonly watched?: number
}

/** Polls until what is seen is right, and then that it stays so. */
export async function settles<T>(
  look: () => Promise<T>,
  isRight: (seen: T) => boolean,
  { within = convergenceMost, watched = afterwards }: Looking = {},
): Promise<Settled> {
  const began = performance.now()
  for (;;) {
    const seen = await look()
    const milliseconds = performance.now() - began
    if (isRight(seen)) break
    if (milliseconds >= within) return { milliseconds, failure: `stays ${seen}${await later(look, isRight, within)}` }
    await wait(lookMilliseconds)
  }
  const milliseconds = performance.now() - began
  const end = performance.now() + watched
  while (performance.now() < end) {
    await wait(lookAgainMilliseconds)
    const seen = await look()
    if (!isRight(seen)) return { milliseconds, failure: `went back to ${seen}` }
  }
  return { milliseconds }
}

/** What is too late fails as what never comes, but for another reason. */
async function later<T>(look: () => Promise<T>, isRight: (seen: T) => boolean, within: number): Promise<string> {
  const began = performance.now()
  while (performance.now() - began < within) {
    await wait(lookAgainMilliseconds)
    if (isRight(await look())) return `; right ${Math.round(performance.now() - began)} ms too late`
  }
  return ''
}

export function noteOf(times: readonly number[]): string {
  const sorted = [...times].sort((one, other) => one - other)
  const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  return `seen after ${at(0.5)} ms (median), ${at(0.99)} ms (p99), ${at(1)} ms (most)`
}
