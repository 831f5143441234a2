import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { after, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Incoming } from '#gateway/incoming.ts'
import type { S3Response } from '#gateway/operations/operation.ts'
import { defaultLimits, GatewayServer, type ServerLimits } from '#gateway/server.ts'
import { el } from '#gateway/xml/render.ts'
import { Fault } from '#src/errors.ts'
import type { Log } from '#src/telemetry/log.ts'
import { type Heard, say, statuses } from '../support/raw-socket.ts'

const logged: string[] = []
const log: Log = {
  debug: () => {},
  info: () => {},
  warn: (message) => void logged.push(message),
  error: (message) => void logged.push(message),
}

const servers: GatewayServer[] = []
after(async () => {
  await Promise.all(servers.map((each) => each.close()))
})

type Answer = (incoming: Incoming, key: string) => S3Response | Promise<S3Response>

/** A server without a store behind it: what a request gets is up to the test. */
async function serve(answer: Answer, limits: Partial<ServerLimits> = {}, trustedProxies: readonly string[] = []) {
  const server = new GatewayServer({
    route: async (incoming, address) => {
      try {
        return { operation: 'Test', response: await answer(incoming, address.key) }
      } catch (thrown) {
        return { operation: 'Test', thrown }
      }
    },
    domains: [],
    log,
    trustedProxies,
    limits: { drainTimeoutMs: 500, lingerMs: 300, ...limits },
  })
  servers.push(server)
  const { port } = await server.listen('127.0.0.1', 0)
  return { server, port }
}

async function bodyLength(incoming: Incoming): Promise<number> {
  let length = 0
  for await (const chunk of incoming.stream.iterator({ destroyOnReturn: false })) length += (chunk as Buffer).length
  return length
}

/** Reads the body and tells its length; `/b/refuse` does not read it. */
const counting: Answer = async (incoming, key) => {
  if (key === 'refuse') throw new Fault('AccessDenied')
  return { status: 200, body: `got ${await bodyLength(incoming)}` }
}

const request = (line: string, ...headers: string[]): string =>
  `${[`${line} HTTP/1.1`, 'Host: a', ...headers].join('\r\n')}\r\n\r\n`
const close = 'Connection: close'

test('what goes wrong is answered in XML with the ids of the request', async () => {
  const { port } = await serve(() => {
    throw new Error('a secret of ours')
  })
  const { text } = await say(port, request('GET /b/k', close))
  assert.match(text, /^HTTP\/1\.1 500 /)
  const id = /x-amz-request-id: (\w+)/.exec(text)?.[1]
  assert.match(text, /x-amz-id-2: \S+/)
  assert.match(text, /\r\nDate: /)
  assert.match(
    text,
    new RegExp(`<Error><Code>InternalError</Code>.*<Resource>/b/k</Resource><RequestId>${id}</RequestId>`),
  )
  assert.ok(!text.includes('secret'))
  assert.ok(logged.includes('a request failed'))
})

test('who asks is whom a trusted proxy names, and the proxy where it is not trusted', async () => {
  const who: Answer = ({ remoteAddress, isSecure }) => ({ status: 200, body: `${remoteAddress} ${isSecure}` })
  const asked = request(
    'GET /b/k',
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-For: 198.51.100.7',
    'X-Forwarded-Proto: https',
    close,
  )
  for (const [trusted, told] of [
    [[], '127.0.0.1 false'],
    [['127.0.0.0/8'], '198.51.100.7 true'],
  ] as const) {
    const { port } = await serve(who, {}, trusted)
    assert.ok((await say(port, asked)).text.endsWith(told))
  }
})

test('an answer to HEAD has headers and no body, also when it is an error', async () => {
  const { port } = await serve((_, key) => {
    if (key === 'no') throw new Fault('NoSuchKey')
    return { status: 200, headers: { 'content-length': '5' }, body: Buffer.from('hello') }
  })
  const heard = await say(port, request('HEAD /b/k') + request('HEAD /b/no') + request('HEAD /b/k', close))
  assert.deepEqual(statuses(heard), [200, 404, 200])
  assert.ok(!heard.text.includes('hello') && !heard.text.includes('<Error>'))
  assert.match(heard.text, /content-length: 5/)
})

test('a 304 and a 204 have no body and no length', async () => {
  const { port } = await serve((_, key) => {
    if (key === 'same') throw new Fault('NotModified', { ETag: 'e' })
    return { status: 204 }
  })
  const heard = await say(port, request('GET /b/same') + request('DELETE /b/k', close))
  assert.deepEqual(statuses(heard), [304, 204])
  assert.match(heard.text, /etag: "e"/)
  assert.ok(!heard.text.includes('content-length') && !heard.text.includes('<'))
})

