import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CellNodes } from '#src/cluster/cell-nodes.ts'
import { addBlob } from '#src/metadata/blob-records.ts'
import { claimVolumes, guardVolumes, readNodes, removeNode, setNode } from '#src/metadata/node-records.ts'
import { raiseGeneration } from '#src/metadata/segment-records.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import { type Store, StoreError } from '#src/store/store.ts'
import { realWorld } from '#src/world.ts'

const world = realWorld
const pause = (milliseconds: number): Promise<void> => new Promise((wake) => setTimeout(wake, milliseconds))
const isUnavailable = (error: unknown) => error instanceof StoreError && error.code === 'unavailable'

async function storeOf(...nodes: readonly string[]): Promise<MemoryStore> {
  const store = new MemoryStore({ world })
  await store.transact(async (transaction) => {
    for (const node of nodes) setNode(transaction, node, { peer: `http://${node}`, beat: 1, at: 0 })
  })
  return store
}

function nodesOf(store: Store, node: string, failed: (error: unknown) => void = () => {}, removed = () => {}) {
  return new CellNodes({ store, world, node, beat: 20, dead: 300, removed, failed: (_, error) => failed(error) })
}

test('N1: bytes are named, and segments swept, only by the node that has the volume', async () => {
  const store = await storeOf('a', 'b')
  const [a, b] = [guardVolumes(store, 'a'), guardVolumes(store, 'b')]
  assert.deepEqual(await store.transact((transaction) => claimVolumes(transaction, 'a', ['v'])), [])
  const taken = await store.transact((transaction) => claimVolumes(transaction, 'b', ['v', 'w']))
  assert.deepEqual(taken, [{ volume: 'v', owner: 'a' }])
  const extents = [{ volume: 'v', segment: 1, generation: 1, offset: 512, size: 5 }]
  const stored = { id: 'ab'.repeat(16), size: 5, extents, digest: 'cd'.repeat(32) }
  await assert.rejects(
    b.transact((transaction) => addBlob(transaction, stored, 'fra', 0)),
    isUnavailable,
  )
  await assert.rejects(
    b.transact((transaction) => raiseGeneration(transaction, 'v', 1)),
    isUnavailable,
  )
  await a.transact((transaction) => addBlob(transaction, stored, 'fra', 0))
  await b.transact((transaction) => raiseGeneration(transaction, 'w', 1))
  // What was removed, but runs on, names nothing any more; also not while another takes its volumes.
  await store.transact((transaction) => removeNode(transaction, 'a'))
  await assert.rejects(
    a.transact((transaction) => addBlob(transaction, stored, 'fra', 0)),
    isUnavailable,
  )
  assert.deepEqual(await store.transact((transaction) => claimVolumes(transaction, 'b', ['v'])), [])
  await assert.rejects(
    a.transact((transaction) => addBlob(transaction, stored, 'fra', 0)),
    isUnavailable,
  )
  await store.close()
})

/** A store that a node cannot reach, as long as it is cut off. */
function cuttable(store: MemoryStore) {
  const cut = { isOff: false }
  const reach = (): MemoryStore => {
    if (cut.isOff) throw new StoreError('unavailable', 'cut off')
    return store
  }
  const seen: Store = {
    transact: async (body) => await reach().transact(body),
    snapshot: async (body) => await reach().snapshot(body),
    watch: (key, signal) => store.watch(key, signal),
    close: async () => {},
  }
  return { store: seen, cut }
}

