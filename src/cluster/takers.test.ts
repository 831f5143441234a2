import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ToldBy } from './heirs.ts'
import { askedFor, type Lacking } from './takers.ts'

const none: Lacking = { cell: 1, holds: false, needed: 1, targets: undefined, counted: [] }
const held: Lacking = { ...none, holds: true, counted: [1] }
const told = (cell: number, more: Partial<ToldBy> = {}): ToldBy => ({
  cell,
  isActive: true,
  names: true,
  keeps: false,
  holds: false,
  mayHold: true,
  ...more,
})

test('as many are asked as there are too few, first the keeper itself, and only those that name it and stay', () => {
  const others = [told(2, { holds: true }), told(3, { isActive: false }), told(4, { names: false }), told(5), told(6)]
  assert.deepEqual(askedFor({ ...none, needed: 3, counted: [2] }, others), [1, 5])
  assert.deepEqual(askedFor({ ...held, needed: 2 }, [told(3), told(4)]), [3])
  assert.equal(askedFor({ ...held, needed: 2 }, [told(3, { names: false })]), undefined, 'nobody else has the bucket')
})

test('V7: a copy that wants to go is none of those that there are to be', () => {
  const going = told(2, { names: false, holds: true })
  assert.deepEqual(askedFor({ ...held, needed: 2, counted: [1, 2] }, [going, told(3)]), [3])
  assert.equal(askedFor({ ...held, needed: 2, counted: [1, 2] }, [going]), undefined, 'nobody else has the bucket')
})

test('those that hold it uncounted are asked to tell of it', () => {
  const others = [told(2, { holds: true }), told(3, { holds: true })]
  assert.deepEqual(askedFor({ ...held, needed: 3, counted: [1, 3] }, others), [2])
})

test('K1: a copy that another keeper counts is none of those that are counted here', () => {
  assert.deepEqual(askedFor(none, [told(2, { holds: true, keeps: true })]), [1])
  assert.deepEqual(askedFor({ ...held, needed: 2 }, [told(2, { holds: true, keeps: true }), told(3)]), [3])
})

test('C17: what is to be in some regions is asked of no other, and not counted there', () => {
  const lacking = { ...held, needed: 2, targets: [2, 3], counted: [] }
  assert.deepEqual(askedFor(lacking, [told(2), told(3), told(4)]), [2, 3])
  assert.deepEqual(askedFor(lacking, [told(2, { holds: true }), told(3), told(4)]), [3])
  assert.deepEqual(askedFor({ ...none, targets: [1] }, [told(2, { holds: true })]), [1])
})
