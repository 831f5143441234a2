import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSelf, setSelf } from '#src/metadata/cluster-records.ts'
import { readCopying } from '#src/metadata/copying.ts'
import { keys, subspace, under } from '#src/metadata/keyspace.ts'
import { setNode } from '#src/metadata/node-records.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { CellListings } from '#src/service/listings.ts'
import { CopyRefused, copyMetadata } from '#src/service/metadata-copy.ts'
import { CellObjects } from '#src/service/objects.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { bucketName, type Cell, drain, openPeer, setVersioning } from '../cluster/merging-cells.ts'
import { attributes, body, bytesOf, owner } from './cell.ts'

const world = realWorld
const start = 1_767_225_600_000_000
const guard = () => {}

const put = (cell: Cell, key: string, size: number) =>
  cell.objects.put({
    name: { bucket: bucketName, key },
    attributes,
    body: body(Buffer.alloc(size, key)),
    digests: {},
    guard,
    conditions: {},
  })

async function fill(cell: Cell): Promise<void> {
  const remove = (key: string) =>
    cell.objects.delete({
      ...{ name: { bucket: bucketName, key }, guard, conditions: {} },
      ...{ bypassGovernance: false, caller: owner },
    })
  for (let index = 0; index < 30; index++) {
    await put(cell, `plain-${index}`, index % 2 === 0 ? 5 : 300)
    cell.clock.now += 1_000
  }
  await remove('plain-3')
  await setVersioning(cell, 'enabled')
  for (const key of ['plain-1', 'plain-2', 'plain-1', 'versioned']) {
    cell.clock.now += 1_000
    await put(cell, key, 400)
  }
  await remove('plain-2')
}

const identity = { cell: 1, incarnation: 'aa'.repeat(16), region: 'r1', geography: '', peer: 'http://r1:1' }

async function withFilled(work: (cell: Cell) => Promise<void>): Promise<void> {
  const cell = await openPeer(1, start)
  try {
    await fill(cell)
    await cell.store.transact(async (transaction) => setSelf(transaction, identity))
    await work(cell)
  } finally {
    await cell.close()
  }
}

/** As many commits as another store may have had before: its versionstamps are larger, or smaller. */
async function aged(commits: number): Promise<MemoryStore> {
  const store = new MemoryStore({ world })
  for (let commit = 0; commit < commits; commit++) {
    await store.transact(async (transaction) => transaction.add(Uint8Array.of(0xfe), 1n))
  }
  await store.transact(async (transaction) => transaction.clear(Uint8Array.of(0xfe)))
  return store
}

const rowsOf = async (store: Store, space: keyof typeof subspace) => {
  const { from, to } = under(space, [])
  return await store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10_000 }))
}

test('V1 V3: a copy serves what the source served, and its feed tells all of it in the same order', () =>
  withFilled(async (cell) => {
    for (const commits of [0, 5_000]) {
      const target = await aged(commits)
      const report = await copyMetadata(cell.store, target, { world })
      assert.ok(report.rows > 100)
      const foundation: Foundation = { ...cell.foundation, store: target }
      const objects = new CellObjects(foundation)
      const list = async (from: Foundation) =>
        (
          await new CellListings(from).objects({ bucket: bucketName, prefix: '', delimiter: '', limit: 1_000, guard })
        ).items.map((item) => JSON.stringify(item, (_, value) => (typeof value === 'bigint' ? String(value) : value)))
      assert.deepEqual(await list(foundation), await list(cell.foundation))
      for (const key of ['plain-0', 'plain-1', 'versioned']) {
        const { bytes } = await objects.get({ name: { bucket: bucketName, key }, guard, conditions: {} })
        assert.ok((await bytesOf(bytes)).length > 0)
      }
      const copy: Cell = {
        ...cell,
        ...{ store: target, foundation, objects },
        source: { ...cell.source, foundation, incarnation: 'copied' },
        target: { ...cell.target, foundation },
      }
      const [fresh, old] = [await openPeer(2, start), await openPeer(3, start)]
      try {
        await drain([copy, fresh])
        await drain([cell, old])
        for (const space of ['current', 'version', 'tombstone'] as const) {
          const keysOf = async (of: Cell) =>
            (await rowsOf(of.store, space)).map((row) => Buffer.from(row.key).toString('hex'))
          assert.deepEqual(await keysOf(fresh), await keysOf(old), space)
          assert.deepEqual(await keysOf(fresh), await keysOf(cell), space)
        }
        for (let index = 0; index < 30; index++) {
          cell.clock.now += 1_000
          await put(copy, `plain-${index}`, 9)
        }
        await drain([copy, fresh])
        for (let index = 0; index < 30; index++) {
          const name = { bucket: bucketName, key: `plain-${index}` }
          const found = await fresh.objects.head({ name, guard, conditions: {} })
          assert.equal(found.version.size, 9, name.key)
        }
      } finally {
        await fresh.close()
        await old.close()
      }
    }
  }))

