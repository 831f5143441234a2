import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import type { Extent, StoredBlob } from '#src/model/blob.ts'
import { realWorld } from '#src/world.ts'
import { BlobUnreadable } from './blobs.ts'
import { chunkBytes, frameBytes, headerBytes, laidOutBytes } from './frame.ts'
import type { ScannedFrame, ScannedHole } from './scan.ts'
import { segmentDataStart } from './segment-header.ts'
import { openVolumes, type Volumes } from './volumes.ts'

let folder: string
let volumes: Volumes

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'maintenance-'))
  volumes = await openVolumes({
    world: realWorld,
    paths: [`${folder}/a`],
    reserveBytes: 0,
    segmentBytes: 4_000_000,
  })
})

afterEach(async () => {
  await volumes.close()
  fs.rmSync(folder, { recursive: true })
})

const write = (body: Buffer, id = randomBytes(16).toString('hex')): Promise<StoredBlob> =>
  volumes.write(
    id,
    (async function* () {
      for (let at = 0; at < body.length; at += 100_000) yield body.subarray(at, at + 100_000)
    })(),
  )

async function readBack({ id, extents, size }: Pick<StoredBlob, 'id' | 'extents' | 'size'>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of volumes.read(id, extents, 0, size)) parts.push(part)
  return Buffer.concat(parts)
}

function only<T>(list: readonly T[]): T {
  const [first] = list
  assert.ok(list.length === 1 && first !== undefined)
  return first
}

const segmentPath = ({ segment }: Extent): string => `${folder}/a/segments/${String(segment).padStart(8, '0')}.segment`

async function scan({ volume, segment }: Extent): Promise<readonly (ScannedFrame | ScannedHole)[]> {
  const found: (ScannedFrame | ScannedHole)[] = []
  for await (const each of volumes.maintenance.scan(volume, segment)) found.push(each)
  return found
}

function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const descriptor = fs.openSync(file, 'r+')
  fs.writeSync(descriptor, bytes, 0, bytes.length, at)
  fs.closeSync(descriptor)
}

test('C1: a scan lists all frames in order, with where and what they are', async () => {
  const sizes = [1, 448, 449, 70_000, chunkBytes, chunkBytes + 1, 3 * chunkBytes]
  const blobs: StoredBlob[] = []
  for (const size of sizes) blobs.push(await write(randomBytes(size)))
  const expected = blobs.flatMap(({ id, size, extents }) =>
    Array.from({ length: Math.ceil(size / chunkBytes) }, (_, chunk) => ({
      kind: 'frame',
      id,
      chunk,
      offset: only(extents).offset + chunk * frameBytes(chunkBytes),
      size: Math.min(chunkBytes, size - chunk * chunkBytes),
      isIntact: true,
    })),
  )
  const [first] = blobs
  assert.ok(first !== undefined)
  assert.deepEqual(await scan(only(first.extents)), expected)
})

test('C1: a bad frame is a hole, not an end: what lies behind it is found and read', async () => {
  const body = randomBytes(50_000)
  const [before, unfinished, behind] = [await write(body), await write(randomBytes(200_000)), await write(body)]
  const [hole, extent] = [only(unfinished.extents), only(behind.extents)]
  const damages = [
    // Never written: as a slow write, in front of one that was acknowledged, leaves it at a power cut.
    Buffer.alloc(laidOutBytes(200_000)),
    // Written in part.
    Buffer.concat([
      fs.readFileSync(segmentPath(hole)).subarray(hole.offset, hole.offset + 5_000),
      Buffer.alloc(195_000),
    ]),
    Buffer.alloc(headerBytes, 255),
    randomBytes(laidOutBytes(200_000)),
  ]
  for (const damage of damages) {
    overwrite(segmentPath(hole), hole.offset, damage)
    const intact = (await scan(hole)).filter((each) => each.kind === 'frame' && each.isIntact)
    assert.ok(intact.some((each) => each.offset === only(before.extents).offset))
    assert.ok(intact.some((each) => each.offset === extent.offset))
    assert.ok(body.equals(await readBack(behind)))
    await assert.rejects(readBack(unfinished), BlobUnreadable)
  }
})

test('F2: frames that a body brings along are not found, wherever they lie', async () => {
  const inner = await write(randomBytes(2_000))
  const extent = only(inner.extents)
  const frame = fs.readFileSync(segmentPath(extent)).subarray(extent.offset, extent.offset + frameBytes(2_000))
  // Aligned as frames are, for whatever the distance between a frame and its bytes.
  const body = Buffer.concat([Buffer.alloc(512 - headerBytes), frame, frame, Buffer.alloc(10_000)])
  const outer = await write(body)
  const at = only(outer.extents).offset
  overwrite(segmentPath(extent), at, Buffer.alloc(headerBytes))
  assert.deepEqual(
    (await scan(extent)).map(({ kind, offset }) => [kind, offset]),
    [
      ['frame', extent.offset],
      ['hole', at],
    ],
  )
})

