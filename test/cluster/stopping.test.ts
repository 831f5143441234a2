import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Forwarder } from '#gateway/peer/forwarding.ts'
import { type Method, PeerUnreachable } from '#src/cluster/transport.ts'
import { realWorld } from '#src/world.ts'
import { echo, never, secret, serve } from './peer-calls.ts'

/** A cell that holds back what it answers until it may, and one that asks it. */
async function openHeld() {
  const held = Promise.withResolvers<void>()
  const begun = { waiting: Promise.withResolvers<void>(), passedOn: Promise.withResolvers<void>() }
  const waiting: Method = {
    name: 'waiting',
    async answer(_, _caller, signal) {
      begun.waiting.resolve()
      await sleep(3_600_000, undefined, { signal })
      return new Uint8Array(0)
    },
  }
  const reading: Method = {
    name: 'reading',
    async *answer() {
      yield Buffer.from('all of ')
      await held.promise
      yield Buffer.from('a blob')
    },
  }
  const opened = await serve([echo, waiting, reading], undefined, {
    passedOn: async (_, response) => {
      begun.passedOn.resolve()
      await held.promise
      response.end('done')
    },
  })
  const { client, members } = opened
  const health = { lost: () => {}, state: () => ({ isUp: true }) }
  const forwarder = new Forwarder({ client, secret, members, health, world: realWorld })
  const passOn = async () => {
    const passing = { method: 'GET', target: '/b/k', rawHeaders: ['host', 'a'], remoteAddress: '::1', isSecure: false }
    const { body } = await forwarder.forward({ ...passing, stream: Readable.from([]) }, [1])
    assert.ok(body instanceof Readable)
    return await text(body)
  }
  const read = async (): Promise<string> => {
    let all = ''
    for await (const piece of client.stream(1, 'reading', Buffer.alloc(0), never)) all += Buffer.from(piece).toString()
    return all
  }
  return { ...opened, held, begun, passOn, read }
}

test('who stops answers what was passed on to it and ends what is read from it; calls that wait are cut off', async () => {
  const { client, server, held, begun, passOn, read } = await openHeld()
  const all = [passOn(), read()]
  const waits = client.ask(1, 'waiting', Buffer.alloc(0), never)
  await Promise.all([begun.waiting.promise, begun.passedOn.promise])
  let isClosed = false
  const closed = server.close(60_000).then(() => {
    isClosed = true
  })
  await assert.rejects(waits, PeerUnreachable)
  await assert.rejects(client.ask(1, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  assert.equal(isClosed, false)
  held.resolve()
  assert.deepEqual(await Promise.all(all), ['done', 'all of a blob'])
  await closed
})

test('what comes on a connection that was in use when a cell began to stop is as if that had been closed', async () => {
  const { server, peer, held, begun, passOn } = await openHeld()
  const { hostname, port } = new URL(peer)
  const socket = connect(Number(port), hostname.slice(1, -1))
  await once(socket, 'connect')
  socket.write('POST /call/echo HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n')
  const passed = passOn()
  await begun.passedOn.promise
  const closed = server.close(60_000)
  socket.on('error', () => {}).write('\r\n')
  let answer = ''
  for await (const piece of socket) answer += String(piece)
  assert.equal(answer, '')
  held.resolve()
  assert.equal(await passed, 'done')
  await closed
})

test('a cell that stops cuts off what takes longer than its patience', async () => {
  const { server, begun, passOn, read } = await openHeld()
  const cut = [assert.rejects(passOn()), assert.rejects(read(), PeerUnreachable)]
  await begun.passedOn.promise
  await server.close(50)
  await Promise.all(cut)
})
