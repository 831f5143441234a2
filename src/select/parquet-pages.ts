import { Fault } from '#src/errors.ts'
import { type Fields, readStruct } from './thrift.ts'

/** Of a footer, the chunk of a column, or its pages decompressed. */
export const bytesMax = 134_217_728

const pageTypes = { data: 0, dictionary: 2, dataV2: 3 } as const

/** Fields of PageHeader: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift */
const fieldOf = { type: 1, uncompressed: 2, compressed: 3, data: 5, dictionary: 7, dataV2: 8 } as const

function countOf(fields: Fields, id: number, max: number): number {
  const count = fields.get(id)
  if (typeof count !== 'number' || count < 0 || count > max) throw new Fault('ParquetParsingError')
  return count
}

function partOf(fields: Fields, id: number): Fields {
  const part = fields.get(id)
  if (typeof part !== 'object') throw new Fault('ParquetParsingError')
  return part
}

/**
 * Holds what the pages of a column's chunk say of themselves against what there is, before anything is made of the size that they say: a
 * list of a size that some bytes name does not end in an exception, but ends the process.
 *
 * `values` is how many the chunk has, nulls included. Fault `ParquetParsingError`, `OverMaxParquetBlockSize`.
 */
export function checkPages(chunk: Uint8Array, values: number): void {
  let [at, found, uncompressed] = [0, 0, 0]
  while (found < values) {
    const { fields, end } = readStruct(chunk, at)
    const size = countOf(fields, fieldOf.compressed, chunk.length - end)
    const full = countOf(fields, fieldOf.uncompressed, Number.MAX_SAFE_INTEGER)
    uncompressed += full
    if (uncompressed > bytesMax) throw new Fault('OverMaxParquetBlockSize')
    found += valuesOf(fields, values - found, size, full)
    at = end + size
  }
}

function valuesOf(fields: Fields, left: number, size: number, full: number): number {
  switch (fields.get(fieldOf.type)) {
    case pageTypes.data:
      return countOf(partOf(fields, fieldOf.data), 1, left)
    case pageTypes.dataV2: {
      const page = partOf(fields, fieldOf.dataV2)
      const values = countOf(page, 1, left)
      // Of them, the nulls and the records; of the bytes, those of the levels.
      countOf(page, 2, values)
      countOf(page, 3, values)
      const levels = countOf(page, 5, size)
      countOf(page, 6, size - levels)
      return values
    }
    case pageTypes.dictionary:
      // No value of a dictionary has less than a byte.
      countOf(partOf(fields, fieldOf.dictionary), 1, full)
      return 0
    default:
      throw new Fault('ParquetParsingError')
  }
}
