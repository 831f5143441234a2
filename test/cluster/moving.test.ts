import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { BucketCells } from '#src/cluster/bucket-cells.ts'
import { BucketMoves } from '#src/cluster/bucket-moves.ts'
import { BucketMoving } from '#src/cluster/bucket-moving.ts'
import { follow as followFeed } from '#src/cluster/feed-following.ts'
import { feedMethods } from '#src/cluster/feed-methods.ts'
import { feedPositions } from '#src/cluster/feed-positions.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import { HandingOn } from '#src/cluster/handing-on.ts'
import { askRows, rangeMethods } from '#src/cluster/range-methods.ts'
import { PeerUnreachable } from '#src/cluster/transport.ts'
import { readBlob } from '#src/metadata/blob-records.ts'
import { raiseFloors } from '#src/metadata/forgetting.ts'
import { adopt, changeKeeper, giveUp, keptBy } from '#src/metadata/keeping.ts'
import { partitionOf, under } from '#src/metadata/keyspace.ts'
import { forgetRecords } from '#src/metadata/leaving.ts'
import { readCurrent } from '#src/metadata/object-records.ts'
import { readStored } from '#src/metadata/usage-records.ts'
import { moved } from '#src/model/move.ts'
import { cellsOf, type Member, type Membership } from '#src/model/region.ts'
import { CellObjects } from '#src/service/objects.ts'
import { realWorld } from '#src/world.ts'
import { acl, attributes, body, openCell, owner } from '../service/cell.ts'
import { Peers } from '../support/peers.ts'
import { follow, openRegions, put as putIn, remove } from './byte-regions.ts'

const bucket = 'bucket'
const guard = () => {}
const conditions = {}
const never = new AbortController().signal

const members = ['fra', 'iad', 'syd'].map(
  (region, index): Member => ({
    region,
    cell: index + 1,
    geography: '',
    incarnation: `incarnation-${index + 1}`,
    peer: '',
    state: 'active',
  }),
)
const membership: Membership = { epoch: 1, root: 1, members }

/** A cell that follows others when it is told to, and has the bucket's row from the root when it is asked something. */
async function openMover(self: Member, location: string, peers: Peers, membership: Membership) {
  const { region, cell: number, incarnation } = self
  const cell = await openCell(realWorld, undefined, { region, cell: number, hasPeers: true })
  await cell.buckets.create({ name: bucket, owner, acl, location, hasObjectLock: false })
  const foundation = {
    ...cell.foundation,
    hasBucket: (each: { readonly location: string }) => cellsOf(each.location, membership).includes(number),
  }
  const { store, namespace } = foundation
  const cells = new BucketCells(namespace, () => membership)
  const source = { foundation, cells, incarnation }
  const transport = peers.transport(self)
  const target = { foundation, conflictMilliseconds: 1_000_000, cells }
  const positions = feedPositions(incarnation, () => membership)
  const nearest = (of: readonly number[]) => of
  const parts = { store, namespace, world: realWorld, members: { self, membership, isRoot: number === 1 }, transport }
  const moving = new BucketMoving({ ...parts, target, positions, nearest })
  const moves = new BucketMoves({ ...parts, moving, options: { patience: 5_000, fence: 5_000 } })
  peers.connect(number, [...feedMethods({ ...source, world: realWorld }), ...rangeMethods(source), ...moving.methods])
  return {
    ...cell,
    foundation,
    transport,
    moves,
    objects: new CellObjects(foundation),
    pull: async (from: Member) => {
      while ((await followFeed(target, transport, from, { bytes: 1_000_000, wait: 0 }, never)).hasMore);
    },
  }
}

async function openMovers(location: string, standing = membership) {
  const peers = new Peers()
  const cells = await Promise.all(members.map((member) => openMover(member, location, peers, standing)))
  const [root, second, third] = cells
  assert.ok(root !== undefined && second !== undefined && third !== undefined)
  const mirror = async (): Promise<void> => {
    const row = await root.buckets.get(bucket)
    for (const each of [second, third]) await each.buckets.update(bucket, () => row)
  }
  peers.between = mirror
  return {
    peers,
    root,
    second,
    third,
    mirror,
    move: (to: string) => root.buckets.update(bucket, (row) => moved(row, to, membership, realWorld.now())),
    close: async () => {
      for (const cell of cells) await cell.close()
    },
  }
}

type Mover = Awaited<ReturnType<typeof openMover>>

