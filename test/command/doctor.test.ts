import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseStatus } from '#src/store/foundationdb/status.ts'
import type { Finding } from '../../bin/doctor/finding.ts'
import { statusFindings } from '../../bin/doctor/metadata.ts'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { hasRedis, RedisProcess } from '../support/redis.ts'
import { ServerProcess } from '../support/server-process.ts'
import { meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-doctor-'))
const servers: ServerProcess[] = []
after(async () => {
  for (const each of servers) await each.kill()
  rmSync(folder, { recursive: true, force: true })
})

async function examine(...words: string[]): Promise<{ code: number | null; all: readonly Finding[] }> {
  const { code, output, errors } = await meridian('doctor', '--json', ...words)
  assert.ok(output.startsWith('['), errors)
  return { code, all: JSON.parse(output) as Finding[] }
}

const stateOf = (all: readonly Finding[], about: string): string =>
  all
    .filter((each) => each.about === about)
    .map(({ state }) => state)
    .join(' ')

test('a node that is well: every look is told, also beside a server, and the exit code is 0', async () => {
  const data = join(folder, 'well')
  servers.push(await ServerProcess.start({ data, workers: 1, patience: 90_000 }))
  const { code, all } = await examine('--data', data, '--connections-max', '100')
  assert.equal(code, 0, JSON.stringify(all))
  for (const about of ['version', 'limits', 'directory', 'metadata disk', 'volume', 'encryption keys']) {
    assert.equal(stateOf(all, about), 'ok', about)
  }
  assert.match(stateOf(all, 'latency'), /^(ok|warn)$/)
  assert.match(all.find(({ about }) => about === 'directory')?.says ?? '', /a server runs/)
  const { output } = await meridian('doctor', '--data', data)
  assert.match(output, /^ok\tversion\tmeridian \d/)
})

test('what fails is told with what to do, and the exit code is 1', async () => {
  const data = join(folder, 'unwell')
  const server = await ServerProcess.start({ data, workers: 1, patience: 90_000 })
  await server.stop()
  writeFileSync(
    join(data, 'volumes', '0', 'retired.json'),
    JSON.stringify({ format: 1, since: 1, reason: 'for a test' }),
  )
  chmodSync(join(data, 'encryption', 'keys.json'), 0o644)
  const { code, all } = await examine('--data', data, '--redis', 'redis://127.0.0.1:1/0')
  assert.equal(code, 1)
  assert.equal(stateOf(all, 'volume'), 'fail')
  assert.equal(stateOf(all, 'redis'), 'fail')
  assert.equal(stateOf(all, 'encryption keys'), 'warn')
  assert.ok(all.filter(({ state }) => state !== 'ok').every(({ todo = '' }) => todo.length > 10))
  writeFileSync(join(data, 'encryption', 'keys.json'), 'torn')
  assert.equal(stateOf((await examine('--data', data)).all, 'encryption keys'), 'fail')
})

test('Redis that may forget jobs is told', { skip: hasRedis ? false : 'NOT SHOWN: no redis-server' }, async () => {
  const data = join(folder, 'queued')
  await (await ServerProcess.start({ data, workers: 1, patience: 90_000 })).stop()
  const redis = await RedisProcess.start()
  try {
    const { all } = await examine('--data', data, '--redis', redis.url)
    assert.equal(stateOf(all, 'redis'), 'ok')
  } finally {
    await redis.stop()
  }
})

/** As a cluster of three says it. */
const well = {
  client: { database_status: { available: true }, coordinators: { quorum_reachable: true }, messages: [] },
  cluster: {
    configuration: { redundancy_mode: 'double', storage_engine: 'ssd-2' },
    data: { state: { name: 'healthy', healthy: true } },
    fault_tolerance: { max_zone_failures_without_losing_availability: 1 },
    qos: { performance_limited_by: { name: 'workload' } },
    messages: [],
    processes: { one: { version: '7.3.79', disk: { free_bytes: 50, total_bytes: 100 } } },
  },
}
const changed = (part: object): readonly Finding[] =>
  statusFindings(parseStatus(JSON.stringify({ ...well, cluster: { ...well.cluster, ...part } })))

test('what a FoundationDB cluster says of itself is judged', () => {
  assert.ok(changed({}).every(({ state }) => state === 'ok'))
  assert.equal(stateOf(changed({ data: { state: { name: 'missing_data', healthy: false } } }), 'data'), 'warn')
  const alone = { fault_tolerance: { max_zone_failures_without_losing_availability: 0 } }
  assert.equal(stateOf(changed(alone), 'redundancy'), 'warn')
  const processes = (free: number) => ({ one: { version: '7.3.79', disk: { free_bytes: free, total_bytes: 100 } } })
  assert.equal(stateOf(changed({ processes: processes(8) }), 'room'), 'warn')
  assert.equal(stateOf(changed({ processes: processes(3) }), 'room'), 'fail')
  const two = { ...processes(50), two: { version: '7.3.43' } }
  assert.equal(stateOf(changed({ processes: two }), 'versions'), 'warn')
  const held = { qos: { performance_limited_by: { name: 'storage_server_write_queue_size' } } }
  assert.equal(stateOf(changed(held), 'load'), 'warn')
  const told = changed({ messages: [{ name: 'unreachable_process', description: 'Cluster has a process that hides' }] })
  assert.ok(told.some(({ says, state }) => state === 'warn' && says.includes('hides')))
  const down = { client: { database_status: { available: false }, coordinators: { quorum_reachable: false } } }
  assert.equal(stateOf(statusFindings(parseStatus(JSON.stringify(down))), 'foundationdb'), 'fail fail')
})

const reason = whyNoFoundationDb()
test('a FoundationDB cluster is examined, while it is there and when it is not', {
  skip: reason === undefined ? false : `NOT SHOWN: ${reason}`,
}, async () => {
  const cluster = await TestCluster.start()
  try {
    const data = join(folder, 'clustered')
    const flags = [
      ...['--metadata', 'foundationdb', '--fdb-cluster-file', cluster.clusterFile, '--fdb-prefix', freshPrefix()],
      ...['--fdb-timeout', '60'],
    ]
    servers.push(await ServerProcess.start({ data, workers: 1, patience: 120_000, flags }))
    const { all } = await examine('--data', data, ...flags)
    assert.equal(stateOf(all, 'foundationdb').split(' ')[0], 'ok', JSON.stringify(all))
    assert.equal(stateOf(all, 'redundancy'), 'warn')
    assert.match(stateOf(all, 'latency'), /^(ok|warn)$/)
    assert.equal(stateOf(all, 'volume'), 'ok')
    await cluster.kill()
    const { code, all: after } = await examine('--data', data, ...flags)
    assert.equal(code, 1)
    assert.match(stateOf(after, 'foundationdb'), /^fail/)
  } finally {
    for (const each of servers.splice(0)) await each.kill()
    await cluster.stop()
  }
})
