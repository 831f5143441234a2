import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { dashboards, queriesOf } from '../../deploy/grafana/dashboards.ts'
import { root } from '../documents/printed.ts'

export const prometheusFolder = join(root, 'deploy/prometheus')

/** An expression that people look at, and where it stands. */
export interface Query {
  readonly where: string
  readonly expression: string
}

export interface Rule extends Query {
  readonly annotations: readonly string[]
}

/** The rules, from the plain YAML that rules.yml keeps to: promtool checks the whole of it. */
export function rules(): readonly Rule[] {
  const text = readFileSync(join(prometheusFolder, 'rules.yml'), 'utf8')
  return text
    .split(/^ {6}- alert: /m)
    .slice(1)
    .map((rule) => {
      const where = rule.split('\n', 1)[0] ?? ''
      const [, folded = ''] = /^ {8}expr: (?:>-)?([\s\S]*?)(?=^ {8}\w+:)/m.exec(rule) ?? []
      const annotations = [...rule.matchAll(/^ {10}(\w+): (?:>-\n)?\s*\S/gm)].map(([, name = '']) => name)
      return { where, expression: folded.trim().replaceAll(/\s+/g, ' '), annotations }
    })
}

/** What Grafana fills in. */
export const filled = (expression: string): string =>
  expression.replaceAll('$__rate_interval', '30s').replaceAll('$region', '.*')

export const panelQueries = (): readonly Query[] =>
  dashboards.flatMap((dashboard) =>
    queriesOf(dashboard).map(({ title, expression }) => ({ where: `${dashboard.uid}: ${title}`, expression })),
  )

/** Names of series in PromQL: of a histogram, with what Prometheus adds to its name. */
export const seriesIn = (expression: string): readonly string[] => [
  ...new Set(expression.match(/\b(?:meridian|process)_[a-z_]+/g) ?? []),
]
