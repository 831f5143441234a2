import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Healer } from '#src/cluster/healer.ts'
import { rangeMethods } from '#src/cluster/range-methods.ts'
import type { Transport } from '#src/cluster/transport.ts'
import { isHealing } from '#src/metadata/healing.ts'
import { digestOf, splitAfter } from '#src/metadata/key-ranges.ts'
import { keys, type Subspace, under } from '#src/metadata/keyspace.ts'
import { replicatedSpaces } from '#src/metadata/replicated-rows.ts'
import { attributes, body, bytesOf, owner } from '../service/cell.ts'
import {
  bucketId,
  bucketName,
  type Cell,
  conflictMilliseconds,
  drain,
  openPeer,
  peerOf,
  replicatedRows,
  setVersioning,
} from './merging-cells.ts'

const start = 1_767_225_600_000_000
const guard = () => {}
const common = { guard, conditions: {}, bypassGovernance: false, caller: owner }
const { signal } = new AbortController()

const put = (cell: Cell, key: string, text: string) =>
  cell.objects.put({
    ...common,
    name: { bucket: bucketName, key },
    attributes,
    body: body(Buffer.from(text)),
    digests: {},
  })

function healerOf(cell: Cell, cells: readonly Cell[], asking: (method: string) => void = () => {}) {
  const asked: string[] = []
  const transport: Transport = {
    async ask(number, name, request, abort) {
      asked.push(name)
      asking(name)
      const other = cells.find((each) => each.number === number)
      const method = other === undefined ? undefined : rangeMethods(other.source).find((each) => each.name === name)
      assert.ok(method !== undefined)
      const caller = { ...peerOf(cell), region: cell.foundation.region }
      return await (method.answer(request, caller, abort) as Promise<Uint8Array>)
    },
    stream: () => {
      throw new Error('nothing here streams')
    },
  }
  const healed: number[] = []
  const healer = new Healer({
    target: { foundation: cell.foundation, conflictMilliseconds },
    transport,
    peersOf: () => cells.filter((each) => each !== cell).map(({ number }) => number),
    pieces: { coarse: 20, fine: 4 },
    report: ({ records }) => healed.push(records),
    failed: (error) => {
      throw error
    },
  })
  return { healer, asked, healed }
}

async function withTwo(run: (one: Cell, two: Cell) => Promise<void>): Promise<void> {
  const [one, two] = [await openPeer(1, start), await openPeer(2, start)]
  try {
    await run(one, two)
  } finally {
    await one.close()
    await two.close()
  }
}

async function fill(one: Cell, two: Cell): Promise<void> {
  for (let index = 0; index < 12; index++) {
    await put(one, `k${index}`, index % 3 === 0 ? `a blob of more than 16 bytes: ${index}` : `small ${index}`)
  }
  await put(one, 'both', 'lost')
  await put(two, 'both', 'stands')
  for (const cell of [one, two]) await setVersioning(cell, 'enabled')
  for (let index = 0; index < 6; index++) await put(two, `k${index}`, `again ${index}`)
  await one.objects.delete({ ...common, name: { bucket: bucketName, key: 'k7' } })
  await drain([one, two])
}

const rowsOf = async (cell: Cell, space: Subspace) => {
  const all = under(space, [bucketId])
  return await cell.store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 1000 }))
}

const apart = (rows: readonly string[]) => rows.filter((row) => !row.startsWith('tombstone'))

test('T5 I4: equal cells find nothing, and ask for no records', () =>
  withTwo(async (one, two) => {
    await fill(one, two)
    const { healer, asked, healed } = healerOf(one, [one, two])
    await healer.pass(signal)
    assert.deepEqual([new Set(asked), healed], [new Set(['digests']), []])
  }))

test('T5 O8 I4: rows that were lost, in either cell and of any kind, are found and given back', async () => {
  let lost = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.nat(), fc.nat()), { minLength: 1, maxLength: 6 }),
      async (picks) => {
        await withTwo(async (one, two) => {
          await fill(one, two)
          const before = await replicatedRows(one)
          const gone = new Set<string>()
          for (const [isFirst, space, row] of picks) {
            const name = replicatedSpaces[space % replicatedSpaces.length]
            if (name === undefined || name === 'tombstone' || name === 'nullVersion') continue
            const cell = isFirst ? one : two
            const rows = await rowsOf(cell, name)
            const found = rows[row % rows.length]
            const id = found === undefined ? '' : Buffer.from(found.key).toString('hex')
            // What both cells have lost, nobody gives back.
            if (found === undefined || gone.has(id)) continue
            gone.add(id)
            lost++
            await cell.store.transact(async (transaction) => transaction.clear(found.key))
          }
          // Twice: the bytes of a record that the other one had lost come once that one has its record again.
          for (const cell of [one, two, one, two]) await healerOf(cell, [one, two]).healer.pass(signal)
          assert.deepEqual(await replicatedRows(one), before)
          assert.deepEqual(await replicatedRows(two), before)
          for (const cell of [one, two])
            assert.equal(await cell.store.snapshot((from) => isHealing(from, start / 1000)), false)
        })
      },
    ),
    {
      numRuns: Number(process.env['MERIDIAN_CONVERGENCE_RUNS'] ?? 20),
      // One lost the bytes of a write that lost, and the other the record of it.
      examples: [
        [
          [
            [true, 893581601, 1743954385],
            [false, 758078062, 0],
          ],
        ],
      ],
    },
  )
  assert.ok(lost > 20, `only ${lost} rows were lost`)
})

