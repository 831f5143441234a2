import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { realWorld, type World } from '#src/world.ts'
import { chunkBytes, describeChunk, headerBytes, idBytes, placeHeader, volumeSeed } from './frame.ts'
import type { VolumeCache } from './volume-cache.ts'
import { openVolumes, type Volumes } from './volumes.ts'

const budget = 8_000_000
const dayMilliseconds = 86_400_000

let folder: string
let clock: { ahead: number }
let world: World
let opened: Volumes[]

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'cache-'))
  clock = { ahead: 0 }
  world = { ...realWorld, now: () => realWorld.now() + clock.ahead }
  opened = []
})

afterEach(async () => {
  for (const volumes of opened) await volumes.close()
  fs.rmSync(folder, { recursive: true })
})

async function open(reserveBytes = 0, volumes = ['a']): Promise<VolumeCache> {
  const paths = volumes.map((name) => `${folder}/${name}`)
  const node = await openVolumes({ world, paths, reserveBytes, segmentBytes: 4_000_000 })
  opened.push(node)
  return await node.openCache({ budget, ageMilliseconds: dayMilliseconds })
}

const closeLast = async (): Promise<void> => await opened.pop()?.close()

const segments = (volume = 'a'): readonly string[] =>
  fs.readdirSync(`${folder}/${volume}/cache/segments`).filter((name) => name.endsWith('.segment'))

const bytesOnDisk = (): number =>
  segments().reduce((sum, name) => sum + fs.statSync(`${folder}/a/cache/segments/${name}`).size, 0)

interface Kept {
  readonly id: string
  readonly chunk: number
  readonly bytes: Buffer
}

const newChunk = (length = chunkBytes): Kept => ({
  id: randomBytes(16).toString('hex'),
  chunk: 3,
  bytes: randomBytes(length),
})

async function keep(cache: VolumeCache, count: number): Promise<readonly Kept[]> {
  const all = Array.from({ length: count }, () => newChunk())
  for (const { id, chunk, bytes } of all) {
    cache.add(id, chunk, bytes)
    await cache.settled()
  }
  return all
}

async function has(cache: VolumeCache, { id, chunk, bytes }: Kept): Promise<boolean> {
  const found = await cache.read(id, chunk, bytes.length)
  assert.ok(found === undefined || bytes.equals(found), 'never other bytes')
  return found !== undefined
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  assert.fail('not in time')
}

