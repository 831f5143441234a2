import assert from 'node:assert/strict'
import { test } from 'node:test'
import { composeRegion } from './compose.ts'
import { unrest } from './quiet.ts'
import { knownSeeds } from './seeds.ts'
import { simulate } from './simulation.ts'

/** A few of the seeds that `npm run sim` runs by the thousand, and all that ever failed. */
const few = ['1', '2', '4', '7', '23'].map((seed) => ({ seed, operations: 600 }))
for (const { seed, operations, ...fates } of [...few, ...knownSeeds()]) {
  test(`I4 I6 I8 C9 C12 C18 C19: seed ${seed} ends with regions that agree, and nothing lost`, {
    timeout: 200_000,
  }, async () => {
    const report = await simulate({ seed, operations, ...fates, compose: composeRegion, unrest })
    // A store that answers nobody loses nothing either (C29). Where the root is lost, all wait until another takes its place.
    const least = operations / ('fates' in fates ? 5 : 2)
    assert.ok(report.acknowledged > least, `${report.acknowledged} acknowledged`)
  })
}

test('the same seed is the same history', { timeout: 200_000 }, async () => {
  const run = () => simulate({ seed: 'twice', operations: 300, compose: composeRegion, unrest })
  assert.deepEqual(await run(), await run())
})