test('T5: where both have lost something of one key, each gets what the other has', () =>
  withTwo(async (one, two) => {
    await fill(one, two)
    const before = await replicatedRows(one)
    const [first, second] = await rowsOf(one, 'version')
    assert.ok(first !== undefined && second !== undefined)
    await one.store.transact(async (transaction) => transaction.clear(first.key))
    await two.store.transact(async (transaction) => transaction.clear(second.key))
    for (const cell of [one, two]) await healerOf(cell, [one, two]).healer.pass(signal)
    assert.deepEqual(await replicatedRows(one), before)
    assert.deepEqual(await replicatedRows(two), before)
  }))

test('T5 I8: what one has deleted is not brought back, but deleted in the other; what was forgotten is not remembered again', () =>
  withTwo(async (one, two) => {
    await put(one, 'k', 'x')
    await put(one, 'gone', 'x')
    await drain([one, two])
    // Only in one cell: as if the feed had lost it.
    await one.objects.delete({ ...common, name: { bucket: bucketName, key: 'k' } })
    await one.objects.delete({ ...common, name: { bucket: bucketName, key: 'gone' } })
    await healerOf(one, [one, two]).healer.pass(signal)
    await assert.rejects(one.objects.find({ name: { bucket: bucketName, key: 'k' }, guard }), { code: 'NoSuchKey' })
    await two.store.transact(async (transaction) => transaction.clear(keys.current(bucketId, 'gone')))
    await healerOf(two, [one, two]).healer.pass(signal)
    await assert.rejects(two.objects.find({ name: { bucket: bucketName, key: 'k' }, guard }), { code: 'NoSuchKey' })
    const remembered = await rowsOf(two, 'tombstone')
    assert.equal(remembered.length, 1, 'not of what was not there')
    assert.deepEqual(apart(await replicatedRows(one)), [])
  }))

test('O8: bytes that are not what the record says give way to those that are, and to no others', () =>
  withTwo(async (one, two) => {
    await put(one, 'k', 'right')
    await drain([one, two])
    const row = keys.inline(bucketId, 'k', 0n)
    await two.store.transact(async (transaction) => transaction.set(row, Buffer.from('wrong')))
    await healerOf(one, [one, two]).healer.pass(signal)
    const read = async (cell: Cell) => {
      const found = await cell.objects.get({ ...common, name: { bucket: bucketName, key: 'k' } })
      return String(await bytesOf(found.bytes))
    }
    assert.equal(await read(one), 'right')
    await healerOf(two, [one, two]).healer.pass(signal)
    assert.equal(await read(two), 'right')
  }))

test('T5 C18: a reference or a blob record that was lost comes back with what it named', () =>
  withTwo(async (one, two) => {
    await put(one, 'k', 'a blob of more than 16 bytes')
    await drain([one, two])
    const { version } = await two.objects.find({ name: { bucket: bucketName, key: 'k' }, guard })
    assert.ok(version.content.kind === 'blob')
    const { blob } = version.content
    const reference = keys.reference(blob, bucketId, 'k', 0n)
    await two.store.transact(async (transaction) => {
      transaction.clear(reference)
      transaction.clear(keys.current(bucketId, 'k'))
    })
    await healerOf(two, [one, two]).healer.pass(signal)
    assert.ok((await two.store.snapshot((from) => from.get(reference))) !== undefined)
    assert.deepEqual(await replicatedRows(two), await replicatedRows(one))
  }))

test('ranges: pieces cover all keys once, and the digest of each says whether it is the same', () =>
  withTwo(async (one, two) => {
    await fill(one, two)
    await one.store.snapshot(async (from) => {
      const ends: (string | undefined)[] = []
      for (let after: string | undefined; ; ) {
        const range = { bucket: bucketId, ...(after !== undefined && { after }) }
        const until = await splitAfter(from, range, 3)
        ends.push(until)
        const piece = { ...range, ...(until !== undefined && { until }) }
        assert.equal(await digestOf(from, piece), await two.store.snapshot((other) => digestOf(other, piece)))
        if (until === undefined) break
        assert.ok(after === undefined || until > after)
        after = until
      }
      assert.ok(ends.length > 4)
      assert.notEqual(
        await digestOf(from, { bucket: bucketId, until: 'k3' }),
        await digestOf(from, { bucket: bucketId, after: 'k3' }),
      )
    })
  }))

test('T3 C10: what was asked for too long ago is not taken over any more', () =>
  withTwo(async (one, two) => {
    await put(one, 'k', 'x')
    await drain([one, two])
    await two.store.transact(async (transaction) => transaction.clear(keys.current(bucketId, 'k')))
    const { healer } = healerOf(two, [one, two], (method) => {
      // An hour passes before the answer is here.
      if (method === 'rows') two.clock.now += 3_600_000_000
    })
    await assert.rejects(healer.heal(bucketId, one.number, signal), /took too long/)
    assert.deepEqual(await rowsOf(two, 'current'), [])
  }))
