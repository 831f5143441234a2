import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { type AlertCase, alertCases, type Series } from './alert-cases.ts'
import { prometheusFolder } from './rules.ts'

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

export interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Alert[] }[]
}

/** deploy/prometheus/rules.yml as Prometheus reads it. */
export const ruleFile = (): RuleFile => parse(readFileSync(join(prometheusFolder, 'rules.yml'), 'utf8')) as RuleFile

export const alertsOf = ({ groups }: RuleFile): readonly Alert[] => groups.flatMap(({ rules }) => rules)

const changed = ({ groups }: RuleFile, change: (alert: Alert) => Alert): RuleFile => ({
  groups: groups.map(({ name, rules }) => ({ name, rules: rules.map(change) })),
})

const withoutWaiting = ({ for: _, ...rest }: Alert): Alert => rest

/** Rules that are broken, and the alerts whose cases have to fail for it. */
export function brokenRules(): readonly {
  readonly how: string
  readonly rules: RuleFile
  readonly alerts: string[]
}[] {
  const rules = ruleFile()
  const all = alertsOf(rules)
  const names = (alerts: readonly Alert[]): string[] => alerts.map(({ alert }) => alert)
  return [
    {
      how: 'alerts that never fire',
      rules: changed(rules, (each) => ({ ...each, expr: `(${each.expr}) and on () (vector(0) == 1)` })),
      alerts: names(all),
    },
    {
      how: 'alerts that always fire',
      rules: changed(rules, (each) => ({
        ...each,
        expr: each.expr.replaceAll(/(?:[<>]=?|==) (?=[\d.]+)/g, '> -1e9 + 0 * '),
      })),
      alerts: names(all),
    },
    {
      how: 'alerts that do not wait',
      rules: changed(rules, withoutWaiting),
      alerts: names(all.filter((each) => each.for !== undefined)),
    },
  ]
}

/** Whether a program can be started here. */
export const isInstalled = (program: string, ...words: readonly string[]): boolean =>
  spawnSync(program, words, { timeout: 60_000 }).status === 0

const inputOf = (series: Series) => Object.entries(series).map(([name, values]) => ({ series: name, values }))

const filled = (text: string, labels: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => labels[name] ?? '')

/** One case, as promtool wants it: firing in its time, and silent besides. */
function testsOf(known: readonly Alert[], { alert, interval = '1m', series, at, notYet, ...told }: AlertCase) {
  const rule = known.find((each) => each.alert === alert)
  if (rule === undefined) throw new Error(`there is no alert ${alert}`)
  const { labels, annotations } = rule
  const expected = {
    exp_labels: { ...told.labels, ...labels },
    exp_annotations: { summary: told.summary, action: filled(annotations['action'] ?? '', told.labels) },
  }
  const fires = { eval_time: at, alertname: alert, exp_alerts: [expected] }
  const quiet = (time: string) => ({ eval_time: time, alertname: alert, exp_alerts: [] })
  return [
    {
      name: `${alert} fires`,
      interval,
      input_series: inputOf(series),
      alert_rule_test: [fires, ...(notYet === undefined ? [] : [quiet(notYet)])],
    },
    ...told.silent.map((other, index) => ({
      name: `${alert} is silent (${index})`,
      interval,
      input_series: inputOf(other),
      alert_rule_test: [quiet(at)],
    })),
  ]
}

export interface AlertsTold {
  readonly isGood: boolean
  /** By alert: what was told of each that did not do as its case says. */
  readonly failed: ReadonlySet<string>
  readonly printed: string
}

/** Runs the cases through promtool, against rules that may be others than those of deploy/. */
export function testAlerts(rules: RuleFile): AlertsTold {
  const folder = mkdtempSync(join(tmpdir(), 'meridian-alerts-'))
  try {
    const known = alertsOf(ruleFile())
    const tests = {
      rule_files: ['rules.yml'],
      evaluation_interval: '1m',
      tests: alertCases.flatMap((each) => testsOf(known, each)),
    }
    writeFileSync(join(folder, 'rules.yml'), stringify(rules))
    writeFileSync(join(folder, 'tests.yml'), stringify(tests))
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'tests.yml'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 120_000,
      maxBuffer: 2 ** 26,
    })
    const printed = `${stdout}${stderr}`
    const failed = new Set([...printed.matchAll(/^\s+name: (\w+) (?:fires|is silent)/gm)].map(([, name = '']) => name))
    return { isGood: status === 0, failed, printed }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
