import assert from 'node:assert/strict'
import { test } from 'node:test'
import { applyPage, readPage } from '#src/cluster/feed-pages.ts'
import { Fault } from '#src/errors.ts'
import { decodeConflict } from '#src/metadata/conflict-records.ts'
import { feedStart } from '#src/metadata/cursors.ts'
import { keys, partitionOf, under } from '#src/metadata/keyspace.ts'
import { readState } from '#src/metadata/object-records.ts'
import { receive } from '#src/metadata/receive.ts'
import type { Guard } from '#src/model/guard.ts'
import { Conflicts } from '#src/service/conflicts.ts'
import { attributes, body, bytesOf, owner } from '../service/cell.ts'
import {
  bucketId,
  bucketName,
  type Cell,
  conflictMilliseconds,
  drain,
  nextPage,
  openPeer,
  peerOf,
  replicatedRows,
  setVersioning,
} from './merging-cells.ts'

const start = 1_767_225_600_000_000
const guard = () => {}
const name = { bucket: bucketName, key: 'k' }
const common = { name, guard, conditions: {}, bypassGovernance: false, caller: owner }

const put = (cell: Cell, text: string) =>
  cell.objects.put({ name, attributes, body: body(Buffer.from(text)), digests: {}, guard, conditions: {} })

const get = async (cell: Cell) => String(await bytesOf((await cell.objects.get({ name, guard, conditions: {} })).bytes))

async function conflictsOf(cell: Cell) {
  const all = under('conflict', [bucketId])
  const rows = await cell.store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 100 }))
  return rows.map(({ value }) => decodeConflict(value).conflict)
}

async function withCells(count: number, run: (...cells: Cell[]) => Promise<void>): Promise<void> {
  const cells: Cell[] = []
  try {
    for (let number = 1; number <= count; number++) cells.push(await openPeer(number, start))
    await run(...cells)
  } finally {
    for (const cell of cells) await cell.close()
  }
}

test('C12 I6: of two writes at once the earlier is kept in every cell, with its bytes, once', () =>
  withCells(3, async (one, two, three) => {
    assert.ok(one && two && three)
    const lost = await put(one, 'lost')
    await put(two, 'stands')
    await drain([one, two, three])
    for (const cell of [one, two, three]) {
      assert.equal(await get(cell), 'stands')
      const [conflict, ...more] = await conflictsOf(cell)
      assert.equal(more.length, 0)
      assert.equal(conflict?.version.stamp, lost.version.stamp)
      assert.equal(conflict?.expires, start / 1000 + conflictMilliseconds)
      const kept = await cell.store.snapshot((from) => from.get(keys.inline(bucketId, 'k', lost.version.stamp)))
      assert.equal(String(Buffer.from(kept ?? [])), 'lost')
    }
  }))

test('C12: what was seen before it was overwritten is no conflict, and a deletion leaves none', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await put(one, 'first')
    await drain([one, two])
    await put(two, 'second')
    await drain([one, two])
    assert.deepEqual(await conflictsOf(one), [])
    await one.objects.delete(common)
    two.clock.now += 10
    await put(two, 'third')
    await drain([one, two])
    assert.equal(await get(one), 'third')
    assert.deepEqual(await conflictsOf(one), [])
    assert.deepEqual(await conflictsOf(two), [])
  }))

test('C12: a write that a deletion elsewhere beat unseen is kept', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await put(one, 'first')
    await drain([one, two])
    await put(one, 'unseen')
    two.clock.now += 10
    await two.objects.delete(common)
    await drain([one, two])
    for (const cell of [one, two]) {
      await assert.rejects(get(cell))
      assert.equal((await conflictsOf(cell)).length, 1)
    }
  }))

test('C12: a write of a version says nothing of what was seen of the null version', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await setVersioning(two, 'suspended')
    const unseen = await put(two, 'unseen')
    await setVersioning(two, 'enabled')
    two.clock.now += 10
    await put(two, 'numbered')
    // Its entry moves behind that of the version, which so comes first, and alone.
    await two.objects.update({ name, versionId: 'null', guard, change: () => ({ tags: new Map([['a', 'b']]) }) })
    const page = await nextPage(two, one, partitionOf(bucketId, 'k'), 1)
    assert.equal(page.items.length, 1)
    await applyPage(one.target, peerOf(two), page)
    one.clock.now += 20
    await put(one, 'stands')
    await drain([one, two])
    for (const cell of [one, two]) {
      assert.deepEqual(
        (await conflictsOf(cell)).map(({ version }) => version.stamp),
        [unseen.version.stamp],
      )
    }
  }))

