import {
  type AsyncBuffer,
  type ColumnMetaData,
  type Compressors,
  type FileMetaData,
  parquetMetadata,
  parquetRead,
  parquetSchema,
  type RowGroup,
  type SchemaElement,
} from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { Fault } from '#src/errors.ts'
import type { Span } from './bytes.ts'
import { type Columns, objectColumns } from './columns.ts'
import { Decimal } from './decimal.ts'
import { bytesMax, checkPages } from './parquet-pages.ts'
import type { Source, Stats } from './request.ts'
import { readStruct } from './thrift.ts'
import { Timestamp } from './timestamp.ts'
import type { Value } from './value.ts'

const footerMax = 33_554_432
/** Bytes from the end that have the whole footer of most files. */
const firstRead = 524_288
/** Of the chunks of a row group that a query asks for. */
const groupMax = 536_870_912
const rowsMax = 4_000_000
/** Of a chunk. Where a record has lists, it has more of them than records. */
const valuesMax = 16_777_216
const elementsMax = 10_000
const scaleMax = 1_000
const batchRows = 1_024

/** The columns of a Parquet file that a query asks for; the others are not read. */
export class ParquetColumns implements Columns {
  readonly takesQuotedText = false
  readonly #asked = new Set<string>()
  #isAllAsked = false

  column(name: string, isQuoted: boolean): ReturnType<Columns['column']> {
    this.#asked.add(name.toLowerCase())
    return objectColumns.column(name, isQuoted)
  }

  /** Somebody wants the whole record. */
  askAll(): void {
    this.#isAllAsked = true
  }

  entries(row: Value): Iterable<readonly [string, Value]> {
    return objectColumns.entries(row)
  }

  among(names: readonly string[]): string[] {
    return names.filter((name) => this.#isAllAsked || this.#asked.has(name.toLowerCase()))
  }
}

const bounded: Compressors = Object.fromEntries(
  Object.entries(compressors).map(([codec, decompress]) => [
    codec,
    (input: Uint8Array, length: number) => {
      // The length is what the file says of itself.
      if (length > bytesMax) throw new Fault('OverMaxParquetBlockSize')
      return decompress(input, length)
    },
  ]),
)

const parsers = {
  timestampFromMilliseconds: (time: bigint) => new Timestamp(Number(time), 0),
  timestampFromMicroseconds: (time: bigint) => new Timestamp(Number(time / 1_000n), 0),
  timestampFromNanoseconds: (time: bigint) => new Timestamp(Number(time / 1_000_000n), 0),
  // What the file calls a date may be anything.
  dateFromDays: (days: unknown) => new Timestamp(Number(days) * 86_400_000, 0, 'day'),
}

function fileOf(source: Source, stats: Stats): AsyncBuffer {
  return {
    byteLength: source.size,
    async slice(start, end = source.size) {
      if (end - start > bytesMax) throw new Fault('OverMaxParquetBlockSize')
      const bytes = await source.read(start, Math.min(source.size, end))
      stats.scanned += bytes.length
      stats.processed += bytes.length
      const copy = new ArrayBuffer(bytes.length)
      new Uint8Array(copy).set(bytes)
      return copy
    },
  }
}

/** Whatever else the library throws, the file is not what it should be. */
async function parsing<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (cause) {
    throw refusalOf(cause)
  }
}

function refusalOf(cause: unknown): Fault {
  if (cause instanceof Fault) return cause
  const isCodec = cause instanceof Error && cause.message.includes('compression codec')
  return new Fault(isCodec ? 'ParquetUnsupportedCompressionCodec' : 'ParquetParsingError', {}, { cause })
}

/** Decimals come as integers or their bytes, so that no digit is lost on the way. */
function takeDecimals(metadata: FileMetaData): ReadonlyMap<string, number> {
  const scales = new Map<string, number>()
  for (const { element, children } of parquetSchema(metadata).children) {
    if (children.length > 0 || !isDecimal(element)) continue
    const { scale = 0 } = element
    if (!Number.isInteger(scale) || scale < 0 || scale > scaleMax) throw new Fault('ParquetParsingError')
    scales.set(element.name, scale)
    delete element.converted_type
    delete element.logical_type
  }
  return scales
}

