import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { MemoryStore, type StoreFault } from '#src/store/memory/memory-store.ts'
import { StoreError } from '#src/store/store.ts'
import { bytes, PatientWorld, storeContract, text } from './store.contract.ts'

const folder = await mkdtemp(join(tmpdir(), 'meridian-store-'))
let stores = 0
after(() => rm(folder, { recursive: true }))

storeContract('memory', async (world) => new MemoryStore({ world }))
storeContract('lmdb', (world) => openLmdbStore({ path: join(folder, String(stores++)), world }))

test('K2: after an unknown result a caller that looks for its own mark acts exactly once, whatever became of the commit', async () => {
  const budget: Record<StoreFault, number> = { conflict: 40, unknown_committed: 40, unknown_lost: 40 }
  const kinds = ['conflict', 'unknown_committed', 'unknown_lost'] as const
  let seed = 7
  const fault = (): StoreFault | undefined => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
    const kind = kinds[(seed >>> 16) % 5]
    if (kind === undefined || budget[kind] === 0) return undefined
    budget[kind]--
    return kind
  }
  const store = new MemoryStore({ world: new PatientWorld(), fault })
  const unknown = (error: unknown) => {
    assert.ok(error instanceof StoreError && error.code === 'unknown_result')
    return true
  }
  const once = async (who: string): Promise<void> => {
    const commit = store.transact(async (transaction) => {
      if ((await transaction.get(bytes(`mark${who}`))) !== undefined) return
      transaction.set(bytes(`mark${who}`), bytes(''))
      transaction.add(bytes('sum'), 1n)
    })
    if (await commit.then(() => false, unknown)) await once(who)
  }
  await Promise.all(Array.from({ length: 200 }, (_, index) => once(String(index))))
  assert.deepEqual(budget, { conflict: 0, unknown_committed: 0, unknown_lost: 0 }, 'every fault has happened')
  const total = await store.snapshot((snapshot) => snapshot.get(bytes('sum')))
  assert.equal(text(total), '\xc8\0\0\0\0\0\0\0')
})
