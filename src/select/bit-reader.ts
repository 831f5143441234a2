import { Fault } from '#src/errors.ts'

/** Bits of a stream, the highest of each byte first. What `ensure` did not fetch is not there to be read. */
export class BitReader {
  readonly #source: AsyncIterator<Uint8Array>
  #bytes: Uint8Array = new Uint8Array(0)
  #at = 0
  #bits = 0
  #count = 0
  #isEnded = false

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Fetches until so many bytes are there, or no more come. */
  async ensure(count: number): Promise<void> {
    const have = (): number => this.#bytes.length - this.#at
    if (have() >= count || this.#isEnded) return
    const pieces = [this.#bytes.subarray(this.#at)]
    let length = have()
    while (length < count && !this.#isEnded) {
      const step = await this.#source.next()
      if (step.done === true) this.#isEnded = true
      else {
        pieces.push(step.value)
        length += step.value.length
      }
    }
    this.#bytes = Buffer.concat(pieces)
    this.#at = 0
  }

  isAtEnd(): boolean {
    return this.#isEnded && this.#at >= this.#bytes.length
  }

  /** At most 24. */
  read(count: number): number {
    while (this.#count < count) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new Fault('TruncatedInput')
      this.#bits = ((this.#bits << 8) | byte) >>> 0
      this.#count += 8
    }
    this.#count -= count
    const value = (this.#bits >>> this.#count) & ((1 << count) - 1)
    this.#bits &= (1 << this.#count) - 1
    return value
  }

  read32(): number {
    return ((this.read(16) << 16) | this.read(16)) >>> 0
  }

  /** Skips to the next whole byte. */
  align(): void {
    this.#count = 0
    this.#bits = 0
  }
}
