import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { heirOf } from '#src/cluster/heirs.ts'
import { askSheltered } from '#src/cluster/succession-methods.ts'
import { type BlobRecord, decodeBlob } from '#src/metadata/blob-codec.ts'
import {
  addManifest,
  addReference,
  blobOfRow,
  copyIn,
  newsOf,
  readBlob,
  receiveBlob,
} from '#src/metadata/blob-records.ts'
import { changeKeeper, hold, release } from '#src/metadata/keeping.ts'
import { under } from '#src/metadata/keyspace.ts'
import { finishJob, readOutbox } from '#src/metadata/outbox.ts'
import { reserve } from '#src/metadata/reservations.ts'
import { readLost, readSuccession } from '#src/metadata/succession-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { type Member, type Membership, memberOf } from '#src/model/region.ts'
import type { Transaction } from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import {
  bucket,
  copy,
  copyOf,
  follow,
  get,
  type OpenRegions,
  pull,
  put,
  type Region,
  remove,
  withThree,
} from './byte-regions.ts'

const world: World = {
  ...realWorld,
  sleep: (milliseconds, signal, options) =>
    realWorld.sleep(milliseconds > 1_000 ? milliseconds : milliseconds / 100, signal, options),
}

const withRegions = (
  work: (all: OpenRegions, fra: Region, iad: Region, syd: Region) => Promise<void>,
  durabilityRegions = 1,
  durability?: number,
): Promise<void> => withThree(work, { world, durabilityRegions, ...(durability !== undefined && { durability }) })

const withState = (membership: Membership, cell: number, state: Member['state']): Membership => ({
  ...membership,
  epoch: membership.epoch + 1,
  members: membership.members.map((each) => (each.cell === cell ? { ...each, state } : each)),
})

/** A cell is gone, and all others know; none of them listens to it. */
function lose(all: OpenRegions, cell: number): Membership {
  const after = withState(all.membership, cell, 'removed')
  all.peers.faultsOf(cell).isDown = true
  all.peers.refuses = (_, caller) => caller.cell === cell
  for (const { member } of all.regions) if (member.cell !== cell) all.know(member.cell, after)
  return after
}

async function recordOf({ foundation }: Region, blob: BlobId): Promise<BlobRecord | undefined> {
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, blob))
  return record?.kind === 'bytes' ? record : undefined
}

/** Carries out what the outbox asks for, as the replicator does. */
async function workOff({ bytes, foundation }: Region): Promise<void> {
  const jobs = await foundation.store.snapshot((snapshot) => readOutbox(snapshot, undefined, 1_000))
  for (const { id, payload } of jobs) {
    await bytes.copies.ensure(String(payload['blob'])).then(
      () => foundation.store.transact(async (transaction) => finishJob(transaction, id)),
      () => undefined,
    )
  }
}

/** Makes of a whole blob the only part of an object in parts. */
async function asPart(to: Transaction, blob: BlobId, bucketId: number): Promise<void> {
  const { from, to: end } = under('reference', [Buffer.from(blob, 'hex')])
  to.clearRange(from, end)
  const manifest = 'f'.repeat(32)
  addManifest(to, manifest, [{ number: 1, size: 1000, etag: '0'.repeat(32), blob, modified: 0 }])
  addReference(to, manifest, { bucket: bucketId, key: 'k', slot: 1n })
}

async function settle(regions: readonly Region[]): Promise<void> {
  for (let round = 0; round < 6; round++) {
    for (const to of regions) for (const from of regions) if (to !== from) await pull(to, from)
    for (const region of regions) {
      await region.bytes.succession.pass()
      await workOff(region)
      await region.bytes.jobs.pass()
    }
  }
}

const holdersOf = (record: BlobRecord | undefined): readonly string[] =>
  (record?.holders ?? []).map(({ region }) => region).sort()

async function blobsOf({ foundation }: Region) {
  const { from, to } = under('blob', [])
  const rows = await foundation.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 1000 }))
  return rows.map(({ key, value }) => ({ blob: blobOfRow(key), record: decodeBlob(value) }))
}

