import type { LoadResult } from './generator.ts'

/** One line of the table: a load, and what it is held against. */
export interface Row {
  readonly name: string
  readonly perSecond: number
  readonly result?: LoadResult
  readonly against?: string
  /** Of perSecond to what it is held against. */
  readonly ratio?: number
  /** The least that is wanted of the ratio, where something is. */
  readonly wanted?: number
}

const rounded = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)

function cells({ name, perSecond, result, against, ratio, wanted }: Row): string[] {
  const verdict = wanted === undefined || ratio === undefined ? '' : ratio >= wanted ? 'holds' : 'FAILS'
  return [
    name,
    rounded(perSecond),
    result === undefined ? '' : `${result.p50.toFixed(2)} / ${result.p99.toFixed(2)}`,
    result === undefined ? '' : `${Math.round(result.generatorLoad * 100)} %`,
    against ?? '',
    ratio === undefined ? '' : ratio.toFixed(2),
    wanted === undefined ? '' : `≥ ${wanted}`,
    verdict,
  ]
}

const head = ['what', 'a second', 'p50 / p99 ms', 'generator', 'against', 'ratio', 'wanted', '']

/** The rows as a table for people. */
export function table(rows: readonly Row[]): string {
  const lines = [head, ...rows.map(cells)]
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const text = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return [text[0], widths.map((width) => '-'.repeat(width)).join('  '), ...text.slice(1)].join('\n')
}
