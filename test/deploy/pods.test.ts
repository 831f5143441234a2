import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'
import { selfSigned } from '#src/webhook/certificate.ts'
import { TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { SignedClient } from '../support/signed-client.ts'
import { manifestsOf, statefulSetOf } from './chart.ts'
import { type PodOptions, RunningPod, type Secrets } from './running-pod.ts'
import { documentedKeys } from './secrets.ts'

/** What the chart starts, started as processes of this machine: with its variables, its files and its probes. */
const folder = mkdtempSync(join(tmpdir(), 'meridian-deploy-'))
const running: RunningPod[] = []

after(() => {
  for (const pod of running) pod.kill()
  rmSync(folder, { recursive: true, force: true })
})

const setOf = (example: string) => statefulSetOf(manifestsOf(example))

async function start(name: string, options: Omit<PodOptions, 'folder'>): Promise<RunningPod> {
  const own = join(folder, name)
  mkdirSync(own)
  const pod = await RunningPod.start({ ...options, folder: own })
  running.push(pod)
  return pod
}

const administrator = { accessKey: 'HARNESSADMINISTRATOR', secretKey: 'harness-secret-of-the-administrator' }

/** What the Secrets of a cluster hold, as docs/deploying.md has them made. */
function clusterSecrets(): Secrets {
  return {
    'meridian-cluster': { secret: `${randomBytes(32).toString('base64')}\n` },
    'meridian-encryption': { 'keys.json': documentedKeys(folder) },
  }
}

async function answerOf(client: SignedClient, method: string, path: string, body?: Buffer) {
  const headers = { 'x-amz-server-side-encryption': 'AES256' }
  return await client.send({ method, path, ...(body !== undefined && { body, headers }) })
}

function certificateOf(commonName: string): { readonly privateKey: string; readonly certificate: string } {
  const { privateKey } = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  const [from, to] = [Date.now() - 86_400_000, Date.now() + 86_400_000]
  return { privateKey, certificate: selfSigned({ privateKey, commonName, serial: randomBytes(8), from, to }) }
}

/** The subject of the certificate that the port shows, and the status of `/`. */
const overTls = (port: string, servername: string): Promise<{ status: number | undefined; subject: string }> =>
  new Promise((resolve, reject) => {
    const sent = request(
      { host: '127.0.0.1', port, servername, rejectUnauthorized: false, timeout: 60_000 },
      (answer) => {
        const { subject } = (answer.socket as TLSSocket).getPeerCertificate()
        answer.resume()
        resolve({ status: answer.statusCode, subject: String(subject.CN) })
      },
    )
    sent.on('error', reject).end()
  })

test('a region that is alone starts with nothing but its volumes, and shows its key in the log', async () => {
  const pod = await start('alone', { set: setOf('alone'), workers: 1 })
  await pod.becomeReady()
  assert.equal(await pod.probe('livenessProbe'), true)
  // What NOTES.txt greps for.
  const [, accessKey = '', secretKey = ''] =
    /administrator's key.*\naccess key (\S+)\nsecret key (\S+)\n/.exec(pod.log) ?? []
  const client = new SignedClient(pod.endpoint, { accessKey, secretKey })
  const body = randomBytes(100_000)
  assert.equal((await answerOf(client, 'PUT', '/box')).status, 200)
  assert.equal((await answerOf(client, 'PUT', '/box/key', body)).status, 200)
  assert.deepEqual((await answerOf(client, 'GET', '/box/key')).body, body)
  client.close()
  // Bytes are on the disk that is for them.
  assert.ok(existsSync(join(folder, 'alone/volumes/0/identity.json')))
  const ended = await pod.stop()
  assert.equal(ended.code, 0, ended.errors)
  assert.equal(await pod.probe('livenessProbe'), false)
})

test('the first region of a cluster, and one that joins it', async () => {
  const secrets = clusterSecrets()
  const { privateKey, certificate } = certificateOf('s3.example.com')
  const root = await start('fra', {
    set: setOf('first-region'),
    workers: 1,
    secrets: { ...secrets, 'meridian-certificate': { 'tls.crt': certificate, 'tls.key': privateKey } },
    // Two regions have to hold a write, and there is one yet.
    without: ['MERIDIAN_DURABILITY_REGIONS'],
  })
  await root.becomeReady()
  const near = new SignedClient(root.endpoint, administrator)
  const body = randomBytes(100_000)
  assert.equal((await answerOf(near, 'PUT', '/box')).status, 200)
  assert.equal((await answerOf(near, 'PUT', '/box/key', body)).status, 200)
  const shown = await overTls(root.environment['MERIDIAN_TLS_PORT'] ?? '', 's3.example.com')
  assert.deepEqual(shown, { status: 403, subject: 's3.example.com' })

  const syd = setOf('joining-region')
  const join = syd.spec.template.spec.containers[0].env?.find(({ name }) => name === 'MERIDIAN_JOIN')?.value ?? ''
  const other = await start('syd', { set: syd, workers: 1, secrets, hosts: new Map([[join, root.peer]]) })
  await other.becomeReady()
  const far = new SignedClient(other.endpoint, administrator)
  let read = await answerOf(far, 'GET', '/box/key')
  // Until it knows of the other one's bucket and key.
  for (let tries = 0; read.status !== 200 && tries < 600; tries++) {
    await wait(100)
    read = await answerOf(far, 'GET', '/box/key')
  }
  assert.deepEqual(read.body, body)
  const { output } = await other.execute('regions', 'list', '--json')
  for (const code of ['fra', 'syd']) assert.ok(output.includes(`"${code}"`), output)
  near.close()
  far.close()
  for (const pod of [other, root]) {
    const ended = await pod.stop()
    assert.equal(ended.code, 0, ended.errors)
  }
})

const whyNot = whyNoFoundationDb()

test('nodes that share a FoundationDB cluster', { skip: whyNot !== undefined && `not shown: ${whyNot}` }, async () => {
  const cluster = await TestCluster.start()
  try {
    const secrets = {
      ...clusterSecrets(),
      'fdb-config': { 'cluster-file': readFileSync(cluster.clusterFile, 'utf8') },
    }
    const set = setOf('foundationdb')
    // No Redis is here, and this cluster speaks no TLS.
    const without = [
      'MERIDIAN_REDIS',
      ...['CERTIFICATE', 'KEY', 'AUTHORITY', 'PEERS'].map((each) => `MERIDIAN_FDB_TLS_${each}`),
    ]
    const nodes: RunningPod[] = []
    for (const ordinal of [0, 1]) {
      const node = await start(`iad-${ordinal}`, { set, workers: 1, secrets, ordinal, without })
      nodes.push(node)
      await node.becomeReady()
    }
    const [, accessKey = '', secretKey = ''] = /access key (\S+)\nsecret key (\S+)\n/.exec(nodes[0]?.log ?? '') ?? []
    const [first, second] = nodes.map(({ endpoint }) => new SignedClient(endpoint, { accessKey, secretKey }))
    assert.ok(first !== undefined && second !== undefined)
    assert.equal((await answerOf(first, 'PUT', '/box')).status, 200)
    assert.equal((await answerOf(first, 'PUT', '/box/key', Buffer.from('of both'))).status, 200)
    assert.equal((await answerOf(second, 'GET', '/box/key')).body.toString(), 'of both')
    first.close()
    second.close()
    const { output } = (await nodes[1]?.execute('nodes', 'list', '--json')) ?? { output: '' }
    for (const { peer } of nodes) assert.ok(output.includes(peer), output)
    for (const node of nodes.reverse()) {
      const ended = await node.stop()
      assert.equal(ended.code, 0, ended.errors)
    }
  } finally {
    for (const pod of running) pod.kill()
    await cluster.stop()
  }
})
