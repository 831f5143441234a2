import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { enterLayout, readLayout, setLayout, whyNotRead } from '#src/metadata/layout-records.ts'
import { setNode } from '#src/metadata/node-records.ts'
import { LayoutUpgrade, type UpgradeEvent } from '#src/service/layout-upgrade.ts'
import { openFoundationStore } from '#src/store/foundationdb/open.ts'
import { openLmdbStore } from '#src/store/lmdb/open.ts'
import { MemoryStore } from '#src/store/memory/memory-store.ts'
import type { Store } from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { decodeRow, encodeRow, fillRows, lookAtRows, rowKey, testLayouts } from '../support/raised-layout.ts'

/** The real one, but that nobody waits for long, and the process does. */
const world: World = {
  ...realWorld,
  sleep: (milliseconds, signal) => realWorld.sleep(Math.min(milliseconds, 5), signal, { ref: true }),
}
const older = { oldest: 1, steps: [] }
const never = new AbortController().signal
const nodeOf = (layout?: number) => ({ peer: 'http://n', beat: 1, at: 0, ...(layout !== undefined && { layout }) })

interface Place {
  readonly store: Store
  /** Arguments of a process that opens it as well. */
  readonly elsewhere: readonly string[]
}

/** What holds of a layout's change on every driver. */
function layoutContract(driver: string, open: () => Promise<Place>, skip: string | false = false): void {
  const isForProcesses = driver !== 'memory'

  describe(`layout: ${driver}`, { skip }, () => {
    const opened: Store[] = []
    after(() => Promise.all(opened.map((store) => store.close())))
    const fresh = async (): Promise<Place> => {
      const place = await open()
      opened.push(place.store)
      return place
    }
    const upgrade = (store: Store, layouts = testLayouts(), events: UpgradeEvent[] = []) =>
      new LayoutUpgrade({ store, world, layouts, report: (event) => events.push(event) }).run(never)
    const checkRaised = async (store: Store, count: number, sum = (count * (count - 1)) / 2): Promise<void> => {
      const { rows, raised } = await store.snapshot(lookAtRows)
      assert.equal(rows.size, count)
      assert.deepEqual(new Set([...rows.values()].map(({ format }) => format)), new Set([2]))
      assert.equal(
        [...rows.values()].reduce((all, { value }) => all + value, 0),
        sum,
      )
      assert.equal(raised, count, 'each row was raised once')
      assert.deepEqual(await store.snapshot(readLayout), { layout: 2, needs: 2 })
    }

    test('U2: rows are raised page by page while they are read and changed, and none is lost or raised twice', async () => {
      const { store } = await fresh()
      const count = 1_500
      await fillRows(store, count)
      let pages = 0
      const events: UpgradeEvent[] = []
      const raising = { isOver: false }
      const running = upgrade(
        store,
        testLayouts(() => void pages++),
        events,
      ).finally(() => {
        raising.isOver = true
      })
      let added = 0
      // As the program that knows the new layout does: it reads either, and leaves the format to the step.
      const change = async (index: number): Promise<void> => {
        await store.transact(async (transaction) => {
          const { format, value } = decodeRow((await transaction.get(rowKey(index))) ?? new Uint8Array())
          transaction.set(rowKey(index), encodeRow(format === 1 ? 1 : 2, value + 1))
        })
        added++
        // In memory nothing else would have its turn.
        await turn()
      }
      for (let round = 0; !raising.isOver || round < 50; round++) await change((round * 37) % count)
      await running
      await checkRaised(store, count, (count * (count - 1)) / 2 + added)
      assert.ok(pages >= 8, 'transactions are bounded')
      assert.deepEqual([events.at(0)?.kind, events.at(-1)?.kind], ['began', 'done'])
      await upgrade(store, testLayouts(), events)
      assert.equal(events.at(-1)?.kind, 'done', 'nothing is left to do')
    })

    test('U2: two that raise at once share the work', async () => {
      const { store } = await fresh()
      await fillRows(store, 1_000)
      await Promise.all([upgrade(store), upgrade(store)])
      await checkRaised(store, 1_000)
    })

    const killed = async (): Promise<void> => {
      const { store, elsewhere } = await fresh()
      await fillRows(store, 2_000)
      const script = join(import.meta.dirname, 'layout-child.ts')
      const child = spawn(process.execPath, [script, ...elsewhere], { stdio: ['pipe', 'pipe', 'inherit'] })
      const exited = once(child, 'exit')
      try {
        await Promise.race([
          once(child.stdout, 'data'),
          exited.then(() => Promise.reject(new Error('the process ended by itself'))),
        ])
      } finally {
        child.kill('SIGKILL')
        await exited
      }
      const standing = await store.snapshot(readLayout)
      assert.equal(standing.layout, 1)
      const { rows, raised } = await store.snapshot(lookAtRows)
      assert.equal(standing.raising?.rows, 600)
      assert.equal(raised, 600)
      assert.equal([...rows.values()].filter(({ format }) => format === 2).length, 600)
      const events: UpgradeEvent[] = []
      await upgrade(store, testLayouts(), events)
      assert.notEqual(events[0]?.kind, 'began')
      await checkRaised(store, 2_000)
    }
    if (isForProcesses) {
      test(
        'U2: a process that is killed in the middle leaves a whole number of pages, and another goes on behind them',
        killed,
      )
    }

    test('U1: no row changes, and nobody is kept out, before all nodes were started with what knows the layout', async () => {
      const { store } = await fresh()
      await fillRows(store, 10)
      const layouts = testLayouts(() => {}, { isReadBefore: true })
      await store.transact(async (transaction) => {
        setNode(transaction, 'new', nodeOf(2))
        setNode(transaction, 'old', nodeOf())
        assert.equal(await enterLayout(transaction, layouts, 'new'), undefined)
      })
      const waiting = Promise.withResolvers<readonly string[]>()
      const running = new LayoutUpgrade({
        store,
        world,
        layouts,
        report: (event) => event.kind === 'waiting' && waiting.resolve(event.nodes),
      }).run(never)
      assert.deepEqual(await waiting.promise, ['old (http://n)'])
      const { raised } = await store.snapshot(lookAtRows)
      assert.equal(raised, 0)
      assert.equal(whyNotRead(await store.snapshot(readLayout), older), undefined)
      await store.transact(async (transaction) => setNode(transaction, 'old', nodeOf(2)))
      await running
      await checkRaised(store, 10)
      assert.match(
        whyNotRead(await store.snapshot(readLayout), older) ?? '',
        /needs .* layout 2, and this one knows 1 at most/,
      )
    })

    test('U1: once rows have begun to change, whoever knows less is refused', async () => {
      const { store } = await fresh()
      await fillRows(store, 300)
      const stop = new AbortController()
      await new LayoutUpgrade({ store, world, layouts: testLayouts(), report: () => stop.abort() }).run(stop.signal)
      const standing = await store.snapshot(readLayout)
      assert.deepEqual([standing.layout, standing.raising?.rows], [1, 150])
      assert.notEqual(whyNotRead(standing, older), undefined)
      assert.match(
        whyNotRead(standing, { oldest: 2, steps: [] }) ?? '',
        /in layout 1, and this version .* knows none before 2/,
      )
    })

    test('U1: where older nodes do not read the new rows, of an old and a new node that start at once one is refused', async () => {
      const { store } = await fresh()
      for (let round = 0; round < 30; round++) {
        await store.transact(async (transaction) => {
          transaction.clearRange(Uint8Array.of(0), Uint8Array.of(0xff))
          setLayout(transaction, { layout: 1, needs: 1 })
        })
        const start = (node: string, known: typeof older | ReturnType<typeof testLayouts>) =>
          store.transact(async (transaction) => {
            if (whyNotRead(await readLayout(transaction), known) !== undefined) return false
            setNode(transaction, node, nodeOf(1 + known.steps.length))
            return (await enterLayout(transaction, known, node)) === undefined
          })
        const both = [() => start('old', older), () => start('new', testLayouts())]
        if (round % 2 === 1) both.reverse()
        const [first, second] = await Promise.all(both.map((each) => each()))
        assert.notEqual(first, second, 'one of both serves')
      }
    })

    test('U1: nodes that were last started with an older version are named, until each was started with the new one', async () => {
      const { store } = await fresh()
      const start = (node: string) =>
        store.transact(async (transaction) => {
          setNode(transaction, node, nodeOf(2))
          return await enterLayout(transaction, testLayouts(), node)
        })
      await store.transact(async (transaction) => {
        setNode(transaction, 'a', nodeOf())
        setNode(transaction, 'b', nodeOf(1))
      })
      assert.match((await start('a')) ?? '', /older ones do not read.*: b \(http:\/\/n\):/)
      assert.equal((await store.snapshot(readLayout)).needs, 1)
      assert.equal(await start('b'), undefined)
      assert.equal(await start('a'), undefined)
      assert.equal((await store.snapshot(readLayout)).needs, 2)
    })
  })
}

const folder = await mkdtemp(join(tmpdir(), 'meridian-layout-'))
after(() => rm(folder, { recursive: true }))
let places = 0

layoutContract('memory', async () => ({ store: new MemoryStore({ world }), elsewhere: [] }))
layoutContract('lmdb', async () => {
  const path = join(folder, String(places++))
  return { store: await openLmdbStore({ path, world }), elsewhere: [path] }
})

const reason = whyNoFoundationDb()
const cluster = reason === undefined ? await TestCluster.start() : undefined
after(() => cluster?.stop())
const openCluster = async (): Promise<Place> => {
  const [clusterFile, prefix] = [cluster?.clusterFile ?? '', freshPrefix()]
  const store = await openFoundationStore({ world, clusterFile, prefix, timeout: 60_000 })
  return { store, elsewhere: [clusterFile, prefix] }
}
layoutContract('foundationdb', openCluster, reason === undefined ? false : `NOT SHOWN: ${reason}`)
