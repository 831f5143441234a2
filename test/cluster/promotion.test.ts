import assert from 'node:assert/strict'
import { test } from 'node:test'
import { beReborn, changeMember } from '#src/cluster/founding.ts'
import { NamespaceFollower } from '#src/cluster/namespace-follower.ts'
import { readPlace, writePlace } from '#src/cluster/namespace-messages.ts'
import { findRoot, Proclamation, Promotion } from '#src/cluster/promotion.ts'
import { setSelf } from '#src/metadata/cluster-records.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { NotTheRoot } from '#src/metadata/namespace-feed.ts'
import { wholeNamespace } from '#src/metadata/namespace-keys.ts'
import { readNamespaceCursor } from '#src/metadata/namespace-replica.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, type Member, memberOf } from '#src/model/region.ts'
import { realWorld } from '#src/world.ts'
import { type BareCell, never, openAgain, openReplica, openRoot, Wire } from './cells.ts'

const add = (cell: BareCell, id: string): Promise<void> =>
  cell.store.transact(async (transaction) =>
    cell.namespace.addAccount(transaction, { id, displayName: id, email: `${id}@x.y`, isAdministrator: false }),
  )

const has = (cell: BareCell, id: string): Promise<boolean> =>
  cell.bare.snapshot(async (snapshot) => (await cell.namespace.account(snapshot, id)) !== undefined)

async function rowsOf({ bare }: BareCell): Promise<readonly string[]> {
  const rows = await bare.snapshot((snapshot) =>
    snapshot.range(wholeNamespace.from, wholeNamespace.to, { limit: 10_000 }),
  )
  return rows.map(({ key, value }) => `${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`)
}

async function drain(replica: BareCell, root: BareCell): Promise<void> {
  const head = await root.region.confirmations.head()
  await replica.region.members.refresh()
  for (let step = 0; step < 50; step++) {
    await replica.region.follower.step(never)
    if (await replica.region.replica.reaches(head, 1, never)) return
  }
  assert.fail('it does not come level')
}

async function three(): Promise<{ wire: Wire; fra: BareCell; iad: BareCell; syd: BareCell }> {
  const wire = new Wire()
  const fra = await openRoot(wire)
  const [iad, syd] = [await openReplica(wire, fra, 'iad'), await openReplica(wire, fra, 'syd')]
  for (const { cell } of [iad, syd]) {
    await changeMember(fra.store, cell, (member): Member => ({ ...member, state: 'active' }))
  }
  await fra.region.members.refresh()
  await add(fra, 'first')
  for (const replica of [iad, syd]) await drain(replica, fra)
  await Promise.all([iad, syd].map(({ region }) => region.members.refresh()))
  return { wire, fra, iad, syd }
}

const promotionOf = ({ bare, region: { members, transport } }: BareCell): Promotion =>
  new Promotion({ store: bare, world: realWorld, members, transport })

const proclaim = ({ region: { members, transport } }: BareCell): Promise<void> =>
  new Proclamation({ world: realWorld, members, transport }).step()

test('C25 Y16: a root that is there gives its place to one that has all, and changes nothing from then on', async () => {
  const { fra, iad, syd } = await three()
  await add(fra, 'second')
  const taking = promotionOf(syd).succeed()
  await drain(syd, fra)
  await taking
  assert.equal(syd.region.members.isRoot, true)
  assert.equal(await syd.bare.snapshot(readNamespaceCursor), undefined, 'what is on its way is not applied any more')
  await assert.rejects(add(fra, 'third'), NotTheRoot)
  await add(syd, 'third')
  await proclaim(syd)
  for (const replica of [fra, iad]) {
    assert.equal(replica.region.members.membership.root, syd.cell)
    await drain(replica, syd)
    assert.deepEqual(await rowsOf(replica), await rowsOf(syd))
  }
  for (const id of ['first', 'second', 'third']) assert.ok(await has(iad, id), id)
})

