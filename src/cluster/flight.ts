import { isOver } from './patience.ts'

/** Chunks that a flight keeps for those who come a little later: 2 MiB. */
const keptChunks = 16
/** Chunks that are fetched before anybody asks for them. */
const aheadChunks = 4

interface Waiting {
  readonly chunk: number
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/**
 * One fetch of consecutive chunks for all who read them at the same time. It goes as fast as the fastest of them, holds
 * 2.5 MiB at most, and ends when the last one leaves.
 */
export class Flight {
  readonly last: number
  /** Who gives the chunks at the moment. */
  readonly source: { readonly region: string }
  #next: number
  #wanted = -1
  #readers = 0
  #isRunning = false
  #failure: { readonly error: unknown } | undefined
  readonly #kept = new Map<number, Uint8Array>()
  #waiting: Waiting[] = []
  readonly #chunks: AsyncIterator<Uint8Array>
  readonly #over: AbortController

  /** `chunks` gives those from `first` to `last`, and stops at the signal of `over`. */
  constructor(
    first: number,
    last: number,
    chunks: AsyncIterable<Uint8Array>,
    over: AbortController,
    source: { readonly region: string },
  ) {
    this.source = source
    this.#next = first
    this.last = last
    this.#chunks = chunks[Symbol.asyncIterator]()
    this.#over = over
    over.signal.addEventListener('abort', () => void this.#chunks.return?.().catch(() => {}), { once: true })
  }

  /** Whether a chunk comes by, or is still there. */
  offers(chunk: number): boolean {
    if (this.#failure !== undefined || this.#over.signal.aborted || chunk > this.last) return false
    return chunk >= this.#next || this.#kept.has(chunk)
  }

  /** Whether a chunk is here already. */
  holds(chunk: number): boolean {
    return this.#kept.has(chunk)
  }

  join(): void {
    this.#readers += 1
  }

  leave(): void {
    this.#readers -= 1
    if (this.#readers === 0) this.#over.abort(isOver)
  }

  chunk(chunk: number): Promise<Uint8Array> {
    const kept = this.#kept.get(chunk)
    if (kept !== undefined) return Promise.resolve(kept)
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure.error)
      this.#waiting.push({ chunk, resolve, reject })
      this.#wanted = Math.max(this.#wanted, chunk)
      if (!this.#isRunning) void this.#run()
    })
  }

  /** Never rejects: a failure goes to those who wait. */
  async #run(): Promise<void> {
    this.#isRunning = true
    try {
      while (this.#next <= Math.min(this.last, this.#wanted + aheadChunks)) {
        this.#over.signal.throwIfAborted()
        const { done, value } = await this.#chunks.next()
        if (done === true) throw new Error('a fetch ended before its last chunk')
        this.#deliver(value)
      }
    } catch (error) {
      this.#failure = { error }
      for (const { reject } of this.#waiting.splice(0)) reject(error)
    }
    // In the same turn as the last look at what is wanted: whoever asks from now on starts it again.
    this.#isRunning = false
  }

  #deliver(bytes: Uint8Array): void {
    const chunk = this.#next++
    this.#kept.set(chunk, bytes)
    this.#kept.delete(chunk - keptChunks)
    this.#waiting = this.#waiting.filter((each) => {
      if (each.chunk === chunk) each.resolve(bytes)
      return each.chunk !== chunk
    })
  }
}
