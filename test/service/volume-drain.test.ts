import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { CellObjects } from '#src/service/objects.ts'
import { type DrainProgress, VolumeDrain } from '#src/service/volume-drain.ts'
import { openLog } from '#src/telemetry/log.ts'
import { logVolumeEvent } from '#src/volume-events.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, bytesOf, openCell, owner } from './cell.ts'

const bucket = 'bucket'
const guard = () => {}
const never = new AbortController().signal

interface Node {
  readonly folder: string
  readonly foundation: Foundation
  readonly volumes: Volumes
  readonly objects: CellObjects
  readonly written: Map<string, Buffer>
}

/** A clock that a test may put ahead, and that goes on by ten seconds with each sleep. */
const clock = { ahead: 0 }
const world: World = {
  ...realWorld,
  now: () => realWorld.now() + clock.ahead,
  sleep: async () => {
    clock.ahead += 10_000
    await new Promise((resolve) => setImmediate(resolve))
  },
}

/** Two volumes, written to by another process than the one that empties them. */
async function withNode(work: (node: Node) => Promise<void>): Promise<void> {
  clock.ahead = 0
  const folder = await mkdtemp(join(tmpdir(), 'meridian-drain-'))
  const cell = await openCell(realWorld)
  const paths = [join(folder, 'a'), join(folder, 'b')]
  const volumes = await openVolumes({ world: realWorld, paths, reserveBytes: 0, segmentBytes: 8 * 2 ** 20 })
  try {
    const foundation: Foundation = { ...cell.foundation, blobs: volumes }
    const objects = new CellObjects(foundation)
    await cell.buckets.create({ name: bucket, owner, acl, location: '', hasObjectLock: false })
    const written = new Map<string, Buffer>()
    const node = { folder, foundation, volumes, objects, written }
    for (let index = 0; index < 24; index++) await put(node, `key-${index}`, index % 5 === 0 ? 1_500_000 : 40_000)
    await work(node)
  } finally {
    await volumes.close()
    await cell.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function put({ objects, written }: Node, key: string, size: number): Promise<void> {
  const bytes = randomBytes(size)
  await objects.put({ name: { bucket, key }, attributes, body: body(bytes), digests: {}, conditions: {}, guard })
  written.set(key, bytes)
}

async function checkAll({ objects, written }: Node): Promise<void> {
  for (const [key, bytes] of written) {
    const read = await objects.get({ name: { bucket, key }, guard, conditions: {} })
    assert.ok((await bytesOf(read.bytes)).equals(bytes), key)
  }
}

const drainOf = ({ foundation, volumes }: Node): VolumeDrain =>
  new VolumeDrain({ ...foundation, world }, volumes.maintenance)

async function idsOf({ volumes }: Node): Promise<readonly [string, string]> {
  const [first, second] = await volumes.maintenance.volumes()
  assert.ok(first !== undefined && second !== undefined)
  return [first.id, second.id]
}

test('G4: a volume is emptied while objects are written and read; nothing new comes to lie there, and nothing is lost', async () => {
  await withNode(async (node) => {
    const [id, other] = await idsOf(node)
    assert.ok((await drainOf(node).names(id)) > 0)
    const seen: DrainProgress[] = []
    const writing = (async () => {
      for (let late = 0; late < 20; late++) await put(node, `late-${late}`, 40_000)
    })()
    const left = await drainOf(node).run(id, never, { progress: (each) => seen.push(each) })
    await writing
    for (let after = 0; after < 10; after++) await put(node, `after-${after}`, 40_000)
    assert.deepEqual(left, { segments: 0, bytes: 0, waiting: 0, unreadable: 0 })
    assert.ok(seen.some(({ bytes }) => bytes > 0))
    assert.equal(await drainOf(node).names(id), 0)
    assert.ok((await drainOf(node).names(other)) > 0)
    await checkAll(node)
    const files = await readdir(join(node.folder, 'a', 'segments'))
    assert.deepEqual(
      files.filter((name) => name.endsWith('.segment')),
      [],
    )
    await node.volumes.maintenance.check(id)
    const [restored] = (await node.volumes.maintenance.volumes()).filter((each) => each.id === id)
    assert.equal(restored?.retired, undefined, 'a check takes it back into use')
  })
})

test('that a volume is emptied is told as what it is, by the process that withdraws it and by others, now and later', async () => {
  const told: Record<string, unknown>[] = []
  const log = openLog('debug', { write: (line) => told.push(JSON.parse(line) as Record<string, unknown>) })
  const folder = await mkdtemp(join(tmpdir(), 'meridian-drain-'))
  const paths = [join(folder, 'a'), join(folder, 'b')]
  const open = () =>
    openVolumes({ world, paths, reserveBytes: 0, segmentBytes: 2 ** 23, report: (each) => logVolumeEvent(log, each) })
  const volumes = await open()
  const cell = await openCell(realWorld)
  try {
    const [volume] = await volumes.maintenance.volumes()
    assert.ok(volume !== undefined)
    const stopped = AbortSignal.abort()
    await new VolumeDrain({ ...cell.foundation, blobs: volumes, world }, volumes.maintenance).run(volume.id, stopped)
    await (await open()).close()
    const message = 'a volume is being emptied, and takes no writes'
    assert.deepEqual(
      told.map(({ level, msg, path }) => ({ level, msg, path })),
      Array.from({ length: 2 }, () => ({ level: 30, msg: message, path: volume.path })),
    )
  } finally {
    await volumes.close()
    await cell.close()
    await rm(folder, { recursive: true, force: true })
  }
})

test('G4: a volume that is taken into use again meanwhile is not said to be empty', async () => {
  await withNode(async (node) => {
    const [id] = await idsOf(node)
    let checked: Promise<unknown> | undefined
    const drained = drainOf(node).run(id, never, {
      progress: () => {
        checked ??= node.volumes.maintenance.check(id)
      },
    })
    await assert.rejects(drained, /taken into use again/)
    await checked
    await checkAll(node)
  })
})

test('G4: what is being written to, or was a moment ago, waits; who stops goes on from there', async () => {
  await withNode(async (node) => {
    const [id] = await idsOf(node)
    const stopping = new AbortController()
    const first = await drainOf(node).run(id, stopping.signal, {
      progress: ({ waiting }) => {
        if (waiting > 0) stopping.abort()
      },
    })
    assert.ok(first.waiting > 0 && first.segments > 0)
    assert.ok((await drainOf(node).names(id)) > 0)
    await checkAll(node)
    const rest = await drainOf(node).run(id, never)
    assert.equal(rest.segments, 0)
    await checkAll(node)
  })
})

test('G3: what cannot be read stays where it is, and is told', async () => {
  await withNode(async (node) => {
    const [id] = await idsOf(node)
    await node.volumes.seal()
    const segments = join(node.folder, 'a', 'segments')
    const [name = ''] = (await readdir(segments)).filter((each) => each.endsWith('.segment'))
    const bytes = await readFile(join(segments, name))
    bytes.fill(0xff, bytes.length - 30_000, bytes.length - 20_000)
    await writeFile(join(segments, name), bytes)
    const left = await drainOf(node).run(id, never)
    assert.deepEqual([left.segments, left.unreadable], [1, 1])
    assert.ok((await drainOf(node).names(id)) > 0)
  })
})