const put = ({ objects }: Mover, key: string, text: string) =>
  objects.put({
    name: { bucket, key },
    attributes,
    body: body(Buffer.from(text)),
    digests: {},
    conditions,
    guard,
  })

async function etagIn({ foundation, buckets }: Mover, key: string): Promise<string | undefined> {
  const { id } = await buckets.get(bucket)
  const row = await foundation.store.snapshot((snapshot) => readCurrent(snapshot, { bucket: id, key }))
  return row?.version.etag
}

test('Z4 Z7: what one standing cell wrote before it was shown, and the copied one had not yet, comes along', async () => {
  const { peers, root, second, third, mirror, move, close } = await openMovers('fra,iad')
  const [fra, iad] = members
  assert.ok(fra !== undefined && iad !== undefined)
  const { version } = await put(second, 'key', 'value')
  const { version: old } = await put(root, 'old', 'value')
  await second.pull(fra)
  // Their entries are behind the one that comes, and nobody told it of those: what is old comes with the copy alone.
  await third.pull(iad)
  await third.pull(fra)
  assert.equal(await etagIn(third, 'key'), undefined)
  await move('')
  // The one that is copied from hears of the object only once the one that comes has asked everybody what they have.
  const asked = Promise.withResolvers<void>()
  let isAnswered = true
  peers.between = async (call) => {
    await mirror()
    if (call === '2 bucket-drain') await second.pull(fra)
    if (call !== '3 bucket-drain') return
    isAnswered = !isAnswered
    if (isAnswered) return
    await third.pull(fra)
    await third.pull(iad)
    asked.resolve()
  }
  const heard = asked.promise.then(() => root.pull(iad))
  while (await root.moves.advance(bucket, never));
  await heard
  const row = await root.buckets.get(bucket)
  assert.equal(row.location, '')
  assert.equal(row.move, undefined)
  assert.equal(await etagIn(root, 'key'), version.etag)
  assert.equal(await etagIn(third, 'key'), version.etag)
  assert.equal(await etagIn(third, 'old'), old.etag)
  await close()
})

test('L1 Z4: a bucket that is only in a region that leaves is copied from there: else neither could ever go', async () => {
  const leaving = members.map((each): Member => (each.region === 'iad' ? { ...each, state: 'leaving' } : each))
  const { peers, root, second, mirror, move, close } = await openMovers('iad', { ...membership, members: leaving })
  const [, iad] = members
  assert.ok(iad !== undefined)
  await put(second, 'k', 'only there')
  // Before anybody shows it what is there: that comes with the copy alone.
  await root.pull(iad)
  await move('fra')
  peers.between = async (call) => {
    await mirror()
    if (call === '2 bucket-heads') await root.pull(iad)
  }
  for (let step = 0; step < 10 && (await root.buckets.get(bucket)).location !== 'fra'; step++) {
    await root.moves.advance(bucket, never)
  }
  assert.notEqual(await etagIn(root, 'k'), undefined)
  await close()
})

test('Z3 Z6: a step waits for the cell that has not seen the one before; while a cell is away, writes go on', async () => {
  const { peers, root, second, move, close } = await openMovers('fra')
  await move('fra,iad')
  peers.between = async () => {}
  const late = root.moves.advance(bucket, AbortSignal.timeout(300))
  await assert.rejects(late)
  assert.equal((await root.buckets.get(bucket)).move?.step, 'preparing')
  const row = await root.buckets.get(bucket)
  await second.buckets.update(bucket, () => row)
  assert.equal(await root.moves.advance(bucket, never), true)
  assert.equal((await root.buckets.get(bucket)).move?.step, 'copying')
  peers.faultsOf(2).isDown = true
  await assert.rejects(root.moves.advance(bucket, never), { code: 'ServiceUnavailable' })
  await put(root, 'key', 'value')
  await close()
})

test('Z7: a fence that a cell does not answer in time is taken away again', async () => {
  const { peers, root, mirror, move, close } = await openMovers('fra')
  await move('fra,iad')
  await root.moves.advance(bucket, never)
  await root.moves.advance(bucket, never)
  const { move: fenced } = await root.buckets.get(bucket)
  assert.equal(fenced?.step, 'fenced')
  await assert.rejects(put(root, 'key', 'value'), { code: 'ServiceUnavailable' })
  peers.between = async (call) => {
    if (call === '2 bucket-drain') throw new PeerUnreachable(2)
    await mirror()
  }
  await assert.rejects(root.moves.advance(bucket, never), { code: 'ServiceUnavailable' })
  assert.equal((await root.buckets.get(bucket)).move?.step, 'copying')
  await put(root, 'key', 'value')
  await close()
})

