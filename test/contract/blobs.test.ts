import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { chunkBytes } from '#src/blobs/frame.ts'
import { runBytes } from '#src/blobs/frame-run.ts'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import type { StoredBlob } from '#src/model/blob.ts'
import { realWorld } from '#src/world.ts'

let folder: string
let volumes: Volumes

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'blobs-'))
  volumes = await openVolumes({
    world: realWorld,
    paths: [`${folder}/a`, `${folder}/b`],
    reserveBytes: 1_000_000,
    // Small, so that bodies of a few MiB already span several.
    segmentBytes: 2_500_000,
  })
})

after(async () => {
  await volumes.close()
  fs.rmSync(folder, { recursive: true })
})

const newId = (): string => randomBytes(16).toString('hex')

async function* sliced(body: Buffer, sliceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes)
}

async function readBack({ id, extents }: StoredBlob, from: number, to: number): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of volumes.read(id, extents, from, to)) parts.push(part)
  return Buffer.concat(parts)
}

const borders = [0, 1, 511, 512, chunkBytes, runBytes, 2 * runBytes, 2_500_000, 3 * 1024 * 1024]
const sizes = [...new Set(borders.flatMap((size) => [size - 1, size, size + 1]))].filter((size) => size >= 0)

test('B1: a body that is held whole reads back, at sizes around every border of one run', async () => {
  for (const size of sizes.filter((each) => each > 0 && each <= runBytes)) {
    const body = randomBytes(size)
    const pieces: Uint8Array[] = []
    for await (const piece of sliced(body, 61_001)) pieces.push(piece)
    const blob = await volumes.write(newId(), pieces, size)
    assert.equal(blob.size, size)
    assert.equal(blob.extents.length, 1)
    assert.ok(body.equals(await readBack(blob, 0, size)), `a body of ${size} bytes reads back`)
    await volumes.maintenance.verify(blob)
  }
})

for (const told of ['exactly', 'not at all', 'too small', 'too large'] as const) {
  test(`B1: what was written reads back, at sizes around every border, its size told ${told}`, async () => {
    for (const size of sizes) {
      const body = randomBytes(size)
      const expected = { exactly: size, 'not at all': undefined, 'too small': size >> 1, 'too large': size * 2 }[told]
      const blob = await volumes.write(newId(), sliced(body, 61_001), expected)
      assert.equal(blob.size, size)
      assert.equal(
        blob.extents.reduce((sum, each) => sum + each.size, 0),
        size,
      )
      assert.ok(body.equals(await readBack(blob, 0, size)), `a body of ${size} bytes reads back`)
      await volumes.maintenance.verify(blob)
      const checksums = await volumes.checksums(blob.id, blob.extents)
      assert.equal(createHash('sha256').update(checksums).digest('hex'), blob.digest)
    }
  })
}

test('B1: any range of a blob of several extents is that range of the body', async () => {
  const body = randomBytes(3_333_333)
  const blob = await volumes.write(newId(), sliced(body, 65_536))
  assert.ok(blob.extents.length > 1)
  const point = fc.oneof(
    fc.nat(body.length),
    fc.nat(12).map((chunk) => chunk * chunkBytes),
  )
  await fc.assert(
    fc.asyncProperty(point, point, async (one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)]
      assert.ok(body.subarray(from, to).equals(await readBack(blob, from, to)))
    }),
    {
      numRuns: 200,
      examples: [
        [0, 0],
        [body.length, body.length],
        [chunkBytes, chunkBytes + 1],
        [0, body.length],
      ],
    },
  )
})

test('B1: bodies of all sizes written at once, 64 at a time, do not get mixed up', async () => {
  const writer = async (): Promise<void> => {
    for (let round = 0; round < 5; round += 1) {
      const body = randomBytes(round === 0 ? 2_200_000 : Math.floor(Math.random() * 200_000))
      const blob = await volumes.write(newId(), sliced(body, 20_000), round % 2 === 0 ? body.length : undefined)
      assert.ok(body.equals(await readBack(blob, 0, body.length)))
    }
  }
  await Promise.all(Array.from({ length: 64 }, writer))
})

test('B1: the digest is SHA-256 over the checksums of the chunks, and differs where a byte differs', async () => {
  const body = randomBytes(600_000)
  const id = newId()
  const one = await volumes.write(id, sliced(body, 10_000))
  const same = await volumes.write(id, sliced(body, 99_999), body.length)
  body[599_999] = (body[599_999] ?? 0) ^ 1
  const other = await volumes.write(id, sliced(body, 10_000))
  assert.equal(one.digest, same.digest)
  assert.notEqual(one.digest, other.digest)
  assert.equal(one.digest.length, createHash('sha256').digest('hex').length)
})

test('B1: a body that fails is not a blob, and the next one is not harmed', async () => {
  const failing = async function* (size: number): AsyncGenerator<Uint8Array> {
    yield randomBytes(size)
    throw new Error('the client went away')
  }
  for (const size of [10, 300_000, 2_000_000, 6_000_000]) {
    await assert.rejects(volumes.write(newId(), failing(size)), /the client went away/)
    const body = randomBytes(size)
    assert.ok(body.equals(await readBack(await volumes.write(newId(), sliced(body, 65_536)), 0, size)))
  }
})

test('B2: a reader that leaves early lets go of what it held', async () => {
  const body = randomBytes(4_000_000)
  const blob = await volumes.write(newId(), sliced(body, 65_536))
  for await (const bytes of volumes.read(blob.id, blob.extents, 0, blob.size)) {
    assert.ok(bytes.length > 0)
    break
  }
  assert.ok(body.equals(await readBack(blob, 0, blob.size)))
})

test('B2: a chunk that was lent stays as it is until the next but one is asked for, whoever else reads', async () => {
  const bodies = Array.from({ length: 6 }, () => randomBytes(3_500_000))
  const blobs = await Promise.all(bodies.map((body) => volumes.write(newId(), sliced(body, 65_536))))
  const readers = [...blobs.keys(), ...blobs.keys()].map(async (which) => {
    const [body, blob] = [bodies[which], blobs[which]]
    assert.ok(body !== undefined && blob !== undefined)
    let at = 0
    let held: { readonly bytes: Uint8Array; readonly at: number } | undefined
    const check = () => {
      if (held === undefined) return
      assert.ok(body.subarray(held.at, held.at + held.bytes.length).equals(held.bytes), 'what was lent is unchanged')
    }
    for await (const bytes of volumes.read(blob.id, blob.extents, 0, blob.size, true)) {
      check()
      held = { bytes, at }
      at += bytes.length
      // Others read meanwhile, into memory that was given back.
      await new Promise((resolve) => setImmediate(resolve))
    }
    check()
    assert.equal(at, body.length)
  })
  await Promise.all(readers)
})
