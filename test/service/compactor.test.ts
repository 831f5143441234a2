import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import { Fault } from '#src/errors.ts'
import type { Compactor } from '#src/service/compactor.ts'
import { ingest } from '#src/service/ingest.ts'
import { commitPut } from '#src/service/object-writes.ts'
import type { PutObject } from '#src/service/services.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

type Cell = Awaited<ReturnType<typeof openCell>>

const bucket = 'bucket'
const guard = () => {}
const still = new AbortController().signal

async function withCell(work: (cell: Cell) => Promise<void>): Promise<void> {
  const cell = await openCell()
  try {
    await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
    await work(cell)
  } finally {
    await cell.close()
  }
}

const request = (key: string, bytes: Uint8Array): PutObject => ({
  name: { bucket, key },
  attributes,
  body: body(bytes),
  digests: {},
  conditions: {},
  guard,
})

async function fill(cell: Cell, count: number): Promise<Map<string, Buffer>> {
  const objects = new Map<string, Buffer>()
  for (let index = 0; index < count; index++) {
    const bytes = randomBytes(index % 7 === 0 ? 1_500_000 : 50_000)
    objects.set(`key-${index}`, bytes)
    await cell.objects.put(request(`key-${index}`, bytes))
  }
  return objects
}

const remove = (cell: Cell, key: string) =>
  cell.objects.delete({ name: { bucket, key }, guard, conditions: {}, bypassGovernance: false, caller: owner })

async function checkAll(cell: Cell, objects: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [key, bytes] of objects) {
    const read = await cell.objects.get({ name: { bucket, key }, guard, conditions: {} })
    assert.ok((await bytesOf(read.bytes)).equals(bytes), key)
  }
}

const segmentsOf = async ({ blobs }: Cell) => {
  const [volume] = await blobs.maintenance.volumes()
  assert.ok(volume !== undefined)
  return await blobs.maintenance.segments(volume.id)
}

describe('compaction', () => {
  test('G3: the space of what was deleted comes back, and what is left can be read', async () => {
    await withCell(async (cell) => {
      const objects = await fill(cell, 40)
      for (const key of [...objects.keys()].filter((_, index) => index % 5 !== 0)) {
        await remove(cell, key)
        objects.delete(key)
      }
      await cell.blobs.seal()
      const before = (await segmentsOf(cell)).reduce((sum, { size }) => sum + size, 0)
      const freed = await cell.compactor.pass(still)
      const after = (await segmentsOf(cell)).reduce((sum, { size }) => sum + size, 0)
      assert.ok(freed > before / 2, `${freed} of ${before} bytes`)
      assert.ok(after < before * 0.7, `${after} of ${before} bytes are left`)
      await checkAll(cell, objects)
      await cell.blobs.seal()
      await cell.compactor.pass(still)
      await checkAll(cell, objects)
    })
  })

  test('a read that began before the compaction goes on after it', async () => {
    await withCell(async (cell) => {
      const objects = await fill(cell, 8)
      const bytes = objects.get('key-0')
      assert.ok(bytes !== undefined)
      const read = await cell.objects.get({ name: { bucket, key: 'key-0' }, guard, conditions: {} })
      for (const key of objects.keys()) if (key !== 'key-0' && key !== 'key-7') await remove(cell, key)
      await cell.blobs.seal()
      await compactAll(cell, cell.compactor)
      assert.ok((await bytesOf(read.bytes)).equals(bytes))
    })
  })

  test('G2 R2: a commit that comes after the sweep of its segment fails, and leaves nothing', async () => {
    await withCell(async (cell) => {
      const bytes = randomBytes(100_000)
      const ingested = await ingest(cell.foundation, body(bytes), {}, 16)
      await cell.blobs.seal()
      await compactAll(cell, cell.compactor)
      await assert.rejects(
        commitPut(cell.foundation, request('late', bytes), ingested),
        (error) => error instanceof Fault && error.code === 'SlowDown',
      )
      const missing = cell.objects.get({ name: { bucket, key: 'late' }, guard, conditions: {} })
      await assert.rejects(missing, (error) => error instanceof Fault && error.code === 'NoSuchKey')
    })
  })
})

async function compactAll(cell: Cell, compactor: Compactor): Promise<void> {
  const [volume] = await cell.blobs.maintenance.volumes()
  assert.ok(volume !== undefined)
  for (const segment of await segmentsOf(cell)) {
    if (segment.isSealed) await compactor.compact({ ...segment, volume: volume.id })
  }
}