test('Z6: no writes are taken at the new location while a cell that goes may still answer for the old one', async () => {
  const { peers, root, mirror, move, close } = await openMovers('fra,iad')
  await move('fra')
  peers.between = async (call) => {
    const { move: under } = await root.buckets.get(bucket)
    if (under?.step === 'handing' && call === '2 bucket-step') throw new PeerUnreachable(2)
    await mirror()
  }
  await assert.rejects(
    async () => {
      while (await root.moves.advance(bucket, never));
    },
    { code: 'ServiceUnavailable' },
  )
  const { location, move: under } = await root.buckets.get(bucket)
  assert.deepEqual([location, under?.step, under?.other], ['fra,iad', 'copying', 'fra'])
  await close()
})

test('Z4: a null version that goes from row to row while it is copied is told of with its key', async () => {
  const { root, third, move, mirror, close } = await openMovers('fra')
  const { objects, buckets } = root
  await put(root, 'key', 'value')
  await buckets.update(bucket, (each) => ({ ...each, versioning: 'enabled' }))
  const name = { bucket, key: 'key' }
  const deleting = { name, guard, conditions, bypassGovernance: false, caller: owner }
  const { versionId } = await objects.delete(deleting)
  await move('fra,syd')
  await root.moves.advance(bucket, never)
  await mirror()
  // Whoever walked over `current` has seen nothing of the key. Now the marker goes, and what it hid is current again.
  await objects.delete({ ...deleting, ...(versionId !== undefined && { versionId }) })
  const { id } = await buckets.get(bucket)
  const { records } = await askRows(third.transport, 1, { bucket: id }, { space: 'version' }, never)
  assert.ok(records.some((record) => record.kind === 'version' && record.version.isNull))
  await close()
})

test('Z5 R4 V10: a cell that is gone has no record, no reference and no entry of the bucket left, and counts nothing of it', async () => {
  const { root, close } = await openMovers('fra')
  const { objects, buckets, foundation } = root
  await put(root, 'null', 'a null version')
  await buckets.update(bucket, (each) => ({ ...each, versioning: 'enabled' }))
  for (const key of ['a', 'b'])
    for (let round = 0; round < 3; round++) await put(root, key, `${key} ${round}`.repeat(20))
  await objects.delete({ name: { bucket, key: 'a' }, guard, conditions, bypassGovernance: false, caller: owner })
  const { id } = await buckets.get(bucket)
  const { store } = foundation
  assert.equal((await store.snapshot((snapshot) => readStored(snapshot, id))).get('STANDARD')?.objects, 7n)
  while ((await store.transact((transaction) => forgetRecords(transaction, id, 2))) > 0);
  for (const space of [
    'current',
    'version',
    'tombstone',
    'memory',
    'inline',
    'nullVersion',
    'feed',
    'reference',
    'blob',
  ] as const) {
    const { from, to } = under(space, [])
    const rows = await store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10 }))
    assert.equal(rows.length, 0, space)
  }
  assert.deepEqual(await store.snapshot((snapshot) => readStored(snapshot, id)), new Map())
  await close()
})

test('F7: what comes late of a bucket that has left is not taken', async () => {
  const { peers, root, third, close } = await openMovers('')
  const [fra] = members
  assert.ok(fra !== undefined)
  await put(root, 'key', 'value')
  const row = await root.buckets.get(bucket)
  peers.between = async () => {}
  await third.buckets.update(bucket, () => ({ ...row, location: 'fra' }))
  await third.pull(fra)
  assert.equal(await etagIn(third, 'key'), undefined)
  await close()
})

test('T6: what was deleted in a bucket is not forgotten while its location changes', async () => {
  const { root, move, close } = await openMovers('fra')
  const { foundation, objects, buckets } = root
  await put(root, 'key', 'value')
  await objects.delete({ name: { bucket, key: 'key' }, guard, conditions, bypassGovernance: false, caller: owner })
  const forgetter = new Forgetter({ foundation, incarnation: 'incarnation-1', peers: () => [], youngest: -1_000 })
  const tombstones = async (): Promise<number> => {
    const { from, to } = under('tombstone', [])
    return (await foundation.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10 }))).length
  }
  await move('fra,syd')
  await forgetter.pass()
  assert.equal(await tombstones(), 1)
  await foundation.store.transact(async (transaction) => {
    foundation.namespace.endMove(transaction, await buckets.get(bucket))
  })
  await forgetter.pass()
  assert.equal(await tombstones(), 0)
  await close()
})

