import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chanceOf, type LogName, logKey } from './log-keys.ts'

const name: LogName = {
  prefix: 'logs/',
  format: { kind: 'simple' },
  source: { name: 'photos', owner: '123456789123', region: 'fra' },
  began: Date.UTC(2026, 1, 6, 23, 59, 59),
  closed: Date.UTC(2026, 1, 7, 0, 4, 9),
  number: 12,
  chance: 'ABC234',
}

test('keys are named by their delivery, in one folder or by account, region, bucket and day', () => {
  assert.equal(logKey(name), 'logs/2026-02-07-00-04-09-0000000012ABC234')
  assert.equal(
    logKey({ ...name, format: { kind: 'partitioned', date: 'DeliveryTime' } }),
    'logs/123456789123/fra/photos/2026/02/07/2026-02-07-00-04-09-0000000012ABC234',
  )
})

test('by event time the day is that of the first event, and its hour is none', () => {
  assert.equal(
    logKey({ ...name, format: { kind: 'partitioned', date: 'EventTime' } }),
    'logs/123456789123/fra/photos/2026/02/06/2026-02-06-00-00-00-0000000012ABC234',
  )
})

test('of one second, the later log comes later, whatever the chance', () => {
  const keys = [9, 10, 99, 100, 4_000_000_000].map((number, at) => logKey({ ...name, number, chance: `Z${at}AAAA` }))
  assert.deepEqual(keys, [...keys].sort())
  assert.equal(new Set(keys).size, keys.length)
})

test('chance is six letters or digits', () => {
  assert.equal(chanceOf(Uint8Array.of(0, 31, 32, 255, 25, 26)), 'A7A7Z2')
})
