import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Membership } from '#src/model/region.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { StoreError } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { Members } from './members.ts'

test('a reading that fails does not keep a process from hearing of the next change', { timeout: 10_000 }, async () => {
  const store = new MemoryStore({ world: realWorld })
  const records = new ClusterRecords()
  const before: Membership = { epoch: 1, root: 0, members: [] }
  const self = { cell: 0, region: 'fra', geography: '', incarnation: '0'.repeat(32), peer: 'http://[::1]:9' }
  let failures = 1
  const failing = new Proxy(store, {
    get: (target, name) => {
      if (name === 'snapshot' && failures-- > 0) return () => Promise.reject(new StoreError('unavailable', 'not now'))
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  const members = new Members({ store: failing, records, self, membership: before })
  const stopping = new AbortController()
  const failed: unknown[] = []
  const world = { sleep: async () => await turn() }
  const following = members.follow(world, stopping.signal, (error) => failed.push(error))
  while (failed.length === 0) await turn()
  await store.transact(async (transaction) => records.setMembership(transaction, { ...before, epoch: 2 }))
  while (members.membership.epoch !== 2) await turn()
  stopping.abort()
  await following
  assert.equal(failed.length, 1)
})