const isDecimal = ({ converted_type, logical_type }: SchemaElement): boolean =>
  converted_type === 'DECIMAL' || logical_type?.type === 'DECIMAL'

function decimalOf(value: unknown, scale: number): Value {
  if (typeof value === 'number' || typeof value === 'bigint') return new Decimal(BigInt(value), scale)
  if (!(value instanceof Uint8Array) || value.length === 0) return null
  return new Decimal(BigInt.asIntN(value.length * 8, BigInt(`0x${Buffer.from(value).toString('hex')}`)), scale)
}

function toValue(value: unknown): Value {
  if (value === null || value === undefined) return null
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value
  if (typeof value === 'string' || typeof value === 'bigint' || typeof value === 'boolean') return value
  if (value instanceof Timestamp) return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString()
  if (Array.isArray(value)) return value.map(toValue)
  return new Map(Object.entries(value as object).map(([name, each]) => [name, toValue(each)]))
}

type Convert = (value: unknown) => Value

/** Of a column whose values are not what its type says, the file is to blame. */
function readable(convert: Convert, value: unknown): Value {
  try {
    return convert(value)
  } catch (cause) {
    throw refusalOf(cause)
  }
}

const floats: ReadonlySet<string | undefined> = new Set(['FLOAT', 'DOUBLE'])

/** How the values of each column become ours. */
function converters(metadata: FileMetaData): ReadonlyMap<string, Convert> {
  const scales = takeDecimals(metadata)
  return new Map(
    parquetSchema(metadata).children.map(({ element: { name, type } }) => {
      const scale = scales.get(name)
      if (scale !== undefined) return [name, (value) => decimalOf(value, scale)]
      if (floats.has(type)) return [name, (value) => (typeof value === 'number' ? value : null)]
      return [name, toValue]
    }),
  )
}

/** What is said of all the file; how large it is said to be is checked before it is read. */
async function readMetadata(file: AsyncBuffer): Promise<FileMetaData> {
  const tail = Buffer.from(await file.slice(Math.max(0, file.byteLength - firstRead), file.byteLength))
  const length = tail.readUInt32LE(tail.length - 8) + 8
  if (tail.toString('latin1', tail.length - 4) !== 'PAR1' || length > file.byteLength)
    throw new Fault('ParquetParsingError')
  if (length > footerMax) throw new Fault('OverMaxParquetBlockSize')
  const isWhole = length <= tail.length
  const footer = isWhole
    ? tail.subarray(-length)
    : Buffer.from(await file.slice(file.byteLength - length, file.byteLength))
  readStruct(footer.subarray(0, -8), 0)
  const metadata = parquetMetadata(new Uint8Array(footer), { geoparquet: false })
  // What has another type in the file has another type here.
  const isNamed = metadata.schema.every(({ name }) => typeof name === 'string')
  if (metadata.schema.length > elementsMax || !isNamed) throw new Fault('ParquetParsingError')
  return metadata
}

/** The records of the row groups that start within the span, in batches. */
export async function* parquetRows(
  source: Source,
  columns: ParquetColumns,
  span: Span,
  stats: Stats,
): AsyncGenerator<Value[]> {
  if (source.size < 12) throw new Fault('ParquetParsingError')
  const file = fileOf(source, stats)
  const metadata = await parsing(() => readMetadata(file))
  const convert = await parsing(async () => converters(metadata))
  const wanted = columns.among([...convert.keys()])
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows)
    if (!(rows <= rowsMax)) throw new Fault('OverMaxParquetBlockSize')
    const [first] = group.columns
    const offset = Number(first?.meta_data?.dictionary_page_offset ?? first?.meta_data?.data_page_offset ?? 0)
    if (offset < span.from || offset >= span.to || rows <= 0) continue
    const data = await parsing(() => readGroup(file, { ...metadata, row_groups: [group] }, wanted, rows))
    yield* batches(data, convert, wanted, rows)
  }
}

/** The values of some records that follow each other. */
interface Piece {
  readonly start: number
  readonly end: number
  readonly values: ArrayLike<unknown>
}

