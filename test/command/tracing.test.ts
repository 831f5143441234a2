import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Collector } from '../support/collector.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-tracing-'))
const running: ServerProcess[] = []
const collectors: Collector[] = []
let count = 0

after(async () => {
  for (const server of running) await server.kill()
  for (const collector of collectors) await collector.close()
  rmSync(folder, { recursive: true, force: true })
})

async function start(endpoint: string): Promise<ServerProcess> {
  const server = await ServerProcess.start({
    data: join(folder, String(count++)),
    workers: 1,
    patience: 100_000,
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_SERVICE_NAME: 'store' },
    flags: ['--region', 'fra'],
  })
  running.push(server)
  return server
}

async function use(server: ServerProcess, round: number): Promise<void> {
  const client = new SignedClient(server.endpoint, administrator)
  assert.equal((await client.send({ method: 'PUT', path: `/box-${round}` })).status, 200)
  for (let key = 0; key < 10; key++) {
    const body = Buffer.alloc(20_000, String(key))
    assert.equal((await client.send({ method: 'PUT', path: `/box-${round}/${key}`, body })).status, 200)
    assert.deepEqual((await client.send({ method: 'GET', path: `/box-${round}/${key}` })).body, body)
  }
  client.close()
}

test('O3: a collector that refuses, fails or hangs harms no request, and holds up no stop', async () => {
  const collector = await Collector.start()
  collectors.push(collector)
  const server = await start(collector.endpoint)
  for (const [round, behaviour] of (['refuses', 'fails', 'hangs'] as const).entries()) {
    collector.behaviour = behaviour
    await use(server, round)
    const before = collector.requests.length
    for (let tries = 0; collector.requests.length === before; tries++) {
      assert.ok(tries < 1_200, 'nobody asked the collector')
      await wait(50)
    }
  }
  const began = performance.now()
  assert.equal(await server.stop(), 0)
  assert.ok(performance.now() - began < 60_000)
  assert.match(server.errors, /the collector does not take spans/)
})

test('what is traced is told before the process ends', async () => {
  const collector = await Collector.start()
  collectors.push(collector)
  const server = await start(collector.endpoint)
  await use(server, 0)
  assert.equal(await server.stop(), 0)
  const roots = collector.spans.filter(({ name }) => /^S3 (Get|Put)Object$/.test(name))
  assert.equal(roots.length, 20)
  assert.equal(roots[0]?.resource['service.name'], 'store')
})