describe('when a region is gone', () => {
  test('C19 K1: what it kept gets another keeper, which all who hold it tell of their copies; and is freed in the end', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      const bytes = randomBytes(1000)
      await put(fra, 'k', bytes)
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      await syd.bytes.copies.take(blob)
      lose(all, 1)
      await settle([iad, syd])
      assert.equal((await recordOf(iad, blob))?.keeper, 2)
      assert.equal((await recordOf(syd, blob))?.keeper, 2)
      assert.ok(holdersOf(await recordOf(iad, blob)).includes('syd'))
      assert.ok((await get(iad, 'k')).equals(bytes))
      const state = await iad.foundation.store.snapshot(readSuccession)
      assert.deepEqual([state?.orphans, state?.wanted, state?.lost, state?.mourned], [0, 0, 0, [1]])
      await remove(iad, 'k')
      await settle([iad, syd])
      assert.deepEqual([await recordOf(iad, blob), await recordOf(syd, blob)], [undefined, undefined])
    })
  })

  test('C19: nothing is taken over, and nothing goes, while a region cannot be asked that may keep it already', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      await put(fra, 'k', randomBytes(1000))
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      await iad.bytes.copies.take(blob)
      lose(all, 1)
      all.peers.faultsOf(3).isDown = true
      await remove(iad, 'k')
      await settle([iad])
      assert.equal((await recordOf(iad, blob))?.keeper, 1)
      assert.ok((await copyOf(iad, blob)) !== undefined)
      all.peers.faultsOf(3).isDown = false
      await settle([iad, syd])
      assert.equal(await recordOf(iad, blob), undefined)
    })
  })

  test('C20: what is in too few regions without it is copied to others, also where it was not the keeper', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      const [one, two] = [randomBytes(1000), randomBytes(1000)]
      await put(fra, 'kept there', one)
      const first = await follow(iad, fra, 'kept there')
      await follow(syd, fra, 'kept there')
      await iad.bytes.copies.take(first)
      await put(iad, 'held there', two)
      const second = await follow(fra, iad, 'held there')
      await follow(syd, iad, 'held there')
      await fra.bytes.copies.take(second)
      for (const region of all.regions) await region.bytes.jobs.pass()
      assert.deepEqual(holdersOf(await recordOf(iad, second)), ['fra', 'iad'])
      lose(all, 1)
      await settle([iad, syd])
      for (const blob of [first, second]) {
        assert.deepEqual(holdersOf(await recordOf(iad, blob)), ['iad', 'syd'])
        assert.ok((await copyOf(syd, blob)) !== undefined)
      }
      all.peers.faultsOf(2).isDown = true
      assert.ok((await get(syd, 'kept there')).equals(one))
      assert.ok((await get(syd, 'held there')).equals(two))
    }, 2)
  })

  test('C20: in as many regions as its bucket asks for, where that is more than is usual', async () => {
    await withRegions(
      async (all, fra, iad, syd) => {
        await put(fra, 'k', randomBytes(1000))
        const blob = await follow(iad, fra, 'k')
        await follow(syd, fra, 'k')
        await iad.bytes.copies.take(blob)
        // One that a write still reserves besides.
        const reservation = { blob, token: 7 }
        await iad.foundation.store.transact(async (to) => reserve(to, reservation, world.now() + 3_600_000))
        lose(all, 1)
        await settle([iad, syd])
        assert.deepEqual(holdersOf(await recordOf(iad, blob)), ['iad', 'syd'])
        assert.ok((await copyOf(syd, blob)) !== undefined)
      },
      1,
      2,
    )
  })

  test('C20: so are the parts of objects, which a region that leaves waits for', async () => {
    await withRegions(
      async (all, fra, iad, syd) => {
        await put(fra, 'k', randomBytes(1000))
        const blob = await follow(iad, fra, 'k')
        await follow(syd, fra, 'k')
        for (const { foundation, cell } of [iad, syd]) {
          const { id } = await cell.buckets.get(bucket)
          await foundation.store.transact(async (to) => asPart(to, blob, id))
        }
        await iad.bytes.copies.take(blob)
        const leaving = withState(all.membership, 1, 'leaving')
        for (const { member } of all.regions) all.know(member.cell, leaving)
        const asking = { foundation: fra.foundation, transport: all.peers.transport(fra.member) }
        const isSheltered = () => askSheltered(asking, 2, { epoch: leaving.epoch, blobs: [blob] })
        await iad.bytes.succession.pass()
        assert.equal((await recordOf(iad, blob))?.keeper, 2)
        assert.deepEqual(await isSheltered(), [false])
        await settle([iad, syd])
        assert.deepEqual(holdersOf(await recordOf(iad, blob)), ['iad', 'syd'])
        assert.deepEqual(await isSheltered(), [true])
      },
      1,
      2,
    )
  })

  test('C20: what is inherited while all is looked at is looked at once more', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      await put(fra, 'k', randomBytes(1000))
      const blob = await follow(syd, fra, 'k')
      await syd.bytes.copies.take(blob)
      // Names are random: one that is looked at after it.
      for (let lost = ''; lost <= blob; lost = await follow(iad, fra, 'lost')) await put(fra, 'lost', randomBytes(1000))
      lose(all, 1)
      await iad.bytes.succession.pass()
      let isFirst = true
      all.peers.between = async () => {
        if (!isFirst) return
        isFirst = false
        await follow(iad, syd, 'k')
        await iad.bytes.succession.resolve([blob])
      }
      await iad.bytes.succession.pass()
      assert.equal((await recordOf(iad, blob))?.keeper, 2)
      const state = await iad.foundation.store.snapshot(readSuccession)
      assert.ok(state !== undefined && state.wanted > 0 && state.lost > 0, JSON.stringify(state))
      await settle([iad, syd])
      assert.deepEqual(holdersOf(await recordOf(iad, blob)), ['iad', 'syd'])
    }, 2)
  })

  test('K2 C21: what no other region has is told, and answered 503; it is told no more once it is found', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      const bytes = randomBytes(1000)
      await put(fra, 'k', bytes)
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      const lostIn = ({ foundation }: Region) =>
        foundation.store.snapshot((snapshot) => readLost(snapshot, undefined, 10))
      lose(all, 1)
      await iad.bytes.succession.pass()
      assert.equal((await recordOf(iad, blob))?.keeper, 2)
      all.peers.faultsOf(3).isDown = true
      await iad.bytes.succession.pass()
      assert.deepEqual(await lostIn(iad), [], 'whoever was not asked may have it')
      all.peers.faultsOf(3).isDown = false
      await settle([iad, syd])
      assert.deepEqual(
        (await lostIn(iad)).map((each) => each.blob),
        [blob],
      )
      assert.deepEqual(await lostIn(syd), [])
      await assert.rejects(get(iad, 'k'), { code: 'ServiceUnavailable' })
      await assert.rejects(get(syd, 'k'), { code: 'ServiceUnavailable' })
      await put(iad, 'k', bytes)
      await settle([iad, syd])
      assert.equal(await recordOf(iad, blob), undefined)
    })
  })

  test('K1: who takes another cell for the keeper is told by it who that is, and has its copy counted there', async () => {
    await withRegions(async (_, fra, iad, syd) => {
      await put(fra, 'k', randomBytes(1000))
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      await iad.bytes.copies.take(blob)
      // As one is left with that hears of the blob by a page from before it was handed on.
      await iad.foundation.store.transact((to) => changeKeeper(to, blob, 3, 'iad'))
      for (let pass = 0; pass < 3; pass++) await iad.bytes.jobs.pass()
      assert.equal((await recordOf(iad, blob))?.keeper, 1)
      assert.ok(holdersOf(await recordOf(fra, blob)).includes('iad'))
      assert.equal((await recordOf(syd, blob))?.keeper, 1)
    })
  })

  test('K1: only the keeper decides by what it counts, and hearsay of copies does not count', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      await put(fra, 'k', randomBytes(1000))
      const blob = await follow(iad, fra, 'k')
      await follow(syd, fra, 'k')
      await syd.bytes.copies.take(blob)
      const known = await recordOf(syd, blob)
      assert.ok(known !== undefined)
      const counting = { here: syd.member, needed: 1, isCounted: () => true }
      const asked = { blob, region: 'iad', copy: 5 }
      assert.equal(await syd.foundation.store.transact((to) => release(to, asked, counting)), 'wait')
      const held = await syd.foundation.store.transact((to) => hold(to, asked, syd.member.cell))
      assert.deepEqual(held, { word: 'elsewhere', last: 1 })
      lose(all, 1)
      await iad.bytes.succession.pass()
      assert.equal((await recordOf(iad, blob))?.keeper, 2)
      // As a page tells it that was read before the other cell knew.
      await iad.foundation.store.transact((to) => receiveBlob(to, blob, newsOf(known), iad.member))
      assert.deepEqual(holdersOf(await recordOf(iad, blob)), [])
    })
  })

  test('C16: copies of a region of the same code that comes after it are counted, and those of the one before are not', async () => {
    await withRegions(async (all, fra, iad, syd) => {
      await put(iad, 'k', randomBytes(1000))
      const blob = await follow(fra, iad, 'k')
      await follow(syd, iad, 'k')
      await fra.bytes.copies.take(blob)
      await fra.bytes.jobs.pass()
      assert.deepEqual(holdersOf(await recordOf(iad, blob)), ['fra', 'iad'])
      const gone = lose(all, 1)
      const again: Member = { ...fra.member, cell: 4, incarnation: '4' }
      const joined = { ...gone, epoch: gone.epoch + 1, members: [...gone.members, again] }
      const other = await all.open(again)
      all.peers.refuses = (_, caller) => caller.cell === 1
      for (const { member } of [iad, syd, other]) all.know(member.cell, joined)
      await follow(other, iad, 'k')
      await other.bytes.copies.take(blob)
      await other.bytes.jobs.pass()
      const before = await recordOf(iad, blob)
      await settle([iad, syd, other])
      assert.deepEqual(before?.holders.filter(({ region }) => region === 'fra').map(({ copy }) => copy ?? 0).length, 1)
      const after = await recordOf(iad, blob)
      assert.deepEqual(holdersOf(after), ['fra', 'iad'])
      assert.equal(after?.holders.find(({ region }) => region === 'fra')?.copy, (await copyOf(other, blob))?.copy)
    })
  })
})

