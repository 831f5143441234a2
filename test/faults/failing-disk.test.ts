import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { type Files, realFiles } from '#src/blobs/files.ts'
import type { VolumeEvent } from '#src/blobs/volume.ts'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import { Fault } from '#src/errors.ts'
import { Namespace } from '#src/metadata/namespace.ts'
import { NamespaceBuckets } from '#src/service/buckets.ts'
import { Collector } from '#src/service/collector.ts'
import { Compactor } from '#src/service/compactor.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { CellObjects } from '#src/service/objects.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, owner } from '../service/cell.ts'

type Step = 'sync' | 'write'

let folder: string
let events: VolumeEvent[]
const opened: Volumes[] = []
const clock = { ahead: 0 }
/** The volumes look at their disks every second; a test lets seconds pass at once. */
const world: World = {
  ...realWorld,
  now: () => realWorld.now() + clock.ahead,
  monotonic: () => realWorld.monotonic() + clock.ahead,
}
const letSecondsPass = (): void => {
  clock.ahead += 2_000
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-failing-'))
  events = []
})

afterEach(async () => {
  for (const volumes of opened.splice(0)) await volumes.close()
  await rm(folder, { recursive: true })
})

/** Disks by the name of their volume's directory; what they do not do any more. */
class Disks {
  readonly failing = new Map<string, Step>()
  /** Bytes that are free, if not those of the real disk. */
  free: number | undefined
  /** Steps that failed. */
  failures = 0
  readonly files: Files

  constructor() {
    const paths = new Map<number, string>()
    const fail = (file: number, step: Step): void => {
      if (this.failing.get(paths.get(file) ?? '') !== step) return
      this.failures++
      throw Object.assign(new Error('EIO'), { code: 'EIO' })
    }
    this.files = {
      ...realFiles,
      async open(at, mode) {
        const file = await realFiles.open(at, mode)
        const parent = dirname(at)
        paths.set(file, basename(basename(parent) === 'segments' ? dirname(parent) : parent))
        return file
      },
      async write(file, buffers, position) {
        fail(file, 'write')
        return await realFiles.write(file, buffers, position)
      },
      async sync(file) {
        // What was written may or may not be on the disk: here it is, and still must not be acknowledged.
        await realFiles.sync(file)
        fail(file, 'sync')
      },
      space: async (at) => {
        const real = await realFiles.space(at)
        return { ...real, free: this.free ?? real.free }
      },
    }
  }
}

async function open(files: Files, names: readonly string[]): Promise<Volumes> {
  const volumes = await openVolumes({
    world,
    paths: names.map((name) => join(folder, name)),
    reserveBytes: 0,
    segmentBytes: 8 * 2 ** 20,
    files,
    report: (event) => events.push(event),
  })
  opened.push(volumes)
  return volumes
}

async function openObjects(blobs: Volumes) {
  const store = new MemoryStore({ world })
  const namespace = new Namespace()
  const foundation: Foundation = { store, world, namespace, blobs, region: 'fra', cell: 7, inlineBytesMax: 16 }
  const buckets = new NamespaceBuckets({ store, world, namespace, isEmpty: async () => true })
  await buckets.create({ name: 'bucket', owner, acl, location: '', hasObjectLock: false })
  const objects = new CellObjects(foundation)
  const guard = () => {}
  const name = (key: string) => ({ bucket: 'bucket', key })
  return {
    collector: new Collector(foundation),
    compactor: new Compactor(foundation, blobs.maintenance, () => {}),
    put: (key: string, bytes: Uint8Array) =>
      objects.put({ name: name(key), attributes, body: body(bytes), digests: {}, conditions: {}, guard }),
    get: async (key: string) => await bytesOf((await objects.get({ name: name(key), guard, conditions: {} })).bytes),
    remove: (key: string) =>
      objects.delete({ name: name(key), guard, conditions: {}, bypassGovernance: false, caller: owner }),
  }
}

const hasCode = (code: string) => (error: unknown) => error instanceof Fault && error.code === code
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const retiredOf = async (volumes: Volumes) =>
  (await volumes.maintenance.volumes()).filter(({ retired }) => retired !== undefined)

