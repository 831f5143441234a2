import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type SchemaElement,
} from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import { Fault } from '#src/errors.ts'
import type { Span } from './bytes.ts'
import { type Columns, objectColumns } from './columns.ts'
import { Decimal } from './decimal.ts'
import type { Source, Stats } from './request.ts'
import { Timestamp } from './timestamp.ts'
import type { Value } from './value.ts'

/** Of a footer, the chunk of a column, or a decompressed page. */
const bytesMax = 134_217_728
const rowsMax = 4_000_000
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
  dateFromDays: (days: number) => new Timestamp(days * 86_400_000, 0, 'day'),
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
    if (cause instanceof Fault) throw cause
    const isCodec = cause instanceof Error && cause.message.includes('compression codec')
    throw new Fault(isCodec ? 'ParquetUnsupportedCompressionCodec' : 'ParquetParsingError', {}, { cause })
  }
}

/** Decimals come as integers or their bytes, so that no digit is lost on the way. */
function takeDecimals(metadata: FileMetaData): ReadonlyMap<string, number> {
  const scales = new Map<string, number>()
  for (const { element, children } of parquetSchema(metadata).children) {
    if (children.length > 0 || !isDecimal(element)) continue
    scales.set(element.name, element.scale ?? 0)
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

/** The records of the row groups that start within the span, in batches. */
export async function* parquetRows(
  source: Source,
  columns: ParquetColumns,
  span: Span,
  stats: Stats,
): AsyncGenerator<Value[]> {
  if (source.size < 12) throw new Fault('ParquetParsingError')
  const file = fileOf(source, stats)
  const metadata = await parsing(() => parquetMetadataAsync(file))
  const convert = converters(metadata)
  const wanted = columns.among([...convert.keys()])
  let start = 0
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows)
    if (!(rows <= rowsMax)) throw new Fault('OverMaxParquetBlockSize')
    const from = start
    start += rows
    const [first] = group.columns
    const offset = Number(first?.meta_data?.dictionary_page_offset ?? first?.meta_data?.data_page_offset ?? 0)
    if (offset < span.from || offset >= span.to || rows === 0) continue
    const data = await parsing(() => readGroup({ file, metadata }, wanted, from, rows))
    yield* batches(data, convert, wanted, rows)
  }
}

interface File {
  readonly file: AsyncBuffer
  readonly metadata: FileMetaData
}

type Cells = ReadonlyMap<string, (index: number) => unknown>

async function readGroup(parts: File, wanted: string[], from: number, rows: number): Promise<Cells> {
  const cells = new Map<string, (index: number) => unknown>()
  // Without columns there would be all of them.
  if (wanted.length === 0) return cells
  await parquetRead({
    ...parts,
    columns: wanted,
    rowStart: from,
    rowEnd: from + rows,
    compressors: bounded,
    parsers,
    utf8: false,
    geoparquet: false,
    onChunk({ columnName, columnData, rowStart, rowEnd }) {
      const before = cells.get(columnName)
      cells.set(columnName, (index) => {
        const at = from + index
        return at >= rowStart && at < rowEnd ? columnData[at - rowStart] : before?.(index)
      })
    },
  })
  return cells
}

function* batches(
  data: Cells,
  convert: ReadonlyMap<string, Convert>,
  wanted: string[],
  rows: number,
): Generator<Value[]> {
  const readers = wanted.map((name) => {
    const [cell, conversion] = [data.get(name), convert.get(name) ?? toValue]
    return [name, (index: number): Value => conversion(cell?.(index))] as const
  })
  for (let from = 0; from < rows; from += batchRows) {
    const batch: Value[] = []
    for (let index = from; index < Math.min(rows, from + batchRows); index++) {
      batch.push(new Map(readers.map(([name, read]) => [name, read(index)])))
    }
    yield batch
  }
}
