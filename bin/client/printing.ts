const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** As people read sizes. */
export function sizeOf(bytes: number): string {
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${units[power]}`
}

export const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

export type Cell = string | number | boolean | undefined
export type Row = Readonly<Record<string, Cell>>

const text = (cell: Cell): string => (cell === undefined ? '' : String(cell))

/** Rows of the same fields, under their names; numbers stand to the right. */
export function table(rows: readonly Row[]): string {
  const [first] = rows
  if (first === undefined) return ''
  const names = Object.keys(first)
  const width = (name: string): number => Math.max(name.length, ...rows.map((row) => text(row[name]).length))
  const widths = names.map(width)
  const line = (cells: readonly string[], isNumber: readonly boolean[]): string =>
    cells
      .map((cell, at) => (isNumber[at] === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd()
  const isNumber = names.map((name) => rows.every((row) => row[name] === undefined || typeof row[name] === 'number'))
  return [
    line(
      names.map((name) => name.toUpperCase()),
      isNumber,
    ),
    ...rows.map((row) =>
      line(
        names.map((name) => text(row[name])),
        isNumber,
      ),
    ),
  ].join('\n')
}

/** A list, as JSON or as a table. */
export function report(rows: readonly Row[], isJson: boolean | undefined): void {
  if (isJson === true) print(JSON.stringify(rows, undefined, 2))
  else if (rows.length > 0) print(table(rows))
}
