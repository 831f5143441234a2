import { FrameRun, type RunMemory, runBytes } from './frame-run.ts'

/** Cuts a body into runs. Holds two of them at most: one that fills up, one that is being written. */
export class BodyFramer {
  readonly checksums: number[] = []
  readonly #memory: RunMemory
  readonly #id: Uint8Array
  readonly #expected: number
  readonly #firstChunk: number
  #size = 0
  #run: FrameRun | undefined

  constructor(memory: RunMemory, id: Uint8Array, expected: number, firstChunk = 0) {
    this.#memory = memory
    this.#id = id
    this.#expected = expected
    this.#firstChunk = firstChunk
  }

  get size(): number {
    return this.#size
  }

  /** Takes a slice; hands full runs on, but only when more bytes follow them. */
  async add(slice: Uint8Array, submit: (run: FrameRun) => Promise<void>): Promise<void> {
    let taken = 0
    while (taken < slice.length) {
      if (this.#run?.isFull) {
        const full = this.takeLast()
        if (full !== undefined) await submit(full)
      }
      this.#run ??= this.#newRun()
      const count = this.#run.add(taken === 0 ? slice : slice.subarray(taken))
      taken += count
      this.#size += count
    }
  }

  #newRun(): FrameRun {
    // A body that goes on beyond what was expected of it gets whole runs.
    const left = this.#expected > this.#size ? this.#expected - this.#size : this.#size === 0 ? 0 : runBytes
    return new FrameRun(this.#memory, this.#id, this.#firstChunk + this.checksums.length, left)
  }

  /** The run that is not handed on yet, closed; undefined where no bytes are left. */
  takeLast(): FrameRun | undefined {
    const run = this.#run
    this.#run = undefined
    if (run === undefined) return undefined
    run.finish()
    this.checksums.push(...run.checksums)
    return run
  }
}
