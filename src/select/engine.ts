import { Fault } from '#src/errors.ts'
import { bytesOf, decompressed, recordsWithin, resolveScanRange, type Span, textOf } from './bytes.ts'
import { type Columns, CsvColumns, type Evaluate, objectColumns } from './columns.ts'
import { Compiler } from './compiler.ts'
import { CsvReader } from './csv-reader.ts'
import { JsonReader } from './json-reader.ts'
import { parseQuery } from './parser.ts'
import type { CsvInput, SelectRequest, Source, Stats } from './request.ts'
import type { Query } from './syntax.ts'
import { recordLengthMax, type Value } from './value.ts'
import { type Entries, entriesOf, recordWriter, type WriteRecord } from './writers.ts'

/** Takes text of the answer; waits while the client does not. */
export type Emit = (records: string) => Promise<void>

/** Answers are sent in pieces of about this many characters. */
const pieceLength = 131_072

/**
 * Runs one query over one object.
 *
 * S9  it holds one piece of the object, one record and one piece of the answer at a time, however large the object and the answer.
 */
export async function runSelect(request: SelectRequest, source: Source, stats: Stats, emit: Emit): Promise<void> {
  const query = parseQuery(request.expression)
  const { input } = request
  if (input.kind !== 'json' && query.from.steps.some(({ kind }) => kind !== 'each')) throw new Fault('InvalidKeyPath')
  const run = new Run(query, request, emit)
  if (query.limit === 0) run.check()
  else if (input.kind === 'csv') await runCsv(run, input.csv, request, source, stats)
  else if (input.kind === 'json') await runJson(run, input.isLines, request, source, stats)
  else await runParquet(run, request, source, stats)
  await run.finish()
}

/** The span of records to read, where the request names a range. */
async function spanOf(request: SelectRequest, source: Source, delimiter: string | undefined): Promise<Span> {
  const { scanRange } = request
  if (scanRange === undefined) return { from: 0, to: source.size }
  if (delimiter === undefined || request.compression !== 'NONE') throw new Fault('UnsupportedScanRangeInput')
  return await recordsWithin(source, resolveScanRange(scanRange, source.size), delimiter)
}

async function runCsv(run: Run, csv: CsvInput, request: SelectRequest, source: Source, stats: Stats): Promise<void> {
  const span = await spanOf(request, source, csv.allowsQuotedRecordDelimiter ? undefined : csv.recordDelimiter)
  let awaitsHeader = csv.header !== 'NONE'
  if (awaitsHeader && span.from > 0) {
    run.compile(new CsvColumns(csv.header === 'USE' ? await readHeader(csv, source) : undefined))
    awaitsHeader = false
  }
  if (csv.header === 'NONE') run.compile(new CsvColumns(undefined))
  const reader = new CsvReader(csv)
  const take = async (records: string[][]): Promise<boolean> => {
    const header = awaitsHeader ? records.shift() : undefined
    if (header !== undefined) {
      run.compile(new CsvColumns(csv.header === 'USE' ? header : undefined))
      awaitsHeader = false
    }
    return await run.take(records)
  }
  const bytes = decompressed(bytesOf(source, span.from, span.to, stats), request.compression)
  for await (const text of textOf(bytes, stats)) if (await take(reader.push(text))) return
  if (await take(reader.push('', true))) return
  if (awaitsHeader) run.compile(new CsvColumns(csv.header === 'USE' ? [] : undefined))
}

/** Ranges begin anywhere, but the names of the columns stand at the beginning of the object. */
async function readHeader(csv: CsvInput, source: Source): Promise<readonly string[]> {
  const bytes = await source.read(0, Math.min(source.size, recordLengthMax))
  const text = new TextDecoder('utf-8').decode(bytes)
  const [header = []] = new CsvReader(csv).push(text.slice(0, text.lastIndexOf(csv.recordDelimiter) + 1))
  return header
}

async function runJson(
  run: Run,
  isLines: boolean,
  request: SelectRequest,
  source: Source,
  stats: Stats,
): Promise<void> {
  const span = await spanOf(request, source, isLines ? '\n' : undefined)
  run.compile(objectColumns)
  const reader = new JsonReader(run.query.from.steps)
  const bytes = decompressed(bytesOf(source, span.from, span.to, stats), request.compression)
  for await (const text of textOf(bytes, stats)) if (await run.take(reader.push(text))) return
  await run.take(reader.push('', true))
}