test('C13: a plain delete in a cell that does not know yet that the bucket keeps versions removes none', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await setVersioning(one, 'enabled')
    const { versionId } = await put(one, 'kept')
    await drain([one, two])
    await two.objects.delete(common)
    await drain([one, two])
    const found = await one.objects.get({ name, versionId: versionId ?? '', guard, conditions: {} })
    assert.equal(String(await bytesOf(found.bytes)), 'kept')
    await assert.rejects(get(one))
    await put(two, 'null')
    await drain([one, two])
    assert.equal(await get(one), 'null')
    assert.deepEqual(await replicatedRows(one), await replicatedRows(two))
  }))

test('C7 I5: a write gets a stamp above all that came, though the clock is behind', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await setVersioning(one, 'enabled')
    one.clock.now += 3_600_000_000
    const { versionId } = await put(one, 'ahead')
    await one.objects.delete({ ...common, versionId: versionId ?? '' })
    await drain([one, two])
    const state = await two.store.snapshot((from) => readState(from, { bucket: bucketId, key: 'k' }, true))
    const { version } = await put(two, 'behind')
    assert.ok(version.stamp > BigInt(versionId ?? 0))
    assert.ok(version.stamp > state.largest)
  }))

test('C11: of tags set in two cells the later stand, and the content that is newer brings its own', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await put(one, 'first')
    await drain([one, two])
    const tag = (cell: Cell, value: string) =>
      cell.objects.update({ name, guard, change: () => ({ tags: new Map([['t', value]]) }) })
    const tagsOf = async (cell: Cell) => (await cell.objects.find({ name, guard })).version.tags?.value.get('t')
    await tag(one, 'earlier')
    two.clock.now += 10
    await tag(two, 'later')
    await drain([one, two])
    assert.deepEqual([await tagsOf(one), await tagsOf(two)], ['later', 'later'])
    one.clock.now += 20
    await put(one, 'second')
    two.clock.now += 30
    await tag(two, 'of the first')
    await drain([one, two])
    assert.deepEqual([await tagsOf(one), await tagsOf(two)], [undefined, undefined])
    assert.equal(await get(two), 'second')
  }))

test('O1: when the newest version was removed elsewhere, the next is current here', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    for (const cell of [one, two]) await setVersioning(cell, 'enabled')
    await put(one, 'first')
    const second = await put(one, 'second')
    await drain([one, two])
    assert.equal(await get(two), 'second')
    await one.objects.delete({ ...common, versionId: second.versionId ?? '' })
    await drain([one, two])
    assert.equal(await get(two), 'first')
    assert.deepEqual(await replicatedRows(one), await replicatedRows(two))
  }))

test('Q1 C12 I6: what was lost can be listed and restored, in any cell, and is offered no more then', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    await setVersioning(one, 'enabled')
    await setVersioning(one, 'suspended')
    for (const [index, text] of ['lost', 'lost, and large enough to be a blob'].entries()) {
      const at = { bucket: bucketName, key: `k${index}` }
      await one.objects.put({ ...common, name: at, attributes, body: body(Buffer.from(text)), digests: {} })
      await two.objects.put({ ...common, name: at, attributes, body: body(Buffer.from('stands')), digests: {} })
    }
    await drain([one, two])
    const conflicts = new Conflicts(one.foundation)
    const { conflicts: all } = await conflicts.list(bucketName, { limit: 10 })
    assert.deepEqual(
      all.map(({ key }) => key),
      ['k0', 'k1'],
    )
    const first = await conflicts.list(bucketName, { limit: 1 })
    assert.deepEqual(first.next, { key: 'k0', id: all[0]?.id })
    const second = await conflicts.list(bucketName, { limit: 1, ...(first.next && { after: first.next }) })
    assert.deepEqual([second.conflicts.map(({ key }) => key), second.next], [['k1'], undefined])
    assert.equal((await conflicts.list(bucketName, { limit: 9, prefix: 'k1' })).conflicts.length, 1)
    assert.equal((await conflicts.list(bucketName, { limit: 9, prefix: 'x' })).conflicts.length, 0)
    for (const { key: lostKey, id } of all) {
      const at = { bucket: bucketName, key: lostKey }
      await conflicts.restore({ name: at, id })
      await assert.rejects(conflicts.restore({ name: at, id }), { code: 'NoSuchVersion' })
    }
    const read = async (lostKey: string) =>
      String(await bytesOf((await one.objects.get({ ...common, name: { bucket: bucketName, key: lostKey } })).bytes))
    assert.equal(await read('k0'), 'lost')
    assert.equal(await read('k1'), 'lost, and large enough to be a blob')
    await drain([one, two])
    assert.deepEqual(await replicatedRows(one), await replicatedRows(two))
    assert.deepEqual((await new Conflicts(two.foundation).list(bucketName, { limit: 10 })).conflicts, [])
  }))