/** By the names of columns, in the order of the records. */
type Cells = ReadonlyMap<string, readonly Piece[]>

interface Chunk {
  readonly start: number
  readonly end: number
  readonly values: number
}

/** Where the values of a column are. Fault where they cannot be there, or are fewer than the records. */
function chunkOf(meta: ColumnMetaData, rows: number, size: number): Chunk {
  const start = Number(meta.dictionary_page_offset || meta.data_page_offset)
  const [end, values] = [start + Number(meta.total_compressed_size), Number(meta.num_values)]
  if (!(start >= 0 && start <= end && end <= size && values >= rows)) throw new Fault('ParquetParsingError')
  if (values > valuesMax || end - start > bytesMax) throw new Fault('OverMaxParquetBlockSize')
  return { start, end, values }
}

/** The chunks of a row group that are wanted, checked, as a file that has nothing else. */
async function readChunks(file: AsyncBuffer, group: RowGroup, wanted: string[], rows: number): Promise<AsyncBuffer> {
  const chunks = group.columns.flatMap(({ meta_data: meta }) => {
    if (meta === undefined) throw new Fault('ParquetParsingError')
    // Also what is not read must have as many values as there are records.
    const chunk = chunkOf(meta, rows, file.byteLength)
    return wanted.includes(meta.path_in_schema[0] ?? '') ? [chunk] : []
  })
  if (chunks.reduce((sum, { start, end }) => sum + end - start, 0) > groupMax)
    throw new Fault('OverMaxParquetBlockSize')
  const pieces = await Promise.all(
    chunks.map(async ({ start, end, values }) => {
      const bytes = await file.slice(start, end)
      checkPages(new Uint8Array(bytes), values)
      return { start, end, bytes }
    }),
  )
  return {
    byteLength: file.byteLength,
    slice(from, to = file.byteLength) {
      const whole = pieces.find(({ start, end }) => start === from && end === to)
      if (whole !== undefined) return whole.bytes
      const slice = new Uint8Array(to - from)
      for (const { start, end, bytes } of pieces) {
        const [first, last] = [Math.max(from, start), Math.min(to, end)]
        if (first < last) slice.set(new Uint8Array(bytes, first - start, last - first), first - from)
      }
      return slice.buffer
    },
  }
}

async function readGroup(file: AsyncBuffer, metadata: FileMetaData, wanted: string[], rows: number): Promise<Cells> {
  const cells = new Map<string, Piece[]>()
  const [group] = metadata.row_groups
  if (group === undefined) return cells
  const chunks = await readChunks(file, group, wanted, rows)
  // Without columns there would be all of them.
  if (wanted.length === 0) return cells
  await parquetRead({
    file: chunks,
    metadata,
    columns: wanted,
    rowEnd: rows,
    compressors: bounded,
    parsers,
    utf8: false,
    geoparquet: false,
    onChunk({ columnName, columnData, rowStart, rowEnd }) {
      const pieces = cells.get(columnName) ?? []
      cells.set(columnName, pieces)
      pieces.push({ start: rowStart, end: rowEnd, values: columnData })
    },
  })
  return cells
}

/** Records are asked for one after the other. */
function cellsOf(pieces: readonly Piece[] = []): (index: number) => unknown {
  let at = 0
  return (index) => {
    while (index >= (pieces[at]?.end ?? Number.POSITIVE_INFINITY)) at++
    const piece = pieces[at]
    return piece === undefined || index < piece.start ? undefined : piece.values[index - piece.start]
  }
}

function* batches(
  data: Cells,
  convert: ReadonlyMap<string, Convert>,
  wanted: string[],
  rows: number,
): Generator<Value[]> {
  const readers = wanted.map((name) => {
    const [cell, conversion] = [cellsOf(data.get(name)), convert.get(name) ?? toValue]
    return [name, (index: number): Value => readable(conversion, cell(index))] as const
  })
  for (let from = 0; from < rows; from += batchRows) {
    const batch: Value[] = []
    for (let index = from; index < Math.min(rows, from + batchRows); index++) {
      batch.push(new Map(readers.map(([name, read]) => [name, read(index)])))
    }
    yield batch
  }
}
