import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { nextRequest } from '#src/cluster/feed-following.ts'
import { applyPage, type Page } from '#src/cluster/feed-pages.ts'
import { Forgetter } from '#src/cluster/forgetter.ts'
import type { FeedRequest } from '#src/cluster/page-codec.ts'
import { beginHealing } from '#src/metadata/healing.ts'
import { partitionOf, under } from '#src/metadata/keyspace.ts'
import { readCurrent } from '#src/metadata/object-records.ts'
import { formatStamp } from '#src/model/stamp.ts'
import { attributes, body, owner } from '../service/cell.ts'
import {
  bucketId,
  bucketName,
  type Cell,
  drain,
  nextPage,
  openPeer,
  peerOf,
  replicatedRows,
  setVersioning,
} from './merging-cells.ts'

const start = 1_767_225_600_000_000
const guard = () => {}
const common = { guard, conditions: {}, bypassGovernance: false, caller: owner }
const limits = { bytes: 1, wait: 0 }

interface Place {
  readonly cell: Cell
  readonly forgetter: Forgetter
}

function withForgetters(cells: readonly Cell[], everyone = cells): readonly Place[] {
  return cells.map((cell) => ({
    cell,
    forgetter: new Forgetter({
      foundation: cell.foundation,
      incarnation: cell.source.incarnation,
      peers: () => everyone.filter((each) => each !== cell).map(peerOf),
      youngest: 0,
      interval: 0,
    }),
  }))
}

const put = (cell: Cell, key: string) =>
  cell.objects.put({
    ...common,
    name: { bucket: bucketName, key },
    attributes,
    body: body(Buffer.from('x')),
    digests: {},
  })

const remove = (cell: Cell, key: string, versionId?: string) =>
  cell.objects.delete({ ...common, name: { bucket: bucketName, key }, ...(versionId !== undefined && { versionId }) })

async function tombstones(cell: Cell): Promise<number> {
  const all = under('tombstone', [bucketId])
  return (await cell.store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 100 }))).length
}

/** A request of `from` for the feed of `to`, as it is now. */
const asking = (from: Cell, to: Cell): Promise<FeedRequest> => nextRequest(from.target, peerOf(to), limits)

async function askAll(places: readonly Place[]): Promise<void> {
  for (const { cell } of places) {
    for (const other of places) {
      if (other.cell !== cell) await other.forgetter.passed({ cell: cell.number }, await asking(cell, other.cell))
    }
  }
}

async function withCells(count: number, run: (cells: readonly Cell[]) => Promise<void>): Promise<void> {
  const cells: Cell[] = []
  try {
    for (let number = 1; number <= count; number++) cells.push(await openPeer(number, start))
    await run(cells)
  } finally {
    for (const cell of cells) await cell.close()
  }
}

test('T2 T4 C10: a tombstone goes once all cells have passed it and have been heard, and does not come back', () =>
  withCells(3, async (cells) => {
    const places = withForgetters(cells)
    const [first] = places
    assert.ok(first !== undefined)
    await put(first.cell, 'k')
    await drain(cells)
    await remove(first.cell, 'k')
    const pass = async () => {
      for (const { forgetter } of places) await forgetter.pass()
      return await Promise.all(cells.map(tombstones))
    }
    assert.deepEqual(await pass(), [1, 0, 0], 'nobody has passed it')
    await drain(cells)
    assert.deepEqual(await pass(), [1, 1, 1], 'nobody has said so')
    await askAll(places)
    assert.deepEqual(await pass(), [1, 1, 1], 'said, and not yet settled')
    await askAll(places)
    assert.deepEqual(await pass(), [0, 0, 0])
    await drain(cells)
    assert.deepEqual(await pass(), [0, 0, 0])
    const before = cells[1]?.clock
    assert.ok(before !== undefined && cells[1] !== undefined)
    before.now -= 3_600_000_000
    const { version } = await put(cells[1], 'k')
    assert.ok(version.stamp > BigInt(start) * 1000n, 'C7: the floor remembers')
  }))

test('T4: what another cell is not known to have passed stays; a cell that was born again begins anew', () =>
  withCells(3, async (cells) => {
    const [one, two] = cells
    assert.ok(one !== undefined && two !== undefined)
    const places = withForgetters(cells.slice(0, 2), cells)
    await put(one, 'k')
    await remove(one, 'k')
    await drain(cells)
    await askAll(places)
    await askAll(places)
    await places[0]?.forgetter.pass()
    assert.equal(await tombstones(one), 1, 'the third said nothing')
    const reborn = new Forgetter({
      foundation: one.foundation,
      incarnation: one.source.incarnation,
      peers: () => [{ ...peerOf(two), incarnation: 'second' }],
      youngest: 0,
      interval: 0,
    })
    await reborn.pass()
    assert.equal(await tombstones(one), 1)
  }))

