import assert from 'node:assert/strict'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { realWorld, type World } from '#src/world.ts'
import { HttpSender, whyNotTaken } from './sender.ts'

const servers: Server[] = []
after(() => {
  for (const each of servers) {
    each.closeAllConnections()
    each.close()
  }
})

async function listen(listener: RequestListener): Promise<number> {
  const server = createServer(listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

const never = new AbortController().signal
const posting = (url: string) => ({ url, headers: { 'x-name': 'value' }, body: 'text' })

test('H4: a name that leads to this machine is not followed, and nothing arrives', async () => {
  let requests = 0
  const port = await listen((_, response) => {
    requests++
    response.end()
  })
  for (const reach of ['public', 'private'] as const) {
    const sender = new HttpSender(realWorld, reach)
    for (const host of ['localhost', '127.0.0.1', '[::1]', '[::ffff:7f00:1]', '2130706433']) {
      await assert.rejects(sender.send(posting(`http://${host}:${port}/`), never), /may not be sent to/, host)
    }
    sender.close()
  }
  assert.equal(requests, 0)
  const sender = new HttpSender(realWorld, 'any')
  await sender.send(posting(`http://localhost:${port}/`), never)
  sender.close()
  assert.equal(requests, 1)
})

test('what is posted is what was given; the name and the word before the host become an authorization', async () => {
  const heard: string[] = []
  const port = await listen((request, response) => {
    request.on('data', (chunk: Buffer) => heard.push(chunk.toString()))
    request.on('end', () => {
      heard.push(String(request.headers['x-name']), String(request.headers.authorization), String(request.url))
      response.end()
    })
  })
  const sender = new HttpSender(realWorld, 'any')
  await sender.send(posting(`http://me:pa%20ss@127.0.0.1:${port}/a?b=c`), never)
  sender.close()
  assert.deepEqual(heard, ['text', 'value', `Basic ${Buffer.from('me:pa ss').toString('base64')}`, '/a?b=c'])
})

test('an endpoint that is slow, loud, or gone has not taken the message', async () => {
  const hasty: World = { ...realWorld, sleep: (_, signal) => realWorld.sleep(100, signal) }
  const silent = await listen(() => {})
  const dribbling = await listen((_, response) => {
    response.write('x')
  })
  const loud = await listen((_, response) => {
    response.on('error', () => {})
    response.end(Buffer.alloc(1 << 20))
  })
  const sender = new HttpSender(hasty, 'any')
  for (const port of [silent, dribbling]) {
    const error = await sender.send(posting(`http://127.0.0.1:${port}/`), never).then(() => 'it was taken', whyNotTaken)
    assert.match(error, /no answer within/)
  }
  const shouted = await new HttpSender(realWorld, 'any')
    .send(posting(`http://127.0.0.1:${loud}/`), never)
    .then(() => 'it was taken', whyNotTaken)
  assert.match(shouted, /answers more/)
  const gone = await sender.send(posting('http://127.0.0.1:1/'), never).then(() => 'it was taken', whyNotTaken)
  assert.match(gone, /ECONNREFUSED/)
  const stopping = new AbortController()
  const stopped = sender.send(posting(`http://127.0.0.1:${silent}/`), stopping.signal)
  stopping.abort()
  await assert.rejects(stopped)
  sender.close()
})
