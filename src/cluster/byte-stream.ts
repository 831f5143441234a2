import type { World } from '#src/world.ts'
import { within } from './patience.ts'

/** Takes bytes from a stream by number, however it is cut; a stream that ends early, or stands still, is an error. */
export class ByteStream {
  readonly #slices: AsyncIterator<Uint8Array>
  readonly #world: World
  readonly #patience: number
  #rest: Uint8Array = new Uint8Array(0)

  /** `patience`: milliseconds that it waits for a slice. */
  constructor(slices: AsyncIterable<Uint8Array>, world: World, patience: number) {
    this.#slices = slices[Symbol.asyncIterator]()
    this.#world = world
    this.#patience = patience
  }

  async take(count: number): Promise<Uint8Array> {
    if (this.#rest.length > count || (this.#rest.length === count && count > 0)) return this.#split(count)
    const taken = Buffer.allocUnsafeSlow(count)
    taken.set(this.#rest)
    let filled = this.#rest.length
    while (filled < count) {
      const slice = await this.#next()
      const part = slice.subarray(0, count - filled)
      taken.set(part, filled)
      filled += part.length
      this.#rest = slice.subarray(part.length)
    }
    return taken
  }

  #split(count: number): Uint8Array {
    const taken = this.#rest.subarray(0, count)
    this.#rest = this.#rest.subarray(count)
    return taken
  }

  async #next(): Promise<Uint8Array> {
    const next = await within(this.#world, this.#patience, () => this.#slices.next())
    if (next.done === true) throw new Error('the stream ended early')
    return next.value
  }
}
