import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { meridian } from './command.ts'

test('a command that waits for nothing but time ends when it is done, and says what it did', async (context) => {
  const data = await mkdtemp(join(tmpdir(), 'meridian-waiting-'))
  context.after(() => rm(data, { recursive: true, force: true }))
  const server = await ServerProcess.start({ data, workers: 1 })
  context.after(() => server.kill())
  const client = new SignedClient(server.endpoint, administrator)
  assert.equal((await client.send({ method: 'PUT', path: '/bucket' })).status, 200)
  for (const key of ['a', 'b', 'c']) {
    const put = await client.send({ method: 'PUT', path: `/bucket/${key}`, body: randomBytes(2 ** 20) })
    assert.equal(put.status, 200)
  }
  client.close()
  await server.stop()
  const { code, output, errors } = await meridian('volumes', 'scrub', '--data', data, '--rate', '1MiB')
  assert.equal(code, 0, errors)
  assert.match(output, /3 blobs of 3\.\d MiB, 0 damaged/)
})
