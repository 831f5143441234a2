import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberIn } from '../../test/support/member.ts'
import { type Member, type Membership, targetCells } from './region.ts'

const among = (...members: readonly Member[]): Membership => ({ epoch: 1, root: 0, members })

test('C17: what names regions is in those of them that its bucket has and that stay; where none is left, in any', () => {
  const all = among(memberIn('fra', 0), memberIn('iad', 1), memberIn('syd', 2))
  assert.deepEqual(targetCells(['syd', 'fra'], [0, 1, 2], all), [0, 2])
  assert.deepEqual(targetCells(['syd', 'fra'], [0, 1], all), [0])
  assert.equal(targetCells(['syd'], [0, 1], all), undefined)
  const leaving = among(memberIn('fra', 0), memberIn('iad', 1), memberIn('syd', 2, 'leaving'))
  assert.deepEqual(targetCells(['fra', 'syd'], [0, 1, 2], leaving), [0])
  assert.equal(targetCells(['syd'], [0, 1, 2], leaving), undefined)
  const again = among(memberIn('fra', 0), memberIn('syd', 2, 'removed'), memberIn('syd', 3, 'joining'))
  assert.deepEqual(targetCells(['syd'], [0, 3], again), [3])
})