test('T7: what is written in a cell that a bucket came to has a larger stamp than what was forgotten before that', async () => {
  const { root, third, move, mirror, close } = await openMovers('fra')
  const { id } = await root.buckets.get(bucket)
  // Deleted by a clock that was an hour ahead, and forgotten since.
  const forgotten = (BigInt(Math.round(realWorld.now())) + 3_600_000n) * 1_000_000n + 1n
  await root.foundation.store.transact((to) => raiseFloors(to, new Map([[partitionOf(id, 'key'), forgotten]])))
  await move('syd')
  while (await root.moves.advance(bucket, never));
  await mirror()
  const { version } = await put(third, 'key', 'value')
  assert.ok(version.stamp > forgotten, `${version.stamp} after ${forgotten}`)
  await close()
})

test('V5: a blob is kept for others only by a cell with a copy, and its old keeper is not believed any more', async () => {
  const { regions, close } = await openRegions({ count: 2 })
  const [fra, iad] = regions
  assert.ok(fra !== undefined && iad !== undefined)
  await putIn(fra, 'k', randomBytes(1000))
  const blob = await follow(iad, fra, 'k')
  const adopted = () => iad.foundation.store.transact((to) => adopt(to, blob, iad.member))
  assert.equal(await adopted(), 'wait')
  await iad.bytes.copies.ensure(blob)
  assert.equal(await adopted(), 'adopted')
  const kept = await iad.foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  assert.ok(kept?.kind === 'bytes')
  assert.equal(kept.keeper, iad.member.cell)
  assert.deepEqual(
    kept.holders.map(({ region }) => region),
    ['iad'],
    'others count once they say so themselves',
  )
  await fra.foundation.store.transact((to) => changeKeeper(to, blob, iad.member.cell, 'fra'))
  await remove(fra, 'k')
  const given = { blob, region: 'fra', copy: 0 }
  const word = (keeper: number) => fra.foundation.store.transact((to) => giveUp(to, given, keeper))
  assert.equal(await word(fra.member.cell), 'other')
  assert.equal(await word(iad.member.cell), 'gone')
  assert.equal(await iad.foundation.store.transact((to) => adopt(to, 'f'.repeat(32), iad.member)), 'unnamed')
  await close()
})

test('V6: who hands a blob on keeps it until all others know who does', async () => {
  const { peers, regions, membership: all, close } = await openRegions({ count: 3 })
  const [fra, iad] = regions
  assert.ok(fra !== undefined && iad !== undefined)
  await putIn(fra, 'k', randomBytes(1000))
  const blob = await follow(iad, fra, 'k')
  const handing = new HandingOn({
    foundation: fra.foundation,
    transport: peers.transport(fra.member),
    membership: () => all,
    durabilityRegions: 1,
    cellsOfBucket: async () => [iad.member.cell],
    lostOf: async () => new Set(),
  })
  const keeperIn = async ({ foundation }: typeof fra) => {
    const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
    return record?.kind === 'bytes' ? record.keeper : undefined
  }
  const jobs = [{ blob, bucket: 1 }]
  peers.faultsOf(3).isDown = true
  await assert.rejects(handing.hand(jobs))
  assert.equal(await keeperIn(fra), fra.member.cell)
  peers.faultsOf(3).isDown = false
  assert.deepEqual(await handing.hand(jobs), [])
  assert.equal(await keeperIn(fra), iad.member.cell)
  assert.equal(await keeperIn(iad), iad.member.cell)
  // That another bucket names it, which is not here, is told by nothing but that it is not let go.
  await follow(fra, iad, 'k')
  await remove(fra, 'k')
  await fra.foundation.store.transact((to) => keptBy(to, blob, fra.member.cell, fra.member))
  assert.deepEqual(await handing.hand([{ blob, isLate: false }]), [{ blob, isLate: false }])
  assert.deepEqual(await handing.hand([{ blob, isLate: true }]), [])
  assert.equal(await keeperIn(fra), iad.member.cell)
  // What nobody names is not handed to anybody.
  await remove(iad, 'k')
  assert.deepEqual(await handing.hand([{ blob: 'e'.repeat(32), bucket: 1 }]), [{ blob: 'e'.repeat(32), bucket: 1 }])
  await close()
})
