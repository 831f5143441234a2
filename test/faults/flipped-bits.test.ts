import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash, randomBytes, randomInt } from 'node:crypto'
import fs from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'

const launcher = fileURLToPath(new URL('../../bin/launch.mjs', import.meta.url))
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const chunk = 128 * 1024

interface Damaged {
  readonly reason: string
  readonly objects: readonly { readonly bucket: string; readonly key: string }[]
}

interface Scrubbed {
  readonly code: number
  readonly damaged: number
  readonly blobs: number
  readonly damages: readonly Damaged[]
}

/** `meridian volumes scrub`, as an operator runs it, beside the server or without it. */
function scrub(data: string): Promise<Scrubbed> {
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [launcher, 'volumes', 'scrub', '--data', data, '--json'],
      { maxBuffer: 2 ** 26 },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : Number(error.code)
        try {
          resolve({ code, ...(JSON.parse(stdout) as Omit<Scrubbed, 'code'>) })
        } catch {
          reject(new Error(`the scrub ended with ${code}: ${stderr}`))
        }
      },
    )
  })
}

const namesOf = ({ damages }: Scrubbed): readonly string[] =>
  [...new Set(damages.flatMap(({ objects }) => objects.map(({ key }) => key)))].sort()

/** Flips one bit of a byte. */
function flip(file: string, at: number): void {
  const descriptor = fs.openSync(file, 'r+')
  const byte = Buffer.alloc(1)
  fs.readSync(descriptor, byte, 0, 1, at)
  byte[0] = (byte[0] ?? 0) ^ (1 << randomInt(8))
  fs.writeSync(descriptor, byte, 0, 1, at)
  fs.closeSync(descriptor)
}

function allAt(bytes: Buffer, part: Uint8Array): readonly number[] {
  const found: number[] = []
  for (let at = bytes.indexOf(part); at >= 0; at = bytes.indexOf(part, at + 1)) found.push(at)
  return found
}

const tally = { served: 0, refused: 0, broken: 0, missing: 0 }

