import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import {
  type Entry,
  limits,
  type Snapshot,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Transaction,
} from '#src/store/store.ts'
import { realWorld, type World } from '#src/world.ts'

export const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')
export const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString('latin1')
const list = (entries: readonly Entry[]): string[] => entries.map(({ key, value }) => `${text(key)}=${text(value)}`)
const end = bytes('\xff')
const all = { limit: 1_000_000 }
const never = new AbortController().signal

/** The real world, but that time passes only while somebody sleeps, or when it is told to: not because the machine is slow. */
export class PatientWorld implements World {
  #passed = realWorld.monotonic()
  pass(milliseconds: number): void {
    this.#passed += milliseconds
  }
  nowMicroseconds(): bigint {
    return realWorld.nowMicroseconds()
  }
  now(): number {
    return realWorld.now()
  }
  monotonic(): number {
    return this.#passed
  }
  randomBytes(size: number): Uint8Array {
    return realWorld.randomBytes(size)
  }
  async sleep(milliseconds: number, signal: AbortSignal, options?: { readonly ref: boolean }): Promise<void> {
    await realWorld.sleep(milliseconds, signal, options)
    this.#passed += milliseconds
  }
}

const isError = (code: StoreErrorCode) => (error: unknown) => error instanceof StoreError && error.code === code

const number = async (from: Snapshot, key: string): Promise<number> => Number(text(await from.get(bytes(key))) ?? '0')

