import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { admitRegion, changeMember } from '#src/cluster/founding.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { NotTheRoot, readNamespaceHead, readNamespacePage } from '#src/metadata/namespace-feed.ts'
import { wholeNamespace } from '#src/metadata/namespace-keys.ts'
import type { Account } from '#src/model/identity.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'
import { type BareCell, never, openReplica, openRoot, Wire } from './cells.ts'

const account = (id: string): Account => ({ id, displayName: id, email: '', isAdministrator: false })

const rowsOf = async (store: Store): Promise<readonly string[]> =>
  (await store.snapshot((snapshot) => snapshot.range(wholeNamespace.from, wholeNamespace.to, { limit: 10_000 }))).map(
    ({ key, value }) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`,
  )

const add = (cell: BareCell, id: string): Promise<void> =>
  cell.store.transact(async (transaction) => cell.namespace.addAccount(transaction, account(id)))

/** Follows until nothing new is left. */
async function drain(replica: BareCell, root: BareCell): Promise<void> {
  const head = await root.region.confirmations.head()
  while (!(await replica.region.replica.reaches(head, 1, never))) await replica.region.follower.step(never)
}

test('Y2: each row that changed is in the feed once, at the place of its last change', async () => {
  const root = await openRoot(new Wire())
  const zero = new Uint8Array(12)
  for (const id of ['a', 'b', 'a', 'c', 'a']) await add(root, id)
  const page = await root.bare.snapshot((snapshot) => readNamespacePage(snapshot, zero))
  const changed = page.changes.map(({ from }) =>
    Buffer.from(from)
      .toString('latin1')
      .replaceAll(/[^abc]/g, ''),
  )
  assert.deepEqual(changed, ['b', 'c', 'a'])
  const again = await root.bare.snapshot((snapshot) => readNamespacePage(snapshot, page.end))
  assert.equal(again.changes.length, 0)
  await root.store.transact(async (transaction) => root.namespace.removeAccount(transaction, account('b')))
  const [gone] = (await root.bare.snapshot((snapshot) => readNamespacePage(snapshot, page.end))).changes
  assert.deepEqual(gone?.rows, [])
})

test('Y2: what a transaction that failed would have changed is in no feed', async () => {
  const root = await openRoot(new Wire())
  const failing = root.store.transact(async (transaction) => {
    root.namespace.addAccount(transaction, account('a'))
    throw new Error('no')
  })
  await assert.rejects(failing, /no/)
  assert.deepEqual(await root.bare.snapshot(readNamespaceHead), new Uint8Array(12))
})

test('Y3: in a replica nothing but the follower changes the namespace', async () => {
  const wire = new Wire()
  const replica = await openReplica(wire, await openRoot(wire), 'syd')
  await assert.rejects(add(replica, 'a'), NotTheRoot)
  const clearing = replica.store.transact(async (transaction) =>
    transaction.clearRange(Uint8Array.of(0), Uint8Array.of(9)),
  )
  await assert.rejects(clearing, NotTheRoot)
  assert.equal((await rowsOf(replica.bare)).length, 1)
})

test('Y1: a number is given once, ever; a region that asks again with what it has is told the same', async () => {
  const wire = new Wire()
  const root = await openRoot(wire)
  const ask = (region: string, incarnation: string, peer = `http://${region}.test:1`) =>
    admitRegion(root.store, root.namespace, { region, geography: '', peer, incarnation: incarnation.repeat(32) })
  const first = await ask('syd', '1')
  assert.equal(first.cell, 1)
  assert.equal((await ask('syd', '1')).cell, 1)
  // Cut off before it wrote its number down, it gets another.
  assert.equal((await ask('syd', '2')).cell, 2)
  await assert.rejects(ask('syd', '3', 'http://other.test:1'), { code: 'InvalidRequest' })
  await changeMember(root.store, 2, (member) => ({ ...member, state: 'removed' }))
  assert.equal((await ask('syd', '4')).cell, 3)
  const members = (await ask('iad', '5')).membership.members
  assert.deepEqual(
    members.map(({ cell }) => cell),
    [0, 1, 2, 3, 4],
  )
})

