import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Departure } from '#src/metadata/departure-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { governNamespace } from '#src/metadata/namespace-feed.ts'
import type { Bucket, Move } from '#src/model/bucket.ts'
import { moved, takesWrites, withoutCell } from '#src/model/move.ts'
import { cellsOf, type Member, type Membership } from '#src/model/region.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { dismiss, letGo } from './founding.ts'

const codes = ['fra', 'iad', 'syd']
const members = codes.map((region, index): Member => {
  const geography = region === 'fra' ? 'eur' : 'far'
  return { region, geography, cell: index + 1, incarnation: region, peer: '', state: 'active' }
})
const membership: Membership = { epoch: 1, root: 1, members }
const syd = 3

const bucketAt = (location: string, step?: Move['step'], other = ''): Bucket => ({
  ...{ name: 'box', id: 1, owner: 'owner', location, epoch: 5, state: 'active', versioning: 'off' },
  ...{ created: 0, acl: { owner: 'owner', grants: [] }, documents: {}, hasObjectLock: false },
  ...(step === undefined ? {} : { move: { step, other, epoch: 3, since: 0 } }),
})

const departure: Departure = {
  ...{ at: 1, since: 0, uploads: 0, deliveries: 0, blobs: 0, bytes: 0, behind: [], away: [], isFenced: true },
}

async function rootWith(bucket: Bucket, state: Member['state']) {
  const store = governNamespace(new MemoryStore({ world: realWorld }), 1)
  const namespace = new Namespace()
  const standing = members.map((each) => (each.cell === syd ? { ...each, state } : each))
  await store.transact(async (transaction) => {
    new ClusterRecords().setMembership(transaction, { ...membership, members: standing })
    namespace.addBucket(transaction, bucket)
  })
  const found = () => store.snapshot((snapshot) => namespace.existingBucket(snapshot, 'box'))
  return { store, namespace, found }
}

const steps = ['preparing', 'copying', 'fenced', 'handing'] as const

for (const step of steps) {
  const [location, other] = step === 'handing' ? ['syd', 'fra,iad'] : ['fra,iad', 'syd']
  test(`Z8: a bucket that was to be only in a region that is lost stays where it was (${step})`, async () => {
    const { store, namespace, found } = await rootWith(bucketAt(location, step, other), 'active')
    const after = await dismiss(store, namespace, syd)
    const bucket = await found()
    assert.deepEqual(cellsOf(bucket.location, after), [1, 2])
    assert.equal(takesWrites(bucket), true)
    assert.equal(bucket.epoch, 6, 'whoever was about to take the next step finds another bucket')
  })
}

test('Z8: a bucket that was only in a region that is lost is where it was to be, with what has come', async () => {
  const { store, namespace, found } = await rootWith(bucketAt('syd', 'copying', 'fra'), 'active')
  const after = await dismiss(store, namespace, syd)
  const bucket = await found()
  assert.deepEqual(cellsOf(bucket.location, after), [1])
  assert.equal(bucket.move?.step, 'leaving')
})

test('Z8: a change that goes on without the cell is left alone, as is one that is over but for cleaning up', () => {
  for (const bucket of [
    bucketAt('fra', 'copying', 'iad,syd'),
    bucketAt('fra,syd', 'copying', 'iad'),
    bucketAt('iad', 'handing', 'fra,syd'),
    bucketAt('iad', 'leaving', 'syd'),
    bucketAt('', undefined),
  ]) {
    assert.equal(withoutCell(bucket, syd, membership), bucket)
  }
})

test('Z8: where a geography has another region, that one has nothing of a bucket that was to be in the first', () => {
  const bucket = withoutCell(bucketAt('far', 'handing', 'fra'), 2, membership)
  assert.equal(bucket.location, 'fra')
})

test('L1: a region that leaves goes only where no bucket is nowhere else by then, in the transaction that ends it', async () => {
  for (const bucket of [bucketAt('syd'), bucketAt('syd', 'handing', 'fra'), bucketAt('fra', 'leaving', 'syd')]) {
    const { store, namespace } = await rootWith(bucket, 'leaving')
    await assert.rejects(letGo(store, namespace, syd, departure), { code: 'InvalidRequest' })
  }
  const comes = moved(bucketAt('fra,iad'), 'syd', membership, 0)
  const { store, namespace, found } = await rootWith(comes, 'leaving')
  const after = await letGo(store, namespace, syd, departure)
  assert.deepEqual(cellsOf((await found()).location, after), [1, 2])
  assert.equal((await letGo(store, namespace, syd, departure)).epoch, after.epoch, 'asked again, it is told the same')
})

test('C16: who does not leave is not let go, and the root is not', async () => {
  const { store, namespace } = await rootWith(bucketAt(''), 'active')
  await assert.rejects(letGo(store, namespace, syd, departure), { code: 'InvalidRequest' })
  await assert.rejects(dismiss(store, namespace, 1), { code: 'InvalidRequest' })
})
