import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { BlobUnreadable } from '#src/blobs/blobs.ts'
import { type Files, realFiles } from '#src/blobs/files.ts'
import { chunkBytes, frameBytes, headerBytes, laidOutBytes } from '#src/blobs/frame.ts'
import type { VolumeEvent } from '#src/blobs/volume.ts'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import { Fault } from '#src/errors.ts'
import type { Extent, StoredBlob } from '#src/model/blob.ts'
import { realWorld } from '#src/world.ts'

let folder: string
/** Opened by a test, closed after it. */
const opened: Volumes[] = []
let events: VolumeEvent[]

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'blobs-faults-'))
  events = []
})

afterEach(async () => {
  for (const volumes of opened.splice(0)) await volumes.close()
  fs.rmSync(folder, { recursive: true })
})

/** Faults that the disks have, beyond what is on them. Each is a hook that throws or changes the outcome. */
interface Faults {
  beforeWrite?: (path: string, bytes: number) => Promise<void> | void
  /** At most so many bytes are taken in one call. */
  writeAtMost?: number
  afterSync?: (path: string) => Promise<void> | void
  free?: number
}

function faultyFiles(faults: Faults): Files {
  const paths = new Map<number, string>()
  return {
    ...realFiles,
    async open(at, mode) {
      const file = await realFiles.open(at, mode)
      paths.set(file, at)
      return file
    },
    async write(file, buffers, position) {
      const bytes = buffers.reduce((sum, each) => sum + each.length, 0)
      await faults.beforeWrite?.(paths.get(file) ?? '', bytes)
      if (faults.writeAtMost === undefined || bytes <= faults.writeAtMost)
        return realFiles.write(file, buffers, position)
      return realFiles.write(file, [Buffer.concat(buffers).subarray(0, faults.writeAtMost)], position)
    },
    async sync(file) {
      await realFiles.sync(file)
      await faults.afterSync?.(paths.get(file) ?? '')
    },
    async space(at) {
      const real = await realFiles.space(at)
      return faults.free === undefined ? real : { ...real, free: faults.free }
    },
  }
}

function systemError(code: string): Error {
  return Object.assign(new Error(code), { code })
}

async function open(faults: Faults = {}, names: readonly string[] = ['a']): Promise<Volumes> {
  const volumes = await openVolumes({
    world: { ...realWorld, monotonic: () => realWorld.monotonic() + clockAhead },
    paths: names.map((name) => `${folder}/${name}`),
    reserveBytes: 1_000_000,
    segmentBytes: 3_000_000,
    files: faultyFiles(faults),
    report: (event) => events.push(event),
  })
  opened.push(volumes)
  return volumes
}

/** Milliseconds that the tests' clock was moved on, so that volumes look at their disks again. */
let clockAhead = 0
function letTimePass(): void {
  clockAhead += 10_000
}

async function* sliced(body: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < body.length; at += 65_536) yield body.subarray(at, at + 65_536)
}

const write = (volumes: Volumes, body: Buffer, expected?: number): Promise<StoredBlob> =>
  volumes.write(randomBytes(16).toString('hex'), sliced(body), expected)

async function readBack(volumes: Volumes, { id, extents, size }: StoredBlob): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of volumes.read(id, extents, 0, size)) parts.push(part)
  return Buffer.concat(parts)
}

const segmentPath = ({ segment }: Extent, volume = 'a'): string =>
  `${folder}/${volume}/segments/${String(segment).padStart(8, '0')}.segment`

const only = <T>(list: readonly T[]): T => {
  const [first] = list
  assert.ok(list.length === 1 && first !== undefined)
  return first
}

const isUnavailable = (error: unknown): boolean => error instanceof Fault && error.code === 'ServiceUnavailable'
const isUnreadable =
  (reason: string) =>
  (error: unknown): boolean =>
    error instanceof BlobUnreadable && error.reason === reason

