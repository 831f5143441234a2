import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { loadConfig, settingNames, variableName } from '#src/config/load.ts'
import { dashboards } from '../../deploy/grafana/dashboards.ts'
import { ruleFile } from '../dashboards/alerts.ts'
import { chartSettings } from '../documents/chart-schema.ts'
import { root } from '../documents/printed.ts'
import { examples, lint, type Manifest, manifestsIn, manifestsOf, render, statefulSetOf, whyNoHelm } from './chart.ts'
import { variablesOf } from './pod.ts'

/** Helm itself, where it is installed. */
const skip = whyNoHelm

function manifests(example?: string, ...more: readonly string[]): readonly Manifest[] {
  const { isGood, text, errors } = render(example, ...more)
  assert.ok(isGood, errors)
  return manifestsIn(text)
}

test('Helm finds nothing wrong with the chart', { skip }, () => {
  for (const example of [undefined, ...examples]) {
    const { isGood, text, errors } = lint(example)
    assert.ok(isGood, `${example}: ${text}${errors}`)
  }
})

test('Helm makes of each example what is kept of it (npm run documents prints it anew)', { skip }, () => {
  for (const example of examples) assert.deepEqual(manifests(example), manifestsOf(example), example)
})

test('monitoring has the alerts and dashboards of deploy/ in it, word for word', { skip }, () => {
  const wanted = ['serviceMonitor', 'rules', 'dashboards'].flatMap((each) => [
    '--set',
    `monitoring.${each}.enabled=true`,
  ])
  const made = manifests('first-region', ...wanted) as readonly (Manifest & {
    readonly spec?: object
    readonly data?: Readonly<Record<string, string>>
  })[]
  const of = (kind: string) => made.find((each) => each.kind === kind)
  assert.deepEqual(of('PrometheusRule')?.spec, { ...ruleFile() })
  const { data = {} } = of('ConfigMap') ?? {}
  assert.deepEqual(Object.keys(data).sort(), dashboards.map(({ uid }) => `${uid}.json`).sort())
  for (const [file, text] of Object.entries(data)) {
    assert.equal(text, readFileSync(join(root, 'deploy/grafana/dashboards', file), 'utf8'))
  }
  // What the rules ask by.
  const { endpoints } = (of('ServiceMonitor')?.spec ?? {}) as {
    endpoints: { relabelings: object[]; scrapeTimeout: string }[]
  }
  assert.deepEqual(endpoints[0]?.relabelings[0], { targetLabel: 'job', replacement: 'meridian' })
  const scrape = parse(readFileSync(join(root, 'deploy/prometheus/prometheus.yml'), 'utf8')) as {
    scrape_configs: { job_name: string; scrape_timeout: string }[]
  }
  assert.equal(scrape.scrape_configs[0]?.job_name, 'meridian')
  assert.equal(scrape.scrape_configs[0]?.scrape_timeout, endpoints[0]?.scrapeTimeout)
})

/** By setting: what it may be, where its own default does not serve as an example. */
const samples: Readonly<Record<string, string>> = {
  tiers: '/etc/tiers.json',
  publicUrl: 'https://s3.example.com',
  domains: 's3.example.com',
  reserve: '2GiB',
  cacheBytes: '10GiB',
  traceEndpoint: 'http://collector:4318',
  trustedProxies: '10.0.0.0/8',
}

test('every setting that may be given gets to the server as it was given', { skip }, () => {
  const defaults = loadConfig({}, {})
  const given = Object.fromEntries(
    chartSettings.map((name) => {
      const { [name]: value } = defaults
      const isSame = typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string'
      // Sizes are texts with a unit.
      const sized = /Bytes|Rate/.test(name) && typeof value === 'number' ? '64KiB' : value
      return [name, samples[name] ?? (isSame ? String(sized) : Array.isArray(value) ? value.join(',') : '1')]
    }),
  )
  const words = Object.entries(given).flatMap(([name, value]) => ['--set', `settings.${name}=${value}`])
  const variables = variablesOf(statefulSetOf(manifests('alone', ...words)))
  for (const name of chartSettings) assert.equal(variables[variableName(name)] ?? '', given[name], name)
  loadConfig({}, Object.fromEntries(settingNames.map((name) => [variableName(name), variables[variableName(name)]])))
  const large = manifests('alone', '--set', 'settings.deadLettersMax=10000000', '--set', 'settings.authStaleness=0.5')
  const { MERIDIAN_DEAD_LETTERS_MAX: letters, MERIDIAN_AUTH_STALENESS: hours } = variablesOf(statefulSetOf(large))
  assert.deepEqual([letters, hours], ['10000000', '0.5'])
})

test('values that cannot be are refused before anything is installed', { skip }, () => {
  const bad: readonly (readonly [RegExp, ...string[]])[] = [
    [/region.code|\/region\/code/, 'region.code=FRA'],
    [/several nodes of a region share/, 'region.nodes=3'],
    [/cluster.existingSecret/, 'region.nodes=3', 'metadata.driver=foundationdb'],
    [/existingSecret or existingConfigMap/, 'metadata.driver=foundationdb'],
    [/a region joins with the secret/, 'cluster.join=http://fra.example.com:9100'],
    [/share one file of keys/, 'cluster.existingSecret=secret'],
    [/join/, 'cluster.join=fra.example.com'],
    [/redis: url or existingSecret/, 'redis.url=redis://a', 'redis.existingSecret=b'],
    [/have to name the hosts/, 'ingress.enabled=true'],
    [/settings/, 'settings.unknown=1'],
    [/settings/, 'settings.port=9000'],
    [/inlineBytesMax/, 'settings.inlineBytesMax=much'],
    [/families/, 'network.families={IPv5}'],
    [/size/, 'persistence.data.size=large'],
  ]
  for (const [why, ...sets] of bad) {
    const { isGood, errors } = render('alone', ...sets.flatMap((each) => ['--set', each]))
    assert.equal(isGood, false, sets.join(' '))
    assert.match(errors, why, sets.join(' '))
  }
})
