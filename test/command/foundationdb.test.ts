import assert from 'node:assert/strict'
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
  test('meridian on FoundationDB', { skip: `NOT SHOWN: ${reason}` }, () => {})
} else {
  const cluster = await TestCluster.start({ engine: 'ssd' })
  const folder = mkdtempSync(join(tmpdir(), 'meridian-clustered-'))
  const running: ServerProcess[] = []
  after(async () => {
    for (const each of running) await each.kill()
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const flagsFor = (prefix: string): readonly string[] => [
    ...[
      '--metadata',
      'foundationdb',
      '--fdb-cluster-file',
      cluster.clusterFile,
      '--fdb-prefix',
      prefix,
      '--fdb-timeout',
      '90',
    ],
  ]
  const serve = async (data: string, prefix: string): Promise<ServerProcess> => {
    const server = await ServerProcess.start({ data, flags: flagsFor(prefix), patience: 120_000 })
    running.push(server)
    return server
  }

  test('a node with several workers keeps its metadata in the cluster, through kills of either', async () => {
    const data = join(folder, 'node')
    const prefix = freshPrefix()
    const contents = new Map<string, Buffer>()
    const write = async (endpoint: string, count: number): Promise<void> => {
      const client = new SignedClient(endpoint, administrator)
      await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const path = `/bucket/object-${contents.size + index}`
          const body = Buffer.alloc(index % 3 === 0 ? 50_000 : 500, `${path} `)
          assert.equal((await client.send({ method: 'PUT', path, body })).status, 200)
          contents.set(path, body)
        }),
      )
    }
    const check = async (endpoint: string): Promise<void> => {
      const client = new SignedClient(endpoint, administrator)
      for (const [path, body] of contents) {
        const answer = await client.send({ method: 'GET', path })
        assert.equal(answer.status, 200, path)
        assert.ok(answer.body.equals(body), path)
      }
      const list = (await client.send({ method: 'GET', path: '/bucket' })).body.toString()
      assert.equal(list.split('<Key>').length - 1, contents.size)
    }
    const first = await serve(data, prefix)
    const client = new SignedClient(first.endpoint, administrator)
    assert.equal((await client.send({ method: 'PUT', path: '/bucket' })).status, 200)
    await write(first.endpoint, 30)
    await check(first.endpoint)
    assert.ok(!existsSync(join(data, 'metadata', 'data.mdb')), 'nothing is embedded')
    await first.kill()

    const second = await serve(data, prefix)
    await check(second.endpoint)
    await cluster.kill()
    cluster.resume()
    await write(second.endpoint, 10)
    await check(second.endpoint)
    const { output } = await meridian('users', 'list', '--data', data, '--json', ...flagsFor(prefix))
    assert.equal((JSON.parse(output) as unknown[]).length, 1)
    assert.equal(await second.stop(), 0)

    const others = [
      { words: ['--data', join(folder, 'other'), ...flagsFor(prefix)], says: /belongs to another data directory/ },
      { words: ['--data', data], says: /is in FoundationDB/ },
      { words: ['--data', data, ...flagsFor(freshPrefix())], says: /has nothing under the prefix/ },
      {
        words: ['--data', data, '--metadata', 'foundationdb', '--fdb-cluster-file', '/no.file'],
        says: /cannot be read/,
      },
    ]
    for (const { words, says } of others) {
      const { code, errors } = await meridian('serve', '--port', '0', ...words)
      assert.equal(code, 1)
      assert.match(errors, says)
      assert.match(errors, /^meridian: [^\n]+\n$/)
    }
    const third = await serve(data, prefix)
    await check(third.endpoint)
    assert.equal(await third.stop(), 0)
  })
}
