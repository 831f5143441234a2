import assert from 'node:assert/strict'

/**
 * Tuples as keys: bytes that sort as the tuples do (element by element; byte strings before strings before integers).
 * FoundationDB's tuple layer, but for how byte strings and strings are written.
 *
 * P1  packed tuples compare, byte by byte, as the tuples: integers by value, strings by their UTF-8 bytes.
 * P2  unpack gives back what was packed; an integer comes back as a number where that is exact, else as a bigint.
 * P3  a string of n bytes takes at most 1.5 n + 4 bytes, so that an S3 key of 1,024 bytes, of anything, fits LMDB's keys (C6).
 *
 * FoundationDB doubles each NUL, which breaks P3. Here each run of NULs, also the empty one at the end of the string, is
 * 00 and a code: 00 to 7e, that many NULs end the string; 7f, 127 NULs and another code of this kind follows; ff to 81, 1 to 127
 * NULs and then another byte; 80, 127 NULs and another code of this kind follows. Order holds, since of two runs
 * that end their strings the longer is the larger, of two before another byte it is the smaller, and the end comes before any byte.
 */
export type Element = number | bigint | string | Uint8Array

const bytesTag = 0x01
const textTag = 0x02
/** Zero; an integer of n bytes has a tag n above, its negative n below. */
const zeroTag = 0x14
const endMost = 0x7f
const byteMost = 0x80
/** NULs that one continuing code stands for. */
const runMost = 127
/** Below this, a loop over the characters is faster than a call into the encoder. */
const shortText = 64

let scratch = Buffer.allocUnsafeSlow(8192)
/** Of one integer: taking a bigint apart by shifts makes another bigint for each digit. */
const digits = new DataView(new ArrayBuffer(8))

export function pack(elements: readonly Element[]): Uint8Array {
  return append(undefined, elements)
}

/** prefix ‖ pack(elements). */
export function append(prefix: Uint8Array | undefined, elements: readonly Element[]): Uint8Array {
  let most = prefix?.length ?? 0
  for (const element of elements) most += sizeMost(element)
  reserve(most)
  let at = 0
  if (prefix !== undefined) {
    scratch.set(prefix)
    at = prefix.length
  }
  for (const element of elements) at = write(element, at)
  return taken(at)
}

/** prefix ‖ pack([string]), the string given as UTF-8; as a bound of a range it may also be cut or incremented bytes. */
export function appendText(prefix: Uint8Array, utf8: Uint8Array): Uint8Array {
  reserve(prefix.length + sizeMost(utf8))
  scratch.set(prefix)
  return taken(writeString(utf8, textTag, prefix.length))
}

/** The least bytes above all that start with prefix, or undefined if there are none (prefix is empty or all ff). */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return undefined
  const after = Buffer.from(prefix.subarray(0, length))
  after[length - 1] = (after[length - 1] ?? 0) + 1
  return after
}

/** The least key above key. */
export function afterKey(key: Uint8Array): Uint8Array {
  const after = Buffer.allocUnsafe(key.length + 1)
  after.set(key)
  after[key.length] = 0
  return after
}

export function unpack(bytes: Uint8Array): Element[] {
  const reader = new TupleReader(bytes, 0)
  const elements: Element[] = []
  while (!reader.ended) elements.push(reader.element())
  return elements
}