test('K1: who keeps it already stays the keeper; else the least that names it, and stays; else whoever has it', () => {
  const self = { cell: 2, isActive: true, names: true, mayHold: true }
  const other = (cell: number, names: boolean, keeps = false, isActive = true) => ({
    cell,
    names,
    keeps,
    isActive,
    holds: false,
    mayHold: true,
  })
  assert.equal(heirOf(self, [other(1, false), other(3, true, true)]), 3)
  assert.equal(heirOf(self, [other(1, true), other(3, true)]), 1)
  assert.equal(heirOf(self, [other(1, true, false, false), other(3, true)]), 2)
  assert.equal(heirOf({ ...self, names: false }, [other(1, false), other(3, true)]), 3)
  assert.equal(heirOf({ ...self, names: false }, [other(1, false), other(3, false)]), 2)
  assert.equal(heirOf({ ...self, isActive: false }, [other(3, true)]), 3)
  assert.equal(heirOf(self, [{ ...other(1, true), mayHold: false }, other(3, true)]), 2)
  assert.equal(heirOf({ ...self, mayHold: false }, [{ ...other(1, true), mayHold: false }, other(3, true)]), 3)
  assert.equal(heirOf({ ...self, mayHold: false }, [{ ...other(1, true), mayHold: false }, other(3, false)]), 1)
})

