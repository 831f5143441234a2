import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { HandingOn } from '#src/cluster/handing-on.ts'
import { encodeKeptBy } from '#src/cluster/keeper-wire.ts'
import { readBlob } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { follow, openRegions, put, type Region } from './byte-regions.ts'

/** A blob that fra keeps, and of which iad has a copy too. */
async function kept() {
  const { peers, regions, membership, close } = await openRegions({ count: 3 })
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
  return { peers, fra, iad, syd, blob, hand, close }
}

const keeperIn = async ({ foundation }: Region, blob: BlobId) => {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? record.keeper : undefined
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
