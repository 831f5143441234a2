import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'

const reason = whyNoFoundationDb()
/** After each fault, and between them. */
const writesLeast = 20

if (reason !== undefined) {
  test('a FoundationDB cluster loses a process', { skip: `NOT SHOWN: ${reason}` }, () => {})
} else {
  const cluster = await TestCluster.start({ processes: 3 })
  const folder = mkdtempSync(join(tmpdir(), 'meridian-redundant-'))
  let server: ServerProcess | undefined
  after(async () => {
    await server?.kill()
    await cluster.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('a cluster of three with `double` loses one process after the other, and gateways serve on without a restart', async () => {
    const flags = [
      ...['--metadata', 'foundationdb', '--fdb-cluster-file', cluster.clusterFile, '--fdb-prefix', freshPrefix()],
      ...['--fdb-timeout', '60'],
    ]
    server = await ServerProcess.start({ data: join(folder, 'node'), flags, patience: 120_000 })
    const client = new SignedClient(server.endpoint, administrator, 16, 200_000)
    assert.equal((await client.send({ method: 'PUT', path: '/bucket' })).status, 200)
    /** What each key holds: nobody else writes it, so what was acknowledged must be there, or what was tried after it. */
    const acknowledged = new Map<string, string>()
    const tried = new Map<string, string[]>()
    let count = 0
    let isOver = false
    const writer = async (name: number): Promise<void> => {
      for (let round = 0; !isOver; round++) {
        const key = `/bucket/${name}-${round % 5}`
        const body = `${key} ${round}`
        tried.set(key, [...(tried.get(key) ?? []), body])
        const answer = await client.send({ method: 'PUT', path: key, body: Buffer.from(body) }).catch(() => undefined)
        if (answer?.status !== 200) continue
        acknowledged.set(key, body)
        tried.set(key, [])
        count++
      }
    }
    const working = Promise.all([0, 1, 2, 3].map(writer))
    // Bounded by the test's own limit.
    const more = async (): Promise<void> => {
      const before = count
      while (count < before + writesLeast) await new Promise((wake) => setTimeout(wake, 50))
    }
    const isWhole = async (): Promise<boolean> => /Healthy/.test(await cluster.command('status'))
    for (const index of [0, 2]) {
      await more()
      await cluster.kill(index)
      await more()
      cluster.resume(index)
      // Another one may go only once each row has two copies again.
      while (!(await isWhole())) await new Promise((wake) => setTimeout(wake, 500))
    }
    isOver = true
    await working
    for (const [key, body] of acknowledged) {
      const answer = await client.send({ method: 'GET', path: key })
      assert.equal(answer.status, 200)
      const seen = answer.body.toString()
      assert.ok(seen === body || tried.get(key)?.includes(seen), `${key} holds ${seen} instead of ${body}`)
    }
    assert.ok(acknowledged.size >= 15)
    assert.doesNotMatch(server.errors, /a worker died/)
    client.close()
  })
}
