import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Forwarder, type ForwarderParts, type Passing } from '#gateway/peer/forwarding.ts'
import type { PeerServerParts } from '#gateway/peer/server.ts'
import { PeerHealth, pingMethod } from '#src/cluster/peer-health.ts'
import type { Method } from '#src/cluster/transport.ts'
import type { Membership } from '#src/model/region.ts'
import { realWorld } from '#src/world.ts'
import { echo, member, never, relay, secret, serve } from './peer-calls.ts'

/** A cell that passes requests on to another one, and what it has said of the loss of that. */
async function open(
  methods: readonly Method[],
  passedOn: PeerServerParts['serve'],
  change?: (membership: Membership) => Membership,
) {
  const { client, members, ...rest } = await serve(methods, change, { passedOn })
  const lost: number[] = []
  const up = { isUp: true }
  const health = { lost: (cell: number) => void lost.push(cell), state: () => up }
  return { ...rest, client, lost, up, health, passOn: passingOn({ client, members, health }) }
}

function passingOn(parts: Pick<ForwarderParts, 'client' | 'members' | 'health'>) {
  const patience = { connect: 3_000, silence: 60_000, away: 100 }
  const forwarder = new Forwarder({ ...parts, secret, world: realWorld, patience })
  return (passing: Partial<Passing> = {}, cells: readonly number[] = [1]) => {
    const plain = { method: 'GET', target: '/b/k', rawHeaders: ['host', 'a'], remoteAddress: '::1', isSecure: false }
    return forwarder.forward({ ...plain, stream: Readable.from([]), ...passing }, cells)
  }
}

test('Y20: clients that leave say nothing of the region that is asked for them, and no other is asked', async () => {
  let asked = 0
  const begun = new PassThrough()
  const { passOn, lost } = await open([], (request) => {
    asked++
    request.on('error', () => {}).resume()
    begun.write('.')
  })
  const rawHeaders = ['host', 'a', 'content-length', '100']
  for (const passing of [{ method: 'PUT', rawHeaders }, { method: 'GET' }]) {
    const stream = new PassThrough()
    stream.write('some')
    const passed = passOn({ ...passing, stream }, [1, 1])
    const refused = assert.rejects(passed, { code: 'IncompleteBody' })
    await once(begun, 'data')
    stream.destroy()
    await refused
  }
  assert.equal(asked, 2)
  assert.deepEqual(lost, [])
})

test('Y22: a region that hangs is waited for only as long as it answers calls', { timeout: 20_000 }, async () => {
  let asked = 0
  const { passOn, lost, up } = await open([], (request, response) => {
    asked++
    request.resume()
    if (up.isUp) setTimeout(() => response.end(), 500)
  })
  const { body } = await passOn()
  assert.ok(body instanceof Readable)
  body.resume()
  up.isUp = false
  await assert.rejects(passOn(), { code: 'ServiceUnavailable' })
  assert.deepEqual([asked, lost], [2, [1]])
  // Nobody else is asked for what may have been done.
  const rawHeaders = ['host', 'a', 'content-length', '5']
  const writing = passOn({ method: 'PUT', rawHeaders, stream: Readable.from(['value']) }, [1, 1])
  await assert.rejects(writing, { code: 'ServiceUnavailable' })
  await assert.rejects(passOn({}, [1, 1]), { code: 'ServiceUnavailable' })
  assert.equal(asked, 5)
})

test('Y22: a region that hangs while it answers is not waited for either, but for a client that is slow', {
  timeout: 20_000,
}, async () => {
  const { passOn, up } = await open([], (_, response) => void response.write(Buffer.alloc(1_000)))
  const answers = await Promise.all([passOn(), passOn()])
  const [read, unread] = answers.map(({ body }) => body)
  assert.ok(read instanceof Readable && unread instanceof Readable)
  up.isUp = false
  await assert.rejects(read.toArray())
  await sleep(200)
  assert.equal(unread.destroyed, false)
  await assert.rejects(unread.toArray())
})

