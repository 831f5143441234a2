import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Subspace, under } from '#src/metadata/keyspace.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { CellUploads } from '#src/service/uploads.ts'
import { MemoryStore, type StoreFault } from '#src/store/memory/memory-store.ts'
import { StoreError } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { acl, attributes, body, openCell, owner } from './cell.ts'

/** A cell with an upload of three parts that was aborted, whose store fails when it is told to. */
async function openAborted() {
  const cell = await openCell()
  let faults: (StoreFault | undefined)[] = []
  const store = new MemoryStore({ world: realWorld, fault: () => faults.shift() })
  const foundation: Foundation = { ...cell.foundation, store }
  const uploads = new CellUploads(foundation)
  const isEmpty = async () => true
  const buckets = new NamespaceBuckets({ store, world: realWorld, namespace: foundation.namespace, isEmpty })
  const name = { bucket: 'bucket', key: 'k' }
  await buckets.create({ name: name.bucket, owner, acl, location: '', hasObjectLock: false })
  const { id: uploadId } = await uploads.create({ name, attributes, initiator: owner })
  for (const number of [1, 2, 3]) {
    await uploads.putPart({ name, uploadId, number, body: body(Buffer.alloc(100, number)), digests: {} })
  }
  await uploads.abort({ name, uploadId })
  return {
    collector: new Collector(foundation),
    failNext: (next: readonly (StoreFault | undefined)[]) => {
      faults = [...next]
    },
    async count(space: Subspace): Promise<number> {
      const { from, to } = under(space, [])
      return (await store.snapshot((snapshot) => snapshot.range(from, to, { limit: 100 }))).length
    },
    async close() {
      await store.close()
      await cell.close()
    },
  }
}

/** Passes until nothing is left to do, however often the store fails on the way. */
async function collectAll(collector: Collector, look: () => Promise<void>): Promise<number> {
  for (let failures = 0; ; ) {
    try {
      if ((await collector.pass()) === 0) return failures
    } catch (error) {
      assert.ok(error instanceof StoreError && error.code === 'unknown_result')
      failures += 1
    }
    await look()
  }
}

test('J1, G1: a job goes with its effect, whatever becomes of a commit, so nothing is left over', async () => {
  const results = [undefined, 'unknown_committed', 'unknown_lost'] as const
  let failures = 0
  for (const first of results) {
    for (const second of results) {
      const { collector, failNext, count, close } = await openAborted()
      assert.deepEqual([await count('job'), await count('part'), await count('blob')], [1, 3, 3])
      failNext([first, second])
      failures += await collectAll(collector, async () => {
        const isOpen = (await count('job')) === 1
        assert.equal((await count('part')) > 0, isOpen, 'the job is there as long as something is left to do')
      })
      assert.deepEqual([await count('job'), await count('part'), await count('blob')], [0, 0, 0])
      await close()
    }
  }
  assert.ok(failures >= 8, `${failures} failures`)
})
