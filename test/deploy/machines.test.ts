import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig, settingNames, variableName } from '#src/config/load.ts'
import { root } from '../documents/printed.ts'

const unit = readFileSync(join(root, 'deploy/systemd/meridian.service'), 'utf8')
const lineOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1] ?? ''
const variablesIn = (text: string): Readonly<Record<string, string>> =>
  Object.fromEntries([...text.matchAll(/\b(MERIDIAN_\w+)=(\S*)/g)].map(([, name, value]) => [name, value]))

test('the unit of systemd starts what there is, with settings that there are, and gives a stop its time', () => {
  const known = new Set(settingNames.map(variableName))
  const given = variablesIn(unit)
  const config = loadConfig({}, given)
  assert.equal(config.data, `/var/lib/${lineOf('StateDirectory')}`)
  assert.ok(Number(lineOf('TimeoutStopSec')) >= config.drainSeconds + 10)
  const launcher = readFileSync(join(root, 'bin/launch.mjs'), 'utf8')
  assert.ok(launcher.includes(`UV_THREADPOOL_SIZE: '${/UV_THREADPOOL_SIZE=(\d+)/.exec(unit)?.[1]}'`))
  assert.match(
    lineOf('ExecStart'),
    /\/bin\/node --disable-warning=ExperimentalWarning \/opt\/meridian\/bin\/meridian\.ts serve$/,
  )
  // What docs/deploying.md puts into its environment file.
  const [, told = ''] =
    /`\/etc\/meridian\/environment`[\s\S]*?```sh\n([\s\S]*?)```/.exec(
      readFileSync(join(root, 'docs/deploying.md'), 'utf8'),
    ) ?? []
  const all = { ...given, ...variablesIn(told) }
  assert.ok(Object.keys(all).length >= 8)
  for (const name of Object.keys(all)) assert.ok(known.has(name), name)
  assert.equal(loadConfig({}, all).region, 'fra')
})

const hasSystemd = spawnSync('systemd-analyze', ['--version'], { timeout: 60_000 }).status === 0

test('systemd takes the unit', { skip: !hasSystemd && 'not shown: there is no systemd-analyze here' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'meridian-unit-'))
  try {
    const file = join(folder, 'meridian.service')
    // The program is not installed on this machine.
    writeFileSync(file, unit.replace(/^ExecStart=\S+/m, `ExecStart=${process.execPath}`))
    const { status, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', file], {
      encoding: 'utf8',
      timeout: 60_000,
    })
    // Other units of the machine are none of ours.
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.includes('meridian'))
    assert.deepEqual(ours, [])
    assert.equal(status, 0, `${stdout}${stderr}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
