/** What a command prints: a line each with tabs between, or JSON. */
type Row = Readonly<Record<string, string | boolean | number | undefined>>

/** Where it goes: standard output, but for tests, whose own report goes there. */
export const output: { write(text: string): void } = { write: (text) => void process.stdout.write(text) }

const print = (line: string): void => output.write(`${line}\n`)

const json = (value: unknown): void => print(JSON.stringify(value, undefined, 2))

/** Several things, a line each. */
export function printRows(rows: readonly Row[], isJson: boolean | undefined): void {
  if (isJson === true) json(rows)
  else
    for (const row of rows)
      print(
        Object.values(row)
          .map((each) => each ?? '')
          .join('\t'),
      )
}

/** One thing, a line for each of its fields. */
export function printRow(row: Row, isJson: boolean | undefined): void {
  if (isJson === true) json(row)
  else for (const [name, value] of Object.entries(row)) if (value !== undefined) print(`${name}\t${value}`)
}

export const isoTime = (milliseconds: number): string => new Date(milliseconds).toISOString()