test('Z8 C25: a bucket whose records were going to a root that is lost stays where they are', async () => {
  const { wire, fra, iad, syd } = await three()
  const namespace = new Namespace()
  const bucket: Bucket = {
    ...{ name: 'box', id: 1, owner: 'owner', location: 'iad,syd', epoch: 2, state: 'active', versioning: 'off' },
    ...{ created: 0, acl: { owner: 'owner', grants: [] }, documents: {}, hasObjectLock: false },
    move: { step: 'copying', other: 'fra', epoch: 1, since: 0 },
  }
  await fra.store.transact(async (transaction) => namespace.addBucket(transaction, bucket))
  await drain(iad, fra)
  wire.cut.add(fra.cell)
  const after = await promotionOf(iad).replace([])
  const found = await iad.store.snapshot((snapshot) => namespace.existingBucket(snapshot, 'box'))
  assert.deepEqual(cellsOf(found.location, after), [iad.cell, syd.cell])
  assert.equal(found.move?.step, 'leaving')
})

test('Y16: a root does not give its place to one that lacks a change, or leaves', async () => {
  const { fra, iad, syd } = await three()
  await add(fra, 'unheard')
  const { transport } = syd.region
  const ask = async (): Promise<string> => {
    const request = Buffer.from(JSON.stringify({ position: Buffer.alloc(12).toString('base64') }))
    return Buffer.from(await transport.ask(fra.cell, 'abdicate', request, never)).toString()
  }
  assert.equal(await ask(), 'null')
  await add(fra, 'more')
  assert.equal(fra.region.members.isRoot, true)
  await changeMember(fra.store, iad.cell, (member): Member => ({ ...member, state: 'leaving' }))
  await drain(iad, fra)
  await assert.rejects(promotionOf(iad).succeed(), { code: 'InvalidRequest' })
})

test('C25 Y17: a lost root is replaced by the one that knows most; what was confirmed is there; it is no member when it is back', async () => {
  const { wire, fra, iad, syd } = await three()
  await add(fra, 'confirmed by iad')
  await drain(iad, fra)
  await assert.rejects(promotionOf(iad).replace([]), /answers/)
  wire.cut.add(fra.cell)
  await add(fra, 'confirmed by nobody')
  await assert.rejects(promotionOf(syd).replace([]), /region iad knows more/)
  wire.cut.add(iad.cell)
  await assert.rejects(promotionOf(syd).replace([]), /region iad cannot be asked/)
  wire.cut.delete(iad.cell)
  await promotionOf(iad).replace([])
  await add(iad, 'after')
  await proclaim(iad)
  await drain(syd, iad)
  assert.deepEqual(await rowsOf(syd), await rowsOf(iad))
  for (const id of ['first', 'confirmed by iad', 'after']) assert.ok(await has(syd, id), id)
  assert.equal(memberOf(syd.region.members.membership, fra.cell)?.state, 'removed')
  wire.cut.delete(fra.cell)
  await assert.rejects(fra.region.transport.ask(iad.cell, 'ping', new Uint8Array(0), never), /cannot be reached/)
  assert.equal(await has(syd, 'confirmed by nobody'), false)
})

test('C25 Y17: a root that gave its place up, and then its heir is lost, is the one that knows most', async () => {
  const { wire, fra, iad, syd } = await three()
  wire.cut.add(syd.cell)
  await add(fra, 'unheard by syd')
  const taking = promotionOf(iad).succeed()
  await drain(iad, fra)
  await taking
  wire.cut.delete(syd.cell)
  await proclaim(iad)
  assert.equal(syd.region.members.membership.root, iad.cell)
  wire.cut.add(iad.cell)
  await assert.rejects(promotionOf(syd).replace([]), /region fra knows more/)
  await promotionOf(fra).replace([])
  await proclaim(fra)
  await drain(syd, fra)
  for (const replica of [fra, syd]) assert.ok(await has(replica, 'unheard by syd'))
})

test('C25 Y17: who has followed a later root knows more than who was far with the one before', async () => {
  const { wire, fra, iad, syd } = await three()
  // So that places in the feed of fra are behind those in that of iad, as bytes.
  for (let count = 0; count < 20; count++) await add(fra, `before ${count}`)
  const taking = promotionOf(iad).succeed()
  await drain(iad, fra)
  await drain(syd, fra)
  await taking
  await add(iad, 'in the reign of iad')
  await proclaim(iad)
  await drain(fra, iad)
  wire.cut.add(iad.cell)
  await assert.rejects(promotionOf(syd).replace([]), /region fra knows more/)
  await promotionOf(fra).replace([])
  assert.ok(await has(fra, 'in the reign of iad'))
})

