import { type Caller, type Method, PeerUnreachable, type Transport } from '#src/cluster/transport.ts'

/** What is wrong with a peer, or the way to it. */
export interface PeerFaults {
  /** Nobody answers. */
  isDown?: boolean
  /** Of a stream, only so many bytes come. */
  breaksAfter?: number
  /** Changes what a stream brings. */
  alter?: (bytes: Uint8Array) => Uint8Array
}

/** Cells in one process that ask each other. */
export class Peers {
  readonly #methods = new Map<number, ReadonlyMap<string, Method>>()
  readonly faults = new Map<number, PeerFaults>()
  /** Every call that went out, as `cell method`. */
  readonly calls: string[] = []
  /** Runs before each question is answered, and before the answer is given. */
  between: (call: string) => Promise<void> = async () => {}

  /** Whether a cell does not listen to another. */
  refuses: (cell: number, caller: Caller) => boolean = () => false

  connect(cell: number, methods: readonly Method[]): void {
    this.#methods.set(cell, new Map(methods.map((each) => [each.name, each])))
    this.faults.set(cell, {})
  }

  faultsOf(cell: number): PeerFaults {
    const faults = this.faults.get(cell)
    if (faults === undefined) throw new Error(`no cell ${cell}`)
    return faults
  }

  transport(self: Caller): Transport {
    return {
      ask: async (cell, name, request, signal) => {
        await this.between(`${cell} ${name}`)
        const answer = this.#method(self, cell, name).answer(Buffer.from(request), self, signal)
        if (!(answer instanceof Promise)) throw new Error(`${name} answers with a stream`)
        const bytes = Buffer.from(await answer)
        await this.between(`${cell} ${name}`)
        return bytes
      },
      stream: (cell, name, request, signal) => this.#stream(self, cell, name, request, signal),
    }
  }

  #method(self: Caller, cell: number, name: string): Method {
    this.calls.push(`${cell} ${name}`)
    if (this.refuses(cell, self)) throw new PeerUnreachable(cell)
    const method = this.#methods.get(cell)?.get(name)
    if (method === undefined || this.faultsOf(cell).isDown === true) throw new PeerUnreachable(cell)
    return method
  }

  async *#stream(
    self: Caller,
    cell: number,
    name: string,
    request: Uint8Array,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const answer = this.#method(self, cell, name).answer(Buffer.from(request), self, signal)
    if (answer instanceof Promise) throw new Error(`${name} answers with one piece`)
    let left = this.faultsOf(cell).breaksAfter ?? Number.POSITIVE_INFINITY
    for await (const bytes of answer) {
      signal.throwIfAborted()
      const part = Buffer.from(bytes.subarray(0, left))
      left -= part.length
      yield this.faultsOf(cell).alter?.(part) ?? part
      if (left === 0) throw new PeerUnreachable(cell)
    }
  }
}
