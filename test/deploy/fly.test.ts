import assert from 'node:assert/strict'
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { parse } from 'smol-toml'
import { loadConfig, settingNames, variableName } from '#src/config/load.ts'
import { geographyOf } from '../../bin/places.ts'
import { root } from '../documents/printed.ts'
import { freePorts } from '../support/free-ports.ts'
import { documentedKeys } from './secrets.ts'

interface Check {
  readonly port?: number
  readonly path: string
}

interface FlyToml {
  readonly app: string
  readonly primary_region: string
  readonly kill_signal: NodeJS.Signals
  readonly kill_timeout: number
  readonly build: { readonly dockerfile: string }
  readonly env: Readonly<Record<string, string>>
  readonly experimental: { readonly entrypoint: readonly [string, string, string] }
  readonly mounts: readonly [{ readonly destination: string }]
  readonly http_service: { readonly internal_port: number; readonly checks: readonly [Check] }
  readonly checks: { readonly ready: Check }
  readonly metrics: readonly [Check]
}

const file = join(root, 'deploy/fly/fly.toml')
const toml = parse(readFileSync(file, 'utf8')) as unknown as FlyToml
const [shell, flag, script] = toml.experimental.entrypoint
const folder = mkdtempSync(join(tmpdir(), 'meridian-fly-'))
let machine: ChildProcess | undefined

