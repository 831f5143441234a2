import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { PlainDecoder, StreamedBody } from './body.ts'

const sha256 = (data: Buffer): string => createHash('sha256').update(data).digest('hex')

async function streamed(body: StreamedBody): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of body.stream()) all.push(piece)
  return Buffer.concat(all)
}

function body(parts: readonly Buffer[], length: number | undefined, hash?: string): StreamedBody {
  return new StreamedBody(Readable.from(parts), new PlainDecoder(length, hash), length)
}

const readers = {
  collect: async (each: StreamedBody) => Buffer.from(await each.collect(1000)),
  stream: streamed,
}

for (const [name, read] of Object.entries(readers)) {
  test(`B1: ${name} gives a body of the declared length and hash, and faults on any other`, async () => {
    const parts = [Buffer.from('hello '), Buffer.from('world')]
    const whole = Buffer.concat(parts)
    for (const pieces of [parts, [whole]]) {
      assert.deepEqual(await read(body(pieces, undefined)), whole)
      assert.deepEqual(await read(body(pieces, 11)), whole)
      assert.deepEqual(await read(body(pieces, 11, sha256(whole))), whole)
      assert.deepEqual(await read(body(pieces, undefined, sha256(whole))), whole)
      await assert.rejects(read(body(pieces, 12)), { code: 'IncompleteBody' })
      await assert.rejects(read(body(pieces, 10)), { code: 'InvalidRequest' })
      const other = sha256(Buffer.from('hello worlD'))
      await assert.rejects(read(body(pieces, 11, other)), { code: 'XAmzContentSHA256Mismatch' })
      await assert.rejects(read(body(pieces, undefined, other)), { code: 'XAmzContentSHA256Mismatch' })
    }
    await assert.rejects(read(body([], 0, sha256(whole))), { code: 'XAmzContentSHA256Mismatch' })
    assert.deepEqual(await read(body([], 0)), Buffer.alloc(0))
  })
}

test('B1: collect refuses more than it may keep, declared or not, and keeps no more', async () => {
  await assert.rejects(body([Buffer.alloc(1001)], 1001).collect(1000), { code: 'EntityTooLarge' })
  await assert.rejects(body([Buffer.alloc(600), Buffer.alloc(600)], undefined).collect(1000), {
    code: 'EntityTooLarge',
  })
  assert.equal((await body([Buffer.alloc(1000)], undefined).collect(1000)).length, 1000)
})

/** One request to a server that hands it to `handle`; what the client got. */
async function exchange(
  handle: (request: IncomingMessage) => Promise<string>,
  send: (socket: ReturnType<typeof connect>) => void | Promise<void>,
): Promise<string> {
  const server = createServer((request, response) => {
    handle(request).then(
      (text) => response.end(text),
      (error: Error) => response.end(`fault ${Reflect.get(error, 'code')}`),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (data) => {
    answer += data
  })
  socket.on('error', () => {})
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
  await send(socket)
  await closed
  server.closeAllConnections()
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return answer
}

for (const [name, read] of Object.entries(readers)) {
  test(`B1: ${name} of a body whose client goes away is IncompleteBody`, async () => {
    const outcome = Promise.withResolvers<unknown>()
    const begun = Promise.withResolvers<void>()
    await exchange(
      async (request) => {
        request.once('data', () => begun.resolve())
        const received = new StreamedBody(request, new PlainDecoder(100, undefined), 100)
        await read(received).then(
          () => outcome.resolve('read'),
          (error: unknown) => outcome.resolve(error),
        )
        return ''
      },
      async (socket) => {
        socket.write('PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nfirst bytes')
        // On a busy machine it may be long before the server hears of the request: leaving earlier, nobody would.
        await begun.promise
        socket.destroy()
      },
    )
    assert.equal(Reflect.get(Object(await outcome.promise), 'code'), 'IncompleteBody')
  })
}

for (const [name, read] of Object.entries(readers)) {
  test(`B1: ${name} of a source that is closed without an error is IncompleteBody`, async () => {
    const source = new Readable({ read() {} })
    source.push('some')
    const received = read(new StreamedBody(source, new PlainDecoder(undefined, undefined), undefined))
    setTimeout(() => source.destroy(), 10)
    await assert.rejects(received, { code: 'IncompleteBody' })
    await assert.rejects(read(new StreamedBody(source, new PlainDecoder(undefined, undefined), undefined)), {
      code: 'IncompleteBody',
    })
  })
}

test('B2: a reader that stops early leaves the connection to be answered on', async () => {
  const answer = await exchange(
    async (request) => {
      const received = new StreamedBody(request, new PlainDecoder(1_000_000, undefined), 1_000_000)
      for await (const piece of received.stream()) {
        if (piece.length > 0) break
      }
      return request.destroyed || request.listenerCount('readable') > 0 ? 'not left alone' : 'stopped early'
    },
    (socket) => {
      socket.write('PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1000000\r\n\r\nfirst bytes')
    },
  )
  assert.match(answer, /stopped early/)
})

test('B2: a slow reader slows its source', async () => {
  let produced = 0
  const source = new Readable({
    highWaterMark: 65536,
    read() {
      produced++
      this.push(produced > 1000 ? null : Buffer.alloc(65536))
    },
  })
  const received = new StreamedBody(source, new PlainDecoder(undefined, undefined), undefined)
  let taken = 0
  for await (const piece of received.stream()) {
    taken += piece.length / 65536
    if (taken <= 20) {
      await wait(1)
      assert.ok(produced - taken <= 4, `${produced} produced, ${taken} taken`)
    }
  }
  assert.equal(taken, 1000)
})