test('B2, F1: a flipped bit anywhere in a blob is never served', async () => {
  const volumes = await open()
  const body = randomBytes(chunkBytes + 1_000)
  const blob = await write(volumes, body)
  const { offset } = only(blob.extents)
  const file = fs.openSync(segmentPath(only(blob.extents)), 'r+')
  const flip = (at: number, bit: number): void => {
    const byte = Buffer.alloc(1)
    fs.readSync(file, byte, 0, 1, at)
    byte[0] = (byte[0] ?? 0) ^ (1 << bit)
    fs.writeSync(file, byte, 0, 1, at)
  }
  const second = offset + frameBytes(chunkBytes)
  const header = Array.from({ length: headerBytes }, (_, index) => index)
  const places = [
    ...header.map((index) => offset + index),
    ...header.map((index) => second + index),
    ...Array.from({ length: 200 }, () => offset + headerBytes + Math.floor(Math.random() * chunkBytes)),
    offset + headerBytes + chunkBytes - 1,
    second + headerBytes,
    second + headerBytes + 999,
  ]
  for (const at of places) {
    const bit = at % 8
    flip(at, bit)
    await assert.rejects(readBack(volumes, blob), isUnreadable('corrupt'), `byte ${at - offset}`)
    flip(at, bit)
  }
  assert.ok(body.equals(await readBack(volumes, blob)))
  assert.ok(events.some((each) => each.kind === 'unreadable'))
  fs.closeSync(file)
})

test('B2, F1, F2: chunks that changed places, within a blob or between blobs, are never served', async () => {
  const volumes = await open()
  const [ours, theirs] = [
    await write(volumes, randomBytes(2 * chunkBytes)),
    await write(volumes, randomBytes(2 * chunkBytes)),
  ]
  const path = segmentPath(only(ours.extents))
  assert.equal(path, segmentPath(only(theirs.extents)))
  const [a, b] = [only(ours.extents).offset, only(theirs.extents).offset]
  const frame = frameBytes(chunkBytes)
  const original = fs.readFileSync(path)
  const swaps = [
    [a, a + frame],
    [a, b],
    [a + frame, b],
    [a + frame, b + frame],
  ] as const
  // The whole frame as a misdirected write puts it; and only what the header does not bind to the place.
  for (const from of [0, headerBytes]) {
    for (const [one, other] of swaps) {
      const swapped = Buffer.from(original)
      original.copy(swapped, one + from, other + from, other + frame)
      original.copy(swapped, other + from, one + from, one + frame)
      fs.writeFileSync(path, swapped)
      await assert.rejects(readBack(volumes, ours), isUnreadable('corrupt'))
    }
  }
  fs.writeFileSync(path, original)
  await volumes.maintenance.verify(ours)
  // A holder that names another frame of the same blob.
  const { offset } = only(ours.extents)
  const shifted = { ...only(ours.extents), offset: offset + frame, size: chunkBytes }
  await assert.rejects(readBack(volumes, { ...ours, size: chunkBytes, extents: [shifted] }), isUnreadable('corrupt'))
  // One blob's holder under the other's name, and chunks that another digest tells of.
  await assert.rejects(readBack(volumes, { ...ours, id: theirs.id }), isUnreadable('corrupt'))
  await assert.rejects(volumes.maintenance.verify({ ...ours, digest: theirs.digest }), isUnreadable('corrupt'))
})

test('B2: a truncated segment, a missing one, an unknown volume: each says what it is', async () => {
  const volumes = await open()
  const body = randomBytes(3 * chunkBytes)
  const blob = await write(volumes, body)
  const extent = only(blob.extents)
  fs.truncateSync(segmentPath(extent), extent.offset + frameBytes(chunkBytes) + headerBytes + 10)
  await assert.rejects(readBack(volumes, blob), isUnreadable('corrupt'))
  const first: Uint8Array[] = []
  for await (const part of volumes.read(blob.id, blob.extents, 0, chunkBytes)) first.push(part)
  assert.ok(Buffer.concat(first).equals(body.subarray(0, chunkBytes)))

  await volumes.seal()
  await volumes.maintenance.unlink(extent.volume, extent.segment)
  await assert.rejects(readBack(volumes, blob), isUnreadable('missing'))
  const elsewhere = { ...extent, volume: '0'.repeat(32) }
  await assert.rejects(readBack(volumes, { ...blob, extents: [elsewhere] }), isUnreadable('missing'))
})

test('B1: writes that the system takes in pieces are whole', async () => {
  const volumes = await open({ writeAtMost: 10_007 })
  for (const size of [1_000, 70_000, 1_500_000]) {
    const bodies = Array.from({ length: 5 }, () => randomBytes(size))
    const blobs = await Promise.all(bodies.map((body) => write(volumes, body)))
    for (const [index, blob] of blobs.entries()) assert.ok(bodies[index]?.equals(await readBack(volumes, blob)))
  }
})

