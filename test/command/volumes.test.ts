import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { beingEmptied } from '#src/blobs/volume.ts'
import { parseExposition, sumOf } from '../support/exposition.ts'
import { freePorts } from '../support/free-ports.ts'
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

const retire = (volume: string, reason: string): void =>
  writeFileSync(join(volume, 'retired.json'), JSON.stringify({ since: 1, reason }))

const drain = (volumes: readonly string[], volume: string) =>
  meridian('volumes', 'drain', '--data', data, '--volumes', volumes.join(','), '--volume', volume)

test('the last volume in use is not emptied: the node would take no bodies any more', async () => {
  retire(other, beingEmptied)
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

test('a volume that is emptied is measured as that, and one that failed as failed', async () => {
  retire(one, 'EIO')
  retire(other, beingEmptied)
  const port = await freePorts(1)
  const flags = ['--volumes', `${one},${other}`, '--metrics-port', String(port)]
  const server = await ServerProcess.start({ data, workers: 1, patience: 90_000, flags })
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`)
    const lines = parseExposition(await answer.text())
    const states = [one, other].map((volume) =>
      ['failed', 'emptied', 'room_bytes'].map((what) => sumOf(lines, `meridian_volume_${what}`, { volume })),
    )
    assert.deepEqual(states, [
      [1, 0, 0],
      [0, 1, 0],
    ])
  } finally {
    await server.stop()
  }
})
