import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Followee, Followers } from '#replicator/follow.ts'
import type { Transport } from '#src/cluster/transport.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { realWorld } from '#src/world.ts'

test('whoever stops following is done only once those are that are followed no more', { timeout: 30_000 }, async () => {
  const store = new MemoryStore({ world: realWorld })
  const [asked, given] = [Promise.withResolvers<AbortSignal>(), Promise.withResolvers<Uint8Array>()]
  const transport: Transport = {
    ask: async (_cell, _method, _request, signal) => {
      asked.resolve(signal)
      // As of what is on its way into the store: it ends when it has come to its end.
      return await given.promise
    },
    async *stream() {
      yield new Uint8Array(0)
    },
  }
  let peers: readonly Followee[] = [{ cell: 2, incarnation: '2'.repeat(32) }]
  const followers = new Followers({
    target: { foundation: { store, world: realWorld, region: 'fra', cell: 1 }, conflictMilliseconds: 1_000 },
    transport,
    peers: () => peers,
    failed: () => {},
  })
  const stopping = new AbortController()
  let isOver = false
  const running = followers.run(stopping.signal).then(() => {
    isOver = true
  })
  const signal = await asked.promise
  peers = []
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
  stopping.abort()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(isOver, false)
  given.reject(new Error('it breaks off'))
  await running
})
