import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Claim, isAlive } from '#src/blobs/claim.ts'
import { openVolumes, type Volumes } from '#src/blobs/volumes.ts'
import type { StoredBlob } from '#src/model/blob.ts'
import { realWorld } from '#src/world.ts'
import { bodyOf } from './blobs-writer.ts'

let folder: string
const opened: Volumes[] = []
const children: ChildProcess[] = []

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'blobs-processes-'))
})

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const volumes of opened.splice(0)) await volumes.close()
  fs.rmSync(folder, { recursive: true })
})

async function open(): Promise<Volumes> {
  const volumes = await openVolumes({
    world: realWorld,
    paths: [`${folder}/a`],
    reserveBytes: 0,
    segmentBytes: 4_000_000,
  })
  opened.push(volumes)
  return volumes
}

/** A process that writes to the volume, and what it has acknowledged so far. */
class Writer {
  readonly acknowledged: StoredBlob[] = []
  readonly ready: Promise<void>
  readonly #child: ChildProcess
  readonly #ended: Promise<void>

  constructor() {
    const script = path.join(import.meta.dirname, 'blobs-writer.ts')
    const child = spawn(process.execPath, [script, `${folder}/a`], { stdio: ['ignore', 'pipe', 'inherit'] })
    children.push(child)
    this.#child = child
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.ready = promise
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const told: unknown = JSON.parse(line)
        if (told === 'ready') resolve()
        else this.acknowledged.push(told as StoredBlob)
      }
    })
    this.#ended = new Promise((done) => {
      child.once('close', () => {
        reject(new Error('the writer ended by itself'))
        done()
      })
    })
    this.ready.catch(() => {})
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    if (signal === 'SIGKILL') await this.#ended
  }
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function readBack(volumes: Volumes, { id, extents, size }: StoredBlob): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of volumes.read(id, extents, 0, size)) parts.push(part)
  return Buffer.concat(parts)
}

async function waitFor(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries += 1) {
    assert.ok(tries < 3_000, 'it does not come')
    await pause(10)
  }
}

const volumeOf = async (volumes: Volumes): Promise<string> => (await volumes.maintenance.volumes())[0]?.id ?? ''

test('B1, B3, C1: 20 kills of two writers on one volume lose nothing that was acknowledged, nor touch old segments', async () => {
  const all: StoredBlob[] = []
  const fingerprints = new Map<string, string>()
  const segments = `${folder}/a/segments`
  for (let kill = 0; kill < 20; kill += 1) {
    const writers = [new Writer(), new Writer()]
    await Promise.all(writers.map((each) => each.ready))
    await waitFor(() => writers.every((each) => each.acknowledged.length >= 10))
    await pause(Math.random() * 100)
    await Promise.all(writers.map((each) => each.kill()))
    for (const each of writers) all.push(...each.acknowledged)

    for (const name of fs.readdirSync(segments)) {
      const { size, mtimeMs } = fs.statSync(`${segments}/${name}`)
      const fingerprint = `${size} ${mtimeMs}`
      assert.equal(fingerprints.get(name) ?? fingerprint, fingerprint, `${name} is as its dead writer left it`)
      fingerprints.set(name, fingerprint)
    }
  }
  const volumes = await open()
  for (const blob of all) assert.ok(bodyOf(blob.id).equals(await readBack(volumes, blob)), `${blob.id} reads back`)
  assert.ok(all.length >= 400, `only ${all.length} blobs were acknowledged`)
  assert.ok(all.some((blob) => blob.size > 1_000_000))
  const places = all.flatMap(({ extents }) => extents.map(({ segment, offset }) => `${segment} ${offset}`))
  assert.equal(new Set(places).size, places.length, 'no two blobs have one place')
})