for (const { name, size } of [
  { name: 'small', size: 50_000 },
  { name: 'large', size: 2_000_000 },
]) {
  test(`V2, C3: a ${name} body that the disk has no room for is refused; the volume goes on when there is room`, async () => {
    const faults: Faults = {}
    const volumes = await open(faults)
    const body = randomBytes(size)
    const before = await write(volumes, body)
    let written = 0
    faults.writeAtMost = 30_000
    faults.beforeWrite = (_, bytes) => {
      written += bytes
      if (written > 40_000) throw systemError('ENOSPC')
    }
    const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => write(volumes, body)))
    assert.ok(outcomes.every((each) => each.status === 'rejected' && isUnavailable(each.reason)))
    assert.ok(body.equals(await readBack(volumes, before)))
    assert.ok(events.some((each) => each.kind === 'full'))
    assert.ok(events.every((each) => each.kind !== 'retired'))

    delete faults.beforeWrite
    letTimePass()
    const later = await write(volumes, body)
    assert.ok(body.equals(await readBack(volumes, later)))
  })

  for (const step of ['write', 'sync'] as const) {
    test(`V1, B3: a ${step} of a ${name} body that fails retires the volume, in all processes and after a restart`, async () => {
      const faults: Faults = {}
      const volumes = await open(faults)
      const neighbour = await open()
      const body = randomBytes(size)
      const before = await write(volumes, body)
      // The disk fails once, and would then pretend that nothing was wrong: as Linux does. Not while a segment is created.
      let failures = 1
      const written = new Set<string>()
      const fail = (): void => {
        failures -= 1
        if (failures >= 0) throw systemError('EIO')
      }
      faults.beforeWrite = (path, bytes) => {
        if (bytes <= 4_096) return
        written.add(path)
        if (step === 'write') fail()
      }
      faults.afterSync = (path) => {
        if (step === 'sync' && written.has(path)) fail()
      }
      const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => write(volumes, body)))
      assert.ok(outcomes.every((each) => each.status === 'rejected' && isUnavailable(each.reason)))
      await assert.rejects(write(volumes, body), isUnavailable)
      assert.ok(events.some((each) => each.kind === 'retired'))
      assert.ok(body.equals(await readBack(volumes, before)), 'reads go on')

      await waitFor(() => fs.existsSync(`${folder}/a/retired.json`))
      letTimePass()
      await assert.rejects(write(neighbour, body), isUnavailable)
      const restarted = await open()
      await assert.rejects(write(restarted, body), isUnavailable)

      const report = await restarted.maintenance.check(only(before.extents).volume)
      assert.ok(report.frames > 0)
      letTimePass()
      for (const each of [restarted, volumes, neighbour]) {
        const blob = await write(each, body)
        assert.notEqual(only(blob.extents).segment, only(before.extents).segment)
        assert.ok(body.equals(await readBack(each, blob)))
      }
    })
  }
}

for (const { name, size, other } of [
  { name: 'small', size: 1_000, other: 1_300_000 },
  // It fits into what the segment has left: nothing but its fsync can fail.
  { name: 'large', size: 1_300_000, other: 1_000 },
]) {
  test(`V1: a ${name} body whose own fsync succeeds is not acknowledged when another's failed meanwhile`, async () => {
    const faults: Faults = {}
    const volumes = await open(faults)
    // Both have their segments, so that what follows is only writes and fsyncs of bodies.
    await Promise.all([write(volumes, randomBytes(10)), write(volumes, randomBytes(1_100_000))])
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
    const { promise: closed, resolve: close } = Promise.withResolvers<void>()
    const { promise: closing, resolve: beginClosing } = Promise.withResolvers<void>()
    let syncs = 0
    faults.afterSync = async () => {
      syncs += 1
      if (syncs > 1) throw systemError('EIO')
      reach()
      await held
    }
    // The segment of the one that failed takes its time to be closed.
    let slow: string | undefined
    faults.beforeWrite = async (path) => {
      if (syncs < 2 || !path.includes('/segments/')) return
      slow ??= path
      if (path !== slow) return
      beginClosing()
      await closed
    }
    const outcome = assert.rejects(write(volumes, randomBytes(size)), isUnavailable)
    await reached
    const failed = assert.rejects(write(volumes, randomBytes(other)), isUnavailable)
    try {
      await closing
      release()
      await outcome
    } finally {
      close()
    }
    await failed
  })
}