test('T4 C10: a cell that spoke before it had passed a tombstone keeps it, however often the others speak', () =>
  withCells(3, async (cells) => {
    const places = withForgetters(cells)
    const [one, two, three] = cells
    assert.ok(one !== undefined && two !== undefined && three !== undefined)
    await put(one, 'k')
    await drain(cells)
    await askAll(places)
    await askAll(places)
    await remove(one, 'k')
    await drain([one, two])
    for (let round = 0; round < 3; round++) await askAll(places.slice(0, 2))
    for (const { forgetter } of places) await forgetter.pass()
    assert.deepEqual(await Promise.all(cells.map(tombstones)), [1, 1, 0])
    await drain(cells)
    await assert.rejects(three.objects.find({ name: { bucket: bucketName, key: 'k' }, guard }), { code: 'NoSuchKey' })
  }))

test('C10 I8: a page that was read before a tombstone was passed is refused after it was forgotten', () =>
  withCells(2, async (cells) => {
    const places = withForgetters(cells)
    const [one, two] = cells
    assert.ok(one !== undefined && two !== undefined)
    await put(two, 'k')
    const late = await nextPage(two, one, partitionOf(bucketId, 'k'))
    await drain(cells)
    await remove(one, 'k')
    await drain(cells)
    await askAll(places)
    await askAll(places)
    for (const { forgetter } of places) await forgetter.pass()
    assert.deepEqual(await Promise.all(cells.map(tombstones)), [0, 0])
    assert.equal(late.items.length, 1)
    assert.equal((await applyPage(one.target, peerOf(two), late)).cursor, undefined)
    await assert.rejects(one.objects.find({ name: { bucket: bucketName, key: 'k' }, guard }), { code: 'NoSuchKey' })
  }))

test('T3 C10: nothing is forgotten while records come in beside the feeds', () =>
  withCells(2, async (cells) => {
    const places = withForgetters(cells)
    const [place] = places
    assert.ok(place !== undefined)
    const { cell, forgetter } = place
    await put(cell, 'k')
    await remove(cell, 'k')
    await drain(cells)
    await askAll(places)
    await askAll(places)
    const now = cell.foundation.world.now()
    await cell.store.transact((transaction) => beginHealing(transaction, now + 1000))
    await forgetter.pass()
    assert.equal(await tombstones(cell), 1)
    cell.clock.now += 1_000_000
    await forgetter.pass()
    assert.equal(await tombstones(cell), 0)
  }))

type Step =
  | {
      readonly kind: 'put' | 'delete' | 'deleteVersion'
      readonly at: number
      readonly key: string
      readonly pick: number
    }
  | { readonly kind: 'read'; readonly from: number; readonly to: number; readonly key: string }
  | { readonly kind: 'deliver' | 'say'; readonly pick: number }
  | { readonly kind: 'ask'; readonly from: number; readonly to: number }
  | { readonly kind: 'forget'; readonly at: number }
  | { readonly kind: 'follow'; readonly key: string; readonly without: number }
  | { readonly kind: 'askAll' }

const at = fc.nat(2)
const key = fc.constantFrom('a', 'b')
const one = <Kind extends string>(kind: Kind) => fc.constant(kind)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('put' as const, 'delete' as const, 'deleteVersion' as const),
      at,
      key,
      pick: fc.nat(9),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: one('read'), from: at, to: at, key }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constantFrom('deliver' as const, 'say' as const), pick: fc.nat(20) }) },
  { weight: 6, arbitrary: fc.record({ kind: one('ask'), from: at, to: at }) },
  { weight: 12, arbitrary: fc.record({ kind: one('forget'), at }) },
  // So much in a row seldom comes by chance.
  { weight: 16, arbitrary: fc.record({ kind: one('follow'), key, without: fc.nat(9) }) },
  { weight: 16, arbitrary: fc.record({ kind: one('askAll') }) },
)

/** All that is on its way: pages that were read, requests that were sent. */
class Mail {
  readonly pages: { readonly from: Cell; readonly to: Cell; readonly page: Page }[] = []
  readonly requests: { readonly from: Cell; readonly to: Place; readonly request: FeedRequest }[] = []
  /** Stamps of versions that were removed for good, and of `null` ones that something later took the place of. */
  readonly removed = new Set<string>()
  readonly last = new Map<string, bigint>()
  readonly written: { readonly key: string; readonly id: string }[] = []
  forgotten = 0
}

