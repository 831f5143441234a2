import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'

/**
 * V8: a migration that is killed again and again ends with everything here, once, and nothing that was written or deleted here
 * undone. Both stores are whole servers. With MIGRATED_OBJECTS=10000 it takes some two minutes.
 */
const objects = Number(process.env['MIGRATED_OBJECTS'] ?? 2_000)
const kills = objects >= 10_000 ? 3 : 1
const patience = 240_000

let folder = ''
let far: ServerProcess | undefined
let near: ServerProcess | undefined

const nearFlags = ['--shadow-endpoints', 'any', '--log-level', 'error']
const startNear = () => ServerProcess.start({ data: join(folder, 'near'), workers: 1, flags: nearFlags })

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-migration-'))
  far = await ServerProcess.start({ data: join(folder, 'far'), workers: 1, flags: ['--log-level', 'error'] })
  near = await startNear()
})

after(async () => {
  await near?.kill()
  await far?.kill()
  await rm(folder, { recursive: true, force: true })
})

const keyOf = (at: number): string => `k/${String(at).padStart(5, '0')}`

async function inParallel(count: number, each: (at: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < count) await each(next++)
  }
  await Promise.all(Array.from({ length: 32 }, worker))
}

/** What the bucket holds, and the ETag of each. */
async function contentsOf(client: SignedClient): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (let after = ''; ; ) {
    const query = { 'list-type': '2', ...(after !== '' && { 'start-after': after }) }
    const { body } = await client.send({ method: 'GET', path: '/shop', query })
    const page = [...body.toString().matchAll(/<Key>([^<]*)<\/Key>.*?<ETag>([^<]*)<\/ETag>/g)]
    for (const [, key = '', etag = ''] of page) {
      assert.ok(!found.has(key), 'nothing twice')
      found.set(key, etag)
    }
    if (page.length === 0) return found
    after = page.at(-1)?.[1] ?? ''
  }
}

test(`V8: a migration of ${objects} objects that is killed brings all of them, once`, async (context) => {
  assert.ok(far !== undefined && near !== undefined)
  const there = new SignedClient(far.endpoint, administrator)
  let here = new SignedClient(near.endpoint, administrator)
  assert.equal((await there.send({ method: 'PUT', path: '/shop' })).status, 200)
  assert.equal((await here.send({ method: 'PUT', path: '/shop' })).status, 200)
  await inParallel(objects, async (at) => {
    const { status } = await there.send({
      method: 'PUT',
      path: `/shop/${keyOf(at)}`,
      body: Buffer.from(`theirs ${at}`),
    })
    assert.equal(status, 200)
  })
  const shadow = {
    access_key: administrator.accessKey,
    secret_key: administrator.secretKey,
    region: 'auto',
    name: 'shop',
    endpoint: far.endpoint,
  }
  const patched = await here.send({
    method: 'PATCH',
    path: '/shop',
    body: Buffer.from(JSON.stringify({ shadow_bucket: shadow })),
  })
  assert.equal(patched.status, 200, patched.body.toString())
  // Behind where the first kill will find the migration.
  const [written, deleted] = [keyOf(objects - 10), keyOf(objects - 20)]
  await here.send({ method: 'PUT', path: `/shop/${written}`, body: Buffer.from('ours') })
  await here.send({ method: 'DELETE', path: `/shop/${deleted}` })

  const progress = async (method = 'GET') => {
    const { body } = await here.send({ method, path: '/shop', query: { migration: '' } })
    return JSON.parse(body.toString())
  }
  const began = performance.now()
  await progress('POST')
  for (let kill = 1; kill <= kills; kill++) {
    const least = (objects / (kills + 2)) * kill
    let now = await progress()
    for (const end = performance.now() + patience; now.imported_objects < least; now = await progress()) {
      assert.ok(performance.now() < end && now.state === 'running', JSON.stringify(now))
      await wait(20)
    }
    here.close()
    await near?.kill()
    near = await startNear()
    here = new SignedClient(near.endpoint, administrator)
    const after = await progress()
    assert.ok(after.imported_objects >= now.imported_objects, 'what was brought is there, and counted')
    assert.equal(after.state, 'running')
  }
  let done = await progress()
  for (const end = performance.now() + patience; done.state !== 'done'; done = await progress()) {
    assert.ok(performance.now() < end, JSON.stringify(done))
    await wait(50)
  }
  context.diagnostic(`${Math.round(performance.now() - began)} ms, ${JSON.stringify(done)}`)
  assert.equal(done.failed, 0)
  assert.equal(done.listed, objects)
  // Each of them in the transaction that made it: none was made twice.
  assert.equal(done.imported_objects, objects - 2)
  const [theirs, ours] = [await contentsOf(there), await contentsOf(here)]
  assert.equal(theirs.size, objects)
  assert.equal(ours.size, objects - 1)
  for (const [key, etag] of theirs) {
    if (key !== written && key !== deleted) assert.equal(ours.get(key), etag)
  }
  assert.ok(!ours.has(deleted))
  assert.equal((await here.send({ method: 'GET', path: `/shop/${written}` })).body.toString(), 'ours')
  there.close()
  here.close()
})