test('V1: what is held whole goes to another volume where one fails, or is taken out of use; to none where all are', async () => {
  const faults: Faults = {}
  const volumes = await open(faults, ['a', 'b', 'c'])
  const bytes = randomBytes(40_000)
  const writeHeld = () => volumes.write(randomBytes(16).toString('hex'), [bytes.subarray(0, 9), bytes.subarray(9)])
  const all = await volumes.maintenance.volumes()
  const failing = new Set<string>()
  faults.afterSync = (at) => {
    const of = all.find(({ path: each }) => at.startsWith(`${each}/segments/`))
    if (of === undefined || !failing.has(of.id)) return
    throw systemError('EIO')
  }
  for (const count of [0, 1, 2]) {
    const broken = all.slice(0, count)
    for (const { id } of broken) failing.add(id)
    const blobs = await Promise.all(Array.from({ length: 60 }, writeHeld))
    for (const blob of blobs) {
      assert.ok(!failing.has(only(blob.extents).volume))
      assert.deepEqual(await readBack(volumes, blob), bytes)
    }
    const retired = (await volumes.maintenance.volumes()).filter((each) => each.retired !== undefined)
    assert.deepEqual(new Set(retired.map(({ id }) => id)), failing)
  }
  for (const { id } of all) failing.add(id)
  await assert.rejects(writeHeld(), isUnavailable)
})

test('V1: a retirement that the disk would not even note holds until it was checked', async () => {
  const faults: Faults = {}
  const volumes = await open(faults)
  const blob = await write(volumes, randomBytes(10))
  let isMarkRefused = false
  faults.beforeWrite = (path) => {
    isMarkRefused ||= !path.includes('/segments/')
    throw systemError('EIO')
  }
  await assert.rejects(write(volumes, randomBytes(10)), isUnavailable)
  await waitFor(() => isMarkRefused)
  delete faults.beforeWrite
  letTimePass()
  await assert.rejects(write(volumes, randomBytes(10)), isUnavailable)
  assert.equal(fs.existsSync(`${folder}/a/retired.json`), false)
  await volumes.maintenance.check(only(blob.extents).volume)
  await write(volumes, randomBytes(10))
})

test('V1: a check of a disk that still fails leaves the volume retired', async () => {
  const faults: Faults = {
    afterSync: () => {
      throw systemError('EIO')
    },
  }
  const volumes = await open()
  const blob = await write(volumes, randomBytes(10))
  const failing = await open(faults)
  await assert.rejects(write(failing, randomBytes(10)), isUnavailable)
  await assert.rejects(failing.maintenance.check(only(blob.extents).volume), /EIO/)
  await assert.rejects(write(failing, randomBytes(10)), isUnavailable)
})

test('A1, W1, D1: what is acknowledged was written before an fsync began, and so was its name', async () => {
  const disk = new DurableBytes()
  const volumes = await openVolumes({
    world: realWorld,
    paths: [`${folder}/a`],
    reserveBytes: 0,
    segmentBytes: 3_000_000,
    files: disk.files,
  })
  opened.push(volumes)
  let acknowledged = 0
  const writer = async (_: unknown, index: number): Promise<void> => {
    for (let round = 0; round < 8; round += 1) {
      const size = index % 4 === 0 ? 1_100_000 + index * 200_000 : 1_000 * (index + 1)
      const { extents } = await write(volumes, randomBytes(size))
      for (const each of extents) disk.check(segmentPath(each), each.offset, each.offset + laidOutBytes(each.size))
      acknowledged += 1
    }
  }
  await Promise.all(Array.from({ length: 24 }, writer))
  assert.equal(acknowledged, 24 * 8)
})