test('N3: one of several nodes leads at a time, and another where it stops, or is cut off', async () => {
  const store = await storeOf('a', 'b', 'c')
  const leading = new Set<string>()
  let most = 0
  const running = new Map<string, { readonly stop: AbortController; readonly done: Promise<void> }>()
  const cuts = new Map<string, { isOff: boolean }>()
  const start = (node: string): void => {
    const stop = new AbortController()
    const work = async (signal: AbortSignal): Promise<void> => {
      leading.add(node)
      most = Math.max(most, leading.size)
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      leading.delete(node)
    }
    const { store: reached, cut } = cuttable(store)
    cuts.set(node, cut)
    running.set(node, { stop, done: nodesOf(reached, node).run(stop.signal, work) })
  }
  const other = async (than: string): Promise<string> => {
    for (;;) {
      const [first] = leading
      if (first !== undefined && first !== than) return first
      await pause(5)
    }
  }
  for (const node of ['a', 'b', 'c']) start(node)
  let leader = await other('')
  for (let round = 0; round < 6; round++) {
    const { stop, done } = running.get(leader) ?? assert.fail()
    const cut = cuts.get(leader) ?? assert.fail()
    if (round % 2 === 0) {
      stop.abort()
      await done
    } else cut.isOff = true
    const next = await other(leader)
    if (round % 2 === 0) start(leader)
    cut.isOff = false
    leader = next
  }
  assert.equal(most, 1, 'nobody leads beside another')
  for (const { stop } of running.values()) stop.abort()
  await Promise.all([...running.values()].map(({ done }) => done))
  await store.close()
})

test('N2: what a node commits as the leading one fails once another has the lead', async () => {
  const store = await storeOf('a', 'b')
  // As if its process stood still: it neither beats nor hears that it is over.
  const still = { ...world, sleep: () => new Promise<void>(() => {}) }
  const a = new CellNodes({ store, world: still, node: 'a', failed: () => {}, removed: () => {} })
  let began = (): void => {}
  const leads = new Promise<void>((resolve) => {
    began = resolve
  })
  void a.run(new AbortController().signal, async () => began())
  await leads
  const key = Uint8Array.of(0x7e)
  await a.fenced(store).transact(async (transaction) => transaction.set(key, Uint8Array.of(1)))
  const stop = new AbortController()
  const b = nodesOf(store, 'b')
  const done = b.run(stop.signal, async () => {})
  while (!b.isLeading) await pause(10)
  await assert.rejects(
    a.fenced(store).transact(async (transaction) => transaction.set(key, Uint8Array.of(2))),
    isUnavailable,
  )
  await b.fenced(store).transact(async (transaction) => transaction.set(key, Uint8Array.of(3)))
  stop.abort()
  await done
  // It gave the lead back: nobody's commits count, the old one's neither.
  await assert.rejects(
    a.fenced(store).transact(async (transaction) => transaction.clear(key)),
    isUnavailable,
  )
  assert.equal((await store.snapshot(readNodes)).get('b')?.hasLeft, true)
  await store.close()
})

test('N5: what is done once is begun again where it failed, and where the lead came back', async () => {
  const store = await storeOf('a')
  const { store: reached, cut } = cuttable(store)
  const stop = new AbortController()
  const failures: string[] = []
  let [begun, doing] = [0, 0]
  const work = async (signal: AbortSignal): Promise<void> => {
    begun++
    if (begun === 1) throw new Error('it failed')
    doing++
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    doing--
  }
  const nodes = nodesOf(reached, 'a', (error) => failures.push(String(error)))
  const done = nodes.run(stop.signal, work)
  const reaches = async (isSo: () => boolean): Promise<void> => {
    for (const end = performance.now() + 30_000; !isSo(); await pause(5)) {
      if (performance.now() > end) assert.fail(`begun ${begun} times; ${failures.join()}`)
    }
  }
  await reaches(() => doing === 1)
  assert.deepEqual(failures, ['Error: it failed'])
  cut.isOff = true
  await reaches(() => doing === 0)
  cut.isOff = false
  await reaches(() => doing === 1)
  assert.equal(begun, 3)
  stop.abort()
  await done
  assert.equal(doing, 0)
  await store.close()
})

test('a node that was removed is told', async () => {
  const store = await storeOf('a')
  const stop = new AbortController()
  let isRemoved = false
  const nodes = nodesOf(
    store,
    'a',
    () => {},
    () => {
      isRemoved = true
    },
  )
  const done = nodes.run(stop.signal, async () => {})
  while (!nodes.isLeading) await pause(5)
  await store.transact((transaction) => removeNode(transaction, 'a'))
  while (!isRemoved) await pause(5)
  stop.abort()
  await done
  await store.close()
})
