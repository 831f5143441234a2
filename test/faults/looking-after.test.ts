import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { loadConfig } from '#src/config/load.ts'
import { subspace } from '#src/metadata/keyspace.ts'
import { type OpenNode, openNode } from '#src/open.ts'
import { Scrubber } from '#src/service/scrubber.ts'
import { Throttle } from '#src/service/throttle.ts'
import type { Log, LogFields } from '#src/telemetry/log.ts'
import { realWorld, type World } from '#src/world.ts'
import { acl, attributes, body, openCell, owner } from '../service/cell.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'

const launcher = fileURLToPath(new URL('../../bin/launch.mjs', import.meta.url))
const guard = () => {}
const still = new AbortController().signal
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-after-'))
})

afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function volumes(...words: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [launcher, 'volumes', ...words], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr })
    })
  })
}

/** Flips a bit of these bytes in every file of a volume that has them; says how often. */
function flipBytes(volume: string, bytes: Uint8Array): number {
  let count = 0
  for (const name of fs.readdirSync(join(volume, 'segments'))) {
    const file = join(volume, 'segments', name)
    const content = fs.readFileSync(file)
    for (let at = content.indexOf(bytes); at >= 0; at = content.indexOf(bytes, at + 1)) {
      const descriptor = fs.openSync(file, 'r+')
      fs.writeSync(descriptor, Uint8Array.of((content[at] ?? 0) ^ 1), 0, 1, at)
      fs.closeSync(descriptor)
      count++
    }
  }
  return count
}

async function eventually(what: string, attempt: () => Promise<boolean> | boolean, patience = 60_000): Promise<void> {
  for (const until = performance.now() + patience; !(await attempt()); ) {
    assert.ok(performance.now() < until, `${what}: not within ${patience} ms`)
    await new Promise((wake) => setTimeout(wake, 50))
  }
}

test('C3: `volumes check` beside a running server lifts a retirement, and all workers notice within seconds', async () => {
  const data = join(folder, 'data')
  const server = await ServerProcess.start({ data, workers: 2, flags: ['--log-level', 'warn'] })
  const client = new SignedClient(server.endpoint, administrator)
  try {
    const put = async (key: string): Promise<number> =>
      (await client.send({ method: 'PUT', path: `/after/${key}`, body: randomBytes(20_000) })).status
    assert.equal((await client.send({ method: 'PUT', path: '/after' })).status, 200)
    assert.equal(await put('kept'), 200)
    // As a worker leaves it whose fsync failed.
    const mark = JSON.stringify({ since: Date.now(), reason: 'could not sync: EIO' })
    fs.writeFileSync(join(data, 'volumes/0/retired.json'), mark)
    await new Promise((wake) => setTimeout(wake, 1_500))
    for (let index = 0; index < 20; index++) assert.equal(await put(`refused-${index}`), 503)
    assert.equal((await client.send({ method: 'GET', path: '/after/kept' })).status, 200)
    assert.equal((await client.send({ method: 'GET', path: '/after/refused-1' })).status, 404)

    const listed = await volumes('list', '--data', data)
    assert.match(listed.out, /retired since 20\d\d-.*: could not sync: EIO/)
    const checked = await volumes('check', '--data', data)
    assert.equal(checked.code, 0, checked.out)
    assert.match(checked.out, /in use again/)
    await new Promise((wake) => setTimeout(wake, 1_500))
    for (let index = 0; index < 20; index++) assert.equal(await put(`taken-${index}`), 200)
    assert.equal((await client.send({ method: 'DELETE', path: '/after/kept' })).status, 204)
    const [listing] = JSON.parse((await volumes('list', '--data', data, '--json')).out) as Record<string, unknown>[]
    assert.equal(listing?.['retired'], undefined)
    assert.ok(Number(listing?.['bytes']) > 20 * 20_000)
    assert.match(server.errors, /"level":50[^\n]*a volume failed/)
    const wrong = await volumes('list', '--data', data, '--volumes', join(folder, 'nowhere'))
    assert.deepEqual([wrong.code, fs.existsSync(join(folder, 'nowhere'))], [1, false], 'no volume is made by looking')
  } finally {
    client.close()
    await server.kill()
  }
})

test('S1: a node reads everything by itself, and logs an error that names what is damaged', async () => {
  const lines: { readonly level: string; readonly message: string; readonly fields: LogFields }[] = []
  const at =
    (level: string) =>
    (message: string, fields: LogFields = {}): void => {
      lines.push({ level, message, fields })
    }
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
  // Minutes pass in a moment.
  const world: World = { ...realWorld, sleep: (ms, ...rest) => realWorld.sleep(Math.min(ms, 20), ...rest) }
  const data = join(folder, 'data')
  fs.mkdirSync(data)
  const config = loadConfig({ data, reserve: '1MiB', scrubDays: '1' }, {})
  let node: OpenNode | undefined
  try {
    node = await openNode({ config, world, log, isFirst: true })
    const { buckets, objects } = node.services
    await buckets.create({ name: 'bucket', owner, acl, location: '', hasObjectLock: false })
    const bytes = randomBytes(50_000)
    const put = (key: string, content: Uint8Array) =>
      objects.put({
        name: { bucket: 'bucket', key },
        attributes,
        body: body(content),
        digests: {},
        conditions: {},
        guard,
      })
    await put('sound', randomBytes(50_000))
    await put('damaged', bytes)
    assert.equal(flipBytes(join(data, 'volumes/0'), bytes.subarray(0, 64)), 1)
    node.startBackground()
    await eventually('a whole round', () => lines.some(({ message }) => message === 'everything was read'))
    const told = lines.filter(({ message }) => message === 'a blob is damaged')
    assert.equal(told.length, 1)
    assert.equal(told[0]?.level, 'error')
    assert.deepEqual(told[0]?.fields['objects'], [{ bucket: 'bucket', key: 'damaged', version: 'null' }])
    const round = lines.find(({ message }) => message === 'everything was read')
    assert.deepEqual([round?.fields['blobs'], round?.fields['damaged']], [2, 1])
  } finally {
    await node?.close()
  }
})

