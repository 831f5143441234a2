import { isOver } from '#src/cluster/patience.ts'
import { type Caller, type Method, PeerUnreachable, type Transport } from '#src/cluster/transport.ts'
import type { Chance } from './chance.ts'
import type { Faults } from './faults.ts'
import type { Timeline } from './timeline.ts'

/** Longer than any long poll, in milliseconds: what was not answered by then never will be. */
const patience = 15_000

type Methods = ReadonlyMap<string, Method>

/** Who asks, with what a call says of it. */
export interface Asker extends Caller {
  readonly incarnation: string
}

/** Whether a cell listens to who asks (C16). */
export type Admission = (asker: Asker) => boolean

/**
 * What lies between cells. A message is delayed, lost, brought twice, or overtaken by a later one; a link is cut in one
 * direction or both. What was lost is found out by nobody but the one who waits.
 */
export class Network {
  readonly #timeline: Timeline
  readonly #chance: Chance
  readonly #faults: Faults
  readonly #answering = new Map<number, { readonly methods: Methods; readonly admits: Admission }>()
  readonly #cut = new Set<string>()

  constructor(timeline: Timeline, chance: Chance, faults: Faults) {
    this.#timeline = timeline
    this.#chance = chance
    this.#faults = faults
  }

  /** From now on the cell answers; until it is disconnected, as when its process dies. */
  connect(cell: number, methods: readonly Method[], admits: Admission = () => true): void {
    this.#answering.set(cell, { methods: new Map(methods.map((each) => [each.name, each])), admits })
  }

  disconnect(cell: number): void {
    this.#answering.delete(cell)
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${from}>${to}`)
  }

  mend(from: number, to: number): void {
    this.#cut.delete(`${from}>${to}`)
  }

  isCut(from: number, to: number): boolean {
    return this.#cut.has(`${from}>${to}`)
  }

  transport(self: Asker): Transport {
    return {
      ask: (cell, method, request, signal) => this.#ask(self, cell, method, request, signal),
      stream: (cell, method, request, signal) => this.#stream(self, cell, method, request, signal),
    }
  }

  /** Whether a message arrives, and when. */
  #carries(from: number, to: number): boolean {
    if (this.isCut(from, to)) {
      this.#faults.fired('cut')
      return false
    }
    return !this.#faults.happens('loss')
  }

  #delay(): number {
    const usual = this.#chance.between(1, 40)
    return this.#faults.happens('delay') ? usual + this.#chance.between(100, 3_000) : usual
  }

  #ask(self: Asker, cell: number, name: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    if (signal.aborted) {
      reject(signal.reason)
      return promise
    }
    const sent = Buffer.from(request)
    const over = new AbortController()
    const cancel = this.#timeline.after(patience, () => finish(() => reject(new PeerUnreachable(cell))))
    const abort = (): void => finish(() => reject(signal.reason))
    signal.addEventListener('abort', abort, { once: true })
    const finish = (end: () => void): void => {
      cancel()
      signal.removeEventListener('abort', abort)
      // The other side does not hear at once that nobody waits any more: it goes on, as a real one would.
      this.#timeline.after(this.#delay(), () => over.abort(isOver))
      end()
    }
    const copies = this.#faults.happens('duplicate') ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      if (!this.#carries(self.cell, cell)) continue
      this.#timeline.after(this.#delay(), () => {
        this.#deliver(self, cell, name, sent, over.signal, (answer) => {
          this.#timeline.after(this.#delay(), () => finish(() => answer(resolve, reject)))
        })
      })
    }
    return promise
  }

  #deliver(
    self: Asker,
    cell: number,
    name: string,
    request: Uint8Array,
    signal: AbortSignal,
    back: (answer: (resolve: (bytes: Uint8Array) => void, reject: (error: unknown) => void) => void) => void,
  ): void {
    const there = this.#answering.get(cell)
    const method = there?.methods.get(name)
    if (there === undefined || method === undefined) return
    if (!there.admits(self)) {
      if (this.#carries(cell, self.cell)) back((_, reject) => reject(new PeerUnreachable(cell)))
      return
    }
    const answer = method.answer(request, self, signal)
    if (!(answer instanceof Promise)) throw new Error(`${name} answers with a stream`)
    const reply = (say: Parameters<typeof back>[0]): void => {
      if (this.#carries(cell, self.cell)) back(say)
    }
    answer.then(
      (bytes) => reply((resolve) => resolve(Buffer.from(bytes))),
      (error: unknown) => reply((_, reject) => reject(error)),
    )
  }

  async *#stream(
    self: Asker,
    cell: number,
    name: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const pass = async (from: number, to: number): Promise<void> => {
      const isCarried = this.#carries(from, to)
      await this.#timeline.sleep(isCarried ? this.#delay() : patience, signal)
      if (!isCarried || !this.#answering.has(cell)) throw new PeerUnreachable(cell)
    }
    await pass(self.cell, cell)
    const there = this.#answering.get(cell)
    const method = there?.methods.get(name)
    if (there === undefined || method === undefined || !there.admits(self)) throw new PeerUnreachable(cell)
    const answer = method.answer(Buffer.from(request), self, signal)
    if (answer instanceof Promise) throw new Error(`${name} answers with one piece`)
    for await (const bytes of answer) {
      const copy = Buffer.from(bytes)
      await pass(cell, self.cell)
      yield copy
    }
  }
}