after(() => {
  machine?.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** What the image has as the command `meridian`. */
function commandThat(name: string, does: string): string {
  const bin = join(folder, name)
  mkdirSync(bin)
  writeFileSync(join(bin, 'meridian'), `#!/bin/sh\n${does}\n`)
  chmodSync(join(bin, 'meridian'), 0o755)
  return `${bin}:${process.env['PATH'] ?? ''}`
}

const secrets = { MERIDIAN_CLUSTER_SECRET: randomBytes(32).toString('hex'), ENCRYPTION_KEYS: documentedKeys(folder) }

/** As Fly sets them in a Machine, besides those of the file. */
const variablesIn = (region: string): Readonly<Record<string, string>> => ({
  ...toml.env,
  ...secrets,
  FLY_REGION: region,
  FLY_APP_NAME: toml.app,
  PRIMARY_REGION: toml.primary_region,
  MERIDIAN_KEY_FILE: join(folder, `keys-of-${region}.json`),
})

test('every variable of the file is a setting, and ports, paths and times are those of the server', () => {
  const known = new Set(settingNames.map(variableName))
  for (const name of Object.keys(toml.env)) assert.ok(known.has(name), name)
  for (const [name] of script.matchAll(/MERIDIAN_[A-Z_]+/g)) assert.ok(known.has(name), name)
  const config = loadConfig({}, toml.env)
  assert.equal(toml.http_service.internal_port, config.port)
  assert.equal(toml.checks.ready.port, config.metricsPort)
  assert.equal(toml.metrics[0].port, config.metricsPort)
  assert.equal(toml.mounts[0].destination, config.data)
  assert.ok(script.includes(`.internal:${config.peerPort}"`))
  assert.ok(toml.kill_timeout >= config.drainSeconds + 10)
  assert.equal(toml.kill_signal, 'SIGTERM')
  assert.equal(config.publicUrl, `https://${toml.app}.fly.dev`)
  assert.ok(readFileSync(join(root, 'deploy/fly', toml.build.dockerfile), 'utf8').includes('ENTRYPOINT ["meridian"]'))
})

test('a Machine learns from its place which region it is, and where it joins', () => {
  const path = commandThat(
    'telling',
    'env | grep ^MERIDIAN_; if env | grep -q ^ENCRYPTION_KEYS; then exit 9; fi; echo "words $*"',
  )
  const regions = ['ams', 'arn', 'bom', 'cdg', 'dfw', 'ewr', 'fra', 'gru', 'iad', 'jnb', 'lax', 'lhr']
  for (const region of [...regions, 'nrt', 'ord', 'sin', 'sjc', 'syd', 'yyz']) {
    // Behind the entrypoint comes what the image has as its command.
    const { status, stdout, stderr } = spawnSync(shell, [flag, script, 'serve', '--host', '::'], {
      env: { ...variablesIn(region), PATH: path },
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.equal(status, 0, stderr)
    assert.match(stdout, /^words serve$/m)
    const given = Object.fromEntries(
      [...stdout.matchAll(/^(MERIDIAN_\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
    )
    const config = loadConfig({}, given)
    assert.equal(config.region, region)
    assert.equal(config.peerUrl, `http://${region}.my-meridian.internal:9100`)
    assert.equal(config.join, region === 'fra' ? undefined : 'http://fra.my-meridian.internal:9100')
    const known = geographyOf(region)
    assert.equal(config.geography, known === '' ? (given['MERIDIAN_GEOGRAPHY'] ?? '') : known, region)
    assert.equal(readFileSync(config.keyFile ?? '', 'utf8'), secrets.ENCRYPTION_KEYS)
  }
  for (const missing of Object.keys(secrets)) {
    const { status, stderr } = spawnSync(shell, [flag, script], {
      env: { ...variablesIn('fra'), [missing]: '', PATH: path },
      encoding: 'utf8',
      timeout: 60_000,
    })
    assert.notEqual(status, 0)
    assert.match(stderr, new RegExp(missing))
  }
})

test('what Fly looks at is served, and a stop is heard', async () => {
  const ports = await freePorts(3)
  const command = `exec '${process.execPath}' --disable-warning=ExperimentalWarning '${join(root, 'bin/meridian.ts')}' "$@"`
  const env = {
    ...variablesIn(toml.primary_region),
    PATH: commandThat('serving', command),
    MERIDIAN_HOST: '127.0.0.1',
    MERIDIAN_METRICS_HOST: '127.0.0.1',
    MERIDIAN_DATA: join(folder, 'data'),
    MERIDIAN_WORKERS: '1',
    MERIDIAN_PORT: String(ports),
    MERIDIAN_METRICS_PORT: String(ports + 1),
    MERIDIAN_PEER_PORT: String(ports + 2),
  }
  machine = spawn(shell, [flag, script, 'serve'], { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  machine.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const ended = new Promise((resolve) => machine?.once('exit', resolve))
  const asked = [
    [ports, toml.http_service.checks[0].path],
    [ports + 1, toml.checks.ready.path],
    [ports + 1, toml.metrics[0].path],
  ] as const
  const until = performance.now() + 110_000
  for (const [port, path] of asked) {
    const isGood = () =>
      fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: 'close' } }).then(
        ({ status }) => status === 200,
        () => false,
      )
    while (!(await isGood())) {
      assert.equal(machine.exitCode, null, errors)
      assert.ok(performance.now() < until, `${path}: ${errors}`)
      await wait(100)
    }
  }
  // The shell has become the server: what is sent to the Machine's first process gets there.
  machine.kill(toml.kill_signal)
  assert.equal(await ended, 0, errors)
})

const flyctl = { ...process.env, HOME: folder, FLY_API_TOKEN: 'none', FLY_NO_UPDATE_CHECK: '1', FLY_SEND_METRICS: '0' }
const hasFlyctl = spawnSync('flyctl', ['version'], { env: flyctl, timeout: 60_000 }).status === 0

test('flyctl finds nothing wrong with the file', { skip: !hasFlyctl && 'not shown: there is no flyctl here' }, () => {
  // Nobody listens there: it has to know by itself.
  const nowhere = ['API', 'FLAPS', 'UIEX'].map((each) => [`FLY_${each}_BASE_URL`, 'http://127.0.0.1:9'])
  const env = { ...flyctl, ...Object.fromEntries(nowhere) }
  const { status, stdout, stderr } = spawnSync('flyctl', ['config', 'validate', '--strict', '--config', file], {
    env,
    encoding: 'utf8',
    timeout: 120_000,
  })
  assert.equal(status, 0, `${stdout}${stderr}`)
  assert.doesNotMatch(`${stdout}${stderr}`, /WARN/)
})