test('K1 I7 C19: whatever happens around the removal of a region, what another one held can be read there', async () => {
  const keys = ['k0', 'k1', 'k2', 'k3']
  const action = fc.record(
    {
      kind: fc.constantFrom('put', 'put', 'copy', 'remove', 'pull', 'pull', 'take', 'take', 'jobs', 'pass', 'learn'),
      region: fc.nat(2),
      other: fc.nat(2),
      key: fc.constantFrom(...keys),
      target: fc.constantFrom(...keys),
    },
    { noNullPrototype: true },
  )
  let taken = 0
  let chances = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 20, maxLength: 60 }),
      fc.nat(2),
      fc.constantFrom<Member['state']>('leaving', 'removed'),
      async (actions, gone, state) => {
        await withRegions(async (all) => {
          const { peers, regions } = all
          const after = withState(all.membership, gone + 1, state)
          const knowing = new Set<number>()
          // Whoever knows does not listen to it, and it may not know yet that it is gone.
          if (state === 'removed') {
            peers.refuses = (cell, caller) =>
              (knowing.has(cell) && caller.cell === gone + 1) || (knowing.has(caller.cell) && cell === gone + 1)
          }
          const queue = [...actions]
          const ignore = () => undefined
          const step = async (isInside: boolean): Promise<void> => {
            const next = queue.shift()
            if (next === undefined) return
            const [region, other] = [regions[next.region], regions[next.other]]
            assert.ok(region !== undefined && other !== undefined)
            if (next.kind === 'learn') {
              knowing.add(region.member.cell)
              all.know(region.member.cell, after)
            }
            const isOut = state === 'removed' && [region, other].some(({ member }) => member.cell === gone + 1)
            if (next.kind === 'put') await put(region, next.key, randomBytes(100))
            if (next.kind === 'copy') await copy(region, next.key, next.target).catch(ignore)
            if (next.kind === 'remove') await remove(region, next.key)
            if (next.kind === 'pull' && region !== other && !(isOut && knowing.size > 0)) await pull(region, other)
            if (isInside) return
            if (next.kind === 'jobs') await region.bytes.jobs.pass()
            if (next.kind === 'pass') await region.bytes.succession.pass().catch(ignore)
            const { blob } = (await blobsOf(region)).find(({ record }) => record.kind === 'bytes') ?? {}
            if (next.kind === 'take' && blob !== undefined && (await copyOf(region, blob)) === undefined) {
              await region.bytes.copies.take(blob).catch(ignore)
            }
          }
          peers.between = async () => {
            chances += 1
            await step(true)
          }
          while (queue.length > 0) await step(false)
          for (const { member } of regions) {
            knowing.add(member.cell)
            all.know(member.cell, after)
          }
          const staying = regions.filter(({ member }) => member.cell !== gone + 1)
          // What nobody but the region that is gone had may be lost, if that one was not asked to leave.
          const held = new Set<BlobId>()
          for (const region of state === 'leaving' ? regions : staying) {
            for (const { blob, record } of await blobsOf(region)) {
              if (record.kind === 'bytes' && copyIn(record, region.member.region) !== undefined) held.add(blob)
            }
          }
          if (state === 'removed') peers.faultsOf(gone + 1).isDown = true
          await settle(state === 'leaving' ? regions : staying)
          if (state === 'leaving') {
            // Gone for good: nothing is only there any more.
            peers.faultsOf(gone + 1).isDown = true
            const later = withState(after, gone + 1, 'removed')
            for (const { member } of staying) all.know(member.cell, later)
            await settle(staying)
          }
          for (const region of staying) {
            for (const { blob, record } of await blobsOf(region)) {
              assert.ok(record.kind === 'bytes')
              assert.equal(record.isUnreferenced, undefined, 'what nobody names is freed')
              if (memberOf(after, record.keeper)?.state !== 'active') {
                // It came with a page that was older than what its teller has learnt since: whoever does something with it finds that.
                assert.equal(copyIn(record, region.member.region), undefined, 'who has a copy told a keeper that stays')
                await region.bytes.succession.resolve([blob])
              }
              const keeper = memberOf(after, (await recordOf(region, blob))?.keeper ?? -1)
              assert.equal(keeper?.state, 'active', 'what is named has a keeper that stays')
              if (!held.has(blob)) continue
              const copies = await Promise.all(staying.map((each) => copyOf(each, blob)))
              assert.ok(
                copies.some((each) => each !== undefined),
                `${blob} is nowhere`,
              )
              taken += 1
            }
          }
        })
      },
    ),
    { numRuns: 15, endOnFailure: true },
  )
  assert.ok(taken > 20 && chances > 100, `${taken} blobs were seen, with ${chances} chances between`)
})
