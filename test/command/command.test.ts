import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { flagName, hasFlag, settingNames, variableName } from '#src/config/load.ts'
import { Command, type Ended, meridian } from './command.ts'

const folder = mkdtempSync(join(tmpdir(), 'meridian-command-'))
const running: Command[] = []
let count = 0

const fresh = (): string => join(folder, String(count++))

function serve(
  data: string,
  flags: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): Command {
  const command = new Command(['serve', '--port', '0', '--data', data, '--workers', '1', ...flags], environment)
  running.push(command)
  return command
}

after(async () => {
  for (const each of running) each.child.kill('SIGKILL')
  await Promise.all(running.map((each) => each.ended))
  await wait(200)
  rmSync(folder, { recursive: true, force: true })
})

const isOneLine = ({ errors }: Ended): boolean => /^meridian: [^\n]+\n$/.test(errors)

test('the first start shows the administrator its key, and no later one does', async () => {
  const data = fresh()
  const first = serve(data)
  await first.ready()
  assert.match(first.output, /^access key \S{16,}\nsecret key \S{30,}\nready http:\/\/127\.0\.0\.1:\d+\n$/m)
  assert.equal((await first.stop()).code, 0)
  const second = serve(data)
  await second.ready()
  assert.match(second.output, /^ready http:\/\/127\.0\.0\.1:\d+\n$/)
  assert.equal((await second.stop('SIGINT')).code, 0)
})

test("a key from the environment is the administrator's, and is not shown", async () => {
  const data = fresh()
  const command = serve(data, [], { MERIDIAN_ACCESS_KEY: 'GIVENKEY', MERIDIAN_SECRET_KEY: 'given-secret-key' })
  await command.ready()
  assert.ok(!command.output.includes('GIVEN') && !command.output.includes('given'))
  const { output } = await meridian('keys', 'list', '--data', data, '--json')
  assert.deepEqual(
    (JSON.parse(output) as { accessKey: string }[]).map((each) => each.accessKey),
    ['GIVENKEY'],
  )
  assert.equal((await command.stop()).code, 0)
})

test('Q1: of several that start at once on one directory, at most one serves, and the others say why', async () => {
  const data = fresh()
  await serve(data).ready()
  const held = await new Command(['serve', '--port', '0', '--data', data]).ended
  assert.equal(held.code, 1)
  assert.ok(isOneLine(held) && held.errors.includes('in use'), held.errors)

  const contested = fresh()
  const all = Array.from({ length: 4 }, () => serve(contested))
  const ended = all.map((each) => each.ended.then((how) => (how.code === 1 ? 'gave up' : 'ended')))
  const outcomes = await Promise.all(
    all.map((each, at) => Promise.race([each.ready().then(() => 'serves'), ended[at]]).catch(() => 'gave up')),
  )
  assert.ok(outcomes.filter((each) => each === 'serves').length <= 1, outcomes.join())
  assert.ok(
    outcomes.every((each) => each === 'serves' || each === 'gave up'),
    outcomes.join(),
  )
})

test('Q1: what a killed server left behind holds nobody up', async () => {
  const data = fresh()
  const first = serve(data)
  await first.ready()
  await first.stop('SIGKILL')
  const second = serve(data)
  await second.ready()
  assert.equal((await second.stop()).code, 0)
})

test('Q2: what Meridian did not make, or cannot know, is refused and not touched', async () => {
  for (const [name, content] of [
    ['precious', 'x'],
    ['meridian.json', '{"format":999}'],
    ['meridian.json', 'nonsense'],
  ] as const) {
    const data = mkdtempSync(join(folder, 'foreign-'))
    writeFileSync(join(data, name), content)
    const ended = await serve(data).ended
    assert.equal(ended.code, 1)
    assert.ok(isOneLine(ended), ended.errors)
    assert.deepEqual(readdirSync(data), [name])
  }
  const nowhere = await meridian('users', 'list', '--data', fresh())
  assert.equal(nowhere.code, 1)
  assert.ok(isOneLine(nowhere))
})

test('U1: several workers serve one port, and one that was killed is replaced on it', {
  skip: !existsSync('/proc/self/task'),
}, async () => {
  const command = serve(fresh(), ['--workers', '2'])
  const url = await command.ready()
  const [victim, other] = command.workers()
  assert.ok(victim !== undefined && other !== undefined)
  process.kill(victim, 'SIGKILL')
  for (let tries = 0; command.workers().length !== 2 || command.workers().includes(victim); tries++) {
    assert.ok(tries < 200, 'a new worker came')
    await wait(50)
  }
  // Round robin: a few connections reach both.
  for (let at = 0; at < 6; at++) {
    const response = await fetch(`${url}/no-such-bucket/key`, { headers: { connection: 'close' } })
    assert.ok(response.status < 500, String(response.status))
    await response.arrayBuffer()
  }
  const ended = await command.stop()
  assert.equal(ended.code, 0, ended.errors)
})

