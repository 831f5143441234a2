import assert from 'node:assert/strict'

/** Their length fits one byte of `integer`. */
const shortText = 0x7f

/** Writes a record: fixed-width and variable-length integers, strings and lists, one behind another. */
export class RecordWriter {
  #bytes = Buffer.allocUnsafe(512)
  #at = 0

  byte(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#at++] = value
    return this
  }

  /** Unsigned, up to 2^53 - 1, seven bits a byte, lowest first. */
  integer(value: number): this {
    assert.ok(Number.isSafeInteger(value) && value >= 0, 'an unsigned integer of a record')
    this.#reserve(8)
    let rest = value
    while (rest > 0x7f) {
      this.#bytes[this.#at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.#at++] = rest
    return this
  }

  stamp(value: bigint): this {
    this.#reserve(8)
    this.#bytes.writeBigUInt64BE(value, this.#at)
    this.#at += 8
    return this
  }

  text(value: string): this {
    if (value.length <= shortText && this.#ascii(value)) return this
    const size = Buffer.byteLength(value)
    this.integer(size)
    this.#reserve(size)
    this.#at += this.#bytes.write(value, this.#at)
    return this
  }

  /** For short strings a loop is faster than calls out of JavaScript. Writes nothing where a character takes several bytes. */
  #ascii(value: string): boolean {
    this.#reserve(1 + value.length)
    const bytes = this.#bytes
    let at = this.#at
    bytes[at++] = value.length
    for (let index = 0; index < value.length; index++) {
      const code = value.charCodeAt(index)
      if (code > 0x7f) return false
      bytes[at++] = code
    }
    this.#at = at
    return true
  }

  /** Bytes whose number the reader knows. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  /** `digits` is an even number of lower-case hexadecimal digits. */
  hex(digits: string): this {
    this.#reserve(digits.length / 2)
    this.#at += this.#bytes.write(digits, this.#at, 'hex')
    return this
  }

  /** What was written; the writer can be used for the next record. */
  take(): Uint8Array {
    const taken = Buffer.from(this.#bytes.subarray(0, this.#at))
    this.#at = 0
    return taken
  }

  #reserve(size: number): void {
    if (this.#at + size <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + size))
    this.#bytes.copy(larger, 0, 0, this.#at)
    this.#bytes = larger
  }
}

/** Reads what RecordWriter wrote. Reading past the end is a bug or a foreign record, and throws. */
export class RecordReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = offset
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    const value = this.#bytes[this.#at++]
    assert.ok(value !== undefined, 'a record that is long enough')
    return value
  }

  integer(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }

  stamp(): bigint {
    const value = this.#bytes.readBigUInt64BE(this.#at)
    this.#at += 8
    return value
  }

  text(): string {
    const size = this.integer()
    const from = this.#at
    this.#at += size
    assert.ok(this.#at <= this.#bytes.length, 'a record that is long enough')
    return this.#bytes.toString('utf8', from, this.#at)
  }

  raw(size: number): Uint8Array {
    const from = this.#at
    this.#at += size
    assert.ok(this.#at <= this.#bytes.length, 'a record that is long enough')
    return Buffer.from(this.#bytes.subarray(from, this.#at))
  }

  /** As `raw`, but the record's own memory: for what is read at once, or lives as long. */
  view(size: number): Uint8Array {
    const from = this.#at
    this.#at += size
    assert.ok(this.#at <= this.#bytes.length, 'a record that is long enough')
    return this.#bytes.subarray(from, this.#at)
  }

  hex(size: number): string {
    const from = this.#at
    this.#at += size
    assert.ok(this.#at <= this.#bytes.length, 'a record that is long enough')
    return this.#bytes.toString('hex', from, this.#at)
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.#at)
  }

  /** For `count` items, read one after another. */
  list<Item>(read: () => Item): Item[] {
    const items: Item[] = []
    for (let count = this.integer(); count > 0; count--) items.push(read())
    return items
  }
}
