import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '#src/errors.ts'
import type { Move } from '#src/model/bucket.ts'
import { Conflicts } from '#src/service/conflicts.ts'
import { CellListings } from '#src/service/listings.ts'
import { CellObjects } from '#src/service/objects.ts'
import { CellUploads } from '#src/service/uploads.ts'
import { acl, attributes, body, openCell, owner } from './cell.ts'

const bucket = 'bucket'
const key = 'key'
const name = { bucket, key }
const guard = () => {}
const conditions = {}

async function openPlaces() {
  const cell = await openCell()
  await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
  const place = { isHere: true }
  const foundation = { ...cell.foundation, hasBucket: () => place.isHere }
  const objects = new CellObjects(foundation)
  const uploads = new CellUploads(foundation)
  const listings = new CellListings(foundation)
  const conflicts = new Conflicts(foundation)
  const source = { name, guard, conditions }
  const query = { bucket, prefix: '', delimiter: '', limit: 10, guard }
  await objects.put({ name, attributes, body: body(Buffer.from('value')), digests: {}, conditions, guard })
  const { id: uploadId } = await uploads.create({ name, attributes, initiator: owner })
  const part = await uploads.putPart({ name, uploadId, number: 1, body: body(Buffer.from('part')), digests: {} })
  const reads: Record<string, () => Promise<unknown>> = {
    get: () => objects.get(source),
    head: () => objects.head(source),
    list: () => listings.objects(query),
    versions: () => listings.versions(query),
    uploads: () => listings.uploads(query),
    conflicts: () => conflicts.list(bucket, { limit: 10 }),
  }
  const writes: Record<string, () => Promise<unknown>> = {
    put: () => objects.put({ name, attributes, body: body(Buffer.from('more')), digests: {}, conditions, guard }),
    copy: () => objects.copy({ source, name, attributes: () => attributes, conditions, guard }),
    rename: () =>
      objects.rename({
        source: name,
        target: { bucket, key: 'other' },
        conditions,
        sourceConditions: {},
        guard,
        sourceGuard: guard,
      }),
    tag: () => objects.update({ name, guard, change: () => ({ tags: new Map([['a', 'b']]) }) }),
    delete: () => objects.delete({ name, guard, conditions, bypassGovernance: false, caller: owner }),
    begin: () => uploads.create({ name, attributes, initiator: owner }),
    complete: () => uploads.complete({ name, uploadId, parts: [part], conditions, guard }),
    discard: () => conflicts.discard({ name, id: '0000000000000000001' }),
  }
  const setMove = async (move: Move | undefined): Promise<void> => {
    await cell.buckets.update(bucket, ({ move: _, ...rest }) => (move === undefined ? rest : { ...rest, move }))
  }
  return { ...cell, place, reads, writes, setMove }
}

const moveAt = (step: Move['step']): Move => ({ step, other: 'syd', epoch: 2, since: 0 })

async function refusals(all: Readonly<Record<string, () => Promise<unknown>>>): Promise<readonly string[]> {
  const refused: string[] = []
  for (const [what, ask] of Object.entries(all)) {
    try {
      await ask()
    } catch (error) {
      if (error instanceof Fault && error.code === 'ServiceUnavailable') refused.push(what)
    }
  }
  return refused
}

test('Z1: a cell that is none of the bucket answers nothing about its objects', async () => {
  const cell = await openPlaces()
  cell.place.isHere = false
  assert.deepEqual(await refusals({ ...cell.reads, ...cell.writes }), Object.keys({ ...cell.reads, ...cell.writes }))
  cell.place.isHere = true
  assert.deepEqual(await refusals({ ...cell.reads, ...cell.writes }), [])
  await cell.close()
})

test('Z2: while a bucket is handed on nothing is written to it, and all can be read', async () => {
  const cell = await openPlaces()
  for (const step of ['fenced', 'handing'] as const) {
    await cell.setMove(moveAt(step))
    assert.deepEqual(await refusals(cell.writes), Object.keys(cell.writes), step)
    assert.deepEqual(await refusals(cell.reads), [], step)
  }
  for (const step of ['preparing', 'copying', 'leaving'] as const) {
    await cell.setMove(moveAt(step))
    assert.deepEqual(await refusals(cell.writes), [], step)
  }
  await cell.close()
})
