import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { definitions } from '#src/telemetry/catalogue.ts'
import { parseExposition, sumOf } from '../support/exposition.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-metrics-'))
const running: ServerProcess[] = []
let count = 0

after(async () => {
  for (const server of running) await server.kill()
  rmSync(folder, { recursive: true, force: true })
})

async function start(workers: number): Promise<{ readonly server: ServerProcess; readonly told: string }> {
  const server = await ServerProcess.start({
    data: join(folder, String(count++)),
    workers,
    flags: ['--metrics-port', '0', '--region', 'fra', '--drain-seconds', '20'],
  })
  running.push(server)
  return { server, told: `http://127.0.0.1:${await portOf(server)}` }
}

/** Of the line in the log that names it. */
async function portOf(server: ServerProcess): Promise<number> {
  for (let tries = 0; ; tries++) {
    const line = server.errors.split('\n').find((each) => each.includes('"metrics are told"'))
    if (line !== undefined) return (JSON.parse(line) as { port: number }).port
    assert.ok(tries < 200, server.errors)
    await wait(50)
  }
}

const read = async (url: string) => {
  const response = await fetch(url, { headers: { connection: 'close' } })
  return { status: response.status, text: await response.text() }
}

const metricsOf = async (told: string) => parseExposition((await read(`${told}/metrics`)).text)

/** A node that is alone has nothing to tell of others. */
const ofPeers = /_(peer|feed|cache|remote|copies|repairs|conflicts|healed|region|namespace|jobs_total)/

test('two workers tell all that they measure on one port, each in series of its own', async () => {
  const { server, told } = await start(2)
  const body = Buffer.alloc(300_000, 'x')
  const calls = [
    { method: 'PUT', path: '/box' },
    ...Array.from({ length: 12 }, (_, at) => ({ method: 'PUT', path: `/box/${at}`, body })),
    ...Array.from({ length: 12 }, (_, at) => ({ method: 'GET', path: `/box/${at}` })),
    { method: 'GET', path: '/box/nothing' },
  ]
  for (const call of calls) {
    // A connection each: both workers get some.
    const client = new SignedClient(server.endpoint, administrator)
    await client.send(call)
    client.close()
  }
  // What was answered is counted a moment later.
  let lines = await metricsOf(told)
  const all = () => sumOf(lines, 'meridian_requests_total')
  for (let tries = 0; all() < calls.length && tries < 100; tries++) {
    await wait(50)
    lines = await metricsOf(told)
  }
  const requests = (operation: string, status: string) =>
    sumOf(lines, 'meridian_requests_total', { operation, status, region: 'fra' })
  assert.equal(requests('PutObject', '200'), 12)
  assert.equal(requests('GetObject', '200'), 12)
  assert.equal(requests('GetObject', '404'), 1)
  assert.equal(requests('CreateBucket', '200'), 1)
  assert.equal(sumOf(lines, 'meridian_request_duration_seconds_count', { operation: 'PutObject' }), 12)
  const received = sumOf(lines, 'meridian_received_bytes_total', { operation: 'PutObject' })
  assert.ok(received > 12 * body.length && received < 12 * (body.length + 2_000), String(received))
  const sent = sumOf(lines, 'meridian_sent_bytes_total', { operation: 'GetObject' })
  assert.ok(sent > 12 * body.length && sent < 12 * (body.length + 2_000) + 2_000, String(sent))
  assert.ok(sumOf(lines, 'meridian_volume_used_bytes') >= 12 * body.length)
  assert.ok(sumOf(lines, 'meridian_volume_sync_duration_seconds_count') > 0)
  assert.ok(sumOf(lines, 'meridian_transactions_total', { driver: 'lmdb', outcome: 'committed' }) >= 13)

  const workers = new Set(
    lines.filter(({ name }) => name === 'meridian_requests_total').map(({ labels }) => labels['worker']),
  )
  assert.deepEqual([...workers].sort(), ['0', '1'])
  assert.equal(sumOf(lines, 'process_resident_memory_bytes', { worker: 'primary' }) > 0, true)
  assert.equal(sumOf(lines, 'meridian_worker_up'), 2)
  for (const { name, kind } of definitions.filter((each) => !ofPeers.test(each.name))) {
    const whole = kind === 'histogram' ? `${name}_count` : name
    assert.ok(
      lines.some((line) => line.name === whole),
      `${name} is told`,
    )
  }
  assert.equal(await server.stop(), 0)
})

test('metrics are on no port of S3, and nothing of S3 is on theirs', async () => {
  const { server, told } = await start(1)
  for (const path of ['/metrics', '/-/ready', '/-/health']) {
    assert.match((await read(`${server.endpoint}${path}`)).text, /<Code>(NoSuchBucket|InvalidBucketName|AccessDenied)</)
  }
  assert.equal((await read(`${told}/box/key`)).status, 404)
  assert.equal((await fetch(`${told}/metrics`, { method: 'PUT', body: 'x' })).status, 405)
  assert.equal((await read(`${told}/-/health`)).status, 200)
  assert.deepEqual(JSON.parse((await read(`${told}/-/ready`)).text), { isReady: true, problems: [] })
  assert.equal(await server.stop(), 0)
})

test('a node that stops says that it is not ready, and is told of to the end', async () => {
  for (const workers of [1, 2]) {
    const { server, told } = await start(workers)
    const { hostname, port } = new URL(server.endpoint)
    const client = new SignedClient(server.endpoint, administrator)
    assert.equal((await client.send({ method: 'PUT', path: '/box' })).status, 200)
    const { path, headers } = client.signed({ method: 'PUT', path: '/box/key', body: Buffer.alloc(1_000) })
    client.close()
    // A request that is under way holds the stop up: most of its body does not come.
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    const head = Object.entries({ ...headers, 'content-length': '1000', expect: '100-continue' })
    socket.write(`PUT ${path} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`)
    await new Promise((resolve) => socket.once('data', resolve))
    const ended = server.stop()
    let answer = await read(`${told}/-/ready`)
    for (let tries = 0; answer.status === 200 && tries < 100; tries++) {
      await wait(50)
      answer = await read(`${told}/-/ready`)
    }
    assert.equal(answer.status, 503)
    assert.match(answer.text, /it is stopping|it does not answer/)
    assert.equal((await read(`${told}/-/health`)).status, 200)
    socket.destroy()
    assert.equal(await ended, 0)
    await assert.rejects(read(`${told}/-/health`))
  }
})