test('Y17: how far a cell was with a root is known until it has a first part of what another one tells', async () => {
  const { wire, iad, syd } = await three()
  const before = await syd.bare.snapshot(readNamespaceCursor)
  await promotionOf(iad).succeed()
  await proclaim(iad)
  const { transport } = syd.region
  const ask = transport.ask.bind(transport)
  transport.ask = async (cell, method, ...rest) => {
    if (method === 'namespace-copy') wire.cut.add(iad.cell)
    return await ask(cell, method, ...rest)
  }
  await assert.rejects(syd.region.follower.step(never), /cannot be reached/)
  assert.deepEqual(await syd.bare.snapshot(readNamespaceCursor), before)
})

test('Y17: an heir that is lost too is not followed by who had not heard of it when asked how far it is', async () => {
  const { fra, iad, syd } = await three()
  await promotionOf(iad).succeed()
  const { transport } = fra.region
  await transport.ask(syd.cell, 'forsake', Buffer.from(JSON.stringify({ reign: 1 })), never)
  await proclaim(iad)
  assert.equal(syd.region.members.membership.root, iad.cell)
  await add(iad, 'too late')
  await assert.rejects(syd.region.follower.step(never), /the root is lost/)
  assert.equal(await has(syd, 'too late'), false)
  // One that takes its place is.
  const taking = promotionOf(fra).succeed()
  await drain(fra, iad)
  await taking
  await proclaim(fra)
  await drain(syd, fra)
  assert.ok(await has(syd, 'too late'))
})

test('Y17: who joins takes no part: what it has heard of alone holds nobody up, and it is no heir', async () => {
  const { wire, fra, iad, syd } = await three()
  const nrt = await openReplica(wire, fra, 'nrt')
  for (const replica of [iad, syd]) await drain(replica, fra)
  await add(fra, 'heard by who joins')
  await drain(nrt, fra)
  await Promise.all([iad, syd].map(({ region }) => region.members.refresh()))
  wire.cut.add(fra.cell)
  await assert.rejects(promotionOf(nrt).replace([]), /joins cannot be the root/)
  await promotionOf(iad).replace([])
  assert.equal(iad.region.members.isRoot, true)
})

test('Y17: whoever said how far it is follows the lost root no more, also with what was on its way', async () => {
  const { fra, syd, iad } = await three()
  const { transport } = iad.region
  const standing = Buffer.from(await transport.ask(syd.cell, 'forsake', new Uint8Array(0), never)).toString()
  assert.match(standing, /"isWhole":true/)
  await add(fra, 'too late')
  await assert.rejects(syd.region.follower.step(never), /the root is lost/)
  assert.equal(await has(syd, 'too late'), false)
  // An answer that is under way when it is told.
  const ask = transport.ask.bind(transport)
  transport.ask = async (...question) => {
    const answer = await ask(...question)
    await syd.region.transport.ask(iad.cell, 'forsake', new Uint8Array(0), never)
    return answer
  }
  await assert.rejects(iad.region.follower.step(never), /the root is lost/)
  assert.equal(await has(iad, 'too late'), false)
})

test('C25 C15: who was away for a whole reign copies what it missed, also where the same cell is the root again', async () => {
  const { wire, fra, iad, syd } = await three()
  wire.cut.add(iad.cell)
  const taking = promotionOf(syd).succeed()
  await taking
  await add(syd, 'in the reign of syd')
  await proclaim(syd)
  await drain(fra, syd)
  await promotionOf(fra).succeed()
  await add(fra, 'again')
  wire.cut.delete(iad.cell)
  await proclaim(fra)
  await drain(iad, fra)
  assert.ok(await has(iad, 'in the reign of syd'))
  assert.deepEqual(await rowsOf(iad), await rowsOf(fra))
})

