import assert from 'node:assert/strict'
import { test } from 'node:test'
import { under } from '#src/metadata/keyspace.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, openCell, owner } from './cell.ts'

const bucket = 'bucket'
const guard = () => {}

test('T1 O4: what was deleted is forgotten, but no later write gets a smaller stamp, even if the clock goes back', async () => {
  let shift = 0n
  const world: World = { ...realWorld, nowMicroseconds: () => realWorld.nowMicroseconds() + shift }
  const cell = await openCell(world)
  const rows = async (space: 'tombstone' | 'memory' | 'feed') => {
    const { from, to } = under(space, [])
    return (await cell.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 100 }))).length
  }
  const put = (key: string) =>
    cell.objects.put({
      name: { bucket, key },
      attributes,
      body: body(Buffer.from('x')),
      digests: {},
      conditions: {},
      guard,
    })
  const remove = (key: string, versionId?: string) =>
    cell.objects.delete({
      name: { bucket, key },
      ...(versionId !== undefined && { versionId }),
      guard,
      conditions: {},
      bypassGovernance: false,
      caller: owner,
    })
  try {
    await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
    const first = await put('plain')
    await remove('plain')
    await cell.buckets.update(bucket, (each) => ({ ...each, versioning: 'enabled' }))
    const versioned = await put('versioned')
    await remove('versioned', versioned.versionId)
    assert.equal(await rows('tombstone'), 2)
    assert.equal(await rows('memory'), 1)

    await cell.collector.forgetDeleted(0)
    assert.equal(await rows('tombstone'), 2, 'what is young is kept')

    await cell.collector.forgetDeleted(realWorld.now() + 60_000)
    assert.equal(await rows('tombstone'), 0)
    assert.equal(await rows('memory'), 0)
    assert.equal(await rows('feed'), 0)

    shift = -3600n * 1_000_000n
    assert.ok((await put('plain')).version.stamp > first.version.stamp)
    assert.ok((await put('versioned')).version.stamp > versioned.version.stamp)
  } finally {
    await cell.close()
  }
})

test('O4 C7: a key remembers its largest stamp when its newest version was removed', async () => {
  let shift = 0n
  const cell = await openCell({ ...realWorld, nowMicroseconds: () => realWorld.nowMicroseconds() + shift })
  try {
    await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: true })
    const name = { bucket, key: 'k' }
    const put = () =>
      cell.objects.put({ name, attributes, body: body(Buffer.from('x')), digests: {}, conditions: {}, guard })
    await put()
    const newest = await put()
    const versionId = newest.versionId ?? ''
    await cell.objects.delete({ name, versionId, guard, conditions: {}, bypassGovernance: false, caller: owner })
    shift = -3600n * 1_000_000n
    assert.ok((await put()).version.stamp > newest.version.stamp)
  } finally {
    await cell.close()
  }
})