describe('I3: bits that flip on the disk', () => {
  let folder: string
  let data: string
  let server: ServerProcess
  let client: SignedClient
  const objects = new Map<string, Buffer>()

  const start = async (at: string): Promise<void> => {
    server = await ServerProcess.start({ data: at, workers: 1, flags: ['--log-level', 'error'] })
    client = new SignedClient(server.endpoint, administrator)
  }
  const restart = async (): Promise<void> => {
    client.close()
    await server.kill()
    await start(data)
  }

  /** What a GET gave: never a whole answer with other bytes than were put. */
  async function read(key: string): Promise<Answer | undefined> {
    const expected = objects.get(key) ?? Buffer.alloc(0)
    try {
      const answer = await client.send({ method: 'GET', path: `/flips/${key}` })
      if (answer.status === 200) {
        assert.equal(sha256(answer.body), sha256(expected), `wrong bytes of ${key} were served`)
        tally.served++
      } else {
        assert.ok(answer.status >= 500 || answer.status === 404, `GET ${key}: ${answer.status}`)
        if (answer.status === 404) tally.missing++
        else tally.refused++
      }
      return answer
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error
      tally.broken++
      return undefined
    }
  }

  async function put(key: string, size: number): Promise<void> {
    const body = randomBytes(size)
    objects.set(key, body)
    assert.equal((await client.send({ method: 'PUT', path: `/flips/${key}`, body })).status, 200)
  }

  async function putParts(key: string, sizes: readonly number[]): Promise<void> {
    const path = `/flips/${key}`
    const begun = await client.send({ method: 'POST', path, query: { uploads: '' } })
    const uploadId = /<UploadId>([^<]+)/.exec(begun.body.toString())?.[1] ?? ''
    const parts = sizes.map((size) => randomBytes(size))
    const list: string[] = []
    for (const [index, body] of parts.entries()) {
      const query = { partNumber: String(index + 1), uploadId }
      const { headers } = await client.send({ method: 'PUT', path, query, body })
      list.push(`<Part><PartNumber>${index + 1}</PartNumber><ETag>${headers.etag}</ETag></Part>`)
    }
    const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)
    const { status } = await client.send({ method: 'POST', path, query: { uploadId }, body })
    assert.equal(status, 200)
    objects.set(key, Buffer.concat(parts))
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'meridian-flips-'))
    data = join(folder, 'data')
    await start(data)
    assert.equal((await client.send({ method: 'PUT', path: '/flips' })).status, 200)
    for (let index = 0; index < 24; index++) await put(`middle-${index}`, 9_000 + index * 1_711)
    for (let index = 0; index < 6; index++) await put(`large-${index}`, 2 * chunk + 1_000 * index)
    for (let index = 0; index < 24; index++) await put(`small-${index}`, 100 + index * 331)
    await putParts('parts', [5 * 2 ** 20, 300_000])
    await putParts('whole-parts', [5 * 2 ** 20, 200_000])
  })

  after(async () => {
    client.close()
    await server.kill()
    await rm(folder, { recursive: true })
    console.log(`flipped bits: ${JSON.stringify(tally)}`)
  })

  test('I3: nothing is damaged before', async () => {
    for (const key of objects.keys()) assert.equal((await read(key))?.status, 200)
    const scrubbed = await scrub(data)
    assert.deepEqual([scrubbed.code, scrubbed.damaged], [0, 0])
    assert.ok(scrubbed.blobs >= 34, `${scrubbed.blobs} blobs were read`)
  })

  test('I3, B2: flips in segments are never served, and a scrub names every object they hit, running and after a restart', async () => {
    const segments = join(data, 'volumes/0/segments')
    const files = fs.readdirSync(segments).map((name) => join(segments, name))
    const hit: string[] = []
    for (const [index, [key, body]] of [...objects].entries()) {
      if (key.startsWith('small') || key === 'whole-parts' || index % 2 === 1) continue
      // In a large one, behind the first chunk: a body that has begun breaks off.
      const chunks = Math.ceil(body.length / chunk)
      const from = key === 'parts' ? 5 * 2 ** 20 : (chunks - 1) * chunk
      const length = Math.min(chunk, body.length - from)
      for (const file of files) {
        const at = fs.readFileSync(file).indexOf(body.subarray(from, from + 64))
        // Anywhere in the chunk or its header of 64 bytes.
        if (at >= 0) flip(file, at + randomInt(-40, length))
      }
      hit.push(key)
    }
    hit.sort()
    assert.ok(hit.length >= 12)
    for (const when of ['running', 'restarted']) {
      for (const key of objects.keys()) {
        const answer = await read(key)
        if (!hit.includes(key)) assert.equal(answer?.status, 200, `${key}, ${when}`)
        else if (answer !== undefined) assert.equal(answer.status, 503, `${key}, ${when}`)
      }
      const scrubbed = await scrub(data)
      assert.deepEqual(namesOf(scrubbed), hit, when)
      assert.deepEqual([scrubbed.code, scrubbed.damaged], [1, hit.length])
      assert.match(server.errors, /could not give bytes/, 'it is logged')
      if (when === 'running') await restart()
    }
    // What is damaged can still be deleted, and the rest is sound again.
    for (const key of hit) {
      assert.equal((await client.send({ method: 'DELETE', path: `/flips/${key}` })).status, 204)
      objects.delete(key)
    }
    await new Promise((wake) => setTimeout(wake, 3_000))
    assert.equal((await scrub(data)).damaged, 0)
  })

  test('K5, I3: flips in small objects are 5xx, and a scrub names each, running and after a restart', async () => {
    const file = join(data, 'metadata/data.mdb')
    const hit: string[] = []
    for (const [key, body] of objects) {
      if (!key.startsWith('small') || hit.length >= 10) continue
      // Where it was once and is no more, it may be flipped too.
      for (const at of allAt(fs.readFileSync(file), body.subarray(0, 64))) flip(file, at + randomInt(64))
      hit.push(key)
    }
    hit.sort()
    assert.equal(hit.length, 10)
    for (const when of ['running', 'restarted']) {
      for (const key of objects.keys()) {
        const answer = await read(key)
        assert.equal(answer?.status, hit.includes(key) ? 500 : 200, `${key}, ${when}`)
      }
      const scrubbed = await scrub(data)
      assert.deepEqual(namesOf(scrubbed), hit, when)
      assert.deepEqual([scrubbed.code, scrubbed.damaged], [1, hit.length])
      if (when === 'running') await restart()
    }
  })

  test('I3: flips in keys of the metadata hide objects, give no wrong bytes, and a scrub tells of them', async () => {
    client.close()
    await server.kill()
    const file = join(data, 'metadata/data.mdb')
    const sound = fs.readFileSync(file)
    const hit = ['middle-2', 'middle-11', 'small-15', 'large-3'].filter((key) => objects.has(key))
    assert.ok(hit.length >= 2)
    for (const key of hit) {
      // As an element of a tuple: between its tag and its end.
      const row = Buffer.concat([Uint8Array.of(2), Buffer.from(key), Uint8Array.of(0)])
      const places = allAt(sound, row)
      assert.ok(places.length > 0)
      for (const at of places) flip(file, at + 1 + randomInt(key.length))
    }
    await start(data)
    for (const key of objects.keys()) await read(key)
    for (const key of hit) assert.notEqual((await read(key))?.status, 200)
    const scrubbed = await scrub(data)
    assert.ok(scrubbed.code === 1 && scrubbed.damaged >= hit.length, `${scrubbed.damaged} values`)
    client.close()
    await server.kill()
    fs.writeFileSync(file, sound)
    await start(data)
  })

  test('K5, I3: flips anywhere in the metadata: no wrong bytes, whatever else breaks', async () => {
    client.close()
    await server.kill()
    const file = join(data, 'metadata/data.mdb')
    const sound = fs.readFileSync(file)
    let started = 0
    for (let round = 0; round < 5; round++) {
      fs.writeFileSync(file, sound)
      for (let flips = 0; flips < 12; flips++) flip(file, randomInt(8_192, sound.length))
      try {
        await start(data)
      } catch {
        // It refuses: an operator hears of it, and no client gets anything.
        continue
      }
      started++
      for (const key of objects.keys()) await read(key)
      client.close()
      await server.kill()
    }
    fs.writeFileSync(file, sound)
    await start(data)
    assert.ok(started > 0, 'in no round was anything served')
  })
})
