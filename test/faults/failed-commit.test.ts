import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'

/** Fails as long as a file is there: a disk that has lost a write, and then recovers. */
const failing = (file: string): string => `
  #include <errno.h>
  #include <unistd.h>
  int fdatasync(int fd) { if (access("${file}", F_OK) == 0) { errno = EIO; return -1; } return fsync(fd); }`

test('G4: a process whose commit failed answers no 2xx for it, ends, and another takes its place', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'meridian-failed-commit-'))
  const [source, library, sign] = ['fail.c', 'fail.so', 'fail'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ]
  writeFileSync(source, failing(sign))
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-o', library, source], { stdio: 'ignore' })
  } catch {
    rmSync(folder, { recursive: true })
    return context.skip('NOT SHOWN: a failing fdatasync needs a C compiler')
  }
  const server = await ServerProcess.start({
    data: join(folder, 'data'),
    workers: 2,
    environment: { LD_PRELOAD: library },
  })
  try {
    // Each request may come to either worker, and a connection ends with its worker.
    const send = async (method: string, path: string, body?: Buffer): Promise<number> => {
      const client = new SignedClient(server.endpoint, administrator, 1, 2_000)
      const answer = client.send({ method, path, ...(body !== undefined && { body }) })
      const status = await answer.then(
        ({ status }) => status,
        () => 0,
      )
      client.close()
      return status
    }
    const put = (key: string) => send('PUT', `/bucket/${key}`, Buffer.from(key))
    assert.equal(await send('PUT', '/bucket'), 200)
    assert.equal(await put('before'), 200)
    writeFileSync(sign, '')
    for (let attempt = 0; attempt < 4; attempt++) assert.notEqual(await put('during'), 200)
    rmSync(sign)
    const until = performance.now() + 90_000
    for (let well = 0; well < 8; ) {
      assert.ok(performance.now() < until, 'both workers serve again')
      well = (await put('after')) === 200 ? well + 1 : 0
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    assert.equal(await send('GET', '/bucket/before'), 200)
  } finally {
    await server.kill()
    rmSync(folder, { recursive: true })
  }
})