/** Reads the elements of a packed tuple one after another, from an offset behind its known prefix. */
export class TupleReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Uint8Array, offset: number) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = offset
  }

  get ended(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** Where the next element starts. */
  get offset(): number {
    return this.#at
  }

  element(): Element {
    const tag = this.#bytes[this.#at]
    if (tag === textTag) return this.text()
    if (tag === bytesTag) return this.bytes()
    return this.integer()
  }

  text(): string {
    const bytes = this.#bytes
    this.#expect(textTag)
    const end = this.#plainEnd()
    if (end < 0) return this.#spelled().toString('utf8')
    const text = bytes.toString('utf8', this.#at, end)
    this.#at = end + 2
    return text
  }

  bytes(): Uint8Array {
    this.#expect(bytesTag)
    return this.#string()
  }

  /** A string as its UTF-8 bytes. */
  utf8(): Uint8Array {
    this.#expect(textTag)
    return this.#string()
  }

  integer(): number | bigint {
    const tag = this.#bytes[this.#at] ?? 0
    const size = Math.abs(tag - zeroTag)
    const from = this.#at + 1
    assert.ok(size <= 8 && from + size <= this.#bytes.length, 'an integer of a tuple')
    this.#at = from + size
    if (size === 0) return 0
    // Negative numbers are written as what they are above the least of their size, so the same digits give both.
    if (size <= 6) {
      const digits = this.#bytes.readUIntBE(from, size)
      return tag > zeroTag ? digits : digits - (2 ** (8 * size) - 1)
    }
    let digits = 0n
    for (let at = from; at < from + size; at++) digits = (digits << 8n) | BigInt(this.#bytes[at] ?? 0)
    const value = tag > zeroTag ? digits : digits - ((1n << BigInt(8 * size)) - 1n)
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  }

  bigint(): bigint {
    return BigInt(this.integer())
  }

  number(): number {
    const value = this.integer()
    assert.ok(typeof value === 'number', 'an integer that is exact as a number')
    return value
  }

  #expect(tag: number): void {
    assert.equal(this.#bytes[this.#at], tag, 'the tag of a tuple element')
    this.#at++
  }

  #string(): Buffer {
    const end = this.#plainEnd()
    if (end < 0) return this.#spelled()
    const plain = Buffer.from(this.#bytes.subarray(this.#at, end))
    this.#at = end + 2
    return plain
  }

  /** Where a string without NULs ends, or -1 if it has some. */
  #plainEnd(): number {
    const end = this.#bytes.indexOf(0, this.#at)
    assert.ok(end >= 0 && end + 1 < this.#bytes.length, 'the end of a string in a tuple')
    return this.#bytes[end + 1] === 0 ? end : -1
  }

  #spelled(): Buffer {
    const pieces: Buffer[] = []
    for (;;) {
      const nul = this.#bytes.indexOf(0, this.#at)
      assert.ok(nul >= 0, 'the end of a string in a tuple')
      pieces.push(this.#bytes.subarray(this.#at, nul))
      this.#at = nul + 1
      const { length, ends } = this.#run()
      pieces.push(Buffer.alloc(length))
      if (ends) return Buffer.concat(pieces)
    }
  }

  #run(): { length: number; ends: boolean } {
    let length = 0
    for (;;) {
      const code = this.#bytes[this.#at++]
      assert.ok(code !== undefined, 'the length of a run of NULs')
      if (code < endMost) return { length: length + code, ends: true }
      if (code > byteMost) return { length: length + 0x100 - code, ends: false }
      length += runMost
    }
  }
}

function reserve(size: number): void {
  if (size > scratch.length) scratch = Buffer.allocUnsafeSlow(size * 2)
}

function taken(size: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(size)
  bytes.set(scratch.subarray(0, size))
  return bytes
}

/** At least as much as the element can take when packed. */
function sizeMost(element: Element): number {
  if (typeof element === 'string') return element.length * 5 + 4
  if (typeof element === 'object') return element.length * 2 + 4
  return 9
}

function write(element: Element, at: number): number {
  if (typeof element === 'string') return writeText(element, at)
  if (typeof element === 'object') return writeString(element, bytesTag, at)
  if (typeof element === 'number') return writeNumber(element, at)
  return writeBigint(element, at)
}

function writeText(text: string, from: number): number {
  const target = scratch
  target[from] = textTag
  let at = from + 1
  if (text.length < shortText) {
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      if (code === 0 || code > 0x7f) return writeString(encoded(text), textTag, from)
      target[at++] = code
    }
  } else {
    if (text.includes('\0')) return writeString(encoded(text), textTag, from)
    assert.ok(text.isWellFormed(), 'a string without unpaired surrogates')
    at += target.write(text, at, 'utf8')
  }
  target[at] = 0
  target[at + 1] = 0
  return at + 2
}

function encoded(text: string): Buffer {
  // Two ill-formed strings would become one key.
  assert.ok(text.isWellFormed(), 'a string without unpaired surrogates')
  return Buffer.from(text, 'utf8')
}

function writeString(bytes: Uint8Array, tag: number, from: number): number {
  const target = scratch
  let at = from
  target[at++] = tag
  let read = 0
  for (;;) {
    const nul = bytes.indexOf(0, read)
    const end = nul < 0 ? bytes.length : nul
    if (end > read) {
      target.set(bytes.subarray(read, end), at)
      at += end - read
    }
    read = end
    while (read < bytes.length && bytes[read] === 0) read++
    target[at++] = 0
    const ends = read === bytes.length
    at = writeRun(read - end, ends, at)
    if (ends) return at
  }
}

function writeRun(length: number, ends: boolean, from: number): number {
  let at = from
  let rest = length
  // A run before a byte has at least one NUL, so its last code stands for 1 to 127; one that ends for 0 to 126.
  const least = ends ? 0 : 1
  for (; rest - runMost >= least; rest -= runMost) scratch[at++] = ends ? endMost : byteMost
  scratch[at++] = ends ? rest : 0x100 - rest
  return at
}

function writeNumber(value: number, at: number): number {
  assert.ok(Number.isSafeInteger(value), 'an integer of a tuple')
  const magnitude = Math.abs(value)
  if (magnitude >= 2 ** 48) return writeBigint(BigInt(value), at)
  if (magnitude === 0) {
    scratch[at] = zeroTag
    return at + 1
  }
  let size = 1
  while (magnitude >= 2 ** (8 * size)) size++
  scratch[at] = value > 0 ? zeroTag + size : zeroTag - size
  scratch.writeUIntBE(value > 0 ? value : value + (2 ** (8 * size) - 1), at + 1, size)
  return at + 1 + size
}

function writeBigint(value: bigint, at: number): number {
  assert.ok(BigInt.asIntN(64, value) === value, 'a signed 64-bit integer of a tuple')
  const magnitude = value < 0n ? -value : value
  digits.setBigUint64(0, magnitude)
  let unused = 0
  while (unused < 8 && digits.getUint8(unused) === 0) unused++
  const size = 8 - unused
  if (value < 0n) digits.setBigUint64(0, value + ((1n << BigInt(8 * size)) - 1n))
  scratch[at] = value < 0n ? zeroTag - size : zeroTag + size
  for (let index = unused; index < 8; index++) scratch[at + 1 + index - unused] = digits.getUint8(index)
  return at + 1 + size
}
