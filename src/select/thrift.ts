import { Fault } from '#src/errors.ts'

/**
 * Structs of Thrift's compact protocol, as Parquet writes its metadata, with every size held against the bytes that are there.
 * https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
 */

/** Small integers and structs by the ids of their fields; fields of other kinds are only passed over. */
export type Fields = ReadonlyMap<number, number | Fields | undefined>

/** Structs and lists within each other. Metadata has seven. */
const depthMax = 32

const kinds = { true: 1, false: 2, byte: 3, i16: 4, i32: 5, i64: 6, double: 7, binary: 8, list: 9, struct: 12 } as const

class ThriftReader {
  readonly #bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes
    this.at = at
  }

  struct(depth: number): Fields {
    if (depth > depthMax) throw new Fault('ParquetParsingError')
    const fields = new Map<number, number | Fields | undefined>()
    let id = 0
    for (;;) {
      const byte = this.#byte()
      const kind = byte & 0x0f
      if (kind === 0) return fields
      const step = byte >> 4
      id = step === 0 ? this.#signed() : id + step
      fields.set(id, this.#value(kind, depth))
    }
  }

  #value(kind: number, depth: number): number | Fields | undefined {
    switch (kind) {
      case kinds.true:
      case kinds.false:
        return undefined
      case kinds.byte:
        return this.#pass(1)
      case kinds.i16:
      case kinds.i32:
        return this.#signed()
      case kinds.i64:
        return this.#passLong()
      case kinds.double:
        return this.#pass(8)
      case kinds.binary:
        return this.#pass(this.#unsigned())
      case kinds.list:
        return this.#list(depth)
      case kinds.struct:
        return this.struct(depth + 1)
      default:
        throw new Fault('ParquetParsingError')
    }
  }

  #list(depth: number): undefined {
    if (depth > depthMax) throw new Fault('ParquetParsingError')
    const byte = this.#byte()
    const [short, kind] = [byte >> 4, byte & 0x0f]
    const length = short === 15 ? this.#unsigned() : short
    // Each has a byte at least.
    if (length > this.#bytes.length - this.at) throw new Fault('ParquetParsingError')
    const isFlag = kind === kinds.true || kind === kinds.false
    for (let index = 0; index < length; index++) this.#value(isFlag ? kinds.byte : kind, depth + 1)
    return undefined
  }

  #byte(): number {
    const byte = this.#bytes[this.at++]
    if (byte === undefined) throw new Fault('ParquetParsingError')
    return byte
  }

  #pass(length: number): undefined {
    if (length > this.#bytes.length - this.at) throw new Fault('ParquetParsingError')
    this.at += length
    return undefined
  }

  /** Of 32 bits. */
  #unsigned(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
    throw new Fault('ParquetParsingError')
  }

  #signed(): number {
    const value = this.#unsigned()
    return (value >>> 1) ^ -(value & 1)
  }

  #passLong(): undefined {
    for (let length = 0; length < 10; length++) if (this.#byte() < 0x80) return undefined
    throw new Fault('ParquetParsingError')
  }
}

/** The struct at `at`, and where it ends. Fault `ParquetParsingError` where it is not one. */
export function readStruct(bytes: Uint8Array, at: number): { readonly fields: Fields; readonly end: number } {
  const reader = new ThriftReader(bytes, at)
  const fields = reader.struct(0)
  return { fields, end: reader.at }
}