async function runParquet(run: Run, request: SelectRequest, source: Source, stats: Stats): Promise<void> {
  if (request.compression !== 'NONE') throw new Fault('InvalidCompressionFormat')
  // Few queries are over Parquet; the others need not load what reads it.
  const { ParquetColumns, parquetRows } = await import('./parquet-reader.ts')
  const { scanRange } = request
  const whole = { from: 0, to: source.size }
  const span = scanRange === undefined ? whole : resolveScanRange(scanRange, source.size)
  const columns = new ParquetColumns()
  run.compile(columns)
  if (run.usesWholeRows) columns.askAll()
  for await (const rows of parquetRows(source, columns, span, stats)) if (await run.take(rows)) return
}

class Run {
  readonly query: Query
  readonly #request: SelectRequest
  readonly #emit: Emit
  readonly #write: WriteRecord
  #columns: Columns = objectColumns
  #compiler: Compiler | undefined
  #isWanted: (row: Value) => boolean = () => true
  #projections: readonly (readonly [string, Evaluate])[] | undefined
  #left: number
  #pending: string[] = []
  #pendingLength = 0

  constructor(query: Query, request: SelectRequest, emit: Emit) {
    this.query = query
    this.#request = request
    this.#emit = emit
    this.#write = recordWriter(request.output)
    this.#left = query.limit ?? Number.POSITIVE_INFINITY
  }

  get usesWholeRows(): boolean {
    return this.query.projections === undefined || (this.#compiler?.usesWholeRow ?? false)
  }

  /** Nothing is to be read, yet what can be seen wrong without that is told. */
  check(): void {
    const { input } = this.#request
    if (input.kind !== 'csv') this.compile(objectColumns)
    else if (input.csv.header !== 'USE') this.compile(new CsvColumns(undefined))
    this.#compiler = undefined
  }

  compile(columns: Columns): void {
    const { projections, where } = this.query
    this.#columns = columns
    const compiler = new Compiler(this.query, columns, this.#request.now)
    if (where !== undefined) this.#isWanted = compiler.condition(where)
    if (projections !== undefined) {
      const evaluations = compiler.projections(projections.map(({ expression }) => expression))
      const names = projections.map(nameOf)
      this.#projections = evaluations.map((evaluate, index) => [names[index] ?? '', evaluate])
    }
    this.#compiler = compiler
  }

  /** Whether no more rows are wanted. */
  async take(rows: readonly Value[]): Promise<boolean> {
    const accumulations = this.#compiler?.accumulations ?? []
    for (const row of rows) {
      if (!this.#isWanted(row)) continue
      if (accumulations.length > 0) for (const { aggregate, operand } of accumulations) aggregate.add(operand(row))
      else {
        this.#add(this.#entries(row))
        if (--this.#left <= 0) return true
        if (this.#pendingLength >= pieceLength) await this.#flush()
      }
    }
    return false
  }

  #entries(row: Value): Entries {
    if (this.#projections === undefined) return Array.isArray(row) ? this.#columns.entries(row) : entriesOf(row)
    return this.#projections.map(([name, evaluate]) => [name, evaluate(row)] as const)
  }

  #add(entries: Entries): void {
    const record = this.#write(entries)
    if (record.length > recordLengthMax) throw new Fault('OverMaxRecordSize')
    this.#pending.push(record)
    this.#pendingLength += record.length
  }

  async #flush(): Promise<void> {
    if (this.#pendingLength === 0) return
    const records = this.#pending.join('')
    this.#pending = []
    this.#pendingLength = 0
    await this.#emit(records)
  }

  async finish(): Promise<void> {
    if ((this.#compiler?.accumulations.length ?? 0) > 0 && this.#left > 0) this.#add(this.#entries(undefined))
    await this.#flush()
  }
}

/** The alias, the last name of a path, or the place. */
function nameOf({ expression, alias }: NonNullable<Query['projections']>[number], index: number): string {
  if (alias !== undefined) return alias
  const last = expression.kind === 'path' ? expression.steps.at(-1) : undefined
  return last?.kind === 'name' ? last.name : `_${index + 1}`
}
