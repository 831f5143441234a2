import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { meridian } from '../command/command.ts'
import { freePorts } from '../support/free-ports.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { type Answer, SignedClient } from '../support/signed-client.ts'
import { clusterSecret } from './regions.ts'

let folder: string
let fra: ServerProcess
let syd: ServerProcess
const running: ServerProcess[] = []

async function start(region: string, flags: readonly string[]): Promise<ServerProcess> {
  const server = await ServerProcess.start({
    data: join(folder, region),
    flags: ['--region', region, '--cluster-secret-file', join(folder, 'secret'), ...flags],
    patience: 100_000,
  })
  running.push(server)
  return server
}

/** Each request on a connection of its own: whichever worker takes it. */
async function send(server: ServerProcess, method: string, path: string, text?: string): Promise<Answer> {
  const client = new SignedClient(server.endpoint, administrator)
  try {
    return await client.send({ method, path, ...(text !== undefined && { body: Buffer.from(text) }) })
  } finally {
    client.close()
  }
}

/** Until the answer is as wanted, for ninety seconds at most. */
async function eventually(ask: () => Promise<Answer>, isSo: (answer: Answer) => boolean): Promise<void> {
  const end = performance.now() + 90_000
  for (;;) {
    const answer = await ask()
    if (isSo(answer)) return
    assert.ok(performance.now() < end, `still ${answer.status} ${answer.body}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'meridian-regions-'))
  await writeFile(join(folder, 'secret'), clusterSecret)
  const one = await freePorts(2)
  // Who starts regions together starts some of them before the root.
  const joining = start('syd', ['--peer-port', String(one + 1), '--join', `http://127.0.0.1:${one}`])
  const [root, joined] = await Promise.all([start('fra', ['--peer-port', String(one)]), joining])
  fra = root
  syd = joined
})
after(async () => {
  for (const server of running) await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const regions = (region: string, ...words: string[]) =>
  meridian('regions', ...words, '--data', join(folder, region), '--json')

test('two regions of two processes each: what is written in one is read in the other', async () => {
  assert.equal((await send(syd, 'PUT', '/box')).status, 200)
  for (let at = 0; at < 8; at++) {
    assert.equal((await send(fra, 'PUT', `/box/fra-${at}`, `from fra ${at}`)).status, 200)
    assert.equal((await send(syd, 'PUT', `/box/syd-${at}`, `from syd ${at}`)).status, 200)
  }
  for (let at = 0; at < 8; at++) {
    for (const [server, from] of [
      [syd, 'fra'],
      [fra, 'syd'],
    ] as const) {
      await eventually(
        () => send(server, 'GET', `/box/${from}-${at}`),
        ({ status, body }) => status === 200 && body.toString() === `from ${from} ${at}`,
      )
    }
  }
})

test('C16: a region that was removed serves nothing, and the others go on without it', async () => {
  const { output } = await regions('syd', 'list')
  const before = JSON.parse(output) as { region: string; cell: number; state: string; isRoot: boolean }[]
  assert.deepEqual(
    before.map(({ region, cell, state, isRoot }) => [region, cell, state, isRoot]),
    [
      ['fra', 0, 'active', true],
      ['syd', 1, 'active', false],
    ],
  )
  assert.equal((await send(fra, 'PUT', '/there', constraint('syd'))).status, 200)
  assert.match((await regions('syd', 'remove', '--region', 'syd')).errors, /at the root/)
  assert.match((await regions('fra', 'remove', '--region', 'fra')).errors, /cannot be removed/)
  assert.match((await regions('fra', 'remove', '--region', 'xyz')).errors, /no region xyz/)
  const refused = await regions('fra', 'remove', '--region', 'syd', '--lost')
  assert.equal(refused.code, 1)
  assert.match(refused.errors, /1 buckets are in syd only \(there\)/)
  assert.equal((await regions('fra', 'remove', '--region', 'syd', '--lost', '--lose-buckets')).code, 0)
  await eventually(
    () => send(syd, 'GET', '/box/fra-0'),
    ({ status }) => status === 503,
  )
  assert.equal((await send(fra, 'GET', '/box/syd-0')).body.toString(), 'from syd 0')
  assert.equal((await send(fra, 'DELETE', '/box')).status, 409)
  assert.equal((await send(fra, 'GET', '/there/key')).status, 503)
})

const constraint = (region: string): string =>
  `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>${region}</LocationConstraint></CreateBucketConfiguration>`