test('L1, C2: the segments of a process are sealed once it is dead, and not while it lives, also stopped', async () => {
  const volumes = await open()
  const writer = new Writer()
  await writer.ready
  const volume = await volumeOf(volumes)
  await waitFor(async () => (await volumes.maintenance.segments(volume)).filter((each) => !each.isSealed).length >= 2)
  await waitFor(() => writer.acknowledged.length >= 10)
  await writer.kill('SIGSTOP')
  const before = await volumes.maintenance.segments(volume)
  const live = before.filter((each) => !each.isSealed)
  assert.ok(live.length >= 2, 'it has a shared segment, and one for the slow body at least')
  for (const { number } of live) {
    await assert.rejects(volumes.maintenance.unlink(volume, number), /is not removed/)
  }
  await writer.kill()
  const after = await volumes.maintenance.segments(volume)
  assert.ok(after.length >= before.length && after.every((each) => each.isSealed && each.isIntact))
  // Those that it did not close itself do not say when.
  assert.ok(after.some((each) => each.sealedAt === undefined))
})

test('W2, C2: no segment of a body that is still coming is sealed', async () => {
  const volumes = await open()
  const volume = await volumeOf(volumes)
  const { promise: held, resolve: release } = Promise.withResolvers<void>()
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const writing = volumes.write(
    randomBytes(16).toString('hex'),
    (async function* () {
      for (let index = 0; index < 10; index += 1) yield randomBytes(1_048_576)
      reach()
      await held
      yield randomBytes(10)
    })(),
  )
  await reached
  await volumes.seal()
  const during = await volumes.maintenance.segments(volume)
  assert.ok(during.length >= 3 && during.every((each) => !each.isSealed))
  release()
  const { extents } = await writing
  assert.ok(extents.length >= 3)
  await volumes.seal()
  const after = await volumes.maintenance.segments(volume)
  assert.ok(after.every((each) => each.isSealed && each.sealedAt !== undefined))
})

test('D2: segment numbers are never used again, also after the last segment was removed', async () => {
  const used = new Set<number>()
  for (let round = 0; round < 6; round += 1) {
    const [ours, theirs] = [await open(), await open()]
    const volume = await volumeOf(ours)
    const written = await Promise.all(
      [ours, theirs, ours, theirs].map((each) => {
        const body = randomBytes(1_500_000)
        return each.write(
          randomBytes(16).toString('hex'),
          (async function* () {
            yield body
          })(),
        )
      }),
    )
    const numbers = new Set(written.flatMap(({ extents }) => extents.map((each) => each.segment)))
    for (const number of numbers) {
      assert.ok(!used.has(number), `segment ${number} was used before`)
      used.add(number)
    }
    for (const each of opened.splice(0)) await each.close()
    const sweeper = await open()
    for (const { number } of await sweeper.maintenance.segments(volume)) {
      await sweeper.maintenance.unlink(volume, number)
    }
    assert.deepEqual(await sweeper.maintenance.segments(volume), [])
    assert.equal(fs.readdirSync(`${folder}/a/segments`).length, 1)
  }
})

test('L1: a claim is dead after its release, alive before, wherever its directory is', async () => {
  for (const claims of [folder, path.join(folder, 'long'.repeat(20), 'long'.repeat(20))]) {
    fs.mkdirSync(claims, { recursive: true })
    const claim = await Claim.take(claims, 'c'.repeat(32))
    assert.equal(await isAlive(claims, claim.name), true)
    assert.equal(await isAlive(claims, 'd'.repeat(32)), false)
    claim.release()
    assert.equal(await isAlive(claims, claim.name), false)
  }
})

test('a volume that several processes make at once is one volume', async () => {
  const all = await Promise.all(Array.from({ length: 5 }, open))
  const ids = await Promise.all(all.map(volumeOf))
  assert.equal(new Set(ids).size, 1)
})

test('a directory under two names, or of another format, is not opened', async () => {
  await open()
  fs.cpSync(`${folder}/a/identity.json`, `${folder}/copy/identity.json`)
  const paths = [`${folder}/a`, `${folder}/copy`]
  await assert.rejects(openVolumes({ world: realWorld, paths, reserveBytes: 0 }), /same volume/)
  const identity = fs.readFileSync(`${folder}/a/identity.json`, 'utf8')
  for (const other of [identity.replace('"format":1', '"format":2'), identity.slice(0, 20), '']) {
    fs.writeFileSync(`${folder}/copy/identity.json`, other)
    await assert.rejects(openVolumes({ world: realWorld, paths: [`${folder}/copy`], reserveBytes: 0 }))
  }
})
