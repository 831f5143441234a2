import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { Finding } from '../../bin/doctor/finding.ts'
import { administrator, ServerProcess } from '../support/server-process.ts'
import { SignedClient } from '../support/signed-client.ts'
import { meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-key-file-'))
const data = join(folder, 'data')
/** Where the server has its keys, which commands are not told. */
const keyFile = join(folder, 'kept', 'keys.json')
/** Where a command would look for it. */
const stray = join(data, 'encryption', 'keys.json')
const typo = join(folder, 'typo', 'keys.json')
let server: ServerProcess

before(async () => {
  server = await ServerProcess.start({ data, workers: 1, patience: 90_000, flags: ['--key-file', keyFile] })
  const client = new SignedClient(server.endpoint, administrator)
  assert.equal((await client.send({ method: 'PUT', path: '/photos' })).status, 200)
})
after(async () => {
  await server?.kill()
  rmSync(folder, { recursive: true, force: true })
})

const madeNothing = (): void => {
  for (const path of [stray, join(folder, 'typo')]) assert.equal(existsSync(path), false, path)
}

test('L3: a command that needs keys and is not told where they are says so, and makes none', async () => {
  for (const words of [
    ['encryption-keys', 'create', '--name', 'invoices'],
    ['encryption-keys', 'list'],
    ['notifications', 'rotate-key'],
  ]) {
    for (const [flags, path] of [
      [[], stray],
      [['--key-file', typo], typo],
    ] as const) {
      const { code, errors } = await meridian(...words, '--data', data, ...flags)
      assert.equal(code, 1)
      assert.equal(errors, `meridian: there is no key file at ${path}: say where it is with --key-file\n`)
    }
    madeNothing()
  }
  const { code, errors } = await meridian('encryption-keys', 'list', '--data', data, '--key-file', keyFile)
  assert.equal(code, 0, errors)
})

test('L3: a command that needs no keys does without them, and makes none', async () => {
  for (const words of [
    ['volumes', 'list'],
    ['volumes', 'check'],
    ['volumes', 'scrub'],
    ['conflicts', 'list', '--bucket', 'photos'],
    ['organizations', 'list'],
  ]) {
    const { code, errors } = await meridian(...words, '--data', data)
    assert.equal(code, 0, errors)
    madeNothing()
  }
})

test('L3: the doctor fails where it finds no key file, and makes none', async () => {
  for (const flags of [[], ['--key-file', typo]]) {
    const { code, output } = await meridian('doctor', '--json', '--data', data, ...flags)
    const found = (JSON.parse(output) as Finding[]).find(({ about }) => about === 'encryption keys')
    assert.equal(found?.state, 'fail')
    assert.match(found?.todo ?? '', /--key-file/)
    assert.equal(code, 1)
    madeNothing()
  }
})