for (const step of ['write', 'sync'] as const) {
  for (const size of [50_000, 2_500_000]) {
    test(`C3: a ${step} of ${size} bytes that fails with EIO is no acknowledgement; reads and deletes go on, and check lifts it`, async () => {
      const disks = new Disks()
      const volumes = await open(disks.files, ['a'])
      const objects = await openObjects(volumes)
      const before = [randomBytes(size), randomBytes(size)] as const
      await objects.put('kept', before[0])
      await objects.put('deleted', before[1])

      disks.failing.set('a', step)
      const attempts = Array.from({ length: 6 }, (_, index) => objects.put(`lost-${index}`, randomBytes(size)))
      for (const each of await Promise.allSettled(attempts)) {
        assert.ok(each.status === 'rejected' && hasCode('ServiceUnavailable')(each.reason))
      }
      assert.ok(disks.failures > 0, 'the disk was asked')
      const [retired] = await retiredOf(volumes)
      assert.match(retired?.retired ?? '', new RegExp(`could not (${step}|create): EIO`))
      assert.ok(events.some(({ kind }) => kind === 'retired'))

      // The disk would pretend that nothing was wrong: it is not asked again (V1).
      disks.failing.clear()
      disks.failures = 0
      await assert.rejects(objects.put('late', randomBytes(size)), hasCode('ServiceUnavailable'))
      for (let index = 0; index < 6; index++) await assert.rejects(objects.get(`lost-${index}`), hasCode('NoSuchKey'))
      assert.equal(sha256(await objects.get('kept')), sha256(before[0]))
      await objects.remove('deleted')
      await assert.rejects(objects.get('deleted'), hasCode('NoSuchKey'))

      // Marked on the disk now, if not before: another process checks it, and this one takes it up within seconds.
      letSecondsPass()
      await assert.rejects(objects.put('late', randomBytes(size)), hasCode('ServiceUnavailable'))
      await new Promise((wake) => setTimeout(wake, 100))
      const other = await open(realFiles, ['a'])
      const [marked] = await retiredOf(other)
      assert.ok(marked !== undefined, 'another process sees the retirement')
      assert.ok((marked.retiredSince ?? 0) > 0)
      const report = await other.maintenance.check(marked.id)
      assert.ok(report.frames >= 1)
      letSecondsPass()
      const after = randomBytes(size)
      await objects.put('after', after)
      assert.equal(sha256(await objects.get('after')), sha256(after))
      assert.equal(sha256(await objects.get('kept')), sha256(before[0]))
      assert.ok(events.some(({ kind }) => kind === 'restored'))
    })
  }
}

test('C3: a disk that still fails is not taken back by a check', async () => {
  const disks = new Disks()
  const volumes = await open(disks.files, ['a'])
  const objects = await openObjects(volumes)
  await objects.put('kept', randomBytes(50_000))
  disks.failing.set('a', 'sync')
  await assert.rejects(objects.put('lost', randomBytes(50_000)), hasCode('ServiceUnavailable'))
  const [retired] = await retiredOf(volumes)
  await assert.rejects(volumes.maintenance.check(retired?.id ?? ''), /EIO/)
  assert.equal((await retiredOf(volumes)).length, 1)
  await assert.rejects(objects.put('lost', randomBytes(50_000)), hasCode('ServiceUnavailable'))
})

test('C3: of several disks one fails: writes go to the others, and what lies on it is read', async () => {
  const disks = new Disks()
  const volumes = await open(disks.files, ['a', 'b'])
  const objects = await openObjects(volumes)
  const kept = new Map<string, string>()
  const put = async (key: string): Promise<boolean> => {
    const bytes = randomBytes(60_000)
    try {
      await objects.put(key, bytes)
    } catch (error) {
      assert.ok(hasCode('ServiceUnavailable')(error))
      return false
    }
    kept.set(key, sha256(bytes))
    return true
  }
  for (let index = 0; index < 30; index++) assert.ok(await put(`before-${index}`))
  disks.failing.set('a', 'sync')
  let refused = 0
  for (let index = 0; index < 30; index++) if (!(await put(`while-${index}`))) refused++
  // Nor the write that found out: its bytes are still there, and go to the other.
  assert.equal(refused, 0)
  const [retired, ...more] = await retiredOf(volumes)
  assert.ok(retired?.path.endsWith('/a') === true && more.length === 0)
  for (const [key, sum] of kept) assert.equal(sha256(await objects.get(key)), sum)
  const onB = await volumes.maintenance.segments(
    (await volumes.maintenance.volumes()).find(({ path }) => path.endsWith('/b'))?.id ?? '',
  )
  assert.ok(onB.length > 0)
})

test('C3: what is deleted on a full disk comes free without a restart', async () => {
  const disks = new Disks()
  const volumes = await open(disks.files, ['a'])
  const objects = await openObjects(volumes)
  // Both of the kinds of segments that a process has open.
  for (const size of [50_000, 2_500_000]) await objects.put(`deleted-${size}`, randomBytes(size))
  disks.free = 0
  letSecondsPass()
  await assert.rejects(objects.put('refused', randomBytes(50_000)), hasCode('ServiceUnavailable'))
  await objects.remove('deleted-50000')
  await objects.remove('deleted-2500000')
  while ((await objects.collector.pass()) > 0);
  const signal = new AbortController().signal
  assert.equal(await objects.compactor.pass(signal), 0, 'not while a commit may still name what lies there')
  clock.ahead += 11 * 60_000
  assert.ok((await objects.compactor.pass(signal)) > 2_550_000)
  disks.free = undefined
  letSecondsPass()
  await objects.put('after', randomBytes(50_000))
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['full', 'roomy'],
  )
})