test('Y6: a replica copies what was there before it came, while it changes, and then follows', async () => {
  const wire = new Wire()
  const bare = new MemoryStore({ world: realWorld })
  const namespace = new Namespace()
  // More than one page of rows from a time when nobody recorded them.
  for (let each = 0; each < 30; each++) {
    await bare.transact(async (transaction) => {
      for (let at = 0; at < 40; at++) namespace.addAccount(transaction, account(`old-${each}-${at}`))
    })
  }
  const root = await openRoot(wire, bare)
  const replica = await openReplica(wire, root, 'syd')
  await replica.region.follower.step(never)
  // Behind the position of the copy; one before and one after what was copied so far.
  await root.store.transact(async (transaction) => root.namespace.removeAccount(transaction, account('old-0-0')))
  await root.store.transact(async (transaction) => root.namespace.removeAccount(transaction, account('old-9-39')))
  await add(root, 'new')
  await drain(replica, root)
  assert.deepEqual(await rowsOf(replica.bare), await rowsOf(root.bare))
  for (let each = 0; each < 300; each++) await add(root, `later-${each % 250}`)
  await drain(replica, root)
  assert.deepEqual(await rowsOf(replica.bare), await rowsOf(root.bare))
})

test('Y5: of two that follow with one cursor, one applies a page and the other is told', async () => {
  const wire = new Wire()
  const root = await openRoot(wire)
  const replica = await openReplica(wire, root, 'syd')
  await replica.region.follower.copyAll(never)
  for (let each = 0; each < 10; each++) await add(root, `a${each}`)
  const steps = await Promise.allSettled([replica.region.follower.step(never), replica.region.follower.step(never)])
  assert.deepEqual(steps.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  assert.deepEqual(await rowsOf(replica.bare), await rowsOf(root.bare))
})

test('Y4: a change waits for those who can be reached, and names those who have not confirmed', async () => {
  const wire = new Wire()
  const root = await openRoot(wire)
  const [syd, iad] = [await openReplica(wire, root, 'syd'), await openReplica(wire, root, 'iad')]
  for (const { cell } of [syd, iad]) await changeMember(root.store, cell, (member) => ({ ...member, state: 'active' }))
  await root.region.members.refresh()
  const stop = new AbortController()
  const loops = [syd, iad].map((each) => each.region.followRoot(stop.signal))
  await add(root, 'a')
  const head = await root.region.confirmations.head()
  assert.deepEqual(await root.region.confirmations.wait(head, never), [])
  for (const each of [syd, iad]) assert.deepEqual(await rowsOf(each.bare), await rowsOf(root.bare))
  // What is being asked at the moment is still answered; then nothing is.
  wire.cut.add(syd.cell)
  await add(root, 'b')
  await wait(50)
  await add(root, 'c')
  const began = performance.now()
  assert.deepEqual(await root.region.confirmations.wait(await root.region.confirmations.head(), never), ['syd'])
  assert.ok(performance.now() - began >= 290, 'the bound was waited for')
  // Seen to be down, it is not waited for.
  root.region.health.lost(syd.cell)
  let [quickest, tries] = [Number.POSITIVE_INFINITY, 0]
  // The machine may be slow; who waits for the cell always is.
  for (; quickest >= 250 && tries < 20; tries++) {
    const second = performance.now()
    assert.deepEqual(await root.region.confirmations.wait(await root.region.confirmations.head(), never), ['syd'])
    quickest = Math.min(quickest, performance.now() - second)
  }
  assert.ok(quickest < 250, 'nobody waits for a cell that is down')
  wire.cut.delete(syd.cell)
  await drain(syd, root).catch(() => {})
  stop.abort()
  await Promise.all(loops)
})

test('C15: a root of another incarnation is copied anew, with what its feed does not tell', async () => {
  const wire = new Wire()
  const root = await openRoot(wire)
  const replica = await openReplica(wire, root, 'syd')
  await add(root, 'a')
  await replica.region.follower.copyAll(never)
  await add(root, 'b')
  // As one that was restored from a backup: what came after that is gone, and no feed says so.
  await root.bare.transact(async (transaction) => root.namespace.removeAccount(transaction, account('a')))
  const { self } = root.region.members
  Object.assign(self, { incarnation: 'f'.repeat(32) })
  await replica.region.follower.step(never)
  await replica.region.follower.copyAll(never)
  assert.deepEqual(await rowsOf(replica.bare), await rowsOf(root.bare))
})
