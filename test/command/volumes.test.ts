import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ServerProcess } from '../support/server-process.ts'
import { meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-volumes-'))
const data = join(folder, 'data')
const [one, other] = [join(folder, 'one'), join(folder, 'other')]

before(async () => {
  const flags = ['--volumes', `${one},${other}`]
  await (await ServerProcess.start({ data, workers: 1, patience: 90_000, flags })).stop()
})
after(() => rmSync(folder, { recursive: true, force: true }))

const drain = (volumes: readonly string[], volume: string) =>
  meridian('volumes', 'drain', '--data', data, '--volumes', volumes.join(','), '--volume', volume)

test('the last volume in use is not emptied: the node would take no bodies any more', async () => {
  const retired = { since: 1, reason: 'it is being emptied' }
  writeFileSync(join(other, 'retired.json'), JSON.stringify(retired))
  const refused = await drain([one, other], one)
  assert.equal(refused.code, 1)
  assert.match(refused.errors, /^meridian: all other volumes are retired.*volumes check`\n$/)
  assert.equal(existsSync(join(one, 'retired.json')), false)
  // The one that is being emptied goes on.
  const { code, output, errors } = await drain([one, other], other)
  assert.equal(code, 0, errors)
  assert.match(output, /is empty: it may be left out of --volumes/)
  // Neither the doctor nor a check of what failed takes it for a disk that did.
  const both = ['--data', data, '--volumes', `${one},${other}`]
  const checked = await meridian('volumes', 'check', ...both)
  assert.deepEqual([checked.code, checked.output], [0, 'no volume has failed\n'])
  assert.equal(existsSync(join(other, 'retired.json')), true)
  assert.match((await meridian('doctor', ...both)).output, /^warn\s+volume\s+.*other is being emptied/m)
  const alone = await drain([one], one)
  assert.equal(alone.code, 1)
  assert.match(alone.errors, /^meridian: there is no other volume/)
})
