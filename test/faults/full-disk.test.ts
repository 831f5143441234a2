import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { statfsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { makeSmallDisk, NoSmallDisk, type SmallDisk } from '../support/small-disk.ts'

const MiB = 2 ** 20
const reserve = 24 * MiB
const sizes = { large: MiB, middle: 100_000, small: 4_000 } as const
type Size = keyof typeof sizes
const kinds = Object.keys(sizes) as Size[]

/** Undefined, and said so, where this machine gives none. */
async function smallDisk(bytes: number): Promise<SmallDisk | undefined> {
  try {
    return await makeSmallDisk(bytes)
  } catch (error) {
    if (!(error instanceof NoSmallDisk)) throw error
    console.log(`NOT SHOWN: full disks (${error.message})`)
    return undefined
  }
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** What was acknowledged, kept outside the server. */
class Ledger {
  readonly client: SignedClient
  readonly kept = new Map<string, string>()
  readonly unexpected: string[] = []
  refused = 0
  #count = 0

  constructor(client: SignedClient) {
    this.client = client
  }

  async put(kind: Size): Promise<boolean> {
    const key = `/full/${kind}-${this.#count++}`
    const body = randomBytes(sizes[kind])
    const { status, body: answer } = await this.client.send({ method: 'PUT', path: key, body })
    if (status === 200) this.kept.set(key, sha256(body))
    else if (status === 503) this.refused++
    else this.unexpected.push(`PUT ${key}: ${status} ${answer}`)
    return status === 200
  }

  /** Until each of several writers was refused many times in a row: the disk is full for this size. */
  async fill(kind: Size): Promise<void> {
    const writer = async (): Promise<void> => {
      for (let refusals = 0; refusals < 5 && this.unexpected.length === 0; ) {
        refusals = (await this.put(kind)) ? 0 : refusals + 1
      }
    }
    await Promise.all(Array.from({ length: 8 }, writer))
  }

  async checkAll(): Promise<void> {
    for (const [key, expected] of this.kept) {
      const { status, body } = await this.client.send({ method: 'GET', path: key })
      assert.equal(status, 200, key)
      assert.equal(sha256(body), expected, key)
    }
  }

  async remove(count: number, prefix = ''): Promise<void> {
    const chosen = [...this.kept.keys()].filter((key) => key.startsWith(`/full/${prefix}`)).slice(0, count)
    const removeOne = async (path: string): Promise<void> => {
      const { status, body } = await this.client.send({ method: 'DELETE', path })
      assert.equal(status, 204, `DELETE ${path} on a full disk: ${body}`)
      this.kept.delete(path)
      assert.equal((await this.client.send({ method: 'GET', path })).status, 404)
    }
    // Some at a time: they share their fsyncs.
    for (let first = 0; first < chosen.length; first += 16) {
      await Promise.all(chosen.slice(first, first + 16).map(removeOne))
    }
  }
}

async function eventually(what: string, attempt: () => Promise<boolean>, patience = 90_000): Promise<void> {
  for (const until = performance.now() + patience; ; ) {
    if (await attempt()) return
    assert.ok(performance.now() < until, `${what}: not within ${patience} ms`)
    await new Promise((wake) => setTimeout(wake, 250))
  }
}

const freeBytes = (folder: string): number => {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}

describe('C3: a disk that fills up under load, metadata and bytes on it together', () => {
  test('C3: writes are refused with 503 and never acknowledged falsely, reads and deletes go on, and room comes back', async (t) => {
    const disk = await smallDisk(160 * MiB)
    if (disk === undefined) return t.skip('NOT SHOWN: no small disk')
    const { folder } = disk
    const options = {
      data: join(folder, 'data'),
      workers: 2,
      flags: ['--reserve', `${reserve / MiB}MiB`, '--log-level', 'warn'],
    }
    let server: ServerProcess | undefined
    try {
      server = await ServerProcess.start(options)
      let client = new SignedClient(server.endpoint, administrator)
      assert.equal((await client.send({ method: 'PUT', path: '/full' })).status, 200)
      const ledger = new Ledger(client)
      await ledger.put('small')
      await ledger.fill('large')
      const larges = ledger.kept.size
      await ledger.fill('middle')
      await ledger.fill('small')
      assert.deepEqual(ledger.unexpected, [])
      assert.ok(larges > 60, `${larges} large objects before the disk was full`)
      assert.ok(ledger.refused >= 60, `${ledger.refused} refusals`)
      const left = freeBytes(folder)
      assert.ok(left > reserve / 2, `${left} bytes of the reserve are left for what must go on`)
      assert.match(server.errors, /"level":40[^\n]*a volume is full/, 'a full volume is a warning')
      assert.doesNotMatch(server.errors, /"level":50[^\n]*a volume/)

      await ledger.checkAll()
      await ledger.remove(Math.floor(larges * 0.9), 'large')
      await ledger.checkAll()
      client.close()

      // What the writers of the segments had open is theirs for ten minutes; a restart shows it at once.
      assert.equal(await server.stop(), 0)
      server = await ServerProcess.start(options)
      client = new SignedClient(server.endpoint, administrator)
      const again = new Ledger(client)
      for (const [key, sum] of ledger.kept) again.kept.set(key, sum)
      await eventually('room for bodies after compaction', () => again.put('large'))
      for (const kind of kinds) assert.ok(await again.put(kind), `a ${kind} object fits again`)
      await again.checkAll()
      console.log(`full disk (${disk.kind}): ${larges} large objects, ${ledger.refused} refusals, ${left} bytes left`)
      client.close()
    } finally {
      await server?.kill()
      await disk.remove()
    }
  })

  test('M1: metadata that fills the disk leaves deletions their pages, and what they free is used again', async (t) => {
    const disk = await smallDisk(48 * MiB)
    if (disk === undefined) return t.skip('NOT SHOWN: no small disk')
    const { folder } = disk
    const kept = Math.floor((freeBytes(folder) - 6 * MiB) / MiB)
    const flags = ['--reserve', `${kept}MiB`, '--log-level', 'warn', '--inline-bytes-max', '8KiB']
    let server: ServerProcess | undefined
    try {
      server = await ServerProcess.start({ data: join(folder, 'data'), workers: 2, flags })
      const client = new SignedClient(server.endpoint, administrator)
      assert.equal((await client.send({ method: 'PUT', path: '/full' })).status, 200)
      const ledger = new Ledger(client)
      await ledger.fill('small')
      assert.deepEqual(ledger.unexpected, [])
      const count = ledger.kept.size
      assert.ok(count > 300, `${count} small objects`)
      assert.ok(freeBytes(folder) > (kept * MiB) / 2, `${freeBytes(folder)} bytes are left`)
      const upload = await client.send({ method: 'POST', path: '/full/upload', query: { uploads: '' } })
      assert.equal(upload.status, 503, 'an upload is not begun')
      await ledger.checkAll()
      await ledger.remove(Math.floor(count / 2))
      await eventually('room for small objects', () => ledger.put('small'))
      await ledger.checkAll()
      console.log(`full metadata (${disk.kind}): ${count} small objects, ${freeBytes(folder)} bytes left`)
      client.close()
    } finally {
      await server?.kill()
      await disk.remove()
    }
  })
})