/** What every driver must do. Called once per driver; a driver without a passing run of this file does not exist. */
export function storeContract(name: string, open: (world: World) => Promise<Store>): void {
  describe(`store contract: ${name}`, () => {
    const world = new PatientWorld()
    let store: Store
    const dump = () => store.snapshot(async (snapshot) => list(await snapshot.range(bytes(''), end, all)))
    const read = (key: string) => store.snapshot(async (snapshot) => text(await snapshot.get(bytes(key))))
    const write = (...pairs: readonly string[]) =>
      store.transact(async (transaction) => {
        for (const pair of pairs) {
          const [key = '', value = ''] = pair.split('=')
          transaction.set(bytes(key), bytes(value))
        }
      })
    before(async () => {
      store = await open(world)
    })
    beforeEach(() => store.transact(async (transaction) => transaction.clearRange(bytes(''), end)))
    after(() => store.close())

    test('K2: a body that throws leaves nothing behind', async () => {
      const failing = store.transact(async (transaction) => {
        transaction.set(bytes('a'), bytes('1'))
        transaction.append(bytes('b'), bytes('2'))
        throw new Error('stop')
      })
      await assert.rejects(failing, /stop/)
      assert.deepEqual(await dump(), [])
    })

    test('K1: of transactions that read and write one key, no update is lost', async () => {
      const increment = () =>
        store.transact(async (transaction) => {
          const before = await number(transaction, 'n')
          await turn()
          transaction.set(bytes('n'), bytes(String(before + 1)))
        })
      await Promise.all(Array.from({ length: 20 }, increment))
      assert.equal(await read('n'), '20')
    })

    test('K1: of two that each read what the other writes, one sees the other (write skew)', async () => {
      await write('x=1', 'y=1')
      const takeOff = (mine: string) =>
        store.transact(async (transaction) => {
          const sum = (await number(transaction, 'x')) + (await number(transaction, 'y'))
          await turn()
          if (sum === 2) transaction.set(bytes(mine), bytes('0'))
        })
      await Promise.all([takeOff('x'), takeOff('y')])
      assert.equal(Number(await read('x')) + Number(await read('y')), 1)
    })

    test('K1: a key that was absent when read, and is there at the commit, is a conflict', async () => {
      const claim = (who: string) =>
        store.transact(async (transaction) => {
          const found = text(await transaction.get(bytes('owner')))
          await turn()
          if (found === undefined) transaction.set(bytes('owner'), bytes(who))
          return found ?? who
        })
      const owners = await Promise.all(['a', 'b', 'c', 'd'].map(claim))
      assert.equal(new Set(owners).size, 1)
    })

    for (const reverse of [false, true]) {
      test(`K1: a key that appears or goes within a range read ${reverse ? 'backwards' : 'forwards'} is a conflict (phantom)`, async () => {
        await write('r1=', 'r5=')
        const addOne = (key: string) =>
          store.transact(async (transaction) => {
            const found = await transaction.range(bytes('r'), bytes('s'), { limit: 100, reverse })
            await turn()
            if (found.length < 3) transaction.set(bytes(key), bytes(''))
          })
        await Promise.all(['r0', 'r2', 'r4', 'r9'].map(addOne))
        assert.equal((await dump()).length, 3)
        const removeOne = (key: string) =>
          store.transact(async (transaction) => {
            const found = await transaction.range(bytes('r'), bytes('s'), { limit: 100, reverse })
            await turn()
            if (found.length === 3) transaction.clear(bytes(key))
          })
        const keys = (await dump()).map((each) => each.slice(0, -1))
        await Promise.all(keys.map(removeOne))
        assert.equal((await dump()).length, 2)
      })

      test(`K1: a limited range read ${reverse ? 'backwards' : 'forwards'} conflicts with what comes into what it saw, and only with that`, async () => {
        const run = async (rival: string): Promise<number> => {
          await store.transact(async (transaction) => transaction.clearRange(bytes(''), end))
          await write('r1=', 'r3=', 'r5=', 'r7=')
          let runs = 0
          await store.transact(async (transaction) => {
            runs++
            const found = await transaction.range(bytes('r'), bytes('s'), { limit: 2, reverse })
            if (runs === 1) await write(rival)
            transaction.set(bytes('seen'), bytes(list(found).join()))
          })
          return runs
        }
        assert.equal(await run(reverse ? 'r6=' : 'r2='), 2)
        assert.equal(await read('seen'), reverse ? 'r7=,r6=' : 'r1=,r2=')
        assert.equal(await run(reverse ? 'r7=x' : 'r3=x'), 2)
        assert.equal(await run(reverse ? 'r2=' : 'r6='), 1)
        assert.equal(await run('s='), 1)
      })
    }

    test('K1: a relaxed read does not conflict, a blind write neither', async () => {
      await write('a=1')
      let runs = 0
      await store.transact(async (transaction) => {
        runs++
        await transaction.relaxed.get(bytes('a'))
        await transaction.relaxed.range(bytes('a'), bytes('c'), all)
        await write('a=2', 'b=2')
        transaction.set(bytes('a'), bytes('3'))
      })
      assert.equal(runs, 1)
      assert.equal(await read('a'), '3')
    })

    test('K1: a ring whose links are swapped by many at once stays one ring (FoundationDB: Cycle)', async () => {
      const size = 12
      const link = (node: number): Uint8Array => bytes(`ring${node}`)
      const next = async (from: Snapshot, node: number): Promise<number> => Number(text(await from.get(link(node))))
      await store.transact(async (transaction) => {
        for (let node = 0; node < size; node++) transaction.set(link(node), bytes(String((node + 1) % size)))
      })
      const lengthOf = (from: Snapshot) =>
        (async () => {
          let length = 0
          let node = 0
          do {
            node = await next(from, node)
            if (length % 4 === 0) await turn()
            length++
          } while (node !== 0 && length <= size)
          return length
        })()
      let swaps = 0
      const swap = (first: number) =>
        store.transact(async (transaction) => {
          const second = await next(transaction, first)
          await turn()
          const third = await next(transaction, second)
          const fourth = await next(transaction, third)
          transaction.set(link(first), bytes(String(third)))
          transaction.set(link(second), bytes(String(fourth)))
          transaction.set(link(third), bytes(String(second)))
          swaps++
        })
      const worker = async (seed: number) => {
        for (let round = 0; round < 12; round++) await swap((seed * 7 + round * 5) % size)
      }
      const checker = async () => {
        for (let round = 0; round < 20; round++) assert.equal(await store.snapshot(lengthOf), size)
      }
      await Promise.all([worker(1), worker(2), worker(3), worker(4), worker(5), worker(6), checker()])
      assert.equal(await store.snapshot(lengthOf), size)
      assert.ok(swaps >= 72, 'all swaps were made')
    })

    test('K3: a snapshot, and a transaction that only reads, see one state across awaits', async () => {
      await write('a=1', 'b=1')
      const look = async (from: Snapshot) => {
        const first = text(await from.get(bytes('a')))
        await write(`a=${Number(first) + 1}`, `b=${Number(first) + 1}`)
        await turn()
        const second = text(await from.get(bytes('b')))
        const both = list(await from.range(bytes('a'), bytes('c'), all))
        assert.deepEqual([second, both], [first, [`a=${first}`, `b=${first}`]])
      }
      await store.snapshot(look)
      await store.transact(look)
      assert.equal(await read('a'), '3')
    })

    test('K3: a snapshot sees every commit that was acknowledged before it', async () => {
      for (let round = 0; round < 50; round++) {
        await write(`a=${round}`)
        assert.equal(await read('a'), String(round))
      }
    })

    test('K3: what is read since a moment has all that was acknowledged before it, whoever reads at the same time', async () => {
      for (let round = 0; round < 100; round++) {
        const meanwhile = [read('a'), read('b')]
        await write(`a=${round}`)
        const since = { began: world.monotonic() }
        meanwhile.push(read('a'))
        store.foresee?.(since, [bytes('a')])
        if (round % 2 === 0) await turn()
        assert.equal(
          await store.snapshot(async (snapshot) => text(await snapshot.get(bytes('a'))), since),
          String(round),
        )
        await Promise.all(meanwhile)
      }
    })

    test('K1: of transactions that go on from what was read since a moment, no update is lost', async () => {
      const increment = async () => {
        const since = { began: world.monotonic() }
        await store.snapshot((snapshot) => number(snapshot, 'n'), since)
        await turn()
        await store.transact(async (transaction) => {
          const before = await number(transaction, 'n')
          transaction.set(bytes('n'), bytes(String(before + 1)))
        }, since)
      }
      await Promise.all(Array.from({ length: 20 }, increment))
      for (let round = 0; round < 5; round++) await increment()
      assert.equal(await read('n'), '25')
    })

    test('K1: what was absent since a moment, and is there at the commit, is a conflict; read relaxed it is none', async () => {
      const since = { began: world.monotonic() }
      const look = (from: Snapshot) => from.get(bytes('x'))
      assert.equal(await store.snapshot(look, since), undefined)
      await write('x=1')
      let runs = 0
      await store.transact(async (transaction) => {
        runs++
        await look(transaction.relaxed)
        transaction.set(bytes('y'), bytes('1'))
      }, since)
      assert.equal(runs, 1)
      const seen = await store.transact(async (transaction) => {
        const found = text(await look(transaction))
        transaction.set(bytes('z'), bytes('1'))
        return found
      }, since)
      assert.equal(seen, '1')
    })

    test('K3: a transaction sees its own writes before it, also relaxed, and nobody else does before the commit', async () => {
      await write('a=1', 'b=1', 'c=1', 'd=1')
      await store.transact(async (transaction) => {
        transaction.clearRange(bytes('b'), bytes('d'))
        transaction.set(bytes('bb'), bytes('2'))
        transaction.set(bytes('a'), bytes('2'))
        transaction.add(bytes('n'), 258n)
        transaction.add(bytes('c'), 3n)
        const seen = ['a=2', 'bb=2', 'c=\x03\0\0\0\0\0\0\0', 'd=1', 'n=\x02\x01\0\0\0\0\0\0']
        for (const from of [transaction, transaction.relaxed]) {
          assert.equal(text(await from.get(bytes('a'))), '2')
          assert.equal(await from.get(bytes('b')), undefined)
          assert.equal(text(await from.get(bytes('c'))), '\x03\0\0\0\0\0\0\0', 'added to what was cleared')
          assert.deepEqual(list(await from.range(bytes(''), end, all)), seen)
          assert.deepEqual(list(await from.range(bytes(''), end, { limit: 2 })), seen.slice(0, 2))
          const reversed = { limit: 3, reverse: true }
          assert.deepEqual(list(await from.range(bytes(''), end, reversed)), seen.toReversed().slice(0, 3))
        }
        assert.deepEqual(await dump(), ['a=1', 'b=1', 'c=1', 'd=1'])
      })
      assert.deepEqual(await dump(), ['a=2', 'bb=2', 'c=\x03\0\0\0\0\0\0\0', 'd=1', 'n=\x02\x01\0\0\0\0\0\0'])
    })

    test('K3: any writes and reads in a transaction agree with a plain sorted list', async () => {
      const key = fc.constantFrom('a', 'b', 'bb', 'c', 'd', 'e', 'ee', 'f')
      const step = fc.oneof(
        fc.record({ do: fc.constant('set' as const), key, value: fc.constantFrom('x', 'y', '') }),
        fc.record({ do: fc.constant('clear' as const), key }),
        fc.record({ do: fc.constant('clearRange' as const), key, to: key }),
        fc.record({ do: fc.constant('add' as const), key, by: fc.bigInt({ min: -300n, max: 300n }) }),
        fc.record({ do: fc.constant('get' as const), key }),
        fc.record({ do: fc.constant('range' as const), key, to: key, limit: fc.nat(5), reverse: fc.boolean() }),
        fc.record({ do: fc.constant('commit' as const) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          await store.transact(async (transaction) => transaction.clearRange(bytes(''), end))
          const model = new Map<string, string>()
          const parts: (typeof steps)[] = [[]]
          for (const each of steps) each.do === 'commit' ? parts.push([]) : parts.at(-1)?.push(each)
          for (const part of parts) {
            await store.transact(async (transaction) => {
              for (const each of part) await follow(each, transaction, model)
            })
            assert.deepEqual(await dump(), listOf(model, '', '\xff', 100, false))
          }
        }),
        { numRuns: name === 'memory' ? 400 : 60 },
      )
    })

    test('atomic adds are exact under concurrency, do not conflict, wrap at 64 bits, and begin at zero', async () => {
      let runs = 0
      const addOne = (by: bigint) =>
        store.transact(async (transaction) => {
          runs++
          transaction.add(bytes('n'), by)
        })
      await Promise.all(Array.from({ length: 100 }, (_, index) => addOne(index % 2 === 0 ? 5n : -2n)))
      assert.equal(runs, 100)
      const value = await store.snapshot((snapshot) => snapshot.get(bytes('n')))
      assert.equal(Buffer.from(value ?? []).readBigInt64LE(), 150n)
      await addOne(2n ** 63n - 1n)
      const wrapped = await store.snapshot((snapshot) => snapshot.get(bytes('n')))
      assert.equal(Buffer.from(wrapped ?? []).readBigInt64LE(), BigInt.asIntN(64, 150n + 2n ** 63n - 1n))
    })

    test('appends do not conflict, sort in the order of commits, and a stamped value names its own append', async () => {
      let runs = 0
      const appendTwo = (who: number) =>
        store.transact(async (transaction) => {
          runs++
          const earlier = await transaction.relaxed.range(bytes('log'), bytes('loh'), all)
          assert.equal(transaction.append(bytes('log'), bytes(`${who}a`)), 0)
          assert.equal(transaction.append(bytes('log'), bytes(`${who}b`)), 1)
          transaction.setStamped(bytes(`stamp${who}`), bytes('<----------->'), 1)
          assert.deepEqual(await transaction.relaxed.range(bytes('log'), bytes('loh'), all), earlier)
          assert.equal(await transaction.relaxed.get(bytes(`stamp${who}`)), undefined)
        })
      for (let round = 0; round < 5; round++) {
        await Promise.all(Array.from({ length: 6 }, (_, index) => appendTwo(round * 6 + index)))
        await appendTwo(100 + round)
        runs -= 1
      }
      assert.equal(runs, 30)
      const log = await store.snapshot((snapshot) => snapshot.range(bytes('log'), bytes('loh'), all))
      assert.equal(log.length, 70)
      for (const [index, { key, value }] of log.entries()) {
        const who = Number.parseInt(text(value) ?? '', 10)
        assert.equal(text(value), `${who}${index % 2 === 0 ? 'a' : 'b'}`)
        assert.equal(key.length, 3 + 12)
        assert.equal(text(key.subarray(13)), index % 2 === 0 ? '\0\0' : '\0\x01')
        const stamped = await store.snapshot((snapshot) => snapshot.get(bytes(`stamp${who}`)))
        assert.equal(text(stamped), `<${text(key.subarray(3, 13))}->`)
      }
      const order = log.filter((_, index) => index % 2 === 0).map(({ value }) => Number.parseInt(text(value) ?? '', 10))
      for (let round = 0; round < 5; round++) {
        const part = order.slice(round * 7, round * 7 + 7)
        assert.equal(part.at(-1), 100 + round, 'what was acknowledged before stands before')
        assert.deepEqual(
          part.slice(0, 6).sort((a, b) => a - b),
          Array.from({ length: 6 }, (_, index) => round * 6 + index),
        )
      }
    })

    test('a stamp committed later is larger, also after what only added or set', async () => {
      const stamp = async (): Promise<Uint8Array> => {
        await store.transact(async (transaction) => transaction.setStamped(bytes('s'), Buffer.alloc(10), 0))
        return (await store.snapshot((snapshot) => snapshot.get(bytes('s')))) ?? Buffer.alloc(0)
      }
      let last = await stamp()
      for (let round = 0; round < 5; round++) {
        await write(`a=${round}`)
        const next = await stamp()
        assert.ok(Buffer.compare(next, last) > 0)
        last = next
      }
    })

    test('ranges have both directions, limits, and bounds that are in (from) and out (to)', async () => {
      await write('a=1', 'b=2', 'c=3', 'd=4', 'c\0=5')
      const range = (from: string, to: string, limit: number, reverse = false) =>
        store.snapshot(async (snapshot) => list(await snapshot.range(bytes(from), bytes(to), { limit, reverse })))
      assert.deepEqual(await range('', '\xff', 10), ['a=1', 'b=2', 'c=3', 'c\0=5', 'd=4'])
      assert.deepEqual(await range('b', 'd', 10), ['b=2', 'c=3', 'c\0=5'])
      assert.deepEqual(await range('b', 'd', 10, true), ['c\0=5', 'c=3', 'b=2'])
      assert.deepEqual(await range('b', 'd\0', 1, true), ['d=4'])
      assert.deepEqual(await range('aa', 'bb', 10), ['b=2'])
      assert.deepEqual(await range('aa', 'bb', 10, true), ['b=2'])
      assert.deepEqual(await range('', 'a', 10, true), [])
      assert.deepEqual(await range('e', '\xff', 10, true), [])
      assert.deepEqual(await range('', '\xff', 2, true), ['d=4', 'c\0=5'])
      assert.deepEqual(await range('b', 'b', 10), [])
      assert.deepEqual(await range('c', 'b', 10), [])
      assert.deepEqual(await range('c', 'b', 10, true), [])
      assert.deepEqual(await range('a', 'd', 0), [])
    })

    test('a range of thousands of entries is whole and in order both ways, and clearRange takes exactly its own', async () => {
      const key = (index: number): string => `k${String(index).padStart(5, '0')}`
      const total = 5_000
      for (let from = 0; from < total; from += 1_000) {
        await write(...Array.from({ length: 1_000 }, (_, index) => `${key((from + index) * 3)}=${from + index}`))
      }
      const entries = await dump()
      assert.deepEqual(
        entries,
        Array.from({ length: total }, (_, index) => `${key(index * 3)}=${index}`),
      )
      const reversed = await store.snapshot((snapshot) =>
        snapshot.range(bytes('k'), bytes('l'), { ...all, reverse: true }),
      )
      assert.deepEqual(list(reversed), entries.toReversed())
      await store.transact(async (transaction) => transaction.clearRange(bytes(key(1_000)), bytes(key(13_000))))
      const rest = entries.filter((each) => each.slice(0, 6) < key(1_000) || each.slice(0, 6) >= key(13_000))
      assert.deepEqual(await dump(), rest)
    })

    test('what was read stays as it is after the snapshot, whatever is written', async () => {
      await write('a=first')
      const [value, entry] = await store.snapshot(async (snapshot) => [
        await snapshot.get(bytes('a')),
        (await snapshot.range(bytes('a'), bytes('b'), all))[0],
      ])
      for (let round = 0; round < 20; round++) await write(`a=other${round}`, `b${round}=x`)
      assert.deepEqual([text(value), text(entry?.key), text(entry?.value)], ['first', 'a', 'first'])
    })

    test('keys and values of any bytes, an empty value, and the largest of each, come back', async () => {
      const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index))
      const keys = [
        bytes('\0'),
        bytes('\0\0'),
        every,
        Buffer.alloc(limits.keyBytes),
        Buffer.alloc(limits.keyBytes, 0xfe),
      ]
      const values = [Buffer.alloc(0), every, Buffer.alloc(limits.valueBytes, 7), bytes('v'), bytes('w')]
      await store.transact(async (transaction) => {
        for (const [index, key] of keys.entries()) transaction.set(key, values[index] ?? Buffer.alloc(0))
      })
      await store.snapshot(async (snapshot) => {
        for (const [index, key] of keys.entries()) {
          assert.equal(Buffer.compare((await snapshot.get(key)) ?? bytes('none'), values[index] ?? bytes('-')), 0)
        }
        assert.equal((await snapshot.range(bytes(''), end, all)).length, keys.length)
      })
    })

    const refused = async (code: StoreErrorCode, body: (transaction: Transaction) => Promise<unknown>) => {
      const swallowed = async (transaction: Transaction) => {
        transaction.set(bytes('before'), bytes(''))
        await body(transaction).catch(() => undefined)
        transaction.set(bytes('after'), bytes(''))
      }
      await assert.rejects(store.transact(body), isError(code))
      await assert.rejects(store.transact(swallowed), isError(code), 'also where the body catches it')
      assert.deepEqual(await dump(), [])
    }

    test('K4: keys over 1,900 bytes, values over 99,900 and transactions over 10,000,000 are refused', async () => {
      const longKey = Buffer.alloc(limits.keyBytes + 1, 1)
      const longValue = Buffer.alloc(limits.valueBytes + 1)
      await refused('key_too_large', async (transaction) => transaction.set(longKey, bytes('')))
      await refused('key_too_large', async (transaction) => transaction.clear(longKey))
      await refused('key_too_large', async (transaction) => transaction.add(longKey, 1n))
      await refused('key_too_large', async (transaction) => transaction.append(longKey.subarray(12), bytes('')))
      await refused('key_too_large', async (transaction) => transaction.setStamped(longKey, Buffer.alloc(10), 0))
      await refused('value_too_large', async (transaction) => transaction.set(bytes('a'), longValue))
      await refused('value_too_large', async (transaction) => transaction.append(bytes('a'), longValue))
      await assert.rejects(
        store.snapshot((snapshot) => snapshot.get(longKey)),
        isError('key_too_large'),
      )
      await refused('transaction_too_large', async (transaction) => {
        for (let index = 0; index < 101; index++) transaction.set(bytes(`k${index}`), longValue.subarray(1_000))
        for (let index = 0; index < 2; index++) transaction.set(bytes(`l${index}`), longValue.subarray(1))
      })
      await store.transact(async (transaction) => {
        for (let index = 100; index < 199; index++) transaction.set(bytes(`k${index}`), longValue.subarray(1))
        transaction.clearRange(bytes('k'), bytes('l'))
      })
    })

    test('K4: a transaction of many small keys, or of long ones, that is counted as allowed is carried out', async () => {
      const fill = (size: number, each: (transaction: Transaction, key: Buffer) => Promise<void> | void) =>
        store.transact(async (transaction) => {
          for (let index = 0; index < Math.floor(9_900_000 / (288 + 3 * size)); index++) {
            const key = Buffer.alloc(size, 1)
            key.writeUInt32BE(index)
            await each(transaction, key)
          }
        })
      for (const size of [4, limits.keyBytes]) {
        await fill(size, (transaction, key) => transaction.set(key, bytes('')))
        await fill(size, async (transaction, key) => {
          if (key.readUInt32BE() < 200) assert.equal((await transaction.get(key))?.length, 0)
          else transaction.add(key, 1n)
        })
        await store.transact(async (transaction) => transaction.clearRange(bytes(''), end))
      }
    })

    test('K4: keys read count against the size of a transaction', async () => {
      const key = Buffer.alloc(limits.keyBytes, 1)
      await refused('transaction_too_large', async (transaction) => {
        // Many at once: one after the other they would take longer than a transaction may, where the machine is busy.
        for (let read = 0; read < 10_000_000; read += 100 * limits.keyBytes) {
          await Promise.all(Array.from({ length: 100 }, () => transaction.get(key)))
        }
      })
    })

    test('K4: a transaction or snapshot reads nothing, and commits nothing, 5 s after its first read', async () => {
      const late = store.transact(async (transaction) => {
        await transaction.get(bytes('a'))
        transaction.set(bytes('a'), bytes('1'))
        world.pass(limits.transactionMilliseconds + 1)
      })
      await assert.rejects(late, isError('transaction_too_old'))
      const lateReads = store.transact(async (transaction) => {
        await transaction.get(bytes('a'))
        world.pass(limits.transactionMilliseconds + 1)
        await transaction.get(bytes('a'))
      })
      await assert.rejects(lateReads, isError('transaction_too_old'))
      const lateSnapshot = store.snapshot(async (snapshot) => {
        await snapshot.get(bytes('a'))
        world.pass(limits.transactionMilliseconds - 1_000)
        await snapshot.get(bytes('a'))
        world.pass(1_001)
        await snapshot.range(bytes('a'), bytes('b'), all)
      })
      await assert.rejects(lateSnapshot, isError('transaction_too_old'))
      assert.deepEqual(await dump(), [])
    })

    test('a transaction or snapshot that has ended reads no more', async () => {
      const [transaction, snapshot] = [
        await store.transact(async (each) => each),
        await store.snapshot(async (each) => each),
      ]
      await assert.rejects(transaction.get(bytes('a')), StoreError)
      await assert.rejects(snapshot.get(bytes('a')), StoreError)
    })

    test('thousands of snapshots at once all end', async () => {
      await write('a=1')
      const looks = Array.from({ length: 3_000 }, () =>
        store.snapshot(async (snapshot) => {
          await turn()
          return text(await snapshot.get(bytes('a')))
        }),
      )
      assert.deepEqual(new Set(await Promise.all(looks)), new Set(['1']))
    })

    test('a watch resolves when its key is set, changed or cleared, and not before', async () => {
      for (const change of ['a=1', 'a=2', undefined]) {
        let seen = false
        const watch = store.watch(bytes('a'), never).then(() => {
          seen = true
        })
        await write('b=1')
        await turn()
        assert.equal(seen, false)
        if (change === undefined) await store.transact(async (transaction) => transaction.clear(bytes('a')))
        else await write(change)
        await watch
      }
    })

    test('who watches and then looks, or writes, misses nothing', async () => {
      for (let round = 0; round < 30; round++) {
        const other = store.watch(bytes('a'), never)
        await Promise.all([other, write(`a=${round}`)])
        const changed = store.watch(bytes('a'), never)
        const rival = write(`a=x${round}`)
        while ((await read('a')) === String(round)) await Promise.race([changed, turn()])
        await Promise.all([changed, rival])
      }
    })

    test('a watch ends with the reason of its signal', async () => {
      const controller = new AbortController()
      const watch = store.watch(bytes('a'), controller.signal)
      controller.abort(new Error('enough'))
      await assert.rejects(watch, /enough/)
      await assert.rejects(store.watch(bytes('a'), controller.signal), /enough/)
    })

    test('K2: closing while many commit waits for them; what was refused is not there, and later calls are refused', async () => {
      const other = await open(new PatientWorld())
      const results = Array.from({ length: 50 }, (_, index) =>
        other
          .transact(async (transaction) => transaction.set(bytes(`c${String(index).padStart(2, '0')}`), bytes('')))
          .then(
            () => index,
            (error: unknown) => {
              assert.ok(isError('closed')(error), String(error))
              return -1
            },
          ),
      )
      const watching = assert.rejects(other.watch(bytes('a'), never), isError('closed'))
      await turn()
      await other.close()
      await other.close()
      await watching
      await Promise.all(results)
      await assert.rejects(
        other.transact(async (transaction) => transaction.set(bytes('a'), bytes(''))),
        isError('closed'),
      )
      await assert.rejects(
        other.snapshot((snapshot) => snapshot.get(bytes('a'))),
        isError('closed'),
      )
      await assert.rejects(other.watch(bytes('a'), never), isError('closed'))
    })
  })
}

