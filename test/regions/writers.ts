import { wait } from './check.ts'
import { isRefusal, padded, type Seen, type Store } from './s3.ts'

/** How long regions have to come to an agreement once nothing stands in the way, in milliseconds. */
const agreementMost = 60_000
const keysEach = 8

/** What goes on at the moment. */
export interface Phase {
  isOver: boolean
  isFaulty: boolean
}

/** What one key may hold: the last that was acknowledged, or something that was tried after it. */
class Track {
  acknowledged: Seen
  readonly tried: Seen[] = []

  begin(body: Seen): void {
    this.tried.push(body)
  }

  done(body: Seen): void {
    this.acknowledged = body
    this.tried.length = 0
  }

  allows(seen: Seen): boolean {
    return seen === this.acknowledged || this.tried.includes(seen)
  }
}

/** Somebody who alone writes some keys, from one region, and so knows what they hold, whatever happens on the way. */
export class Writer {
  acknowledged = 0
  duringFaults = 0
  readonly #tracks = new Map<string, Track>()
  readonly #store: Store
  readonly #keys: readonly string[]
  /** Between two requests, in milliseconds. */
  readonly #pause: number
  #count = 0

  constructor(store: Store, name: string, pause = 0) {
    this.#store = store
    this.#keys = Array.from({ length: keysEach }, (_, index) => `${name}-${index}`)
    this.#pause = pause
  }

  get region(): string {
    return this.#store.region
  }

  async work(phase: Phase): Promise<void> {
    while (!phase.isOver) {
      const number = this.#count++
      const key = this.#keys[number % this.#keys.length] ?? ''
      await this.#write(key, bodyOf(key, number), phase)
      if (this.#pause > 0) await wait(this.#pause)
    }
  }

  async #write(key: string, body: Seen, phase: Phase): Promise<void> {
    const track = this.#tracks.get(key) ?? new Track()
    this.#tracks.set(key, track)
    track.begin(body)
    try {
      if (body === undefined) await this.#store.delete(key)
      else await this.#store.put(key, body)
    } catch (error) {
      if (isRefusal(error)) throw error
      // Nobody knows whether it was done. A region that is away needs no more of it.
      await wait(100)
      return
    }
    track.done(body)
    this.acknowledged++
    if (phase.isFaulty) this.duringFaults++
  }

  /** Once nothing stands in the way and it has stopped: what is not as it must be in each of the regions. */
  async verify(stores: readonly Store[]): Promise<readonly string[]> {
    const wrong = await Promise.all([...this.#tracks].map(([key, track]) => verified(key, track, stores)))
    return wrong.flatMap((each) => each ?? [])
  }
}

/** A fifth are deletions; a third of the others do not fit beside their record. */
function bodyOf(key: string, number: number): Seen {
  if (number % 5 === 4) return undefined
  return number % 3 === 2 ? padded(`${key} ${number}`) : `${key} ${number}`
}

const shown = (seen: Seen): string => (seen === undefined ? 'nothing' : seen.slice(0, 80))

async function verified(key: string, track: Track, stores: readonly Store[]): Promise<string | undefined> {
  const deadline = performance.now() + agreementMost
  for (;;) {
    const seen = await Promise.all(stores.map((store) => store.get(key).catch((error: unknown) => String(error))))
    if (new Set(seen).size === 1 && track.allows(seen[0])) return undefined
    if (performance.now() > deadline) {
      return `${key}: ${seen.map(shown).join(' | ')} instead of ${shown(track.acknowledged)}`
    }
    await wait(200)
  }
}

/** Of all together. */
export function sumsOf(writers: readonly Writer[]): { readonly operations: number; readonly duringFaults: number } {
  return {
    operations: writers.reduce((sum, each) => sum + each.acknowledged, 0),
    duringFaults: writers.reduce((sum, each) => sum + each.duringFaults, 0),
  }
}
