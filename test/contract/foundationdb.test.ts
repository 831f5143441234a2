import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Client } from '#src/store/foundationdb/client.ts'
import { FoundationStore } from '#src/store/foundationdb/foundation-store.ts'
import { Marks } from '#src/store/foundationdb/marks.ts'
import { exactly, FoundationDbUnusable, startClient } from '#src/store/foundationdb/native.ts'
import { openFoundationStore } from '#src/store/foundationdb/open.ts'
import {
  limits,
  type Snapshot,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Transaction,
} from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'
import { CountedOperations } from '../support/counted-foundationdb.ts'
import { type CommitFault, faultyModule } from '../support/faulty-foundationdb.ts'
import { freshPrefix, TestCluster, whyNoFoundationDb } from '../support/foundationdb.ts'
import { bytes, PatientWorld, storeContract, text } from './store.contract.ts'

/** Milliseconds; long, since a busy machine is no fault of the store. */
const timeout = 60_000
const isError = (code: StoreErrorCode) => (error: unknown) => error instanceof StoreError && error.code === code
const sumIn = async (from: Snapshot, key: string): Promise<number> =>
  Number(Buffer.from((await from.get(bytes(key))) ?? Buffer.alloc(8)).readBigInt64LE())
const sumOf = (store: Store, key: string): Promise<number> => store.snapshot((snapshot) => sumIn(snapshot, key))
const add = (store: Store, key: string): Promise<void> =>
  store.transact(async (transaction) => transaction.add(bytes(key), 1n))