test('C2: compaction: copied pieces read back from their new place when the old one is gone, also by open readers', async () => {
  const bodies = [10, 60_000, 1_000_000, 9_000_000].map((size) => randomBytes(size))
  const blobs: StoredBlob[] = []
  for (const body of bodies) blobs.push(await write(body))
  const [, , , large] = blobs
  assert.ok(large !== undefined && large.extents.length >= 3)
  await volumes.seal()
  const { volume } = large.extents[0] ?? only([])

  const reader = volumes.read(large.id, large.extents, 0, large.size)[Symbol.asyncIterator]()
  const seen: Uint8Array[] = [(await reader.next()).value]

  const pieces = blobs.flatMap(({ id, extents }) => extents.map((_, index) => ({ id, extents, index })))
  const moved = await volumes.maintenance.copy(pieces, volume)
  const extentsOf = (blob: StoredBlob): readonly Extent[] =>
    moved.flatMap((each, index) => (pieces[index]?.id === blob.id && 'extents' in each ? each.extents : []))
  const old = new Set(blobs.flatMap(({ extents }) => extents.map((each) => each.segment)))
  for (const segment of old) await volumes.maintenance.unlink(volume, segment)

  for (const [index, blob] of blobs.entries()) {
    const copy = { ...blob, extents: extentsOf(blob) }
    assert.ok(copy.extents.every((each) => !old.has(each.segment)))
    await volumes.maintenance.verify(copy)
    assert.ok(bodies[index]?.equals(await readBack(copy)))
    await assert.rejects(readBack(blob), (error) => error instanceof BlobUnreadable && error.reason === 'missing')
  }
  // It may find its next segment gone, and says so; it never sees other bytes.
  try {
    for (let next = await reader.next(); !next.done; next = await reader.next()) seen.push(next.value)
  } catch (error) {
    assert.ok(error instanceof BlobUnreadable && error.reason === 'missing')
  }
  const bytes = Buffer.concat(seen)
  assert.ok(bytes.length > 0 && bodies[3]?.subarray(0, bytes.length).equals(bytes))
})

test('C2: one extent of several is copied alone; a damaged piece is told of, and the others are copied', async () => {
  const [body, other] = [randomBytes(6_000_000), randomBytes(300_000)]
  const [blob, bad, good] = [await write(body), await write(other), await write(other)]
  assert.ok(blob.extents.length >= 2)
  overwrite(segmentPath(only(bad.extents)), only(bad.extents).offset + frameBytes(chunkBytes) + 1_000, randomBytes(10))
  const volume = only(good.extents).volume
  const moved = await volumes.maintenance.copy(
    [
      { id: bad.id, extents: bad.extents, index: 0 },
      { id: blob.id, extents: blob.extents, index: 1 },
      { id: good.id, extents: good.extents, index: 0 },
    ],
    volume,
  )
  const [error, second, third] = moved
  assert.ok(error !== undefined && 'error' in error && error.error.reason === 'corrupt')
  assert.ok(second !== undefined && 'extents' in second && third !== undefined && 'extents' in third)
  const extents = [...blob.extents.slice(0, 1), ...second.extents, ...blob.extents.slice(2)]
  await volumes.maintenance.verify({ ...blob, extents })
  assert.ok(body.equals(await readBack({ ...blob, extents })))
  assert.ok(other.equals(await readBack({ ...good, extents: third.extents })))
})

test('C2: sealed segments tell when; a check counts what lies on the volume, and what is damaged', async () => {
  const earlier = Date.now()
  const [one, two] = [await write(randomBytes(100)), await write(randomBytes(2_000_000))]
  assert.ok(two.extents.length >= 1)
  const volume = only(one.extents).volume
  assert.ok((await volumes.maintenance.segments(volume)).every((each) => !each.isSealed))
  await volumes.seal()
  for (const { isSealed, sealedAt = 0, size } of await volumes.maintenance.segments(volume)) {
    assert.ok(isSealed && earlier <= sealedAt && sealedAt <= Date.now() && size > segmentDataStart)
  }
  const frames = 1 + Math.ceil(2_000_000 / chunkBytes)
  const sound = await volumes.maintenance.check(volume)
  assert.equal(sound.frames, frames)
  assert.equal(sound.damaged, 0)
  overwrite(segmentPath(only(one.extents)), only(one.extents).offset + 100, Buffer.from([1, 2, 3]))
  assert.ok((await volumes.maintenance.check(volume)).damaged > 0)
})

test('C2: a segment whose header was damaged is sealed, and its blobs can still be read', async () => {
  const body = randomBytes(1_000)
  const blob = await write(body)
  await volumes.seal()
  overwrite(segmentPath(only(blob.extents)), 0, Buffer.alloc(1024))
  const state = only(await volumes.maintenance.segments(only(blob.extents).volume))
  assert.ok(state.isSealed && !state.isIntact)
  assert.ok(body.equals(await readBack(blob)))
})