test('Y21: of a region of several nodes, the one that answers is asked, however many fail at once', async () => {
  const { peer, membersAt, open: connect, health, lost } = await open([], (_, response) => response.end())
  const closed = ['http://127.0.0.1:9', 'http://[::1]:9']
  for (const dead of [closed.slice(1), closed]) {
    const members = membersAt([...dead, peer].join(','))
    const passOn = passingOn({ client: connect(secret, members), members, health })
    const answers = await Promise.all(Array.from({ length: 8 }, () => passOn()))
    for (const { status } of answers) assert.equal(status, 200)
  }
  assert.deepEqual(lost, [])
})

test('Y21 Y22: a node that hangs is passed over once it does not answer in time, also by what was sent to it before', {
  timeout: 30_000,
}, async () => {
  const begun = new PassThrough()
  const { peer, membersAt, open: connect } = await open([pingMethod(realWorld)], (_, response) => response.end())
  const { origin } = await relay(peer, () => void begun.write('.'))
  const members = membersAt([origin, peer].join(','))
  const client = connect(secret, members)
  const health = new PeerHealth({ world: realWorld, transport: client, members, options: { patience: 300 } })
  const passed = passingOn({ client, members, health })()
  await once(begun, 'data')
  const states: boolean[] = []
  for (let each = 0; each < 2; each++) {
    await health.look(never)
    states.push(health.state(1).isUp)
  }
  assert.deepEqual(states, [false, true])
  assert.equal((await passed).status, 200)
})

test('Y20: a region that does not know who passes a request on, or cannot tell, gives no answer to the client', async () => {
  const nobody = (seen: Membership): Membership => ({ ...seen, members: [member(1)] })
  const refusing = await open([], (_, response) => response.writeHead(204).end(), nobody)
  await assert.rejects(refusing.passOn(), { code: 'ServiceUnavailable' })
  assert.deepEqual(refusing.lost, [1])
  const stream = Readable.from(['value'])
  const rawHeaders = ['host', 'a', 'content-length', '5']
  await assert.rejects(refusing.passOn({ method: 'PUT', rawHeaders, stream }), { code: 'ServiceUnavailable' })
  const failing = await open([], () => {
    throw new Error('as of a store that is closed')
  })
  await assert.rejects(failing.passOn(), { code: 'ServiceUnavailable' })
})

test('what is refused before its body was asked for is carried out by the next region', async () => {
  const refusing = await open([], (_, response) => response.writeHead(403, { 'x-meridian-refusal': 'unknown' }).end())
  const stream = Readable.from(['value'])
  const rawHeaders = ['host', 'a', 'content-length', '5', 'expect', '100-continue']
  // Neither is a member: that they were asked shows in the order of what was lost.
  const passed = refusing.passOn({ method: 'PUT', rawHeaders, stream }, [1, 2, 3])
  await assert.rejects(passed, { code: 'ServiceUnavailable' })
  assert.deepEqual(refusing.lost, [1, 2, 3])
})

test('Y19: however many clients are slow, cells hear of each other', async () => {
  const held = Promise.withResolvers<void>()
  const slow: Method = {
    name: 'slow',
    async *answer() {
      yield Buffer.from('a')
      await held.promise
    },
  }
  const { client, passOn } = await open([echo, slow], async (_, response) => {
    await held.promise
    response.end()
  })
  const clients = 300
  const passed = Array.from({ length: clients }, () => passOn())
  const read = Array.from({ length: clients }, async () => {
    for await (const _ of client.stream(1, 'slow', Buffer.alloc(0), never));
  })
  const patience = AbortSignal.timeout(20_000)
  assert.equal(Buffer.from(await client.ask(1, 'echo', Buffer.from('a'), patience)).toString(), 'a0r0')
  held.resolve()
  await Promise.all([...passed, ...read])
})
