import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { askSheltered } from '#src/cluster/succession-methods.ts'
import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import { becomeKeeper, changeKeeper } from '#src/metadata/keeping.ts'
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
