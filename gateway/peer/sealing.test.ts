import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { realWorld } from '#src/world.ts'
import { newCall, readCall, SeenCalls, writeCall } from './call.ts'
import { BadSeal, ClusterSecret, type Frame, type MessageId } from './sealing.ts'

const secret = new ClusterSecret('a secret of the test')
/** The other end. */
const peer = new ClusterSecret('a secret of the test')
const id = secret.nextId()

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1
    yield bytes.subarray(at, at + size)
    at += size
  }
}

async function framesOf(bytes: Uint8Array, sizes: readonly number[]): Promise<readonly Frame[]> {
  const frames: Frame[] = []
  for await (const frame of peer.opening(id, 'context').frames(cut(bytes, sizes))) frames.push(frame)
  return frames
}

async function open(bytes: Uint8Array, options: { id?: MessageId; context?: string; sizes?: readonly number[] } = {}) {
  const opened: { kind: string; text: string }[] = []
  const opening = peer.opening(options.id ?? id, options.context ?? 'context')
  for await (const { kind, bytes: plain } of opening.frames(cut(bytes, options.sizes ?? [7]))) {
    opened.push({ kind, text: Buffer.from(plain).toString('hex') })
  }
  return opened
}

const message = (pieces: readonly Uint8Array[], context = 'context'): Uint8Array => {
  const sealing = secret.sealing(id, context)
  return Buffer.concat([
    ...pieces.map((piece) => sealing.frame('more', piece)),
    sealing.frame('last', new Uint8Array(0)),
  ])
}

test('Y7: a message comes out as it went in, however the bytes are cut', async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 })
  const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(pieces, sizes, async (sent, cuts) => {
      const opened = await open(message(sent), { sizes: cuts })
      const texts = sent.map((piece) => Buffer.from(piece).toString('hex'))
      assert.deepEqual(
        opened.map(({ text }) => text),
        [...texts, ''],
      )
      const whole = peer.opening(id, 'context').all(message(sent))
      assert.deepEqual(whole, await framesOf(message(sent), cuts))
    }),
    { numRuns: 200 },
  )
})

test('Y7: a bit that changed, another name, context or secret, or an order of frames that changed opens nothing', async () => {
  const sent = message([Buffer.from('one'), Buffer.from('two')])
  for (let at = 0; at < sent.length; at++) {
    const changed = Buffer.from(sent)
    changed[at] = (changed[at] ?? 0) ^ 1
    await assert.rejects(open(changed), BadSeal, `byte ${at}`)
  }
  await assert.rejects(open(sent, { id: secret.nextId() }), BadSeal)
  await assert.rejects(open(sent, { id: peer.nextId() }), BadSeal)
  await assert.rejects(open(sent, { context: 'other' }), BadSeal)
  await assert.rejects(open(sent.subarray(24)), BadSeal)
  const sealing = new ClusterSecret('another secret').sealing(id, 'context')
  await assert.rejects(open(sealing.frame('last', Buffer.from('one'))), BadSeal)
  const frame = 4 + 1 + 3 + 16
  const [one, two, rest] = [sent.subarray(0, frame), sent.subarray(frame, 2 * frame), sent.subarray(2 * frame)]
  await assert.rejects(open(Buffer.concat([two, one, rest])), BadSeal)
  await assert.rejects(open(Buffer.concat([one, one, two, rest])), BadSeal)
})

test('Y8: a message that ends before its last frame is cut short, wherever that is', async () => {
  const sent = message([Buffer.from('one'), Buffer.from('two')])
  for (let length = 0; length < sent.length; length++) {
    await assert.rejects(open(sent.subarray(0, length)), BadSeal)
    assert.throws(() => peer.opening(id, 'context').all(sent.subarray(0, length)), BadSeal)
  }
})

test('no two messages are sealed under the same key and nonce, and keys of those that are heard of are found again', () => {
  const one = new ClusterSecret('a secret of the test')
  const ids = Array.from({ length: 2 ** 20 + 2 }, () => one.nextId())
  assert.equal(new Set(ids.map(({ session, number }) => `${session} ${number}`)).size, ids.length)
  assert.deepEqual([...new Set(ids.map(({ session }) => session))].length, 2)
  const sealed = (from: ClusterSecret, by: MessageId) => from.sealing(by, 'context').frame('last', Buffer.from('it'))
  const first = ids[0] as MessageId
  const early = sealed(one, first)
  // More than are remembered.
  for (let each = 0; each < 1_000; each++) {
    const other = new ClusterSecret('a secret of the test')
    const by = other.nextId()
    assert.equal(peer.opening(by, 'context').one(sealed(other, by)).kind, 'last')
  }
  assert.equal(Buffer.from(peer.opening(first, 'context').one(early).bytes).toString(), 'it')
})

test('Y9: a call is taken once, and not once its time is over', () => {
  let now = 1_000_000
  const world = { ...realWorld, now: () => now, monotonic: () => now }
  const seen = new SeenCalls(world)
  const call = newCall({ secret, world }, { cell: 3, incarnation: 'a'.repeat(32), epoch: 4 }, 5)
  assert.deepEqual(readCall(writeCall(call)), call)
  assert.equal(seen.take(call), true)
  assert.equal(seen.take(call), false)
  const another = newCall({ secret, world }, { cell: 3, incarnation: 'a'.repeat(32), epoch: 4 }, 5)
  now += 59_000
  assert.equal(seen.take(call), false)
  assert.equal(seen.take(another), true)
  now += 2_000
  assert.equal(seen.take(newCall({ secret, world: { ...world, now: () => now - 61_000 } }, call, 5)), false)
  const future = newCall({ secret, world: { ...world, now: () => now + 59_000 } }, call, 5)
  assert.equal(seen.take(future), true)
  for (let step = 0; step < 4; step++) {
    now += 29_000
    assert.equal(seen.take(future), false)
  }
  assert.equal(readCall(writeCall(call).slice(0, -1)), undefined)
  assert.equal(readCall('1 3 x 4 5 6 7'), undefined)
  assert.equal(readCall(undefined), undefined)
})
