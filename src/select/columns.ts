import { Fault } from '#src/errors.ts'
import { isList, isMap, type Value } from './value.ts'

/** A record as a reader gives it: the fields of CSV as a list, objects as maps. */
export type Row = Value

export type Evaluate = (row: Row) => Value

/** How names of columns are found in the records of a format. */
export interface Columns {
  /** Undefined: no record can have such a column. */
  column(name: string, isQuoted: boolean): Evaluate | undefined
  /** Names and values of all columns, in order. */
  entries(row: Row): Iterable<readonly [string, Value]>
  /** Whether a name in double quotes that no column has is meant as text. */
  readonly takesQuotedText: boolean
}

const columnsMax = 16_384

/** `_1` is the first. */
function positionOf(name: string): number | undefined {
  const digits = /^_(\d{1,9})$/.exec(name)?.[1]
  if (digits === undefined) return undefined
  const position = Number(digits)
  if (position < 1 || position > columnsMax) throw new Fault('InvalidColumnIndex', { ColumnName: name })
  return position - 1
}

/** Of two names that differ by case alone, one must be asked for in quotes. */
function oneOf(name: string, found: readonly string[]): string | undefined {
  if (found.length > 1) throw new Fault('AmbiguousFieldName', { FieldName: name.slice(0, 100) })
  return found[0]
}

export class CsvColumns implements Columns {
  readonly #header: readonly string[] | undefined

  /** `header`: where the first record has the names of the columns. */
  constructor(header: readonly string[] | undefined) {
    this.#header = header
  }

  get takesQuotedText(): boolean {
    return this.#header === undefined
  }

  column(name: string, isQuoted: boolean): Evaluate | undefined {
    const index = this.#named(name, isQuoted) ?? positionOf(name)
    return index === undefined ? undefined : (row) => (isList(row) ? row[index] : undefined)
  }

  #named(name: string, isQuoted: boolean): number | undefined {
    if (this.#header === undefined) return undefined
    const lower = name.toLowerCase()
    const isMeant = isQuoted
      ? (each: string): boolean => each === name
      : (each: string): boolean => each.toLowerCase() === lower
    const found = [...this.#header.keys()].filter((index) => isMeant(this.#header?.[index] ?? ''))
    const index = oneOf(name, found.map(String))
    return index === undefined ? undefined : Number(index)
  }

  *entries(row: Row): Iterable<readonly [string, Value]> {
    if (!isList(row)) return
    for (const [index, value] of row.entries()) yield [this.#header?.[index] ?? `_${index + 1}`, value]
  }
}

/** A member of an object; without quotes, its case does not matter. */
export function member(value: Value, name: string, isQuoted: boolean): Value {
  if (!isMap(value)) return undefined
  if (isQuoted || value.has(name)) return value.get(name)
  const lower = name.toLowerCase()
  const found = oneOf(
    name,
    [...value.keys()].filter((each) => each.toLowerCase() === lower),
  )
  return found === undefined ? undefined : value.get(found)
}

/** Of JSON and Parquet, whose records have names. */
export const objectColumns: Columns = {
  takesQuotedText: false,
  column: (name, isQuoted) => (row) => member(row, name, isQuoted),
  entries: (row) => (isMap(row) ? row : row === undefined ? [] : [['_1', row]]),
}
