/** Chunks that one reader may be behind the other. */
const chunksBehind = 16

/**
 * One stream for two readers. It goes at the pace of the slower one; who leaves early leaves the rest to the other, and what
 * fails fails for both.
 */
export function branch(
  source: AsyncIterable<Uint8Array>,
): readonly [AsyncIterableIterator<Uint8Array>, AsyncIterableIterator<Uint8Array>] {
  const fork = new Fork(source)
  return [fork.reader(), fork.reader()]
}

class Fork {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #readers: Reader[] = []
  #end: { readonly error?: unknown } | undefined
  #pulling: Promise<void> | undefined

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  reader(): Reader {
    const reader = new Reader(this)
    this.#readers.push(reader)
    return reader
  }

  async next(reader: Reader): Promise<IteratorResult<Uint8Array>> {
    for (;;) {
      const held = reader.held.shift()
      if (held !== undefined) {
        reader.drained()
        return { done: false, value: held }
      }
      if (this.#end !== undefined) {
        if ('error' in this.#end) throw this.#end.error
        return { done: true, value: undefined }
      }
      const behind = this.#readers.find((each) => each.isOpen && each.held.length >= chunksBehind)
      if (behind === undefined) await this.#pull()
      else await behind.room()
    }
  }

  /** One chunk for all, however many ask for it. */
  #pull(): Promise<void> {
    this.#pulling ??= this.#pullOne().finally(() => {
      this.#pulling = undefined
    })
    return this.#pulling
  }

  async #pullOne(): Promise<void> {
    try {
      const { done, value } = await this.#source.next()
      if (done === true) this.#end = {}
      else for (const reader of this.#readers) if (reader.isOpen) reader.held.push(value)
    } catch (error) {
      this.#end = { error }
    }
  }

  async leave(): Promise<void> {
    if (this.#end !== undefined || this.#readers.some(({ isOpen }) => isOpen)) return
    this.#end = {}
    await this.#source.return?.()
  }
}

class Reader implements AsyncIterableIterator<Uint8Array> {
  readonly held: Uint8Array[] = []
  isOpen = true
  readonly #fork: Fork
  #waiting: (() => void)[] = []

  constructor(fork: Fork) {
    this.#fork = fork
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    return this.isOpen ? await this.#fork.next(this) : { done: true, value: undefined }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.isOpen = false
    this.held.length = 0
    this.drained()
    await this.#fork.leave()
    return { done: true, value: undefined }
  }

  /** Resolves once it has taken something, or has left. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  drained(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
