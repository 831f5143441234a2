import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Fault } from '#src/errors.ts'
import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { under } from '#src/metadata/keyspace.ts'
import type { Compactor } from '#src/service/compactor.ts'
import { ingest } from '#src/service/ingest.ts'
import { commitPut } from '#src/service/object-writes.ts'
import type { PutObject } from '#src/service/services.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

type Cell = Awaited<ReturnType<typeof openCell>>

const bucket = 'bucket'
const guard = () => {}
const still = new AbortController().signal

/** What was sealed just now is left alone: a test that wants it swept lets an hour pass. */
const clock = { ahead: 0 }
const world: World = { ...realWorld, now: () => realWorld.now() + clock.ahead }

async function withCell(work: (cell: Cell) => Promise<void>): Promise<void> {
  clock.ahead = 0
  const cell = await openCell(world)
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
      clock.ahead = 3_600_000
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

  test('G3: a blob whose frame is damaged keeps its segment, and is not taken for dead', async () => {
    await withCell(async (cell) => {
      const objects = await fill(cell, 6)
      for (const key of objects.keys()) if (key !== 'key-3') await remove(cell, key)
      await cell.blobs.seal()
      const [volume] = await cell.blobs.maintenance.volumes()
      assert.ok(volume !== undefined)
      await damageFrames(volume.path)
      await compactAll(cell, cell.compactor)
      const numbers = (await segmentsOf(cell)).map(({ number }) => number)
      const { from, to } = under('blob', [])
      const [row, ...others] = await cell.store.snapshot((snapshot) => snapshot.range(from, to, { limit: 10 }))
      assert.ok(row !== undefined && others.length === 0)
      const record = decodeBlob(row.value)
      assert.ok(record.kind === 'bytes')
      for (const { extents } of record.holders) {
        assert.ok(
          extents.every(({ segment }) => numbers.includes(segment)),
          'the segment that a holder names is there',
        )
      }
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

/** Spoils the start of every block behind the segments' own headers, and so all frames. */
async function damageFrames(volume: string): Promise<void> {
  for (const name of await readdir(volume, { recursive: true })) {
    if (!name.endsWith('.segment')) continue
    const bytes = await readFile(join(volume, name))
    for (let at = 4096; at < bytes.length; at += 512) bytes[at] = 255 - (bytes[at] ?? 0)
    await writeFile(join(volume, name), bytes)
  }
}
