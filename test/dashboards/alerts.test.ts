import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertCases } from './alert-cases.ts'
import { alertsOf, isInstalled, ruleFile, testAlerts } from './alerts.ts'

const rules = ruleFile()
const names = alertsOf(rules).map(({ alert }) => alert)
const skip = !isInstalled('promtool', '--version') && 'not shown: there is no promtool here'

test('every alert has a case in which it fires, and one in which it is silent', () => {
  assert.deepEqual([...new Set(alertCases.map(({ alert }) => alert))].sort(), [...names].sort())
  for (const { alert, silent } of alertCases) assert.ok(silent.length > 0, alert)
  for (const { alert, for: waits } of alertsOf(rules)) {
    const isTimed = alertCases.some((each) => each.alert === alert && each.notYet !== undefined)
    assert.ok(waits === undefined || isTimed, `${alert}: nothing says that it waits for ${waits}`)
  }
})

test('Prometheus finds every alert firing and silent as its case says', { skip }, () => {
  const { isGood, printed } = testAlerts(rules)
  assert.ok(isGood, printed)
})