test('U2: workers that cannot start end the whole', async () => {
  const holder = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.once('listening', resolve))
  const { port } = holder.address() as net.AddressInfo
  for (const workers of ['1', '2']) {
    const ended = await serve(fresh(), ['--workers', workers, '--port', String(port)]).ended
    assert.equal(ended.code, 1, ended.errors)
    assert.match(ended.errors, /^meridian: .*EADDRINUSE[^\n]*$/m)
    assert.ok(!ended.output.includes('ready'))
  }
  holder.close()
})

test('U2: workers that die again and again end the whole', { skip: !existsSync('/proc/self/task') }, async () => {
  const command = serve(fresh(), ['--workers', '2'])
  await command.ready()
  let isOver = false
  void command.ended.then(() => {
    isOver = true
  })
  const started = performance.now()
  while (!isOver && performance.now() - started < 120_000) {
    try {
      for (const worker of command.workers()) process.kill(worker, 'SIGKILL')
    } catch {
      // It ended between the look and the kill.
    }
    await wait(100)
  }
  const ended = await command.ended
  assert.equal(ended.code, 1)
  assert.match(ended.errors, /giving up/)
})

test('a signal that comes by three ways at once is one signal, and a later one does not wait', async () => {
  const command = serve(fresh(), ['--drain-seconds', '20'])
  const url = new URL(await command.ready())
  // Half a request keeps the server from ending by itself.
  const socket = net.connect({ port: Number(url.port), host: url.hostname })
  socket.on('error', () => {})
  socket.write('PUT /b/k HTTP/1.1\r\nHost: a\r\n')
  await wait(1_000)
  for (let at = 0; at < 3; at++) command.child.kill('SIGTERM')
  await wait(3_000)
  assert.equal(command.child.exitCode, null)
  const started = performance.now()
  assert.equal((await command.stop()).code, 1)
  assert.ok(performance.now() - started < 15_000)
  socket.destroy()
})

test('accounts and keys are made, listed and deleted beside a running server', async () => {
  const data = fresh()
  await serve(data).ready()
  const made = await meridian(
    'users',
    'create',
    '--id',
    'ada',
    '--name',
    'Ada',
    '--email',
    'ada@example.org',
    '--data',
    data,
  )
  assert.equal(made.code, 0, made.errors)
  const again = await meridian('users', 'create', '--id', 'ada', '--name', 'Ada', '--data', data)
  assert.equal(again.code, 1)
  assert.ok(isOneLine(again))
  const key = await meridian(
    'keys',
    'create',
    '--user',
    'ada',
    '--access-key',
    'ADASKEY',
    '--secret-key',
    'adas-secret-key',
    '--data',
    data,
    '--json',
  )
  assert.deepEqual(JSON.parse(key.output), [{ accessKey: 'ADASKEY', secretKey: 'adas-secret-key', user: 'ada' }])
  const keys = await meridian('keys', 'list', '--user', 'ada', '--data', data)
  assert.match(keys.output, /^ADASKEY\tada\ttrue\t/)
  assert.ok(!keys.output.includes('secret'))
  const users = await meridian('users', 'list', '--data', data, '--json')
  assert.deepEqual(
    (JSON.parse(users.output) as { id: string }[]).filter((each) => each.id === 'ada'),
    [{ id: 'ada', name: 'Ada', email: 'ada@example.org', administrator: false }],
  )
  assert.equal((await meridian('keys', 'delete', '--access-key', 'ADASKEY', '--data', data)).code, 0)
  assert.equal((await meridian('keys', 'delete', '--access-key', 'ADASKEY', '--data', data)).code, 1)
  assert.equal((await meridian('users', 'delete', '--id', 'ada', '--data', data)).code, 0)
})

test('what is misspelt is refused with exit code 2 and one line, never ignored', async () => {
  for (const words of [
    ['serve', '--prot', '80'],
    ['serve', '--port'],
    ['serve', '--port', 'x', '--workers', 'many'],
    ['serve', '80'],
    ['srve'],
    ['users'],
    ['keys', 'create', '--secret', 'x'],
  ]) {
    const ended = await meridian(...words)
    assert.equal(ended.code, 2, words.join(' '))
    assert.ok(isOneLine(ended), ended.errors)
  }
})

test('help tells every flag and its variable, and the version is told', async () => {
  const { code, output } = await meridian('serve', '--help')
  assert.equal(code, 0)
  for (const name of settingNames.filter(hasFlag)) {
    assert.ok(output.includes(`--${flagName(name)}`) && output.includes(variableName(name)), name)
  }
  assert.match((await meridian('--version')).output, /^\d+\.\d+\.\d+\n$/)
  assert.match((await meridian('--help')).output, /serve/)
})
