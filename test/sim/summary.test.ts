import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faultClasses, rareFaults } from './faults.ts'
import { Summary } from './summary.ts'

function summaryOf(seeds: number, acknowledged: number, faults: readonly string[], all = 2_000): readonly string[] {
  const summary = new Summary()
  for (let seed = 0; seed < seeds; seed++) {
    const report = { acknowledged, refused: all - acknowledged, unknown: 0, conflicts: 1, lasted: 1 }
    const counted = faults.map((fault) => [fault, 1] as const)
    summary.add({
      ran: { seed: String(seed), operations: all, fates: true },
      cpu: 1,
      report: { ...report, faults: counted },
    })
  }
  return summary.shortcomings()
}

test('C29: a run of too few operations, too few of them acknowledged, or without a class of faults, shows nothing', () => {
  const withoutSkew = faultClasses.filter((fault) => fault !== 'skew')
  assert.deepEqual(summaryOf(20, 1_900, faultClasses), [])
  assert.match(summaryOf(20, 1_900, withoutSkew).join(), /'skew' never happened/)
  const usual = faultClasses.filter((fault) => !rareFaults.has(fault))
  assert.deepEqual(summaryOf(299, 1_900, usual), [])
  assert.match(summaryOf(300, 1_900, usual).join(), /'root lost' never happened/)
  assert.match(summaryOf(20, 1_100, faultClasses).join(), /too few operations were acknowledged/)
  assert.match(summaryOf(1, 900, ['crash']).join(), /of seed 0 \(900 of 2000\) were acknowledged/)
  assert.match(summaryOf(1, 1_900, faultClasses, 1_999).join(), /at least 2000/)
})
