import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { whyNoFoundationDb } from '../support/foundationdb.ts'
import { freePorts } from '../support/free-ports.ts'
import { administrator } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { Command, meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-dev-'))
const running: Command[] = []
after(async () => {
  for (const each of running) await each.stop()
  rmSync(folder, { recursive: true, force: true })
})

const isListening = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })

/** Bounded by the test's own limit. */
async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((wake) => setTimeout(wake, 100))
}

const reason = whyNoFoundationDb()
test('meridian dev gives each region a FoundationDB cluster, and ends them all', {
  skip: reason === undefined ? false : `NOT SHOWN: ${reason}`,
}, async () => {
  const port = await freePorts(6)
  const [peerPort, fdbPort] = [port + 2, port + 4]
  const words = ['dev', '--regions', 'fra,syd', '--data', join(folder, 'dev'), '--metadata', 'foundationdb']
  const ports = ['--port', String(port), '--peer-port', String(peerPort), '--fdb-port', String(fdbPort)]
  const keys = { MERIDIAN_ACCESS_KEY: administrator.accessKey, MERIDIAN_SECRET_KEY: administrator.secretKey }
  const dev = new Command([...words, ...ports], keys)
  running.push(dev)
  let isOver = false
  void dev.ended.then(() => {
    isOver = true
  })
  await until(() => isOver || /^ready$/m.test(dev.output))
  assert.ok(!isOver, dev.errors)
  assert.ok(await isListening(fdbPort))
  assert.ok(await isListening(fdbPort + 1))
  const [fra, syd] = [port, port + 1].map((each) => new SignedClient(`http://127.0.0.1:${each}`, administrator))
  assert.ok(fra !== undefined && syd !== undefined)
  assert.equal((await fra.send({ method: 'PUT', path: '/box' })).status, 200)
  assert.equal((await fra.send({ method: 'PUT', path: '/box/key', body: Buffer.from('from fra') })).status, 200)
  await until(async () => (await syd.send({ method: 'GET', path: '/box/key' })).body.toString() === 'from fra')
  const clusterFile = join(folder, 'dev', 'syd-foundationdb', 'fdb.cluster')
  assert.match(readFileSync(clusterFile, 'utf8'), /^syd:/)
  const place = ['--metadata', 'foundationdb', '--fdb-cluster-file', clusterFile]
  const { output, errors } = await meridian('regions', 'list', '--json', '--data', join(folder, 'dev', 'syd'), ...place)
  assert.equal((JSON.parse(output) as unknown[]).length, 2, errors)
  for (const client of [fra, syd]) client.close()
  assert.equal((await dev.stop()).code, 0)
  for (const each of [port, port + 1]) assert.equal(await isListening(each), false)
  await until(async () => !(await isListening(fdbPort)) && !(await isListening(fdbPort + 1)))
})