test('C12: what was discarded does not come back from a cell that had not heard of it', () =>
  withCells(3, async (one, two, three) => {
    assert.ok(one && two && three)
    const lost = await put(one, 'lost')
    await put(two, 'stands')
    await drain([one, two])
    await new Conflicts(one.foundation).discard({ name, id: String(lost.version.stamp) })
    await drain([one, two, three])
    for (const cell of [one, two, three]) {
      assert.deepEqual((await new Conflicts(cell.foundation).list(bucketName, { limit: 10 })).conflicts, [])
      const kept = await cell.store.snapshot((from) => from.get(keys.inline(bucketId, 'k', lost.version.stamp)))
      assert.equal(kept, undefined)
    }
    assert.deepEqual(await replicatedRows(three), await replicatedRows(one))
  }))

test('C12: a conflict that had its time goes, with its bytes and its entry, and a late word of it does not bring it back', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    const lost = await put(one, 'lost')
    await put(two, 'stands')
    await drain([one, two])
    const partition = partitionOf(bucketId, 'k')
    const word = await nextPage({ ...two, source: two.source }, { ...one, number: 9 }, partition)
    assert.equal((await conflictsOf(one)).length, 1)
    await one.collector.expireConflicts()
    assert.equal((await conflictsOf(one)).length, 1, 'what is young is kept')
    for (const cell of [one, two]) {
      cell.clock.now += conflictMilliseconds * 1000
      await cell.collector.expireConflicts()
      assert.deepEqual(await conflictsOf(cell), [])
    }
    const again = await readPage(two.source, { partition, after: feedStart, bytes: 1e6, entries: 100, forCell: 1 })
    assert.equal(again.items.length, 1, 'its entry is gone')
    const records = word.items.map(({ record }) => record)
    const receiving = { here: one.foundation, now: one.foundation.world.now(), conflictMilliseconds }
    await one.store.transact((transaction) => receive(transaction, records, receiving))
    assert.deepEqual(await conflictsOf(one), [])
    assert.equal(
      await one.store.snapshot((from) => from.get(keys.inline(bucketId, 'k', lost.version.stamp))),
      undefined,
    )
    assert.equal(await get(one), 'stands')
  }))

test('Q1: who may not have what was lost neither restores nor discards it', () =>
  withCells(2, async (one, two) => {
    assert.ok(one && two)
    const lost = await put(one, 'lost')
    await put(two, 'stands')
    await drain([one, two])
    const conflicts = new Conflicts(two.foundation)
    const shown: unknown[] = []
    const refusing: Guard = (version) => {
      shown.push(version?.stamp)
      throw new Fault('AccessDenied')
    }
    const asked = { name, id: String(lost.version.stamp), guard: refusing }
    await assert.rejects(conflicts.restore(asked), { code: 'AccessDenied' })
    await assert.rejects(conflicts.discard(asked), { code: 'AccessDenied' })
    assert.deepEqual(shown, [lost.version.stamp, lost.version.stamp])
    assert.equal(await get(two), 'stands')
    assert.equal((await conflicts.list(bucketName, { limit: 10 })).conflicts.length, 1)
    await conflicts.restore({ ...asked, guard })
    assert.equal(await get(two), 'lost')
  }))