test('C24 C25: that a replica has what one root did is not told by how far it is with what another one did', async () => {
  const { wire, fra, iad, syd } = await three()
  const known = readPlace(writePlace(await fra.region.confirmations.head()))
  assert.equal(await iad.region.replica.reaches(known, 1_000, never), true)
  wire.cut.add(iad.cell)
  await add(fra, 'unheard')
  const told = readPlace(writePlace(await fra.region.confirmations.head()))
  wire.cut.add(fra.cell)
  wire.cut.delete(iad.cell)
  await promotionOf(syd).replace([])
  // Ends once the feed of the new root is longer than the place that the lost one told.
  for (let count = 0; Buffer.compare((await syd.region.confirmations.head()).position, told.position) < 0; count++) {
    assert.ok(count < 1_000)
    await add(syd, `after ${count}`)
  }
  await proclaim(syd)
  await drain(iad, syd)
  const cursor = await iad.bare.snapshot(readNamespaceCursor)
  assert.ok(cursor !== undefined && Buffer.compare(cursor.position, told.position) >= 0)
  assert.equal(await has(iad, 'unheard'), false)
  assert.equal(await iad.region.replica.reaches(told, 50, never), false)
})

test('C25 C16: who has not heard of a new root that was reborn before it could tell is told by the others', async () => {
  const { wire, fra, iad, syd } = await three()
  wire.cut.add(syd.cell)
  await promotionOf(iad).succeed()
  await proclaim(iad)
  await drain(fra, iad)
  const reborn = { ...iad.region.members.self, incarnation: 'again' }
  await iad.bare.transact(async (transaction) => setSelf(transaction, reborn))
  await beReborn(iad.store, reborn)
  await iad.region.members.refresh()
  wire.cut.delete(syd.cell)
  await proclaim(iad)
  assert.equal(syd.region.members.membership.root, fra.cell, 'it listens to nobody whom it does not know')
  wire.cut.add(iad.cell)
  const find = ({ bare, region: { members, transport } }: BareCell) =>
    findRoot({ store: bare, world: realWorld, members, transport })
  await find(syd)
  assert.equal(syd.region.members.membership.root, iad.cell)
  wire.cut.delete(iad.cell)
  await drain(syd, iad)
  assert.deepEqual(await rowsOf(syd), await rowsOf(iad))
  await find(iad)
  assert.equal(iad.region.members.isRoot, true)
})

test('C25: a replica that does not hear its root for some time asks whether there is another one', async () => {
  const { wire, fra, syd } = await three()
  wire.cut.add(fra.cell)
  const over = new AbortController()
  let fails = 0
  const { members, transport } = syd.region
  const world = { ...realWorld, sleep: async () => {} }
  const unheard = async (): Promise<void> => over.abort()
  await new NamespaceFollower({ store: syd.bare, world, members, transport, unheard }).run(over.signal, () => {
    fails += 1
    if (fails > 100) over.abort()
  })
  assert.ok(fails > 1 && fails < 20, `${fails}`)
})

test('C25: a root that was heard by nobody since its start is not sure that it is one', async () => {
  const { wire, fra } = await three()
  const started = openAgain(fra, wire)
  wire.cut.add(fra.cell)
  await started.region.health.look(never)
  assert.equal(started.region.isUnsure, true)
  wire.cut.delete(fra.cell)
  await started.region.health.look(never)
  assert.equal(started.region.isUnsure, false)
})

test('C25: a root that was heard by nobody yet asks for that when something is to change, and not only with its next look', async () => {
  const { wire, fra, iad, syd } = await three()
  const started = openAgain(fra, wire)
  wire.cut.add(fra.cell)
  await started.region.health.look(never)
  assert.equal(await started.region.health.hears(), false)
  wire.cut.delete(fra.cell)
  wire.cut.add(iad.cell)
  const { health } = started.region
  assert.deepEqual(await Promise.all([health.hears(), health.hears()]), [true, true])
  assert.equal(started.region.isUnsure, false)
  wire.cut.add(syd.cell)
  assert.equal(await health.hears(), true, 'once is enough')
})

test('C25: a root that was alone when it started is sure at once of regions that it adds', async () => {
  const { fra } = await three()
  assert.equal(fra.region.health.wasHeard, false)
  assert.equal(fra.region.isUnsure, false)
})
