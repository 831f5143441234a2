import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { definitions } from '#src/telemetry/catalogue.ts'
import { dashboards } from '../../deploy/grafana/dashboards.ts'
import { root } from '../documents/printed.ts'
import { panelQueries, rules, seriesIn } from './rules.ts'

const series = new Set(
  definitions.flatMap(({ name, kind }) =>
    kind === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [name],
  ),
)

test('dashboards and rules ask for metrics that there are', () => {
  const queries = [...panelQueries(), ...rules()]
  assert.ok(queries.length >= 80, `only ${queries.length} queries were found`)
  for (const { where, expression } of queries) {
    const names = seriesIn(expression)
    assert.ok(names.length > 0 || expression.startsWith('up{'), `${where}: ${expression}`)
    for (const name of names) assert.ok(series.has(name), `${where}: ${name}`)
  }
})

test('every metric is on a dashboard or in a rule', () => {
  const asked = new Set([...panelQueries(), ...rules()].flatMap(({ expression }) => seriesIn(expression)))
  const told = new Set(['meridian_build_info', 'process_start_time_seconds'])
  for (const { name, kind } of definitions) {
    const isAsked = asked.has(kind === 'histogram' ? `${name}_bucket` : name) || told.has(name)
    assert.ok(isAsked, `${name} is looked at nowhere`)
  }
})

test('each alert says what to do', () => {
  const all = rules()
  assert.ok(all.length >= 20)
  for (const { where, annotations } of all) assert.deepEqual([...annotations].sort(), ['action', 'summary'], where)
})

test('dashboards name no data source of one Grafana, and their panels lie side by side', () => {
  for (const { uid } of dashboards) {
    const text = readFileSync(join(root, `deploy/grafana/dashboards/${uid}.json`), 'utf8')
    const { panels } = JSON.parse(text) as {
      panels: { gridPos: { x: number; y: number; w: number; h: number }; id: number }[]
    }
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    for (const { gridPos: one, id } of panels) {
      assert.ok(one.x + one.w <= 24)
      for (const { gridPos: two, id: other } of panels.filter((each) => each.id !== id)) {
        const isApart =
          one.x + one.w <= two.x || two.x + two.w <= one.x || one.y + one.h <= two.y || two.y + two.h <= one.y
        assert.ok(isApart, `${uid}: ${id} and ${other}`)
      }
    }
    for (const [, source] of text.matchAll(/"uid": "([^"]+)"/g))
      assert.ok(source === uid || source === '$datasource', source)
  }
})