type Step =
  | { readonly do: 'set'; readonly key: string; readonly value: string }
  | { readonly do: 'clear'; readonly key: string }
  | { readonly do: 'clearRange'; readonly key: string; readonly to: string }
  | { readonly do: 'add'; readonly key: string; readonly by: bigint }
  | { readonly do: 'get'; readonly key: string }
  | {
      readonly do: 'range'
      readonly key: string
      readonly to: string
      readonly limit: number
      readonly reverse: boolean
    }
  | { readonly do: 'commit' }

/** Does the step in the transaction and in the model, and compares what both read. */
async function follow(step: Step, transaction: Transaction, model: Map<string, string>): Promise<void> {
  if (step.do === 'set') {
    transaction.set(bytes(step.key), bytes(step.value))
    model.set(step.key, step.value)
  } else if (step.do === 'clear') {
    transaction.clear(bytes(step.key))
    model.delete(step.key)
  } else if (step.do === 'clearRange') {
    transaction.clearRange(bytes(step.key), bytes(step.to))
    for (const key of [...model.keys()]) if (key >= step.key && key < step.to) model.delete(key)
  } else if (step.do === 'add') {
    transaction.add(bytes(step.key), step.by)
    const value = Buffer.alloc(8)
    value.set(Buffer.from(model.get(step.key) ?? '', 'latin1').subarray(0, 8))
    value.writeBigInt64LE(BigInt.asIntN(64, value.readBigInt64LE() + step.by))
    model.set(step.key, value.toString('latin1'))
  } else if (step.do === 'get') {
    assert.equal(text(await transaction.get(bytes(step.key))), model.get(step.key))
  } else if (step.do === 'range') {
    const { limit, reverse } = step
    const found = await transaction.range(bytes(step.key), bytes(step.to), { limit, reverse })
    assert.deepEqual(list(found), listOf(model, step.key, step.to, limit, reverse))
  }
}

function listOf(model: Map<string, string>, from: string, to: string, limit: number, reverse: boolean): string[] {
  const entries = [...model].filter(([key]) => key >= from && key < to).sort(([a], [b]) => (a < b ? -1 : 1))
  if (reverse) entries.reverse()
  return entries.slice(0, limit).map(([key, value]) => `${key}=${value}`)
}