suite('C4: the cache of a node', () => {
  test('gives what it took, and nothing under another id, number or length', async () => {
    const cache = await open()
    const [kept] = await keep(cache, 1)
    assert.ok(kept !== undefined && (await has(cache, kept)))
    const small = newChunk(1)
    cache.add(small.id, small.chunk, small.bytes)
    await cache.settled()
    assert.ok(await has(cache, small))
    assert.equal(await cache.read(kept.id, kept.chunk + 1, chunkBytes), undefined)
    assert.equal(await cache.read(small.id, small.chunk, 2), undefined)
    assert.equal(await cache.read(randomBytes(16).toString('hex'), 3, chunkBytes), undefined)
  })

  test('K2 I3: a chunk that was damaged is a miss', async () => {
    const cache = await open()
    const [damaged, whole] = await keep(cache, 2)
    assert.ok(damaged !== undefined && whole !== undefined)
    const [name] = segments()
    const file = `${folder}/a/cache/segments/${name}`
    const content = fs.readFileSync(file)
    const at = content.indexOf(damaged.bytes.subarray(0, 64))
    assert.ok(at > 0)
    fs.writeFileSync(
      file,
      Buffer.concat([
        content.subarray(0, at + 70),
        Buffer.of(255 - (content[at + 70] ?? 0)),
        content.subarray(at + 71),
      ]),
    )
    assert.equal(await has(cache, damaged), false)
    assert.equal(await has(cache, whole), true)
  })

  test('K2: a frame that lies elsewhere than it was written is a miss', async () => {
    const cache = await open()
    const [first, second] = await keep(cache, 2)
    assert.ok(first !== undefined && second !== undefined)
    const file = `${folder}/a/cache/segments/${segments()[0]}`
    const content = fs.readFileSync(file)
    const [from, to] = [content.indexOf(first.bytes) - 64, content.indexOf(second.bytes) - 64]
    content.copy(content, to, from, from + 64 + chunkBytes)
    fs.writeFileSync(file, content)
    assert.equal(await has(cache, second), false)
    assert.equal(await has(cache, first), true)
  })

  test('K2: another chunk where one is thought to lie is a miss, however whole it is', async () => {
    const cache = await open()
    const [kept] = await keep(cache, 1)
    assert.ok(kept !== undefined)
    const name = segments()[0] ?? ''
    const file = `${folder}/a/cache/segments/${name}`
    const content = fs.readFileSync(file)
    const { id } = JSON.parse(fs.readFileSync(`${folder}/a/cache/identity.json`, 'utf8')) as { id: string }
    const header = Buffer.alloc(headerBytes)
    const other = newChunk()
    describeChunk(header, idBytes(other.id), kept.chunk, other.bytes)
    const at = content.indexOf(kept.bytes) - headerBytes
    placeHeader(header, { seed: volumeSeed(id), segment: Number.parseInt(name, 10) }, at)
    header.copy(content, at)
    other.bytes.copy(content, at + headerBytes)
    fs.writeFileSync(file, content)
    assert.equal(await has(cache, kept), false)
  })

  test('K3 K4: takes no more than its budget: the oldest goes, what is read stays', async () => {
    const cache = await open()
    const [hot, cold] = await keep(cache, 2)
    assert.ok(hot !== undefined && cold !== undefined)
    for (let round = 0; round < 150; round++) {
      await keep(cache, 1)
      assert.ok(bytesOnDisk() <= budget, `${bytesOnDisk()} bytes after ${round}`)
      assert.ok(await has(cache, hot), `hot, in round ${round}`)
      await cache.settled()
    }
    assert.equal(await has(cache, cold), false)
    assert.ok(bytesOnDisk() > budget / 2)
  })

  test('tells what it takes as it is on the disk, also of a segment that is open, and a whole number for its budget', async () => {
    const cache = await open(0, ['a', 'b', 'c'])
    assert.ok(Number.isInteger(cache.use.budget) && cache.use.budget > budget - 3)
    assert.equal(cache.use.bytes, 0)
    await closeLast()
    const [one, other] = [await open(), await open()]
    for (const count of [1, 30]) {
      await keep(one, count)
      await keep(other, 1)
      for (const each of [one, other]) {
        await each.tend()
        assert.equal(each.use.bytes, bytesOnDisk())
      }
    }
    await closeLast()
    await one.tend()
    assert.equal(one.use.bytes, bytesOnDisk())
  })

  test('what was closed is there again after a restart', async () => {
    const kept = await keep(await open(), 20)
    await closeLast()
    const cache = await open()
    await until(() => has(cache, kept[0] ?? newChunk()))
    for (const each of kept) assert.ok(await has(cache, each))
  })

  test('K4: nothing stays longer than its time', async () => {
    const cache = await open()
    const kept = await keep(cache, 20)
    clock.ahead = dayMilliseconds * 0.51
    await cache.tend()
    assert.ok(await has(cache, kept.at(-1) ?? newChunk()))
    clock.ahead = dayMilliseconds * 1.03
    await cache.tend()
    await cache.settled()
    for (const each of kept) assert.equal(await has(cache, each), false)
    const content = Buffer.concat(segments().map((name) => fs.readFileSync(`${folder}/a/cache/segments/${name}`)))
    assert.equal(content.indexOf((kept[1] ?? newChunk()).bytes.subarray(0, 64)), -1)
  })

  test('K3 C3: nothing is kept where only the reserve is left, and what was kept goes', async () => {
    const cache = await open()
    await keep(cache, 20)
    await closeLast()
    assert.ok(segments().length > 0)
    const full = await open(Number.MAX_SAFE_INTEGER)
    await until(() => segments().length === 0)
    const [refused] = await keep(full, 1)
    assert.equal(await has(full, refused ?? newChunk()), false)
  })

  test('nobody waits for a disk that is slow: what it does not take is left out', async () => {
    const cache = await open()
    const all = Array.from({ length: 400 }, () => newChunk(chunkBytes))
    for (const { id, chunk, bytes } of all) cache.add(id, chunk, bytes)
    await cache.settled()
    let kept = 0
    for (const each of all) if (await has(cache, each)) kept += 1
    assert.ok(kept > 0 && kept <= 128, `${kept}`)
  })

  test('processes share what they cached, and stay within one budget', async () => {
    const [one, other] = [await open(), await open()]
    const kept: Kept[] = []
    for (let round = 0; round < 40; round++) {
      kept.push(...(await keep(one, 1)), ...(await keep(other, 1)))
      assert.ok(bytesOnDisk() <= budget)
    }
    for (const each of kept.slice(-6)) {
      await until(() => has(one, each))
      await until(() => has(other, each))
    }
  })

  test('K1: kill -9 while it writes: the next process starts with what was whole', async () => {
    const child: ChildProcess = fork(fileURLToPath(new URL('../../test/support/cache-writer.ts', import.meta.url)), [
      `${folder}/a`,
      String(budget),
    ])
    const said: string[] = []
    child.on('message', (id) => said.push(String(id)))
    await until(() => said.length > 40)
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
    const cache = await open()
    await cache.tend()
    let found = 0
    for (const id of said) {
      const bytes = await cache.read(id, 0, chunkBytes)
      if (bytes === undefined) continue
      found += 1
      assert.ok(Buffer.alloc(chunkBytes, id).equals(bytes))
    }
    assert.ok(found > 0, `${found} of ${said.length}`)
    const [kept] = await keep(cache, 1)
    assert.ok(await has(cache, kept ?? newChunk()))
  })
})
