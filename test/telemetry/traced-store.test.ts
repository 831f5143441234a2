import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { tracedStore } from '#src/open/tracing.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { EndedSpan } from '#src/telemetry/span.ts'
import { Tracer } from '#src/telemetry/tracer.ts'
import { realWorld } from '#src/world.ts'

const key = Uint8Array.of(1)

test('the span of a transaction tells of each conflict, and of what became of it', async () => {
  const ended: EndedSpan[] = []
  const { nowMicroseconds, monotonic } = realWorld
  const tracer = new Tracer({
    ...{ nowMicroseconds, monotonic, randomBytes },
    ratio: 1,
    isExpected: () => false,
    ended: (span) => ended.push(span),
  })
  const bare = new MemoryStore({ world: realWorld })
  const store = tracedStore(bare, tracer, 'memory')
  assert.equal(tracedStore(bare, undefined, 'memory'), bare, 'untraced, it is the store itself')
  const root = tracer.request('request', undefined, {})
  assert.ok(root !== undefined)
  await tracer.within(root, async () => {
    let runs = 0
    await store.transact(async (transaction) => {
      await transaction.get(key)
      runs += 1
      // Somebody else writes what was read, twice.
      if (runs <= 2) await bare.transact(async (other) => other.set(key, Uint8Array.of(runs)))
      transaction.set(key, Uint8Array.of(9))
    })
    await assert.rejects(store.transact(() => Promise.reject(new TypeError('a bug'))))
    await store.snapshot((snapshot) => snapshot.get(key))
  })
  await store.snapshot((snapshot) => snapshot.get(key))
  const told = ended.map(({ name, attributes, events, hasFailed }) => [
    name,
    attributes['meridian.transaction.committed'],
    attributes['meridian.transaction.retries'],
    events.length,
    hasFailed,
  ])
  assert.deepEqual(told, [
    ['metadata transaction', true, 2, 2, false],
    ['metadata transaction', false, 0, 0, true],
    ['metadata read', undefined, undefined, 0, false],
  ])
  await store.close()
})
