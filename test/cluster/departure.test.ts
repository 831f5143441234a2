import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { chunkBytes } from '#src/blobs/frame.ts'
import type { Departure } from '#src/metadata/departure-records.ts'
import { askElsewhere, becomeKeeper } from '#src/metadata/keeping.ts'
import type { Member, Membership } from '#src/model/region.ts'
import { blobOf } from '#src/model/version.ts'
import type { Transaction } from '#src/store/store.ts'
import { attributes, body, owner } from '../service/cell.ts'
import { bucket, type FedRegion, get, inParts, put, remove, three, until } from './fed-regions.ts'

function changeState(cluster: { membership: Membership }, cell: number, state: Member['state']): void {
  const { membership } = cluster
  const members = membership.members.map((each) => (each.cell === cell ? { ...each, state } : each))
  cluster.membership = { ...membership, epoch: membership.epoch + 1, members }
}

/** As their processes do, side by side with requests. */
async function leave(fra: FedRegion, iad: FedRegion, syd: FedRegion): Promise<readonly Departure[]> {
  const seen: Departure[] = []
  await until(async () => {
    for (const region of [fra, iad, syd]) {
      await region.bytes.succession.pass()
      await region.bytes.jobs.pass()
    }
    seen.push(await syd.departing.step())
    return fra.left.length > 0
  })
  return seen
}

