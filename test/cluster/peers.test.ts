import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { askStranger, isPassing, PeerClient } from '#gateway/peer/client.ts'
import { ClusterSecret } from '#gateway/peer/sealing.ts'
import { Members } from '#src/cluster/members.ts'
import { type Method, PeerUnreachable } from '#src/cluster/transport.ts'
import { Fault } from '#src/errors.ts'
import { ClusterRecords } from '#src/metadata/cluster-records.ts'
import type { Membership } from '#src/model/region.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { closing, echo, member, membersOf, never, relay, secret, serve } from './peer-calls.ts'

const nothing: Method = { name: 'nothing', answer: async () => new Uint8Array(0) }

const refusing: Method = {
  name: 'refusing',
  answer: async () => {
    throw new Fault('SlowDown')
  },
}

const streaming: Method = {
  name: 'streaming',
  async *answer() {
    for (const length of [1, 600_000, 1]) yield Buffer.alloc(length)
  },
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()

test('a method answers over IPv6, again and again on the same connections', async () => {
  const { peer, membersAt } = await serve([echo, nothing, refusing, streaming])
  const { origin, connections } = await relay(peer, (bytes, near) => near.write(bytes))
  const client = new PeerClient({ secret, members: membersAt(origin), world: realWorld })
  closing.push(() => client.close())
  for (let each = 0; each < 20; each++) {
    assert.equal(text(await client.ask(1, 'echo', Buffer.from(`${each} `), never)), `${each} 0r0`)
    assert.equal((await client.ask(1, 'nothing', Buffer.alloc(0), never)).length, 0)
    await assert.rejects(client.ask(1, 'refusing', Buffer.alloc(0), never), { code: 'SlowDown' })
    assert.equal((await client.ask(1, 'streaming', Buffer.alloc(0), never)).length, 600_002)
  }
  // A call may begin in the turn in which the one before it gives its connection back.
  assert.ok(connections() <= 3, `${connections()} connections`)
  const large = Buffer.alloc(3_000_000, 'l')
  assert.equal((await client.ask(1, 'echo', large, never)).length, large.length + 3)
  const many = await Promise.all(
    Array.from({ length: 50 }, (_, each) => client.ask(1, 'echo', Buffer.from(`${each}`), never)),
  )
  assert.deepEqual(
    many.map(text),
    Array.from({ length: 50 }, (_, each) => `${each}0r0`),
  )
})

test('a Fault travels as itself, also behind the bytes of a stream; anything else is no answer', async () => {
  const { client } = await serve([
    {
      name: 'fault',
      answer: async () => {
        throw new Fault('NoSuchKey', { Key: 'k' })
      },
    },
    {
      name: 'late',
      async *answer() {
        yield Buffer.from('first')
        throw new Fault('SlowDown')
      },
    },
    {
      name: 'bug',
      answer: async () => {
        throw new Error('secret detail')
      },
    },
    {
      name: 'broken',
      async *answer() {
        yield Buffer.from('first')
        throw new Error('secret detail')
      },
    },
  ])
  await assert.rejects(client.ask(1, 'fault', Buffer.alloc(0), never), { code: 'NoSuchKey', details: { Key: 'k' } })
  const got: string[] = []
  const read = async (name: string): Promise<void> => {
    for await (const piece of client.stream(1, name, Buffer.alloc(0), never)) got.push(text(piece))
  }
  await assert.rejects(read('late'), { code: 'SlowDown' })
  assert.deepEqual(got, ['first'])
  await assert.rejects(client.ask(1, 'bug', Buffer.alloc(0), never), PeerUnreachable)
  await assert.rejects(read('broken'), PeerUnreachable)
  await assert.rejects(client.ask(1, 'nothing', Buffer.alloc(0), never), { code: 'NotImplemented' })
})

test('a stream waits for a slow reader, and ends with a reader that leaves', async () => {
  let sent = 0
  let isDone = false
  const { client } = await serve([
    {
      name: 'endless',
      async *answer() {
        try {
          for (;;) {
            sent += 65_536
            yield Buffer.alloc(65_536)
          }
        } finally {
          isDone = true
        }
      },
    },
  ])
  const stream = client.stream(1, 'endless', Buffer.alloc(0), never)
  await stream.next()
  await sleep(300)
  assert.ok(sent < 64 * 2 ** 20, `${sent} bytes were sent to nobody`)
  await stream.return?.(undefined)
  const end = performance.now() + 60_000
  while (!isDone && performance.now() < end) await sleep(10)
  assert.ok(isDone, 'the method was told')
})

test('calls that are given up when their answer has come break no connection that others use, and nothing else', async () => {
  const { client } = await serve([
    echo,
    {
      name: 'two',
      async *answer() {
        yield Buffer.from('one')
        yield Buffer.alloc(100_000)
      },
    },
  ])
  for (let at = 0; at < 60; at++) {
    const over = new AbortController()
    // As a reader that knows how much there is: it stops behind the last byte, which is not the end of the coding.
    const stream = client.stream(1, 'two', Buffer.alloc(0), over.signal)[Symbol.asyncIterator]()
    for (let size = 0; size < 100_003; ) size += (await stream.next()).value?.length ?? 0
    // The end may have come too, and be read by nobody.
    const turns = at % 6
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
    over.abort()
    assert.equal(text(await client.ask(1, 'echo', Buffer.from(String(at)), never)), `${at}0r0`)
  }
})

test('who joined is answered by a process that has not seen it join; who is only newer is not', async () => {
  const seen: Membership = { epoch: 1, root: 0, members: [member(0), member(1)] }
  const known: Membership = { epoch: 2, root: 0, members: [...seen.members, member(2)] }
  const store = new MemoryStore({ world: realWorld })
  await store.transact(async (transaction) => new ClusterRecords().setMembership(transaction, known))
  const at = new Members({ store, records: new ClusterRecords(), self: member(1), membership: seen })
  const { peer } = await serve([echo], undefined, { at })
  const reach = (membership: Membership, cell: number): PeerClient => {
    const members = membership.members.map((each) => (each.cell === 1 ? { ...each, peer } : each))
    const client = new PeerClient({ secret, members: membersOf(cell, { ...membership, members }), world: realWorld })
    closing.push(() => client.close())
    return client
  }
  const other: Membership = { ...known, epoch: 9, members: [...known.members, member(3)] }
  await assert.rejects(reach(other, 3).ask(1, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  assert.equal(text(await reach(known, 2).ask(1, 'echo', Buffer.from('hello '), never)), 'hello 2r2')
  assert.equal(at.membership.epoch, 2)
})

test('who is to be joined is asked again where it is silent, and not where it answers something else', async () => {
  const sockets = new Set<Socket>()
  const silent = createTcpServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  closing.push(async () => {
    for (const socket of sockets) socket.destroy()
    silent.close()
    await once(silent, 'close')
  })
  const { peer } = await serve([echo])
  const patience = { connect: 5_000, silence: 50 }
  const join = async (origin: string, kept = secret): Promise<unknown> =>
    await askStranger(
      { secret: kept, world: realWorld, origin, incarnation: 'f'.repeat(32), patience },
      'join',
      Buffer.alloc(0),
      never,
    ).catch((error: unknown) => error)
  assert.ok(isPassing(await join(`http://127.0.0.1:${(silent.address() as AddressInfo).port}`)))
  const refused = await join(peer, new ClusterSecret('another secret of the test'))
  assert.ok(refused instanceof Error && !isPassing(refused))
})

test('Y10: nothing is answered without the secret, to strangers, to those removed or reborn', async () => {
  let asked = 0
  const counted: Method = {
    name: 'echo',
    answer: async () => {
      asked++
      return Buffer.alloc(0)
    },
  }
  const { open, peer } = await serve([counted])
  await assert.rejects(
    open(new ClusterSecret('another secret, as long')).ask(1, 'echo', Buffer.alloc(0), never),
    PeerUnreachable,
  )
  for (const headers of [{}, { authorization: 'AWS4-HMAC-SHA256 Credential=x' }, { 'x-meridian-call': 'x' }]) {
    const answer = await fetch(`${peer}/call/echo`, {
      method: 'POST',
      body: 'x',
      headers: headers as Record<string, string>,
    })
    assert.equal(answer.status, 403)
    assert.equal(await answer.text(), '')
  }
  assert.equal((await fetch(`${peer}/bucket/key`)).status, 403)
  const without = await serve([counted], (seen) => ({ ...seen, members: [member(1)] }))
  await assert.rejects(without.client.ask(1, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  assert.equal(without.members.isRemoved, false)
  const reborn = await serve([counted], (seen) => ({
    ...seen,
    members: [member(0, { incarnation: 'e'.repeat(32) }), member(1)],
  }))
  await assert.rejects(reborn.client.ask(1, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  const removed = await serve([counted], (seen) => ({ ...seen, members: [member(0, { state: 'removed' }), member(1)] }))
  await assert.rejects(removed.client.ask(1, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  assert.equal(removed.members.isRemoved, true, 'it was told, and serves nothing more')
  assert.equal(asked, 0)
})

test('Y10: a call that was recorded is not taken again', async () => {
  let asked = 0
  const { peer, members } = await serve([
    {
      name: 'count',
      answer: async () => {
        asked++
        return Buffer.alloc(0)
      },
    },
  ])
  const { promise, resolve } = Promise.withResolvers<{ headers: Record<string, string>; body: Buffer }>()
  // Between both, it sees what goes by.
  const tap = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      resolve({
        headers: { 'x-meridian-call': String(request.headers['x-meridian-call']) },
        body: Buffer.concat(pieces),
      })
      response.writeHead(500).end()
    })
  })
  await new Promise<void>((listening) => {
    tap.listen(0, '127.0.0.1', listening)
  })
  closing.push(() => void tap.close())
  const { port } = tap.address() as AddressInfo
  const tapped = membersOf(0, {
    ...members.membership,
    members: [member(0), member(1, { peer: `http://127.0.0.1:${port}` })],
  })
  const client = new PeerClient({ secret, members: tapped, world: realWorld })
  closing.push(() => client.close())
  await assert.rejects(client.ask(1, 'count', Buffer.alloc(0), never), PeerUnreachable)
  const { headers, body } = await promise
  const statuses: number[] = []
  for (let turn = 0; turn < 3; turn++) {
    statuses.push((await fetch(`${peer}/call/count`, { method: 'POST', headers, body })).status)
  }
  assert.deepEqual(statuses, [200, 403, 403])
  assert.equal(asked, 1)
})

/** Long enough for an error that nobody listens to. */
async function nextTurns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A way to a peer on which what is sent within some milliseconds arrives at once, as it does on a busy machine. */
async function bunched(peer: string): Promise<string> {
  const held = new WeakMap<Socket, Buffer[]>()
  const { origin } = await relay(peer, (bytes, near) => {
    const bunch = held.get(near) ?? []
    held.set(near, bunch)
    if (bunch.push(bytes) === 1) setTimeout(() => near.write(Buffer.concat(bunch.splice(0))), 5)
  })
  return origin
}

test('whoever gives up just when the last bytes came ends its own call and nothing else', async () => {
  const { peer, membersAt } = await serve([echo])
  const client = new PeerClient({ secret, members: membersAt(await bunched(peer)), world: realWorld })
  closing.push(() => client.close())
  for (let turn = 0; turn < 20; turn++) {
    const over = new AbortController()
    const stream = client.stream(1, 'echo', Buffer.alloc(100), over.signal)
    await stream.next()
    over.abort()
    await nextTurns()
  }
  assert.equal(text(await client.ask(1, 'echo', Buffer.from('next '), never)), 'next 0r0')
})

test('a cell that is not there is unreachable, and an answer that is not waited for is given up', async () => {
  const members = membersOf(0, { epoch: 1, root: 0, members: [member(0), member(1)] })
  const client = new PeerClient({ secret, members, world: realWorld })
  closing.push(() => client.close())
  await assert.rejects(client.ask(1, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  await assert.rejects(client.ask(2, 'echo', Buffer.alloc(0), never), PeerUnreachable)
  const { client: slow } = await serve([{ name: 'never', answer: () => new Promise<Uint8Array>(() => {}) }])
  await assert.rejects(slow.ask(1, 'never', Buffer.alloc(0), AbortSignal.timeout(50)), { name: 'TimeoutError' })
})

test('a call to a far peer that is given up while its answer is under way gives its connection up', async () => {
  const { peer, membersAt } = await serve([echo, streaming])
  const way = await relay(peer, (bytes, near) => near.write(bytes))
  const far = { secret, members: membersAt(way.origin), world: realWorld, delayOf: () => 400 }
  const client = new PeerClient(far)
  closing.push(() => client.close())
  const calls = [
    (signal: AbortSignal) => client.ask(1, 'echo', Buffer.alloc(100), signal),
    (signal: AbortSignal) => client.stream(1, 'streaming', Buffer.alloc(0), signal).next(),
  ]
  for (const [index, call] of calls.entries()) {
    const over = new AbortController()
    const asked = call(over.signal)
    // As far as there: half of the delay, and what the call itself takes.
    while (way.connections() === index) await sleep(5)
    await sleep(50)
    over.abort(new Error('enough'))
    await assert.rejects(asked, /enough/)
    for (let look = 0; way.left() > 0 && look < 100; look++) await sleep(10)
    assert.equal(way.left(), 0)
  }
})