/** What each is, and its bytes: Node refuses most of them itself, and lets some through. */
const corpus: readonly (readonly [string, string])[] = [
  ['length and coding', `${request('PUT /b/k', 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
  ['two lengths', `${request('PUT /b/k', 'Content-Length: 4', 'Content-Length: 5')}abcd`],
  ['two equal lengths', `${request('PUT /b/k', 'Content-Length: 4', 'Content-Length: 4')}abcd`],
  ['a signed length', `${request('PUT /b/k', 'Content-Length: +4')}abcd`],
  ['a list of lengths', `${request('PUT /b/k', 'Content-Length: 4, 4')}abcd`],
  ['a huge length', `${request('PUT /b/k', 'Content-Length: 99999999999999999999')}abcd`],
  ['an unknown coding', `${request('PUT /b/k', 'Transfer-Encoding: xchunked')}0\r\n\r\n`],
  ['chunked, then another', `${request('PUT /b/k', 'Transfer-Encoding: chunked, identity')}0\r\n\r\n`],
  ['another, then chunked', `${request('PUT /b/k', 'Transfer-Encoding: gzip, chunked')}0\r\n\r\n`],
  ['a space before the colon', `${request('PUT /b/k', 'Content-Length : 4')}abcd`],
  ['a folded header', request('GET /b/k', 'X-A: a', ' b')],
  ['a bare line feed', 'GET /b/k HTTP/1.1\nHost: a\n\n'],
  ['a bare carriage return', 'GET /b/k HTTP/1.1\rHost: a\r\r'],
  ['a NUL in a header', request('GET /b/k', 'X-A: a\0b')],
  ['chunks with line feeds', `${request('PUT /b/k', 'Transfer-Encoding: chunked')}4\nabcd\n0\n\n`],
  [
    'a chunk that overflows',
    `${request('PUT /b/k', 'Transfer-Encoding: chunked')}fffffffffffffffff\r\nabcd\r\n0\r\n\r\n`,
  ],
  ['a chunk with a bad size', `${request('PUT /b/k', 'Transfer-Encoding: chunked')}x\r\nabcd\r\n0\r\n\r\n`],
  [
    'a long chunk extension',
    `${request('PUT /b/k', 'Transfer-Encoding: chunked')}4;${'x'.repeat(20_000)}\r\nabcd\r\n0\r\n\r\n`,
  ],
  ['a raw path', 'GET /b/\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['no host', 'GET /b/k HTTP/1.1\r\n\r\n'],
  ['two hosts', request('GET /b/k', 'Host: b')],
  ['an absolute target of another host', request('GET http://b/b/k')],
  ['HTTP/0.9', 'GET /b/k\r\n\r\n'],
  ['HTTP/0.9 in words', 'GET /b/k HTTP/0.9\r\nHost: a\r\n\r\n'],
  ['HTTP/1.0 with a coding', 'PUT /b/k HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a fragment', request('GET /b/k#x')],
  ['a bad escape', request('GET /b/%zz')],
  ['an overlong escape', request('GET /b/%c0%af')],
  ['an unknown method', request('BREW /b/k')],
  ['CONNECT', request('CONNECT a:80')],
  ['an asterisk', request('OPTIONS *')],
  // 256 with Host: as many as Node keeps, so there may have been more.
  ['just too many headers', request('GET /b/k', ...Array.from({ length: 255 }, (_, at) => `X-${at}: a`))],
  ['too many headers', request('GET /b/k', ...Array.from({ length: 300 }, (_, at) => `X-${at}: a`))],
  ['too long headers', request('GET /b/k', `X-A: ${'a'.repeat(17 << 10)}`)],
  ['a long target', request(`GET /b/${'k'.repeat(20 << 10)}`)],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
]

test('what could be understood in two ways is refused in XML, or the connection closed, and nothing is run', async () => {
  const seen: string[] = []
  const { port } = await serve((incoming, key) => {
    seen.push(`${incoming.method} ${key}`)
    return { status: 200, body: 'served' }
  })
  const heard = await Promise.all(
    corpus.map(async ([name, bytes]) => [name, await say(port, bytes, { forMs: 1_000, until: /<\/Error>/ })] as const),
  )
  for (const [name, each] of heard) {
    const answers = statuses(each)
    // A refusal that comes while a body is still read: the route has run, and its answer is the refusal.
    const isLate = name.includes('chunk')
    if (!isLate) assert.ok(!each.text.includes('served'), `${name}: ${each.text}`)
    assert.ok(answers.length <= 1 || isLate, `${name}: ${answers}`)
    if (answers.length === 0) assert.equal(each.end, 'closed', name)
    else if (!isLate) {
      assert.ok((answers[0] ?? 0) >= 400, name)
      assert.match(each.text, /<Error><Code>\w+<\/Code>.*<RequestId>\w{16}</, name)
    }
  }
  assert.deepEqual(
    [...new Set(seen)].filter((each) => each !== 'PUT k'),
    [],
  )
  const ofName = new Map(heard)
  const codeOf = (name: string) => /<Code>(\w+)</.exec(ofName.get(name)?.text ?? '')?.[1]
  assert.equal(codeOf('too long headers'), 'RequestHeaderSectionTooLarge')
  assert.equal(codeOf('too many headers'), 'RequestHeaderSectionTooLarge')
  assert.deepEqual(statuses(ofName.get('too long headers') ?? assert.fail()), [431])
  const tea = `${request('PUT /b/k', 'Expect: tea', 'Content-Length: 4', close)}abcd`
  assert.deepEqual(statuses(await say(port, tea)), [200], 'an unknown expectation is passed over')
  assert.equal(codeOf('a bad escape'), 'InvalidURI')
  assert.equal(codeOf('two lengths'), 'BadRequest')
  assert.deepEqual(statuses(await say(port, request('GET /b/k', close))), [200])
})

test('E2: what follows a refused request is not taken for its body, nor its body for a request', async () => {
  const { port } = await serve(counting)
  const smuggled = request('GET /b/smuggled', 'X: y')
  for (const [name, bytes] of corpus) {
    const heard = await say(port, bytes + smuggled, { forMs: 400 })
    assert.ok(statuses(heard).length <= 2, name)
  }
  const body = request('DELETE /b/inner')
  const heard = await say(
    port,
    request('PUT /b/refuse', `Content-Length: ${body.length}`) +
      body +
      request('PUT /b/k', 'Content-Length: 2', close) +
      'ab',
  )
  assert.deepEqual(statuses(heard), [403, 200])
  assert.match(heard.text, /got 2/)
})

test('a request that is garbage after a good one does not get the answer of the good one', async () => {
  const { port } = await serve(async () => {
    await wait(50)
    return { status: 200, body: 'slow' }
  })
  const heard = await say(port, `${request('GET /b/k')}garbage\r\n\r\n`)
  assert.ok(statuses(heard).length === 0 || (statuses(heard).length === 1 && heard.text.includes('slow')), heard.text)
  assert.equal(heard.end, 'closed')
})

test('E1: the body is asked for when it is first read, and not where the request is refused', async () => {
  const { port } = await serve(counting)
  const head = (key: string) => request(`PUT /b/${key}`, 'Content-Length: 4', 'Expect: 100-continue')
  const granted = await say(port, head('k'), { until: /100 Continue/ })
  assert.deepEqual(statuses(granted), [100])
  const whole = await say(port, [head('k'), 'abcd'], { pauseMs: 50, until: /got 4/ })
  assert.deepEqual(statuses(whole), [100, 200])
  const refused = await say(port, head('refuse'))
  assert.deepEqual(statuses(refused), [403])
  assert.equal(refused.end, 'closed', 'nobody can tell whether the body still comes')
  assert.match(refused.text, /connection: close/i)
})

test('E2: a small body that nobody reads is read away, and the connection goes on', async () => {
  const { port } = await serve(counting)
  const unread = request('PUT /b/refuse', 'Content-Length: 100000') + 'x'.repeat(100_000)
  const heard = await say(port, [unread, request('PUT /b/k', 'Content-Length: 3', close), 'abc'], { pauseMs: 20 })
  assert.deepEqual(statuses(heard), [403, 200])
  assert.match(heard.text, /got 3/)
})

test('E2: a large body that nobody reads gets its answer, and then the connection is closed', async () => {
  const { port } = await serve(counting, { drainBytesMax: 200_000 })
  const declared = await say(port, request('PUT /b/refuse', 'Content-Length: 1000000') + 'x'.repeat(1_000_000))
  assert.deepEqual(statuses(declared), [403])
  assert.equal(declared.end, 'closed')
  const chunk = `${(100_000).toString(16)}\r\n${'x'.repeat(100_000)}\r\n`
  const chunked = await say(port, [request('PUT /b/refuse', 'Transfer-Encoding: chunked'), ...Array(10).fill(chunk)])
  assert.deepEqual(statuses(chunked), [403])
  assert.equal(chunked.end, 'closed')
})

const slow = { pace: { windowMs: 300, bytesPerSecondMin: 1_000 } }

test('P1: a body that comes too slowly is given up with RequestTimeout', async () => {
  const { port } = await serve(counting, slow)
  const drops = Array<string>(900).fill('x')
  const heard = await say(port, [request('PUT /b/k', 'Content-Length: 1000'), ...drops], { pauseMs: 50, forMs: 60_000 })
  assert.deepEqual(statuses(heard), [400])
  assert.match(heard.text, /<Code>RequestTimeout</)
  assert.equal(heard.end, 'closed')
  const silent = await say(port, request('PUT /b/k', 'Content-Length: 1000'), { forMs: 60_000 })
  assert.match(silent.text, /<Code>RequestTimeout</)
})

test('P1: a body that nobody reads is not waited for either', async () => {
  const { port } = await serve(counting, slow)
  const heard = await say(port, request('PUT /b/refuse', 'Content-Length: 1000'), { forMs: 60_000 })
  assert.deepEqual(statuses(heard), [403])
  assert.equal(heard.end, 'closed')
})

test('P3: a body that comes steadily, or that we are slow to read, is not given up', async () => {
  // What is steady on a quiet machine may stand still on a loaded one: there the windows are wider.
  for (const windowMs of [300, 1_500, 7_500]) {
    const missing = await missingOf(windowMs)
    if (missing === '') return
    assert.ok(windowMs < 7_500, missing)
  }
})

async function missingOf(windowMs: number): Promise<string> {
  const { port } = await serve(
    async (incoming, key) => {
      if (key !== 'slow') return await counting(incoming, key)
      let length = 0
      let hasPaused = false
      for await (const chunk of incoming.stream) {
        length += (chunk as Buffer).length
        // Once, for four windows: what the client sent meanwhile is in our buffers.
        if (length > 100_000 && !hasPaused) {
          hasPaused = true
          await wait(4 * windowMs)
        }
      }
      return { status: 200, body: `got ${length}` }
    },
    { pace: { windowMs, bytesPerSecondMin: 300_000 / windowMs } },
  )
  const drops = Array<string>(20).fill('x'.repeat(100))
  const steady = await say(port, [request('PUT /b/k', 'Content-Length: 2000', close), ...drops], {
    pauseMs: windowMs / 6,
    forMs: 60_000,
  })
  const ours = await say(port, request('PUT /b/slow', 'Content-Length: 1000000', close) + 'x'.repeat(1_000_000), {
    forMs: 60_000,
  })
  return steady.text.endsWith('got 2000') && ours.text.endsWith('got 1000000') ? '' : `${steady.text}\n${ours.text}`
}

test('a client that sends more than it said is answered for what it said, and then let go', async () => {
  const { port } = await serve(counting)
  const heard = await say(port, `${request('PUT /b/k', 'Content-Length: 2')}bar`)
  assert.deepEqual(statuses(heard), [200])
  assert.match(heard.text, /\r\nConnection: close\r\n/i)
  assert.match(heard.text, /got 2$/)
  assert.equal(heard.end, 'closed')
})

test('P2, W2: a client that does not read is let go, and its source was read only so far', async () => {
  let chunks = 0
  let isReleased = false
  async function* source() {
    try {
      for (; chunks < 10_000; chunks++) yield Buffer.alloc(65_536)
    } finally {
      isReleased = true
    }
  }
  const { port } = await serve(
    () => ({ status: 200, headers: { 'content-length': String(10_000 * 65_536) }, body: source() }),
    slow,
  )
  const socket = net.connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.pause()
  socket.write(request('GET /b/k'))
  await until(() => isReleased)
  assert.ok(chunks < 500, `${chunks} chunks were read for nobody`)
  socket.destroy()
})

test('W2: the source is told when the client leaves', async () => {
  let isReleased = false
  async function* source() {
    try {
      for (;;) {
        yield Buffer.alloc(1_000)
        await wait(5)
      }
    } finally {
      isReleased = true
    }
  }
  const { port } = await serve(() => ({ status: 200, headers: { 'content-length': '1000000000' }, body: source() }))
  await say(port, request('GET /b/k'), { until: /\0{3000}/, forMs: 60_000 })
  await until(() => isReleased)
})

/** Until something is so. It fails by the time that a test may take. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await wait(10)
}

test('W1: an answer that breaks midway is never taken for a whole one', async () => {
  const { port } = await serve((_, key) => {
    async function* source() {
      if (key === 'early') throw new Fault('ServiceUnavailable')
      yield Buffer.from('abc')
      if (key === 'throws') throw new Error('disk')
      if (key === 'long') yield Buffer.from('defghijklmnop')
    }
    return { status: 200, headers: { 'content-length': '6' }, body: source() }
  })
  const early = await say(port, request('GET /b/early', close))
  assert.deepEqual(statuses(early), [503])
  for (const key of ['throws', 'short', 'long']) {
    const heard = await say(port, request(`GET /b/${key}`) + request('GET /b/early'), { forMs: 1_000 })
    assert.equal(heard.end, 'closed', key)
    assert.equal(statuses(heard).length <= 1, true, key)
  }
  assert.ok(logged.includes('an answer broke midway'))
})

test('an answer that takes long begins at once, and a failure then is a document under 200', async () => {
  const answer: Answer = (_, key) => ({
    status: 200,
    later: (async () => {
      if (key.startsWith('slow')) await wait(200)
      if (key.endsWith('bad')) throw new Fault('InvalidPart')
      return el('Done', el('Key', key))
    })(),
  })
  const patient = await serve(answer, { later: { firstMs: 60_000, everyMs: 20 } })
  const fast = await say(patient.port, request('POST /b/k', 'Content-Length: 0', close), { forMs: 60_000 })
  assert.match(fast.text, /content-length: \d+[\s\S]*<Done xmlns="[^"]*"><Key>k</)
  const fastBad = await say(patient.port, request('POST /b/bad', 'Content-Length: 0', close), { forMs: 60_000 })
  assert.deepEqual(statuses(fastBad), [400])
  const { port } = await serve(answer, { later: { firstMs: 20, everyMs: 20 } })
  const slowly = await say(port, request('POST /b/slow', 'Content-Length: 0', close))
  assert.match(slowly.text, /200 OK[\s\S]*<\?xml[^>]*>\n[\s\S]* [\s\S]*<Done xmlns="[^"]*"><Key>slow</)
  const slowBad = await say(port, request('POST /b/slow-bad', 'Content-Length: 0', close))
  assert.deepEqual(statuses(slowBad), [200])
  assert.match(slowBad.text, /<Error><Code>InvalidPart</)
})

test('headers that do not end are not waited for', async () => {
  const { port } = await serve(counting, { headersTimeoutMs: 300 })
  const heard = await say(port, ['GET /b/k HTTP/1.1\r\nHost: a\r\n', ...Array<string>(900).fill('X: y\r\n')], {
    pauseMs: 50,
    forMs: 60_000,
  })
  assert.deepEqual(statuses(heard), [400])
  assert.match(heard.text, /<Code>RequestTimeout</)
  assert.equal(heard.end, 'closed')
})

test('a connection more than allowed is closed', async () => {
  const { port } = await serve(counting, { connectionsMax: 2 })
  const held = [net.connect({ port, host: '127.0.0.1' }), net.connect({ port, host: '127.0.0.1' })]
  await Promise.all(held.map((each) => once(each, 'connect')))
  const heard = await say(port, request('GET /b/k'), { forMs: 60_000 })
  assert.deepEqual([heard.text, heard.end], ['', 'closed'])
  for (const each of held) each.destroy()
})

test('a stop answers what is under way, says so in it, and accepts nothing new', async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { server, port } = await serve(
    async (_, key) => {
      if (key === 'slow') {
        reach()
        await released
      }
      return { status: 200, body: 'done' }
    },
    { drainTimeoutMs: 60_000 },
  )
  const idle = say(port, request('GET /b/k'), { forMs: 60_000 })
  const underWay = say(port, request('GET /b/slow'), { forMs: 60_000 })
  await reached
  const stopping = server.close()
  await wait(20)
  const refused: Heard = await say(port, request('GET /b/k'), { forMs: 500 })
  release()
  const heard = await underWay
  assert.match(heard.text, /connection: close[\s\S]*done/i)
  assert.equal(heard.end, 'closed')
  assert.equal((await idle).end, 'closed')
  assert.equal(refused.text, '')
  await stopping
})

test('a stop cuts off what does not end in time', async () => {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>()
  const { server, port } = await serve(
    () => {
      reach()
      return new Promise(() => {})
    },
    { drainTimeoutMs: 200 },
  )
  const hanging = say(port, request('GET /b/k'), { forMs: 60_000 })
  await reached
  // It would hang for ever.
  await server.close()
  assert.equal((await hanging).end, 'closed')
})

test('the limits are those that were decided', () => {
  assert.equal(defaultLimits.headerBytesMax, 16_384)
  assert.equal(defaultLimits.headersTimeoutMs, 15_000)
  assert.equal(defaultLimits.keepAliveTimeoutMs, 60_000)
  assert.deepEqual(defaultLimits.pace, { windowMs: 30_000, bytesPerSecondMin: 1_024 })
  assert.equal(defaultLimits.drainTimeoutMs, 30_000)
})
