import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { DevCluster } from '../support/dev-cluster.ts'
import { tellHelp } from '../support/tell-help.ts'
import { brokenRules, ruleFile, testAlerts } from './alerts.ts'
import { Prometheus } from './prometheus.ts'
import { filled, panelQueries, prometheusFolder, type Query, rules, seriesIn } from './rules.ts'
import { traffic } from './traffic.ts'

tellHelp(`npm run dashboards:check -- [options]

Every alert fires and is silent as alert-cases.ts says, and those cases notice broken rules. Then a whole cluster of three regions,
which a real Prometheus scrapes, with some traffic: every query of every dashboard and rule has to return data, and Prometheus' own
checker to accept the rules.

  --seconds N   of traffic (30)
  --waive       a machine without prometheus is no failure
`)

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, waive: { type: 'boolean', default: false } },
})

const codes = ['fra', 'iad', 'syd']
let failed = 0

function tell(isGood: boolean, what: string, why: readonly string[] = []): void {
  console.log(`${isGood ? 'good' : 'FAILED'}: ${what}`)
  for (const each of why) console.log(`  ${each}`)
  if (!isGood) failed++
}

function promtool(...words: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync('promtool', words, { cwd: prometheusFolder, encoding: 'utf8' })
  tell(status === 0, `promtool ${words.slice(0, 2).join(' ')}`, status === 0 ? [] : `${stdout}${stderr}`.split('\n'))
}

function alerts(): void {
  const { isGood, printed } = testAlerts(ruleFile())
  tell(isGood, 'every alert fires, waits and is silent as its cases say', isGood ? [] : printed.split('\n'))
  for (const { how, rules: broken, alerts: wanted } of brokenRules()) {
    const { failed: noticed } = testAlerts(broken)
    const missed = wanted.filter((each) => !noticed.has(each))
    tell(missed.length === 0, `${how} are noticed (${wanted.length})`, missed)
  }
}

/** Queries that have no data, or none that is a number. */
async function withoutData(prometheus: Prometheus, queries: readonly Query[]): Promise<readonly string[]> {
  const missing: string[] = []
  for (const { where, expression } of queries) {
    const found = await prometheus.query(filled(expression))
    if (typeof found === 'string') missing.push(`${where}: ${found}`)
    else if (!found.some(Number.isFinite))
      missing.push(`${where}: ${found.length === 0 ? 'no data' : 'no number'}: ${expression}`)
  }
  return missing
}

/** Alerts fire seldom: their expressions have to be understood, and what they ask for to be there. */
async function unknownOfRules(prometheus: Prometheus): Promise<readonly string[]> {
  const unknown: string[] = []
  for (const { where, expression } of rules()) {
    const found = await prometheus.query(expression)
    if (typeof found === 'string') unknown.push(`${where}: ${found}`)
    for (const name of seriesIn(expression)) {
      const series = await prometheus.query(`count(${name})`)
      if (typeof series === 'string' || series.length === 0) unknown.push(`${where}: there is no ${name}`)
    }
  }
  return unknown
}

async function check(): Promise<void> {
  promtool('check', 'config', 'prometheus.yml')
  promtool('check', 'rules', 'rules.yml')
  alerts()
  const cluster = await DevCluster.start({ codes, latency: '20', workers: 2, metrics: true })
  let prometheus: Prometheus | undefined
  try {
    prometheus = await Prometheus.start(cluster.metricsPorts.map((port) => `127.0.0.1:${port}`))
    const { answered, failures } = await traffic(cluster, Number(values.seconds) * 1_000)
    const isEnough = answered >= 200 && failures.length < answered / 20
    tell(isEnough, `${answered} requests were answered (200 at least), ${failures.length} failed`, failures.slice(0, 5))
    if (!isEnough) console.log(cluster.printed)
    await prometheus.scrapedAgain()
    const down = await prometheus.downTargets(codes.length)
    tell(down.length === 0, 'every target is up', down)
    const panels = panelQueries()
    const silent = await withoutData(prometheus, panels)
    tell(silent.length === 0, `every query of the dashboards returns data (${panels.length})`, silent)
    const unknown = await unknownOfRules(prometheus)
    tell(unknown.length === 0, `every rule is understood, and what it asks for is there (${rules().length})`, unknown)
    const unhealthy = await prometheus.unhealthyRules(rules().length)
    tell(unhealthy.length === 0, 'Prometheus evaluates every rule', unhealthy)
  } finally {
    await prometheus?.stop()
    await cluster.stop()
  }
}

if (['prometheus', 'promtool'].some((name) => spawnSync(name, ['--version']).status !== 0)) {
  console.log('NOT SHOWN: there is no prometheus and promtool here (apt-get install prometheus)')
  process.exitCode = values.waive ? 0 : 1
} else {
  await check()
  console.log(failed === 0 ? 'all checks are good' : `${failed} checks failed`)
  process.exitCode = failed === 0 ? 0 : 1
}
