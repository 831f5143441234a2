import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { meridian } from './command.ts'

const reason = whyNoFoundationDb()
if (reason !== undefined) {
  test('meridian metadata copy', { skip: `NOT SHOWN: ${reason}` }, () => {})
} else {
  const cluster = await TestCluster.start()
  const folder = mkdtempSync(join(tmpdir(), 'meridian-copied-'))
  const running: ServerProcess[] = []
  after(async () => {
    for (const each of running) await each.kill()
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('a store moves from LMDB to FoundationDB and back, and serves all objects at each place', async () => {
    const data = join(folder, 'node')
    const prefix = freshPrefix()
    const place = ['--fdb-cluster-file', cluster.clusterFile, '--fdb-prefix', prefix, '--fdb-timeout', '60']
    const inCluster = ['--metadata', 'foundationdb', ...place]
    const serve = async (flags: readonly string[]): Promise<ServerProcess> => {
      const server = await ServerProcess.start({ data, workers: 1, flags, patience: 120_000 })
      running.push(server)
      return server
    }
    const copyTo = (to: string) => meridian('metadata', 'copy', '--data', data, '--to', to, ...place)
    const contents = new Map<string, Buffer>()
    const write = async ({ endpoint }: ServerProcess, count: number): Promise<void> => {
      const client = new SignedClient(endpoint, administrator)
      for (let index = 0; index < count; index++) {
        const path = `/bucket/object-${contents.size}`
        const body = randomBytes(index % 4 === 0 ? 60_000 : 700)
        assert.equal((await client.send({ method: 'PUT', path, body })).status, 200)
        contents.set(path, body)
      }
      client.close()
    }
    const check = async ({ endpoint }: ServerProcess): Promise<void> => {
      const client = new SignedClient(endpoint, administrator)
      for (const [path, body] of contents) {
        const answer = await client.send({ method: 'GET', path })
        assert.equal(answer.status, 200, path)
        assert.ok(answer.body.equals(body), path)
      }
      const list = (await client.send({ method: 'GET', path: '/bucket' })).body.toString()
      assert.equal(list.split('<Key>').length - 1, contents.size)
      client.close()
    }

    const first = await serve([])
    const client = new SignedClient(first.endpoint, administrator)
    assert.equal((await client.send({ method: 'PUT', path: '/bucket' })).status, 200)
    client.close()
    await write(first, 40)
    const busy = await copyTo('foundationdb')
    assert.equal(busy.code, 1)
    assert.match(busy.errors, /in use by another/)
    assert.equal(await first.stop(), 0)

    const moved = await copyTo('foundationdb')
    assert.equal(moved.code, 0, moved.errors)
    assert.match(moved.output, /^\d+ rows, \d+ bytes, the same on both sides; serve with --metadata foundationdb/)
    assert.ok(existsSync(join(data, 'metadata', 'data.mdb.copied')))
    const embedded = await meridian('serve', '--port', '0', '--data', data)
    assert.equal(embedded.code, 1)
    assert.match(embedded.errors, /is in FoundationDB/)
    const second = await serve(inCluster)
    await check(second)
    await write(second, 10)
    await check(second)
    assert.equal(await second.stop(), 0)
    const scrub = await meridian('volumes', 'scrub', '--data', data, ...inCluster)
    assert.equal(scrub.code, 0, scrub.output)

    const back = await copyTo('lmdb')
    assert.equal(back.code, 0, back.errors)
    const third = await serve([])
    await check(third)
    await write(third, 5)
    await check(third)
    assert.equal(await third.stop(), 0)

    // What is still under the prefix is older than what is here now.
    const again = await copyTo('foundationdb')
    assert.equal(again.code, 1)
    assert.match(again.errors, /belongs to another data directory|not empty/)
    const fourth = await serve([])
    await check(fourth)
    assert.equal(await fourth.stop(), 0)
  })
}
