import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { askSheltered, askToHold } from '#src/cluster/succession-methods.ts'
import { addReference, copyIn, dropReference, newsOf, readBlob, receiveBlob } from '#src/metadata/blob-records.ts'
import { becomeKeeper, changeKeeper } from '#src/metadata/keeping.ts'
import { finishJob, readOutbox } from '#src/metadata/outbox.ts'
import { isSettled, readSuccession } from '#src/metadata/succession-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Membership } from '#src/model/region.ts'
import { follow, openRegions, put, type Region, remove } from './byte-regions.ts'

/** A blob of the first region, kept by the second, which has no copy of it, and counts those of the first and, if it is asked, of a third. */
async function inherited(count: 2 | 3) {
  const opened = await openRegions({ count })
  const [fra, iad, syd] = opened.regions
  assert.ok(fra !== undefined && iad !== undefined)
  await put(fra, 'k', randomBytes(1000))
  const blob = await follow(iad, fra, 'k')
  if (syd !== undefined) {
    await follow(syd, fra, 'k')
    await syd.bytes.copies.ensure(blob)
  }
  await iad.foundation.store.transact((to) => becomeKeeper(to, blob, iad.member))
  for (const each of syd === undefined ? [fra] : [fra, syd]) {
    await each.foundation.store.transact((to) => changeKeeper(to, blob, iad.member.cell, each.member.region))
    await each.bytes.jobs.pass()
  }
  const recordIn = ({ foundation }: Region) => foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  const counted = await recordIn(iad)
  assert.ok(counted?.kind === 'bytes')
  assert.equal(counted.holders.length, count - 1)
  return { ...opened, fra, iad, blob, recordIn }
}

for (const count of [2, 3] as const) {
  test(`V2 V7: a copy that wants to go is let go by a keeper that has a good one itself (${count} regions)`, async () => {
    const { fra, iad, recordIn, close } = await inherited(count)
    await remove(fra, 'k')
    await fra.bytes.jobs.pass()
    assert.notEqual(await recordIn(fra), undefined, 'of the others it is only known that they were good once')
    await iad.bytes.copies.settled()
    await fra.bytes.jobs.pass()
    assert.equal(await recordIn(fra), undefined)
    const kept = await recordIn(iad)
    assert.ok(kept?.kind === 'bytes' && (copyIn(kept, 'iad')?.extents ?? []).length > 0)
    await close()
  })
}

test('L1 V7: who leaves does not rely on copies that its keeper has not read', async () => {
  const { peers, fra, iad, membership, blob, close } = await inherited(3)
  const parts = { foundation: fra.foundation, transport: peers.transport(fra.member) }
  const isSheltered = () => askSheltered(parts, iad.member.cell, { epoch: membership.epoch, blobs: [blob] })
  assert.deepEqual(await isSheltered(), [false])
  await iad.bytes.copies.settled()
  assert.deepEqual(await isSheltered(), [true])
  await close()
})

test('K1: of two cells that keep a blob the least goes on with it, once the other one is asked for a copy', async () => {
  const { peers, regions, membership, close } = await openRegions({ count: 2 })
  const [fra, iad] = regions
  assert.ok(fra !== undefined && iad !== undefined)
  await put(fra, 'k', randomBytes(1000))
  const blob = await follow(iad, fra, 'k')
  await iad.bytes.copies.ensure(blob)
  await iad.foundation.store.transact((to) => becomeKeeper(to, blob, iad.member))
  const recordIn = async ({ foundation }: Region) => {
    const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
    assert.ok(record?.kind === 'bytes')
    return record
  }
  assert.deepEqual([(await recordIn(fra)).keeper, (await recordIn(iad)).keeper], [1, 2])
  const ask = async (from: Region, of: Region) => {
    const parts = { foundation: from.foundation, transport: peers.transport(from.member) }
    await askToHold(parts, of.member.cell, { epoch: membership.epoch, blobs: [blob] })
    for (let pass = 0; pass < 3; pass++) await of.bytes.jobs.pass()
  }
  await ask(iad, fra)
  assert.equal((await recordIn(fra)).keeper, 1, 'the least stays')
  await ask(fra, iad)
  assert.equal((await recordIn(iad)).keeper, 1)
  assert.deepEqual(
    (await recordIn(fra)).holders.map(({ region }) => region),
    ['fra', 'iad'],
  )
  await close()
})

/** Blobs of which copies are asked for. */
async function wantedIn({ foundation }: Region): Promise<readonly BlobId[]> {
  const jobs = await foundation.store.snapshot((snapshot) => readOutbox(snapshot, undefined, 10))
  await foundation.store.transact(async (to) => {
    for (const { id } of jobs) finishJob(to, id)
  })
  return jobs.map(({ payload }) => String(payload['blob']))
}

test('L1 V7: who leaves does not wait for copies of what nobody named at its keeper while that looked at all', async () => {
  const { know, peers, regions, membership: before, close } = await openRegions({ count: 2 })
  const [fra, iad] = regions
  assert.ok(fra !== undefined && iad !== undefined)
  await put(fra, 'k', randomBytes(1000))
  const blob = await follow(iad, fra, 'k')
  const membership: Membership = {
    ...before,
    epoch: before.epoch + 1,
    members: before.members.map((each) => (each.cell === 1 ? { ...each, state: 'leaving' } : each)),
  }
  for (const { member } of regions) know(member.cell, membership)
  const { store } = iad.foundation
  await iad.bytes.succession.resolve([blob])
  const record = await store.snapshot((snapshot) => readBlob(snapshot, blob))
  assert.ok(record?.kind === 'bytes' && record.keeper === iad.member.cell)
  // As of a bucket that leaves its region, and comes back.
  const { id } = await iad.cell.buckets.get('bucket')
  const reference = { bucket: id, key: 'k', slot: 0n }
  await store.transact((to) => dropReference(to, blob, reference, id))
  const left = await store.snapshot((snapshot) => readBlob(snapshot, blob))
  assert.ok(left?.kind === 'bytes' && left.isUnreferenced === true)
  while (await iad.bytes.succession.pass());
  assert.ok(isSettled(await store.snapshot(readSuccession), membership.epoch))
  assert.deepEqual(await wantedIn(iad), [], 'nothing names it')
  await store.transact(async (to) => {
    await receiveBlob(to, blob, newsOf(record), iad.member)
    addReference(to, blob, reference)
  })
  await iad.bytes.jobs.pass()
  assert.equal(await iad.bytes.succession.pass(), false, 'all has been looked at')
  const parts = { foundation: fra.foundation, transport: peers.transport(fra.member) }
  const isSheltered = () => askSheltered(parts, iad.member.cell, { epoch: membership.epoch, blobs: [blob] })
  let wanted: readonly BlobId[] = []
  for (let look = 0; look < 500 && wanted.length === 0; look++) {
    assert.deepEqual(await isSheltered(), [false])
    wanted = await wantedIn(iad)
  }
  assert.deepEqual(wanted, [blob])
  await iad.bytes.copies.ensure(blob)
  assert.deepEqual(await isSheltered(), [true])
  await close()
})
