import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberIn } from '../../test/support/member.ts'
import type { Bucket } from './bucket.ts'
import { moved } from './move.ts'
import type { Membership } from './region.ts'

const bucket: Bucket = {
  documents: {},
  name: 'bucket',
  id: 1,
  owner: 'owner',
  created: 0,
  location: 'iad',
  epoch: 4,
  state: 'active',
  versioning: 'off',
  hasObjectLock: false,
  acl: { owner: 'owner', grants: [] },
}

test('Z8: a bucket that no cell has any more begins anew elsewhere at once: nobody could give it to others', () => {
  const all: Membership = { epoch: 1, root: 0, members: [memberIn('fra', 0), memberIn('iad', 1)] }
  const changing = moved(bucket, 'fra', all, 7)
  assert.equal(changing.location, 'iad')
  assert.deepEqual(changing.move, { step: 'preparing', other: 'fra', epoch: 5, since: 7 })
  const lost: Membership = { epoch: 2, root: 0, members: [memberIn('fra', 0), memberIn('iad', 1, 'removed')] }
  assert.deepEqual(moved(bucket, 'fra', lost, 7), { ...bucket, location: 'fra', epoch: 5 })
})
