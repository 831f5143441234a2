import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { HandingOn } from '#src/cluster/handing-on.ts'
import { encodeKeptBy } from '#src/cluster/keeper-wire.ts'
import { readBlob } from '#src/metadata/blob-records.ts'
import { decodeBlobJob, readBlobJobs } from '#src/metadata/jobs.ts'
import type { BlobId } from '#src/model/blob.ts'
import { realWorld } from '#src/world.ts'
import { follow, openRegions, put, type Region, remove } from './byte-regions.ts'

/** A blob that fra keeps, and of which iad has a copy too. */
async function kept() {
  const clock = { ahead: 0 }
  const world = { ...realWorld, monotonic: () => realWorld.monotonic() + clock.ahead }
  const { peers, regions, membership, close } = await openRegions({ count: 3, world })
  const [fra, iad, syd] = regions
  assert.ok(fra !== undefined && iad !== undefined && syd !== undefined)
  await put(fra, 'k', randomBytes(1000))
  const blob = await follow(iad, fra, 'k')
  await iad.bytes.copies.ensure(blob)
  const hand = async (from: Region, to: Region): Promise<void> => {
    const handing = new HandingOn({
      foundation: from.foundation,
      transport: peers.transport(from.member),
      membership: () => membership,
      durabilityRegions: 1,
      cellsOfBucket: async () => [to.member.cell],
      lostOf: async () => new Set(),
    })
    assert.deepEqual(await handing.hand([{ blob, bucket: 1 }]), [])
  }
  return { peers, fra, iad, syd, blob, hand, clock, close }
}

/** A copy in syd too, which fra counts. */
async function keptByThree() {
  const all = await kept()
  const { fra, iad, syd, blob } = all
  await follow(syd, fra, 'k')
  await syd.bytes.copies.ensure(blob)
  for (const region of [iad, syd]) await region.bytes.jobs.pass()
  assert.deepEqual([await jobsOf(iad), await jobsOf(syd)], [[], []])
  return all
}

async function jobsOf({ foundation }: Region): Promise<readonly string[]> {
  const rows = await foundation.store.snapshot((snapshot) => readBlobJobs(snapshot, undefined, 100))
  return rows.map(({ value }) => decodeBlobJob(value).kind)
}

const keeperIn = async ({ foundation }: Region, blob: BlobId) => {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? record.keeper : undefined
}

const holdersIn = async ({ foundation }: Region, blob: BlobId) => {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? record.holders.map(({ region }) => region).sort() : undefined
}

test('V6: what comes back while it is handed on stays, whatever was answered before', async () => {
  const { peers, fra, iad, blob, hand, close } = await kept()
  let calls = 0
  peers.between = async (call) => {
    // As of a bucket that leaves the new keeper before the old one has its answer.
    if (call === '2 adopt' && ++calls === 2) await hand(iad, fra)
  }
  await hand(fra, iad)
  assert.equal(calls, 2)
  assert.deepEqual([await keeperIn(fra, blob), await keeperIn(iad, blob)], [1, 1])
  await hand(fra, iad)
  assert.deepEqual([await keeperIn(fra, blob), await keeperIn(iad, blob)], [2, 2])
  await close()
})

test('V6: who keeps a blob goes by no word of others about who does', async () => {
  const { peers, fra, iad, syd, blob, close } = await kept()
  const word = encodeKeptBy({ keeper: 3, holds: false, blobs: [blob] })
  const tell = (cell: number) => peers.transport(syd.member).ask(cell, 'kept-by', word, new AbortController().signal)
  await tell(1)
  await tell(2)
  assert.deepEqual([await keeperIn(fra, blob), await keeperIn(iad, blob)], [1, 3])
  await close()
})

/** As three of them keep it: what fra told syd of iad, which kept it for a while, came after that one had forgotten the blob. */
async function toldLate() {
  const all = await keptByThree()
  const { peers, fra, iad, syd, blob, hand } = all
  let words = 0
  peers.between = async (call) => {
    if (call !== '3 kept-by' || ++words > 1) return
    // While the word that iad keeps it is on its way to syd, iad hands it back, and lets its copy go.
    await hand(iad, fra)
    await remove(iad, 'k')
    await iad.bytes.jobs.pass()
    assert.equal(await keeperIn(iad, blob), undefined)
  }
  await hand(fra, iad)
  assert.deepEqual([await keeperIn(fra, blob), await keeperIn(syd, blob)], [1, 2])
  return all
}

test('K3: a copy whose cell was told late of a keeper that has forgotten the blob since is counted by the one that there is', async () => {
  const { syd, blob, clock, close } = await toldLate()
  await syd.bytes.jobs.pass()
  assert.deepEqual(await jobsOf(syd), ['hold'], 'it may only not have heard of it yet')
  for (let look = 0; look < 2; look++) {
    clock.ahead += 60_000
    await syd.bytes.jobs.pass()
  }
  assert.deepEqual([await keeperIn(syd, blob), await jobsOf(syd)], [1, []])
  await close()
})

test('V4: no copy goes by the word of a cell that has forgotten the blob, while another one counts it', async () => {
  const { peers, fra, iad, syd, blob, close } = await toldLate()
  await remove(syd, 'k')
  peers.faultsOf(1).isDown = true
  await syd.bytes.jobs.pass()
  assert.equal(await keeperIn(syd, blob), 2, 'who cannot be asked may keep it')
  peers.faultsOf(1).isDown = false
  await syd.bytes.jobs.pass()
  assert.equal(await keeperIn(syd, blob), 1, 'asked next')
  assert.deepEqual(await holdersIn(fra, blob), ['fra', 'syd'])
  await syd.bytes.jobs.pass()
  assert.deepEqual([await keeperIn(syd, blob), await jobsOf(syd)], [undefined, []])
  assert.deepEqual(await holdersIn(fra, blob), ['fra'])
  assert.deepEqual(await jobsOf(iad), [])
  await close()
})

test('K3: cells that take each other for the keeper of a blob find who is', async () => {
  const { peers, fra, iad, syd, blob, clock, close } = await keptByThree()
  const tell = async (cell: number, keeper: number): Promise<void> => {
    const word = encodeKeptBy({ keeper, holds: false, blobs: [blob] })
    await peers.transport(fra.member).ask(cell, 'kept-by', word, new AbortController().signal)
  }
  await tell(2, 3)
  await tell(3, 2)
  const both = [iad, syd]
  for (const region of both) await region.bytes.jobs.pass()
  for (let look = 0; look < 2; look++) {
    clock.ahead += 60_000
    for (const region of both) await region.bytes.jobs.pass()
  }
  for (const region of both) assert.deepEqual([await keeperIn(region, blob), await jobsOf(region)], [1, []])
  await close()
})
