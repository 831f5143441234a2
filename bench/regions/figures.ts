/** What was measured, and what was wanted. */
export interface Figure {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly wanted?: { readonly least?: number; readonly most?: number }
}

export const holds = ({ value, wanted }: Figure): boolean =>
  value >= (wanted?.least ?? Number.NEGATIVE_INFINITY) && value <= (wanted?.most ?? Number.POSITIVE_INFINITY)

export function figureLine(figure: Figure): string {
  const { name, value, unit, wanted } = figure
  const shown = value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3)
  if (wanted === undefined) return `${name}: ${shown} ${unit}`
  const bound = wanted.least === undefined ? `at most ${wanted.most}` : `at least ${wanted.least}`
  return `${name}: ${shown} ${unit} (wanted: ${bound}; ${holds(figure) ? 'holds' : 'FAILS'})`
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