const reason = whyNoFoundationDb()
if (reason !== undefined) {
  test('the store on FoundationDB', { skip: `NOT SHOWN: ${reason}` }, () => {})
} else {
  const cluster = await TestCluster.start()
  after(() => cluster.stop())
  const { clusterFile } = cluster
  const openAt = (prefix: string, world: World = realWorld): Promise<FoundationStore> =>
    openFoundationStore({ world, clusterFile, prefix, timeout })

  storeContract('foundationdb', (world) => openAt(freshPrefix(), world))

  describe('foundationdb', () => {
    const children: ChildProcess[] = []
    after(() => {
      for (const child of children) child.kill('SIGKILL')
    })

    const otherProcess = (prefix: string) => {
      const script = join(import.meta.dirname, 'store-child.ts')
      const child = spawn(process.execPath, [script, clusterFile, prefix], { stdio: ['pipe', 'pipe', 'inherit'] })
      children.push(child)
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      const next = async (): Promise<string> => String((await lines.next()).value)
      const ask = (line: string): Promise<string> => {
        child.stdin.write(`${line}\n`)
        return next()
      }
      return { child, ask, next }
    }

    test('K1, K3: two processes see what each other acknowledged, lose no update, and wake each other', async () => {
      const prefix = freshPrefix()
      const store = await openAt(prefix)
      const others = [otherProcess(prefix), otherProcess(prefix)] as const
      for (let round = 0; round < 50; round++) {
        assert.equal(await others[0].ask(`set a ${round}`), 'done')
        assert.equal(text(await store.snapshot((snapshot) => snapshot.get(bytes('a')))), String(round))
      }
      assert.equal(await others[0].ask('set n 0'), 'done')
      assert.deepEqual(await Promise.all(others.map((each) => each.ask('increment n 200'))), ['done', 'done'])
      assert.equal(await others[0].ask('get n'), '400')
      assert.equal(await others[0].ask('watch w'), 'watching')
      await store.transact(async (transaction) => transaction.set(bytes('w'), bytes('here')))
      assert.equal(await others[0].next(), 'here')
      await Promise.all(others.map((each) => each.ask('close')))
      await store.close()
    })

    test('X1, X2: of commits without a clear answer each is carried out once, wherever it was lost, and however late it came', async () => {
      const kinds = ['made', 'lost', 'late'] as const
      const fired: Record<CommitFault, number> = { made: 0, lost: 0, late: 0, old: 0 }
      let seed = 11
      const fault = (): CommitFault | undefined => {
        seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
        const kind = kinds[(seed >>> 16) % 8]
        if (kind !== undefined) fired[kind]++
        return kind
      }
      const options = { clusterFile, prefix: freshPrefix(), timeout }
      const store = new FoundationStore(realWorld, new Client(faultyModule(startClient({}), fault), options))
      let acknowledged = 0
      const worker = async (name: string): Promise<void> => {
        for (let round = 0; round < 25; round++) {
          await store.transact(async (transaction) => {
            await transaction.get(bytes(name))
            transaction.add(bytes('sum'), 1n)
            transaction.append(bytes('log'), bytes(name))
          })
          acknowledged++
        }
      }
      await Promise.all(Array.from({ length: 8 }, (_, index) => worker(`w${index}`)))
      await wait(500)
      assert.equal(acknowledged, 200)
      for (const kind of kinds) assert.ok(fired[kind] >= 15, `${kind} happened ${fired[kind]} times`)
      assert.equal(await sumOf(store, 'sum'), 200)
      const log = await store.snapshot((snapshot) => snapshot.range(bytes('log'), bytes('loh'), { limit: 1_000 }))
      assert.equal(log.length, 200)
      await store.close()
    })

    test('X3: a read that had to be asked again counts for the commit as any other', async () => {
      let isBehind = false
      const options = { clusterFile, prefix: freshPrefix(), timeout }
      const behind = (): boolean => {
        const was = isBehind
        isBehind = false
        return was
      }
      const none = (): undefined => undefined
      const store = new FoundationStore(realWorld, new Client(faultyModule(startClient({}), none, behind), options))
      for (const key of ['b', 'd', 'f'])
        await store.transact(async (transaction) => transaction.set(bytes(key), bytes('0')))
      type Read = (from: Snapshot) => Promise<unknown>
      const range =
        (limit: number, reverse = false): Read =>
        (from) =>
          from.range(bytes('a'), bytes('z'), { limit, reverse })
      /** Whether a body runs again that read so, behind, where another one then writes that key. */
      const isRefused = async (read: Read, rival: string): Promise<boolean> => {
        let runs = 0
        await store.transact(async (transaction) => {
          runs++
          isBehind = runs === 1
          await read(transaction)
          assert.equal(isBehind, false, 'nothing was read')
          if (runs === 1) await store.transact(async (other) => other.set(bytes(rival), bytes(String(runs))))
          transaction.set(bytes('zz'), bytes('done'))
        })
        return runs === 2
      }
      assert.equal(await isRefused((from) => from.get(bytes('d')), 'd'), true)
      assert.equal(await isRefused(range(10), 'd'), true)
      assert.equal(await isRefused(range(10), 'y'), true)
      assert.equal(await isRefused(range(10, true), 'c'), true)
      assert.equal(await isRefused(range(2), 'bb'), true)
      assert.equal(await isRefused(range(2), 'x'), false)
      assert.equal(await isRefused(range(2, true), 'yy'), true)
      assert.equal(await isRefused(range(2, true), 'aa'), false)
      assert.equal(await isRefused((from) => (from as Transaction).relaxed.get(bytes('d')), 'd'), false)
      await store.close()
    })

    test('a body runs again where the cluster took too long for it, three times, and not where it did itself', async () => {
      const world = new PatientWorld()
      const stall = 6_000
      let [slowReads, slowCommits] = [0, 0]
      const slowRead = (): boolean => {
        if (slowReads-- > 0) world.pass(stall)
        return false
      }
      const slowCommit = (): CommitFault | undefined => {
        if (slowCommits > 0) world.pass(stall)
        return slowCommits-- > 0 ? 'old' : undefined
      }
      const options = { clusterFile, prefix: freshPrefix(), timeout }
      const store = new FoundationStore(world, new Client(faultyModule(startClient({}), slowCommit, slowRead), options))
      /** How often a body runs, that takes so long itself. */
      const runs = async (milliseconds = 0): Promise<string> => {
        let count = 0
        const running = store.transact(async (transaction) => {
          count++
          await transaction.range(bytes('a'), bytes('b'), { limit: 1 })
          world.pass(milliseconds)
          transaction.add(bytes('n'), 1n)
        })
        return await running.then(
          () => `${count} done`,
          (error: unknown) => `${count} ${error instanceof StoreError ? error.code : String(error)}`,
        )
      }
      assert.equal(await runs(), '1 done')
      slowReads = 2
      assert.equal(await runs(), '3 done')
      slowReads = 9
      assert.equal(await runs(), '4 transaction_too_old')
      slowReads = 0
      slowCommits = 3
      assert.equal(await runs(), '4 done')
      slowCommits = 9
      assert.equal(await runs(), '4 transaction_too_old')
      slowCommits = 0
      assert.equal(await runs(stall), '1 transaction_too_old')
      assert.equal(await sumOf(store, 'n'), 3)
      await store.close()
    })

    test('marks: a store leaves none behind, and those of a process that died are swept after a day', async () => {
      const client = new Client(startClient({}), { clusterFile, prefix: freshPrefix(), timeout })
      const rows = async (): Promise<number> => {
        const [from, to] = client.allMarks
        const native = client.transaction()
        return (await native.getRange(from, false, 1, to, false, 1, 1_000, 0, exactly, 1, true, false)).results.length
      }
      const largest: World = { ...realWorld, randomBytes: (size) => Buffer.alloc(size, 0xff) }
      for (const world of [realWorld, realWorld, realWorld, realWorld, largest]) {
        const dead = new Marks(world, client)
        const native = client.transaction()
        dead.put(dead.take(), native)
        await native.commit()
      }
      const living = new FoundationStore(realWorld, new Client(startClient({}), client.options))
      await Promise.all(Array.from({ length: 6 }, (_, index) => add(living, `n${index}`)))
      assert.ok((await rows()) > 5)
      await living.close()
      assert.equal(await rows(), 5)
      assert.equal(await new Marks(realWorld, client).sweep(), 0)
      const tomorrow: World = { ...realWorld, now: () => realWorld.now() + 25 * 3_600_000 }
      assert.equal(await new Marks(tomorrow, client).sweep(), 5)
      assert.equal(await rows(), 0)
      client.close()
    })

    test('X4: what was read since a moment stays for half a second, is read once, and is no conflict with others', async () => {
      const world = new PatientWorld()
      const prefix = freshPrefix()
      const counted = new CountedOperations(prefix)
      const store = await openAt(prefix, world)
      const since = { began: world.monotonic() }
      const look = () => store.snapshot((snapshot) => sumIn(snapshot, 'a'), since)
      await add(store, 'a')
      counted.take()
      store.foresee(since, [bytes('a')])
      assert.deepEqual(await Promise.all([look(), look()]), [1, 1])
      assert.equal(await store.snapshot((snapshot) => sumIn(snapshot, 'a'), { began: world.monotonic() }), 1)
      assert.deepEqual(
        counted.take().map((each) => each.split(' ')[0]),
        ['version', 'get', 'version', 'get'],
      )
      // Its mark was last used after the moment.
      await add(store, 'a')
      world.pass(10)
      let runs = 0
      await store.transact(async (transaction) => {
        runs++
        transaction.set(bytes('b'), bytes('1'))
      }, since)
      assert.equal(runs, 1)
      assert.equal(await look(), 1)
      world.pass(500)
      assert.equal(await look(), 2)
      await store.close()
    })

    test('a watch lasts longer than a transaction may', async () => {
      const store = await openFoundationStore({ world: realWorld, clusterFile, prefix: freshPrefix(), timeout: 1_000 })
      let isOver = false
      const watch = store.watch(bytes('a'), new AbortController().signal).finally(() => {
        isOver = true
      })
      await wait(2_500)
      assert.equal(isOver, false)
      await add(store, 'a')
      await watch
      await store.close()
    })

    test('a range of many megabytes comes whole, in both directions, also below own writes', async () => {
      const store = await openAt(freshPrefix())
      const value = Buffer.alloc(limits.valueBytes, 5)
      const name = (index: number): Uint8Array => bytes(`k${String(index).padStart(3, '0')}`)
      for (let part = 0; part < 3; part++) {
        await store.transact(async (transaction) => {
          for (let index = part * 50; index < part * 50 + 50; index++) transaction.set(name(index), value)
        })
      }
      for (const reverse of [false, true]) {
        await store.transact(async (transaction) => {
          transaction.clear(name(75))
          const found = await transaction.range(bytes('k'), bytes('l'), { limit: 1_000, reverse })
          assert.equal(found.length, 149)
          const keys = found.map((each) => text(each.key))
          assert.deepEqual(keys, reverse ? keys.toSorted().reverse() : keys.toSorted())
          for (const each of found) assert.equal(Buffer.compare(each.value, value), 0)
          transaction.set(name(75), value)
        })
      }
      await store.close()
    })

    test('K5: a value that somebody else changed in the cluster is never returned', async () => {
      const prefix = freshPrefix()
      const store = await openAt(prefix)
      await store.transact(async (transaction) => transaction.set(bytes('a'), bytes('precious')))
      const client = new Client(startClient({}), { clusterFile, prefix, timeout })
      const native = client.transaction()
      const stored = await native.get(client.dataKey(bytes('a')), false)
      assert.ok(stored)
      stored[2] = (stored[2] ?? 0) ^ 1
      native.set(client.dataKey(bytes('a')), stored)
      await native.commit()
      await assert.rejects(
        store.snapshot((snapshot) => snapshot.get(bytes('a'))),
        (error: unknown) => isError('corrupt')(error) && text((error as StoreError).key) === 'a',
      )
      await assert.rejects(
        store.transact((transaction) => transaction.range(bytes('a'), bytes('b'), { limit: 10 })),
        isError('corrupt'),
      )
      client.close()
      await store.close()
    })

    test('a store belongs to the data directory that came first, and is missed where it is gone', async () => {
      const prefix = freshPrefix()
      const open = (id: string, isKnown: boolean, at = prefix) =>
        openFoundationStore({ world: new PatientWorld(), clusterFile, prefix: at, timeout, owner: { id, isKnown } })
      await (await open('mine', false)).close()
      await (await open('mine', true)).close()
      await (await openAt(prefix)).close()
      await assert.rejects(open('yours', false), /belongs to another data directory/)
      await assert.rejects(open('mine', true, freshPrefix()), /has nothing under the prefix/)
    })
  })

  describe('foundationdb that fails', () => {
    let other: TestCluster
    before(async () => {
      other = await TestCluster.start({ engine: 'ssd' })
    })
    after(() => other.stop())
    const openOther = (prefix: string, limit = timeout): Promise<FoundationStore> =>
      openFoundationStore({ world: realWorld, clusterFile: other.clusterFile, prefix, timeout: limit })

    test('K2: a server that is killed and started again has lost nothing that was acknowledged, and done nothing twice', async () => {
      const store = await openOther(freshPrefix())
      const acknowledged: string[] = []
      let isOver = false
      const worker = async (name: string): Promise<void> => {
        for (let round = 0; !isOver; round++) {
          const key = `${name}-${round}`
          await add(store, key)
          acknowledged.push(key)
        }
      }
      const workers = Array.from({ length: 16 }, (_, index) => worker(`w${index}`))
      for (let round = 0; round < 3; round++) {
        const before = acknowledged.length
        while (acknowledged.length < before + 100) await wait(20)
        await other.kill()
        await wait(200)
        other.resume()
      }
      isOver = true
      await Promise.all(workers)
      assert.ok(acknowledged.length >= 300)
      const all = await store.snapshot((snapshot) => snapshot.range(bytes(''), bytes('\xff'), { limit: 1_000_000 }))
      const found = new Map(all.map(({ key, value }) => [text(key), Buffer.from(value).readBigInt64LE()]))
      for (const key of acknowledged) assert.equal(found.get(key), 1n, key)
      assert.equal(found.size, acknowledged.length)
      await store.close()
    })

    test('a cluster that does not answer fails a transaction in time, which is then not carried out', async () => {
      const prefix = freshPrefix()
      const store = await openOther(prefix, 2_000)
      await add(store, 'n')
      other.signal('SIGSTOP')
      const began = performance.now()
      await assert.rejects(
        add(store, 'n'),
        (error) => isError('unavailable')(error) || isError('unknown_result')(error),
      )
      await assert.rejects(
        store.snapshot((snapshot) => snapshot.get(bytes('n'))),
        isError('unavailable'),
      )
      await assert.rejects(openOther(freshPrefix(), 1_000), (error) => {
        assert.ok(error instanceof FoundationDbUnusable)
        assert.match(error.message, /gave no answer in 1 s/)
        return true
      })
      assert.ok(performance.now() - began < 60_000)
      other.signal('SIGCONT')
      const later = await openOther(prefix)
      await add(later, 'm')
      assert.equal(await sumOf(later, 'm'), 1)
      await later.close()
      await store.close()
    })
  })

  test('what is missing is said in one line', async () => {
    await assert.rejects(
      openFoundationStore({ world: realWorld, clusterFile: '/nowhere/fdb.cluster', prefix: 'p', timeout }),
      /^Error: the cluster file \/nowhere\/fdb.cluster cannot be read$|cannot be read/,
    )
    assert.throws(() => startClient({ certificate: 'other.pem' }), /one set of TLS files/)
  })
}