test('S1, S2: a part of an upload is named, and what is deleted meanwhile is not told of', async () => {
  const cell = await openCell()
  try {
    await cell.buckets.create({ name: 'bucket', owner, acl, location: '', hasObjectLock: false })
    const name = (key: string) => ({ bucket: 'bucket', key })
    const upload = async (key: string, parts: readonly Uint8Array[]) => {
      const { id } = await cell.uploads.create({ name: name(key), attributes, initiator: owner })
      const put = []
      for (const [index, bytes] of parts.entries()) {
        const request = { name: name(key), uploadId: id, number: index + 1, body: body(bytes), digests: {}, guard }
        put.push(await cell.uploads.putPart(request))
      }
      return { id, put }
    }
    const part = randomBytes(300_000)
    const { id } = await upload('in-progress', [part])
    const gone = randomBytes(60_000)
    const put = (key: string, bytes: Uint8Array) =>
      cell.objects.put({ name: name(key), attributes, body: body(bytes), digests: {}, conditions: {}, guard })
    await put('deleted', gone)
    await put('sound', randomBytes(60_000))
    const [volume] = await cell.blobs.maintenance.volumes()
    const path = volume?.path ?? ''
    assert.ok(flipBytes(path, part.subarray(0, 64)) === 1 && flipBytes(path, gone.subarray(0, 64)) === 1)

    const keys: string[] = []
    // The walk has read the records of all three, and is at the first one, when one of them is deleted.
    let isDeleted = false
    const { verify } = cell.blobs.maintenance
    cell.blobs.maintenance.verify = async (blob, pace) => {
      if (!isDeleted) {
        isDeleted = true
        const asked = { name: name('deleted'), guard, conditions: {}, bypassGovernance: false, caller: owner }
        await cell.objects.delete(asked)
      }
      await verify.call(cell.blobs.maintenance, blob, pace)
    }
    const report = await new Scrubber(cell.foundation, cell.blobs.maintenance).pass(still, {
      report: ({ objects }) => keys.push(...objects.map(({ key, version }) => `${key} ${version}`)),
    })
    assert.deepEqual(keys, [`in-progress upload ${id}`])
    assert.deepEqual([report.blobs, report.damaged], [3, 1])
  } finally {
    await cell.close()
  }
})

test('S1: a round that was cut short goes on where it was, and ends', async () => {
  const cell = await openCell()
  try {
    await cell.buckets.create({ name: 'bucket', owner, acl, location: '', hasObjectLock: false })
    for (let index = 0; index < 250; index++) {
      const key = `key-${String(index).padStart(3, '0')}`
      const request = { name: { bucket: 'bucket', key }, attributes, body: body(randomBytes(64)) }
      await cell.objects.put({ ...request, digests: {}, conditions: {}, guard })
    }
    const scrubber = new Scrubber(cell.foundation, cell.blobs.maintenance)
    let next: Uint8Array | undefined
    const total = { blobs: 0, rounds: 0 }
    do {
      const cut = new AbortController()
      const report = await scrubber.pass(cut.signal, {
        report: () => assert.fail('nothing is damaged'),
        progress: (_, reached) => {
          next = reached
          cut.abort()
        },
        ...(next !== undefined && { from: next }),
      })
      total.blobs += report.blobs
      total.rounds++
    } while (next !== undefined && total.rounds < 1_000)
    assert.equal(total.blobs, 250)
    assert.ok(total.rounds > 5 && total.rounds < 1_000, `${total.rounds}`)
    assert.equal(subspace.scrub, Math.max(...Object.values(subspace)))
  } finally {
    await cell.close()
  }
})

test('a throttle keeps to its rate, and does not catch up after a pause', async () => {
  let now = 0
  const world: World = {
    ...realWorld,
    monotonic: () => now,
    sleep: async (milliseconds) => {
      now += milliseconds
    },
  }
  const throttle = new Throttle(world, 1_000_000)
  for (let index = 0; index < 100; index++) await throttle.spend(100_000, still)
  assert.ok(9_900 <= now && now <= 10_000, `10 MB at 1 MB/s took ${now} ms`)
  now += 3_600_000
  const after = now
  for (let index = 0; index < 100; index++) await throttle.spend(100_000, still)
  assert.ok(now - after >= 8_900, `10 MB after a pause took ${now - after} ms`)
})