test('V2 C15: a copy has another incarnation, and knows the one before', () =>
  withFilled(async (cell) => {
    const target = await aged(0)
    await cell.store.transact(async (transaction) => setNode(transaction, 'n', { peer: 'http://n', beat: 1, at: 1 }))
    await copyMetadata(cell.store, target, { world })
    const self = await target.snapshot(readSelf)
    assert.notEqual(self?.incarnation, identity.incarnation)
    assert.equal(self?.was, identity.incarnation)
    assert.deepEqual({ ...self, was: '', incarnation: '' }, { ...identity, was: '', incarnation: '' })
    assert.equal((await rowsOf(target, 'node')).length, 0)
    const again = await aged(0)
    await copyMetadata(target, again, { world })
    assert.equal((await again.snapshot(readSelf))?.was, identity.incarnation, 'others know the first one only')
  }))

test('V3: a row that is lost, or becomes another, on the way is noticed', () =>
  withFilled(async (cell) => {
    for (const change of ['lost', 'other'] as const) {
      const target = await aged(0)
      let isDone = false
      const spoiling: Store = {
        snapshot: (work) => target.snapshot(work),
        watch: (key, signal) => target.watch(key, signal),
        close: () => target.close(),
        transact: (work) =>
          target.transact(async (transaction) => {
            const result = await work(transaction)
            const [row] = await transaction.range(Uint8Array.of(subspace.inline), Uint8Array.of(subspace.manifest), {
              limit: 1,
            })
            if (row === undefined || isDone) return result
            isDone = true
            if (change === 'lost') transaction.clear(row.key)
            else transaction.set(row.key, Buffer.alloc(row.value.length, 'x'))
            return result
          }),
      }
      await assert.rejects(copyMetadata(cell.store, spoiling, { world }), CopyRefused)
      assert.ok(isDone)
      assert.equal((await target.snapshot(readCopying))?.state, 'copying')
    }
  }))

test('V4: a target that is not empty is refused; a copy that was cut short is begun anew', () =>
  withFilled(async (cell) => {
    const used = await aged(0)
    await used.transact(async (transaction) => transaction.set(keys.healing, Uint8Array.of(1)))
    await assert.rejects(copyMetadata(cell.store, used, { world }), /not empty/)
    assert.equal((await rowsOf(used, 'healing')).length, 1)

    const target = await aged(0)
    let left = 5
    const breaking: Store = {
      snapshot: (work) => target.snapshot(work),
      watch: (key, signal) => target.watch(key, signal),
      close: () => target.close(),
      transact: async (work) => {
        if (left-- === 0) throw new Error('the machine died')
        return await target.transact(work)
      },
    }
    for (const steps of [2, 4, 7]) {
      left = steps
      await assert.rejects(copyMetadata(cell.store, breaking, { world }), /died/)
      await assert.rejects(copyMetadata(target, await aged(0), { world }), /cut short/)
    }
    const report = await copyMetadata(cell.store, target, { world })
    assert.ok(report.rows > 100)
    await assert.rejects(copyMetadata(cell.store, target, { world }), /holds a copy that is whole/)
  }))

test('what several nodes share is not copied', () =>
  withFilled(async (cell) => {
    await cell.store.transact(async (transaction) => {
      for (const node of ['a', 'b']) setNode(transaction, node, { peer: `http://${node}`, beat: 1, at: 1 })
    })
    await assert.rejects(copyMetadata(cell.store, await aged(0), { world }), /2 nodes share/)
  }))
