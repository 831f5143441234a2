import type { Pin } from '#src/store/attempt.ts'
import type { View } from '#src/store/overlay.ts'
import { limits, StoreError } from '#src/store/store.ts'
import type { World } from '#src/world.ts'
import type { Environment, Pinned } from './environment.ts'

/** One pinned state, for one body. */
export class Reader {
  readonly since: number
  readonly #pinned: Pinned
  readonly #released: (reader: Reader) => void
  #end: StoreError | 'released' | undefined

  constructor(pinned: Pinned, since: number, released: (reader: Reader) => void) {
    this.since = since
    this.#pinned = pinned
    this.#released = released
  }

  readonly pin: Pin = (): View => {
    if (this.#end === undefined) return this.#pinned.view
    if (this.#end === 'released') throw new StoreError('closed', 'the transaction has ended')
    throw this.#end
  }

  release(error?: StoreError): void {
    if (this.#end !== undefined) return
    this.#end = error ?? 'released'
    this.#pinned.release()
    this.#released(this)
  }
}

/** The states that bodies are reading now, oldest first, and the bodies that wait for a free one. */
export class Readers {
  readonly #world: World
  readonly #environment: Environment
  readonly #active = new Set<Reader>()
  readonly #waiting: { resolve(reader: Reader): void; reject(error: unknown): void }[] = []

  constructor(world: World, environment: Environment) {
    this.#world = world
    this.#environment = environment
  }

  get busy(): boolean {
    return this.#active.size > 0 || this.#waiting.length > 0
  }

  /** Pins the newest state, at once unless there are too many. */
  take(): Reader | Promise<Reader> {
    const pinned = this.#environment.pin()
    if (pinned !== undefined) return this.#started(pinned)
    return new Promise<Reader>((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  expire(milliseconds: number): void {
    const eldest = this.#world.monotonic() - milliseconds
    for (const reader of this.#active) {
      if (reader.since > eldest) return
      reader.release(new StoreError('transaction_too_old', `over ${limits.transactionMilliseconds} ms since it began`))
    }
  }

  close(): void {
    const error = new StoreError('closed', 'the store is closed')
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error)
    for (const reader of this.#active) reader.release(error)
  }

  #started(pinned: Pinned): Reader {
    const reader = new Reader(pinned, this.#world.monotonic(), this.#ended)
    this.#active.add(reader)
    return reader
  }

  readonly #ended = (reader: Reader): void => {
    this.#active.delete(reader)
    const next = this.#waiting.shift()
    if (next === undefined) return
    const pinned = this.#environment.pin()
    if (pinned === undefined) this.#waiting.unshift(next)
    else next.resolve(this.#started(pinned))
  }
}
