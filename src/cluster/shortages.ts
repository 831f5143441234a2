import type { BlobId } from '#src/model/blob.ts'
import type { ShortBlob } from './needed.ts'

/** Blobs that wait. Whoever is told to wait for copies of more asks again, and is heard then. */
const waitingMost = 10_000
/** Blobs that are asked about together: what a transaction takes well. */
const blobsTogether = 200

export interface ShortagesParts {
  /** Has copies made of blobs that are short of them; stops at the signal. */
  readonly replenish: (blobs: readonly ShortBlob[], signal: AbortSignal) => Promise<void>
  readonly failed: (error: unknown) => void
}

/**
 * Blobs that were found to be short of copies while something else was asked: some time later more are made. One lot after the other, since
 * each asks all other cells at once: what comes meanwhile waits, and goes together.
 */
export class Shortages {
  readonly #parts: ShortagesParts
  /** By blob: how many copies there are to be. */
  readonly #waiting = new Map<BlobId, number>()
  readonly #stopping = new AbortController()
  #working: Promise<void> | undefined

  constructor(parts: ShortagesParts) {
    this.#parts = parts
  }

  add(blobs: readonly ShortBlob[]): void {
    if (this.#stopping.signal.aborted) return
    for (const { blob, needed } of blobs) {
      const before = this.#waiting.get(blob)
      if (before === undefined && this.#waiting.size >= waitingMost) continue
      this.#waiting.set(blob, Math.max(needed, before ?? 0))
    }
    if (this.#waiting.size > 0) this.#working ??= this.#work()
  }

  /** Gives up what waits and what is being asked, for good; resolves once nothing is done any more. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('this process stops'))
    this.#waiting.clear()
    await this.#working
  }

  async #work(): Promise<void> {
    const { signal } = this.#stopping
    while (this.#waiting.size > 0) {
      const lot = [...this.#waiting.entries().take(blobsTogether)].map(([blob, needed]) => ({ blob, needed }))
      for (const { blob } of lot) this.#waiting.delete(blob)
      try {
        await this.#parts.replenish(lot, signal)
      } catch (error) {
        if (!signal.aborted) this.#parts.failed(error)
      }
    }
    // In the same turn as the last look at what waits: what comes from now on begins anew.
    this.#working = undefined
  }
}