/** A disk that knows which bytes and names would be there after a power cut. */
class DurableBytes {
  readonly #paths = new Map<number, string>()
  readonly #names = new Map<string, string>()
  readonly #durableNames = new Set<string>()
  readonly #written = new Map<string, [number, number][]>()
  readonly #durable = new Map<string, [number, number][]>()
  readonly files: Files = {
    ...realFiles,
    open: async (at, mode) => {
      const file = await realFiles.open(at, mode)
      this.#paths.set(file, at)
      return file
    },
    write: async (file, buffers, position) => {
      const count = await realFiles.write(file, buffers, position)
      const at = this.#paths.get(file) ?? ''
      this.#written.set(at, [...(this.#written.get(at) ?? []), [position, position + count]])
      return count
    },
    sync: async (file) => {
      const at = this.#paths.get(file) ?? ''
      const covered = [...(this.#written.get(at) ?? [])]
      // A disk that is slow enough for others to write meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 3))
      await realFiles.sync(file)
      this.#durable.set(at, covered)
    },
    link: async (from, to) => {
      await realFiles.link(from, to)
      this.#names.set(to, from)
    },
    syncDirectory: async (at) => {
      const covered = [...this.#names.keys()].filter((each) => each.startsWith(`${at}/`))
      await realFiles.syncDirectory(at)
      for (const each of covered) this.#durableNames.add(each)
    },
  }

  check(path: string, from: number, to: number): void {
    assert.ok(this.#durableNames.has(path), `the name of ${path} is durable`)
    const covered = this.#durable.get(this.#names.get(path) ?? '') ?? []
    const count = covered.reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, to) - Math.max(a, from)), 0)
    assert.equal(count, to - from, `bytes ${from} to ${to} of ${path} are durable`)
  }
}

test('V2, C3: below the reserve, bodies are refused before they are read, and compaction still copies', async () => {
  const faults: Faults = {}
  const volumes = await open(faults)
  const body = randomBytes(100_000)
  const blob = await write(volumes, body)
  const extent = only(blob.extents)
  faults.free = 1_000_000
  letTimePass()
  let isRead = false
  const curious = async function* (): AsyncGenerator<Uint8Array> {
    isRead = true
    yield body
  }
  await assert.rejects(volumes.write(randomBytes(16).toString('hex'), curious()), isUnavailable)
  assert.equal(isRead, false)
  const [moved] = await volumes.maintenance.copy([{ id: blob.id, extents: blob.extents, index: 0 }], extent.volume)
  assert.ok(moved !== undefined && 'extents' in moved)
  await volumes.seal()
  await volumes.maintenance.unlink(extent.volume, extent.segment)
  assert.ok(body.equals(await readBack(volumes, { ...blob, extents: moved.extents })))

  // What is promised to a body of known size counts, and a body that is larger than the room is refused at once.
  faults.free = 1_500_000
  letTimePass()
  await assert.rejects(volumes.write(randomBytes(16).toString('hex'), curious(), 600_000), isUnavailable)
  assert.equal(isRead, false)
  await write(volumes, body, body.length)
})

test('C3: a long body stops at the reserve, whoever filled the disk meanwhile', async () => {
  const faults: Faults = { free: 50_000_000 }
  const volumes = await open(faults)
  const filling = async function* (): AsyncGenerator<Uint8Array> {
    for (let index = 0; index < 100; index += 1) {
      if (index === 30) {
        faults.free = 900_000
        letTimePass()
      }
      yield randomBytes(100_000)
    }
  }
  await assert.rejects(volumes.write(randomBytes(16).toString('hex'), filling()), isUnavailable)
})

test('C3: of several volumes, the healthy ones with room take what is written', async () => {
  const failing = new Set<string>()
  const faults: Faults = {
    afterSync: (path) => {
      if ([...failing].some((name) => path.startsWith(`${folder}/${name}/`))) throw systemError('EIO')
    },
  }
  const volumes = await open(faults, ['a', 'b'])
  const body = randomBytes(20_000)
  const blobs = await Promise.all(Array.from({ length: 64 }, () => write(volumes, body)))
  assert.equal(new Set(blobs.map((blob) => only(blob.extents).volume)).size, 2)

  failing.add('a')
  const outcomes = await Promise.allSettled(Array.from({ length: 64 }, () => write(volumes, body)))
  assert.ok(outcomes.some((each) => each.status === 'rejected'))
  const after = await Promise.all(Array.from({ length: 64 }, () => write(volumes, body)))
  const survivor = new Set(after.map((blob) => only(blob.extents).volume))
  assert.equal(survivor.size, 1)
  for (const blob of [...blobs, ...after]) assert.ok(body.equals(await readBack(volumes, blob)))
  const states = await volumes.maintenance.volumes()
  assert.deepEqual(
    states.map(({ retired, room }) => [retired !== undefined, room > 0]),
    [
      [true, false],
      [false, true],
    ],
  )
})

async function waitFor(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries += 1) {
    assert.ok(tries < 3_000, 'it does not come')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
