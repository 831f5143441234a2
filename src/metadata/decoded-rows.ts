interface Decoded<Value> {
  readonly bytes: Uint8Array
  readonly value: Value
}

/**
 * Keeps what rows decode to, so that a row that is read on every request is parsed once.
 *
 * N1  a value is given only for bytes equal to those it was decoded from: the row is read each time, so it is never stale.
 * N2  the bytes kept never exceed the budget; the rows that came first go first.
 */
export class DecodedRows<Value> {
  readonly #decode: (bytes: Uint8Array) => Value
  readonly #bytesMax: number
  readonly #rows = new Map<string, Decoded<Value>>()
  #bytesKept = 0

  constructor(decode: (bytes: Uint8Array) => Value, bytesMax: number) {
    this.#decode = decode
    this.#bytesMax = bytesMax
  }

  get bytesKept(): number {
    return this.#bytesKept
  }

  value(name: string, bytes: Uint8Array): Value {
    const kept = this.#rows.get(name)
    if (kept !== undefined && Buffer.compare(kept.bytes, bytes) === 0) return kept.value
    const value = this.#decode(bytes)
    this.#keep(name, bytes, value)
    return value
  }

  /** What the row was when it was last read: it may be something else by now. */
  last(name: string): Value | undefined {
    return this.#rows.get(name)?.value
  }

  #keep(name: string, bytes: Uint8Array, value: Value): void {
    this.#drop(name)
    if (bytes.length > this.#bytesMax) return
    for (const oldest of this.#rows.keys()) {
      if (this.#bytesKept + bytes.length <= this.#bytesMax) break
      this.#drop(oldest)
    }
    // A copy: a driver may lend its own memory for the time of the read only.
    this.#rows.set(name, { bytes: Uint8Array.from(bytes), value })
    this.#bytesKept += bytes.length
  }

  #drop(name: string): void {
    const kept = this.#rows.get(name)
    if (kept === undefined) return
    this.#rows.delete(name)
    this.#bytesKept -= kept.bytes.length
  }
}
