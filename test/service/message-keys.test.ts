import assert from 'node:assert/strict'
import { createSign, createVerify, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { encodeMessageKey } from '#src/metadata/namespace-codec.ts'
import { messageKeyKey } from '#src/metadata/namespace-keys.ts'
import { type MessageKey, MessageKeys } from '#src/service/message-keys.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'
import { memoryKeys } from '../support/memory-keys.ts'

function open(own = memoryKeys(), store = new MemoryStore({ world: realWorld })) {
  const keys = new MessageKeys({ store, world: realWorld, own })
  const row = async () =>
    Buffer.from((await store.snapshot((from) => from.get(messageKeyKey))) ?? []).toString('latin1')
  return { own, store, keys, row }
}

function signs({ privateKey, certificate }: MessageKey): boolean {
  const signature = createSign('sha256').update('a message').sign(privateKey)
  return createVerify('sha256').update('a message').verify(new X509Certificate(certificate).publicKey, signature)
}

const bodyOf = (pem: string): string => pem.split('\n').slice(1, -2).join('\n')

test('H10: the private key is not to be found in the row, and opens with the keys of the store alone', async () => {
  const { own, store, keys, row } = open()
  const key = await keys.current()
  assert.ok(signs(key))
  const text = await row()
  assert.ok(text.includes('wrapped') && !text.includes('PRIVATE KEY') && !text.includes(bodyOf(key.privateKey)))
  assert.deepEqual(await open(own, store).keys.current(), key)
  await assert.rejects(open(memoryKeys(), store).keys.current())
})

test('H10: a key that was left in the clear goes on signing, and is sealed at its first use', async () => {
  const before = await open().keys.current()
  const { own, store, keys, row } = open()
  await store.transact(async (to) => to.set(messageKeyKey, encodeMessageKey(before)))
  assert.ok((await row()).includes('PRIVATE KEY'))
  assert.deepEqual(await keys.current(), before)
  assert.ok(!(await row()).includes('PRIVATE KEY'))
  assert.deepEqual(await open(own, store).keys.current(), before)
})

test('H11: after a rotation every process signs with the new key, and the old one is gone', async () => {
  const { own, store, keys, row } = open()
  const other = open(own, store).keys
  const before = await other.current()
  const after = await keys.rotate()
  assert.notEqual(after.certificate, before.certificate)
  assert.ok(signs(after))
  assert.deepEqual(await other.current(), after)
  assert.deepEqual(await keys.current(), after)
  assert.ok(!(await row()).includes(bodyOf(before.certificate)))
})

test('of keys that are made at once, all processes use the one that stands', async () => {
  const { own, store } = open()
  const all = await Promise.all([1, 2, 3].map(() => open(own, store).keys.current()))
  assert.equal(new Set(all.map(({ certificate }) => certificate)).size, 1)
  const rotated = await Promise.all([1, 2, 3].map(() => open(own, store).keys.rotate()))
  assert.equal(new Set(rotated.map(({ certificate }) => certificate)).size, 1)
})
