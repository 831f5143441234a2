import { Fault } from '#src/errors.ts'
import { BitReader } from './bit-reader.ts'

/**
 * Decompresses bzip2, one block at a time: the format's own bound, 900 kB and four times that in tables, is all it holds.
 *
 * Z1  it gives what was compressed, or an error: each block's and the stream's CRC are checked.
 */
const blockMagic = 0x314159
const blockMagicRest = 0x265359
const endMagic = 0x177245
const endMagicRest = 0x385090

/** No block is longer when compressed: 900,000 symbols of 20 bits, and the tables before them. */
const blockBytesMax = 2_400_000
const pieceBytes = 262_144
const symbolsPerGroup = 50
const codeLengthMax = 20

const broken = (): Fault => new Fault('InvalidCompressionFormat')

export async function* bunzip(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const bits = new BitReader(bytes)
  await bits.ensure(4)
  do {
    if (bits.read(24) !== 0x425a68) throw broken()
    const level = bits.read(8) - 0x30
    if (level < 1 || level > 9) throw broken()
    yield* blocks(bits, level * 100_000)
    bits.align()
    // Streams may stand one after the other.
    await bits.ensure(4)
  } while (!bits.isAtEnd())
}

async function* blocks(bits: BitReader, sizeMax: number): AsyncGenerator<Uint8Array> {
  const table = new Uint32Array(sizeMax)
  let streamCrc = 0
  for (;;) {
    await bits.ensure(blockBytesMax)
    const [magic, rest] = [bits.read(24), bits.read(24)]
    const crc = bits.read32()
    if (magic === endMagic && rest === endMagicRest) {
      if (crc !== streamCrc >>> 0) throw broken()
      return
    }
    if (magic !== blockMagic || rest !== blockMagicRest) throw broken()
    const { length, origin } = readBlock(bits, table)
    yield* unwind(table, length, origin, crc)
    streamCrc = ((streamCrc << 1) | (streamCrc >>> 31)) ^ crc
  }
}

/** How the codes of one table are read: for each length, the greatest code and where its symbols begin. */
interface Codes {
  readonly least: number
  readonly limits: Int32Array
  readonly bases: Int32Array
  readonly symbols: Uint16Array
}

function readBlock(bits: BitReader, table: Uint32Array): { readonly length: number; readonly origin: number } {
  if (bits.read(1) !== 0) throw broken()
  const origin = bits.read(24)
  const used = readUsedBytes(bits)
  const symbolCount = used.length + 2
  const groupCount = bits.read(3)
  const selectorCount = bits.read(15)
  if (groupCount < 2 || groupCount > 6 || selectorCount < 1) throw broken()
  const selectors = readSelectors(bits, groupCount, selectorCount)
  const groups = Array.from({ length: groupCount }, () => readCodes(bits, symbolCount))
  const length = readSymbols(bits, table, { used, selectors, groups, end: symbolCount - 1 })
  if (origin >= length) throw broken()
  return { length, origin }
}

function readUsedBytes(bits: BitReader): Uint8Array {
  const used: number[] = []
  const ranges = bits.read(16)
  for (let range = 0; range < 16; range++) {
    if ((ranges & (0x8000 >> range)) === 0) continue
    const members = bits.read(16)
    for (let each = 0; each < 16; each++) if ((members & (0x8000 >> each)) !== 0) used.push(range * 16 + each)
  }
  if (used.length === 0) throw broken()
  return Uint8Array.from(used)
}

function readSelectors(bits: BitReader, groupCount: number, count: number): Uint8Array {
  const order = Array.from({ length: groupCount }, (_, index) => index)
  const selectors = new Uint8Array(count)
  for (let index = 0; index < count; index++) {
    let place = 0
    while (bits.read(1) === 1) if (++place >= groupCount) throw broken()
    const [group = 0] = order.splice(place, 1)
    order.unshift(group)
    selectors[index] = group
  }
  return selectors
}

function readCodes(bits: BitReader, symbolCount: number): Codes {
  const lengths = new Uint8Array(symbolCount)
  let length = bits.read(5)
  for (let symbol = 0; symbol < symbolCount; symbol++) {
    for (;;) {
      if (length < 1 || length > codeLengthMax) throw broken()
      if (bits.read(1) === 0) break
      length += bits.read(1) === 0 ? 1 : -1
    }
    lengths[symbol] = length
  }
  return makeCodes(lengths)
}

function makeCodes(lengths: Uint8Array): Codes {
  const limits = new Int32Array(codeLengthMax + 2).fill(-1)
  const bases = new Int32Array(codeLengthMax + 2)
  const symbols = new Uint16Array(lengths.length)
  let [code, filled] = [0, 0]
  for (let length = 1; length <= codeLengthMax; length++) {
    bases[length] = filled - code
    for (const [symbol, own] of lengths.entries()) {
      if (own !== length) continue
      symbols[filled++] = symbol
      code++
    }
    if (code > 1 << length) throw broken()
    limits[length] = code - 1
    code <<= 1
  }
  return { least: Math.min(...lengths), limits, bases, symbols }
}

