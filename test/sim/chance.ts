/** Numbers that look random and come from a seed: the same seed, the same history (sfc32). */
export class Chance {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string) {
    let hash = 0x811c9dc5
    for (const byte of Buffer.from(seed)) hash = Math.imul(hash ^ byte, 0x01000193)
    this.#a = hash | 0
    this.#b = Math.imul(hash, 0x9e3779b1) | 0
    this.#c = Math.imul(hash ^ 0x5bf03635, 0x85ebca6b) | 0
    for (let round = 0; round < 16; round++) this.#next()
  }

  #next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  /** At least 0, below 1. */
  fraction(): number {
    return this.#next() / 2 ** 32
  }

  /** A whole number, at least 0 and below `bound`. */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  between(least: number, bound: number): number {
    return least + this.fraction() * (bound - least)
  }

  happens(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('there is nothing to pick from')
    return item
  }

  /** By weight. */
  weighted<Item extends string>(weights: Readonly<Record<Item, number>>): Item {
    const entries = Object.entries(weights) as [Item, number][]
    let point = this.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [item, weight] of entries) {
      point -= weight
      if (point < 0) return item
    }
    throw new Error('there is nothing to pick from')
  }

  bytes(size: number): Uint8Array {
    const bytes = Buffer.alloc(size)
    for (let at = 0; at < size; at++) bytes[at] = this.#next() & 0xff
    return bytes
  }
}