test('L1: a region leaves while clients write there; all that it had is elsewhere before it is no member any more', async () => {
  const { fra, iad, syd, cluster, peers } = await three()
  const bodies = new Map<string, Buffer>()
  for (let at = 0; at < 6; at++) bodies.set(`before-${at}`, randomBytes(at % 3 === 0 ? 5 : 20_000 + at))
  for (const [key, bytes] of bodies) await put(syd, key, bytes)
  const parts = [randomBytes(5 * 2 ** 20), randomBytes(1000)]
  await inParts(syd, 'in parts', parts)
  bodies.set('in parts', Buffer.concat(parts))
  changeState(cluster, 3, 'leaving')
  let late = 0
  let refused = 0
  let isOver = false
  const writing = (async () => {
    for (; !isOver; late++) {
      const bytes = randomBytes(2_000)
      const key = `late-${late}`
      await put(syd, key, bytes).then(
        () => bodies.set(key, bytes),
        (error: { code?: string }) => {
          assert.equal(error.code, 'ServiceUnavailable')
          refused += 1
        },
      )
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  })()
  await until(async () => late > 5)
  const seen = await leave(fra, iad, syd).finally(() => {
    isOver = true
  })
  await writing
  assert.ok((seen[0]?.blobs ?? 0) > 0 && (seen[0]?.bytes ?? 0) > 0, 'what is left to do is told')
  assert.equal(seen.at(-1)?.isFenced, true)
  await assert.rejects(put(syd, 'too late', randomBytes(10)), { code: 'ServiceUnavailable' })
  assert.deepEqual(fra.left, [3])
  changeState(cluster, 3, 'removed')
  peers.faultsOf(3).isDown = true
  assert.ok(bodies.size > 10, `${bodies.size} written, ${refused} refused`)
  for (const region of [fra, iad]) {
    for (const [key, bytes] of bodies) assert.ok((await get(region, key)).equals(bytes), key)
  }
})

test('L1: it stays as long as another one has not heard all, an upload is open, or a copy is in too few regions', async () => {
  const { fra, iad, syd, cluster, peers } = await three(2)
  const bytes = randomBytes(chunkBytes)
  await put(syd, 'k', bytes)
  const name = { bucket, key: 'open' }
  const { id: uploadId } = await syd.uploads.create({ name, attributes, initiator: owner })
  await syd.uploads.putPart({ name, uploadId, number: 1, digests: {}, body: body(randomBytes(chunkBytes)) })
  changeState(cluster, 3, 'leaving')
  peers.faultsOf(2).isDown = true
  for (let look = 0; look < 5; look++) {
    for (const region of [fra, syd]) {
      await region.bytes.succession.pass().catch(() => {})
      await region.bytes.jobs.pass()
    }
    const { behind, isFenced, uploads } = await syd.departing.step()
    assert.deepEqual([behind, isFenced, uploads], [['iad'], false, 1])
  }
  assert.deepEqual(fra.left, [])
  peers.faultsOf(2).isDown = false
  await until(async () => {
    for (const region of [fra, iad, syd]) await region.bytes.succession.pass()
    for (const region of [fra, iad, syd]) await region.bytes.jobs.pass()
    const { behind, uploads } = await syd.departing.step()
    return behind.length === 0 && uploads === 1
  })
  assert.deepEqual(fra.left, [])
  await syd.uploads.abort({ name, uploadId })
  while ((await syd.cell.collector.pass()) > 0);
  await leave(fra, iad, syd)
  peers.faultsOf(3).isDown = true
  peers.faultsOf(2).isDown = true
  assert.ok((await get(fra, 'k')).equals(bytes))
  peers.faultsOf(1).isDown = true
  peers.faultsOf(2).isDown = false
  assert.ok((await get(iad, 'k')).equals(bytes))
})

test('L1: it stays as long as one that answers has not applied its last writes', async () => {
  const { fra, iad, syd, cluster } = await three()
  await iad.stop()
  await put(syd, 'small', randomBytes(5))
  changeState(cluster, 3, 'leaving')
  await until(async () => {
    const { behind, away, isFenced } = await syd.departing.step()
    assert.deepEqual(away, [])
    return isFenced && behind.length === 1
  })
  await syd.departing.step()
  assert.deepEqual(fra.left, [])
})

test('L2: what clients began while it looked is ended before its writes are', async () => {
  const { syd, cluster, peers } = await three()
  changeState(cluster, 3, 'leaving')
  let begun = 0
  peers.between = async (call) => {
    if (!call.endsWith('passed') || begun++ > 0) return
    await syd.uploads.create({ name: { bucket, key: 'begun' }, attributes, initiator: owner })
  }
  await syd.departing.step()
  const { uploads, isFenced } = await syd.departing.step()
  assert.deepEqual([uploads, isFenced], [1, false])
})

test('L1 V3: what others delete once its writes have ended keeps it from nothing, and what they name does', async () => {
  const { fra, iad, syd, cluster, peers } = await three()
  const bytes = randomBytes(chunkBytes)
  for (const key of ['deleted', 'kept']) await put(syd, key, bytes)
  await until(async () => (await Promise.all([fra, iad].map((each) => has(each, 'kept')))).every((each) => each))
  changeState(cluster, 3, 'leaving')
  // Nobody takes copies yet.
  await until(async () => (await syd.departing.step()).isFenced)
  for (const region of [fra, iad]) await remove(region, 'deleted')
  const { blobs } = await syd.departing.step()
  assert.ok(blobs > 0)
  await leave(fra, iad, syd)
  changeState(cluster, 3, 'removed')
  peers.faultsOf(3).isDown = true
  for (const region of [fra, iad]) {
    assert.ok((await get(region, 'kept')).equals(bytes))
    assert.equal(await has(region, 'deleted'), false)
  }
})

const has = ({ objects }: FedRegion, key: string): Promise<boolean> =>
  objects.find({ name: { bucket, key }, guard: () => {} }).then(
    () => true,
    () => false,
  )

test('L1 K3: whom a blob was handed on to without its hearing of that is found', async () => {
  const { fra, iad, syd, cluster } = await three()
  const bytes = randomBytes(chunkBytes)
  await put(syd, 'k', bytes)
  await until(async () => (await get(iad, 'k').catch(() => undefined)) !== undefined)
  await until(async () => (await get(fra, 'k').catch(() => undefined)) !== undefined)
  const { version } = await fra.objects.find({ name: { bucket, key: 'k' }, guard: () => {} })
  const blob = blobOf(version.content)
  assert.ok(blob !== undefined)
  await fra.bytes.copies.ensure(blob)
  const change = (region: FedRegion, work: (to: Transaction) => Promise<void>) =>
    region.cell.foundation.store.transact(work)
  await change(fra, (to) => becomeKeeper(to, blob, { region: 'fra', cell: 1 }))
  await change(iad, (to) => askElsewhere(to, blob, 3, 1))
  await change(syd, (to) => askElsewhere(to, blob, 3, 2))
  changeState(cluster, 3, 'leaving')
  await leave(fra, iad, syd)
  assert.ok((await get(fra, 'k')).equals(bytes))
})
