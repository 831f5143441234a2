import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type Query, QueryProcesses } from './query-processes.ts'
import type { SelectRequest, Source } from './request.ts'

const csv = {
  header: 'NONE',
  comments: '',
  quote: '"',
  quoteEscape: '"',
  fieldDelimiter: ',',
  recordDelimiter: '\n',
  allowsQuotedRecordDelimiter: false,
} as const

const request = (expression: string, input: SelectRequest['input'] = { kind: 'csv', csv }): SelectRequest => ({
  expression,
  compression: 'NONE',
  now: 0,
  input,
  output: { kind: 'csv', csv: { ...csv, quoteFields: 'ASNEEDED' } },
})

const sourceOf = (text: string): Source => {
  const bytes = Buffer.from(text)
  return { size: bytes.length, read: async (from, to) => Uint8Array.from(bytes.subarray(from, to)) }
}

async function answer(query: Query): Promise<string> {
  const pieces: Uint8Array[] = []
  for (let step = await query.next(); step !== undefined; step = await query.next()) pieces.push(step)
  return Buffer.concat(pieces).toString()
}

const limits = { runningMax: 2, waitingMax: 1, heapMegabytes: 64, silentMs: 120_000 }
const text = '1,2\n'.repeat(200_000)

test('processes run one query after the other, also after one that failed or was stopped', async () => {
  const processes = new QueryProcesses(limits)
  for (let round = 0; round < 3; round++) {
    assert.equal(await answer(await processes.start(request('SELECT * FROM S3Object'), sourceOf(text))), text)
    const failing = await processes.start(
      request("SELECT CAST(_1 AS BOOL), INT(_9), INT(_1 || _1 || 'x') FROM S3Object"),
      sourceOf(text),
    )
    await assert.rejects(answer(failing), { code: 'CastFailed' })
    const stopped = await processes.start(request('SELECT * FROM S3Object'), sourceOf(text))
    await stopped.next()
    stopped.stop()
  }
})

test('what reading the object throws comes out as it was', async () => {
  const processes = new QueryProcesses(limits)
  const error = new Error('the disk is gone')
  const source: Source = { size: 10, read: () => Promise.reject(error) }
  await assert.rejects(answer(await processes.start(request('SELECT * FROM S3Object'), source)), error)
})

test('S1: a query that needs more memory than it may have ends in an error, and others go on', async () => {
  const processes = new QueryProcesses({ ...limits, heapMegabytes: 32 })
  const record = `[${'{},'.repeat(400_000)}0]`
  const query = await processes.start(
    request('SELECT * FROM S3Object', { kind: 'json', isLines: true }),
    sourceOf(record),
  )
  await assert.rejects(answer(query), { code: 'ExternalEvalException' })
  assert.equal(
    await answer(await processes.start(request('SELECT COUNT(*) FROM S3Object'), sourceOf(text))),
    '200000\n',
  )
})

/** A pattern that fails late, everywhere, over a megabyte: minutes of work. */
const endless = request(`SELECT _1 LIKE '%${'a'.repeat(8_000)}b%' FROM S3Object`)
const longLine = `${'a'.repeat(1_000_000)}\n`

test('S1: a query that stands still does not hold up this process, and can be stopped', async () => {
  const processes = new QueryProcesses({ ...limits, runningMax: 1 })
  const query = await processes.start(endless, sourceOf(longLine))
  const next = query.next().then(() => 'found something')
  // How busy this process is, not how fast the machine.
  const before = performance.eventLoopUtilization()
  for (let turn = 0; turn < 50; turn++) await wait(10)
  const { utilization } = performance.eventLoopUtilization(before)
  assert.ok(utilization < 0.5, `this process was busy for ${utilization} of its time`)
  assert.equal(await Promise.race([next, wait(10, 'still at it')]), 'still at it')
  query.stop()
  assert.equal(
    await answer(await processes.start(request('SELECT COUNT(*) FROM S3Object'), sourceOf(text))),
    '200000\n',
  )
})

test('S1: a query may be silent for its time, and as long as it waits for the object or for its client', async (context) => {
  const { timers } = context.mock
  timers.enable({ apis: ['setTimeout'] })
  const processes = new QueryProcesses({ ...limits, silentMs: 1_000 })
  const hour = 3_600_000
  const whole = sourceOf(text)
  const waiting = await processes.start(request('SELECT * FROM S3Object'), {
    size: whole.size,
    read(from, to) {
      // Every read takes an hour.
      timers.tick(hour)
      return whole.read(from, to)
    },
  })
  const first = (await waiting.next()) ?? Buffer.alloc(0)
  timers.tick(hour)
  assert.equal(Buffer.from(first).toString() + (await answer(waiting)), text)

  let isRead: (() => void) | undefined
  const read = new Promise<void>((resolve) => {
    isRead = resolve
  })
  const bytes = sourceOf(longLine)
  const silent = await processes.start(endless, {
    size: bytes.size,
    async read(from, to) {
      setImmediate(() => isRead?.())
      return await bytes.read(from, to)
    },
  })
  const next = silent.next()
  await read
  timers.tick(1_000)
  await assert.rejects(next, { code: 'ExternalEvalException', message: 'The query takes too long.' })
})

test('S3: a process ends with the one that started it, wherever it is', {
  skip: !existsSync('/proc/self/task') && 'this system does not tell the children of a process',
}, async () => {
  const script = `
      import { QueryProcesses } from ${JSON.stringify(new URL('./query-processes.ts', import.meta.url).href)}
      const { runningMax, waitingMax, heapMegabytes, silentMs, request, line } = ${JSON.stringify({ ...limits, request: endless, line: longLine })}
      const processes = new QueryProcesses({ runningMax, waitingMax, heapMegabytes, silentMs })
      const bytes = Buffer.from(line)
      const query = await processes.start(request, { size: bytes.length, read: async (from, to) => {
        // The answer is on its way when this is read.
        setTimeout(() => console.log('at work'), 100)
        return Uint8Array.from(bytes.subarray(from, to))
      } })
      await query.next()`
  const parent = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--input-type=module', '-'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  parent.stdin.end(script)
  await once(parent.stdout, 'data')
  const children = readFileSync(`/proc/${parent.pid}/task/${parent.pid}/children`, 'utf8').trim().split(' ')
  assert.equal(children.filter((each) => isRunning(each)).length, 1)
  parent.kill('SIGKILL')
  await once(parent, 'exit')
  while (children.some((each) => isRunning(each))) await wait(100)
})

function isRunning(pid: string): boolean {
  try {
    // A zombie is only a number that nobody has asked for.
    return !/\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

test('S2: others wait for their turn, and too many are refused', async () => {
  const processes = new QueryProcesses(limits)
  const start = () => processes.start(request('SELECT * FROM S3Object'), sourceOf(text))
  const [first, second] = [await start(), await start()]
  let isThird = false
  const third = start().then((query) => {
    isThird = true
    return query
  })
  await assert.rejects(start(), { code: 'Busy' })
  await first.next()
  await wait(50)
  assert.equal(isThird, false)
  first.stop()
  assert.equal(await answer(await third), text)
  assert.equal(await answer(second), text)
})
