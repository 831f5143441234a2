import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ledger } from './ledger.ts'

test('L1: an acknowledged write that is gone is lost, and one that was never made is wrong', () => {
  const ledger = new Ledger()
  ledger.begin('k', 'one')
  ledger.acknowledge('k', 'one')
  assert.equal(ledger.check('k', 'one'), undefined)
  assert.equal(ledger.check('k', 'absent')?.kind, 'lost')
  assert.equal(ledger.check('k', 'other')?.kind, 'wrong')
  ledger.begin('k', 'two')
  ledger.acknowledge('k', 'two')
  assert.equal(ledger.check('k', 'one')?.kind, 'wrong')
})

test('L1 L2: an unanswered write may stand or not, but stays what it was first read as', () => {
  for (const read of ['one', 'two']) {
    const ledger = new Ledger()
    ledger.begin('k', 'one')
    ledger.acknowledge('k', 'one')
    ledger.begin('k', 'two')
    ledger.lose()
    assert.equal(ledger.known('k'), undefined)
    assert.equal(ledger.check('k', read), undefined)
    assert.equal(ledger.known('k'), read)
    assert.equal(ledger.check('k', read === 'one' ? 'two' : 'one')?.kind, 'wrong')
  }
})