async function perform(places: readonly Place[], mail: Mail, step: Step): Promise<void> {
  const placeAt = (index: number): Place => places[index % places.length] as Place
  switch (step.kind) {
    case 'put': {
      const { version, versionId } = await put(placeAt(step.at).cell, step.key)
      if (versionId === undefined) mail.last.set(step.key, max(mail.last.get(step.key), version.stamp))
      else mail.written.push({ key: step.key, id: versionId })
      return
    }
    case 'delete': {
      const { cell } = placeAt(step.at)
      await remove(cell, step.key)
      return
    }
    case 'deleteVersion': {
      const chosen = mail.written[step.pick % Math.max(1, mail.written.length)]
      if (chosen === undefined) return
      const { cell } = placeAt(step.at)
      const isHere = await cell.objects
        .find({ name: { bucket: bucketName, key: chosen.key }, versionId: chosen.id, guard })
        .then(
          () => true,
          () => false,
        )
      if (!isHere) return
      await remove(cell, chosen.key, chosen.id)
      mail.removed.add(`${chosen.key} ${chosen.id}`)
      return
    }
    case 'read': {
      const [from, to] = [placeAt(step.from).cell, placeAt(step.to).cell]
      if (from === to) return
      mail.pages.push({ from, to, page: await nextPage(from, to, partitionOf(bucketId, step.key), 2) })
      return
    }
    case 'deliver': {
      const found = mail.pages[step.pick % Math.max(1, mail.pages.length)]
      if (found !== undefined) await applyPage(found.to.target, peerOf(found.from), found.page)
      return
    }
    case 'ask': {
      const [from, to] = [placeAt(step.from), placeAt(step.to)]
      if (from !== to) mail.requests.push({ from: from.cell, to, request: await asking(from.cell, to.cell) })
      return
    }
    case 'say': {
      const found = mail.requests[step.pick % Math.max(1, mail.requests.length)]
      if (found !== undefined) await found.to.forgetter.passed({ cell: found.from.number }, found.request)
      return
    }
    case 'follow': {
      const partition = partitionOf(bucketId, step.key)
      for (const { cell: to } of places) {
        for (const { cell: from } of places) {
          if (from === to || from === places[step.without]?.cell) continue
          await applyPage(to.target, peerOf(from), await nextPage(from, to, partition))
        }
      }
      return
    }
    case 'askAll':
      await askAll(places)
      return
    case 'forget': {
      const { cell, forgetter } = placeAt(step.at)
      const before = await tombstones(cell)
      await forgetter.pass()
      mail.forgotten += before - (await tombstones(cell))
    }
  }
}

const max = (one: bigint | undefined, other: bigint): bigint => (one === undefined || other > one ? other : one)

/** What stands of the versions, without what was remembered of the others. */
async function standing(cell: Cell): Promise<readonly string[]> {
  return (await replicatedRows(cell)).filter((row) => !row.startsWith('tombstone'))
}

/** Numbered versions where `versioning`, null ones where not: there a later stamp would hide what came back. */
async function checkDeleted(cells: readonly Cell[], mail: Mail, isVersioned: boolean): Promise<void> {
  const [first, ...others] = await Promise.all(cells.map(standing))
  for (const rows of others) assert.deepEqual(rows, first)
  for (const cell of cells) {
    for (const { key, id } of mail.written) {
      if (!mail.removed.has(`${key} ${id}`)) continue
      const found = cell.objects.find({ name: { bucket: bucketName, key }, versionId: id, guard })
      await assert.rejects(found, `I8: ${key} ${id} stays deleted`)
    }
    if (isVersioned) continue
    for (const name of ['a', 'b']) {
      const current = await cell.store.snapshot((from) => readCurrent(from, { bucket: bucketId, key: name }))
      const last = mail.last.get(name)
      if (current !== undefined && last !== undefined) {
        assert.equal(formatStamp(current.version.stamp), formatStamp(last), 'I8: no earlier one came back')
      }
    }
  }
}

test('T4 I8 C10: with pages and requests late and in any order, what was deleted stays deleted, and is forgotten in the end', async () => {
  let forgotten = 0
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.integer({ min: 2, max: 3 }),
      fc.array(step, { minLength: 40, maxLength: 120, size: 'max' }),
      async (isVersioned, count, steps) => {
        await withCells(count, async (cells) => {
          if (isVersioned) for (const cell of cells) await setVersioning(cell, 'enabled')
          const places = withForgetters(cells)
          const mail = new Mail()
          for (const each of steps) await perform(places, mail, each)
          forgotten += mail.forgotten
          await drain(cells)
          await checkDeleted(cells, mail, isVersioned)
          for (let round = 0; round < 3; round++) {
            await askAll(places)
            for (const { forgetter } of places) await forgetter.pass()
            await drain(cells)
          }
          assert.deepEqual(await Promise.all(cells.map(tombstones)), new Array(count).fill(0))
          // Whatever is still on its way.
          for (const { from, to, page } of mail.pages) await applyPage(to.target, peerOf(from), page)
          await drain(cells)
          await checkDeleted(cells, mail, isVersioned)
        })
      },
    ),
    { numRuns: Number(process.env['MERIDIAN_CONVERGENCE_RUNS'] ?? 30) },
  )
  assert.ok(forgotten > 0, `only ${forgotten} were forgotten while something was on its way`)
})
