/** One line of Prometheus' text format. */
export interface SeriesLine {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export function parseExposition(text: string): readonly SeriesLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^(\w+)\{(.*)\} (\S+)$/.exec(line) ?? []
      if (name === '' || Number.isNaN(Number(value.replace('+Inf', 'Infinity')))) throw new Error(`not a line: ${line}`)
      const found = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)]
      return { name, value: Number(value), labels: Object.fromEntries(found.map(([, key, text]) => [key, text])) }
    })
}

/** Of all series of a name with these labels. */
export function sumOf(
  lines: readonly SeriesLine[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return lines
    .filter((each) => each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0)
}