function readSymbol(bits: BitReader, { least, limits, bases, symbols }: Codes): number {
  let code = bits.read(least)
  for (let length = least; length <= codeLengthMax; length++) {
    if (code <= (limits[length] ?? -1)) {
      const symbol = symbols[code + (bases[length] ?? 0)]
      if (symbol === undefined) throw broken()
      return symbol
    }
    code = (code << 1) | bits.read(1)
  }
  throw broken()
}

interface Coding {
  readonly used: Uint8Array
  readonly selectors: Uint8Array
  readonly groups: readonly Codes[]
  readonly end: number
}

/** Undoes the Huffman codes, the runs and move-to-front; leaves bytes in the table, and gives how many. */
function readSymbols(bits: BitReader, table: Uint32Array, { used, selectors, groups, end }: Coding): number {
  const block = new Block(table, used)
  for (const selector of selectors) {
    const codes = groups[selector]
    if (codes === undefined) throw broken()
    for (let left = symbolsPerGroup; left > 0; left--) {
      const symbol = readSymbol(bits, codes)
      if (symbol <= 1) block.lengthen(symbol)
      else if (symbol === end) return block.end()
      else block.add(symbol - 1)
    }
  }
  throw broken()
}

class Block {
  readonly #table: Uint32Array
  readonly #front: Uint8Array
  #length = 0
  #run = 0
  #weight = 1

  constructor(table: Uint32Array, used: Uint8Array) {
    this.#table = table
    this.#front = Uint8Array.from(used)
  }

  /** A digit, 1 or 2, of the length of a run, the lowest first. */
  lengthen(symbol: number): void {
    this.#run += this.#weight << symbol
    this.#weight <<= 1
    if (this.#run > this.#table.length) throw broken()
  }

  /** The byte that stands so far behind in the list. */
  add(place: number): void {
    this.end()
    if (this.#length >= this.#table.length) throw broken()
    const byte = this.#front[place] ?? 0
    this.#front.copyWithin(1, 0, place)
    this.#front[0] = byte
    this.#table[this.#length++] = byte
  }

  /** Ends the run, if there is one; gives the length of the block so far. */
  end(): number {
    if (this.#run === 0) return this.#length
    const end = this.#length + this.#run
    if (end > this.#table.length) throw broken()
    this.#table.fill(this.#front[0] ?? 0, this.#length, end)
    this.#length = end
    this.#run = 0
    this.#weight = 1
    return end
  }
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1
  return crc
})

/** Links each byte with the one that follows it, in the bits above the byte. */
function link(table: Uint32Array, length: number): void {
  const starts = new Uint32Array(257)
  for (let at = 0; at < length; at++) {
    const next = ((table[at] ?? 0) & 255) + 1
    starts[next] = (starts[next] ?? 0) + 1
  }
  for (let byte = 1; byte < 257; byte++) starts[byte] = (starts[byte] ?? 0) + (starts[byte - 1] ?? 0)
  for (let at = 0; at < length; at++) {
    const byte = (table[at] ?? 0) & 255
    const place = starts[byte] ?? 0
    starts[byte] = place + 1
    table[place] = (table[place] ?? 0) | (at << 8)
  }
}

/** Undoes the transform and the first runs: after four equal bytes stands how many more follow. */
function* unwind(table: Uint32Array, length: number, origin: number, wanted: number): Generator<Uint8Array> {
  link(table, length)
  let piece = Buffer.allocUnsafe(pieceBytes)
  let filled = 0
  let crc = -1
  let [previous, repeated] = [-1, 0]
  let at = (table[origin] ?? 0) >>> 8
  for (let left = length; left > 0; left--) {
    const entry = table[at] ?? 0
    const byte = entry & 255
    at = entry >>> 8
    const isCount = repeated === 4
    const [value, count] = isCount ? [previous, byte] : [byte, 1]
    if (isCount) repeated = 0
    else repeated = byte === previous ? repeated + 1 : 1
    previous = isCount ? -1 : byte
    for (let each = 0; each < count; each++) {
      crc = (crc << 8) ^ (crcTable[(crc >>> 24) ^ value] ?? 0)
      piece[filled++] = value
      if (filled < pieceBytes) continue
      yield piece
      piece = Buffer.allocUnsafe(pieceBytes)
      filled = 0
    }
  }
  if (~crc >>> 0 !== wanted) throw broken()
  if (filled > 0) yield piece.subarray(0, filled)
}
