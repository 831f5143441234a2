import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { applyPage, type Page } from '#src/cluster/feed-pages.ts'
import { decodeConflict } from '#src/metadata/conflict-records.ts'
import { readCursor } from '#src/metadata/cursors.ts'
import { decodeChange } from '#src/metadata/feed.ts'
import { readChanged } from '#src/metadata/feed-reading.ts'
import { partitionOf, partitions, slotOf, under } from '#src/metadata/keyspace.ts'
import { decodeTombstone, entryOf } from '#src/metadata/object-records.ts'
import { receive } from '#src/metadata/receive.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { Occupant } from '#src/model/merge.ts'
import { formatStamp, type Stamp } from '#src/model/stamp.ts'
import { blobOf, type Version } from '#src/model/version.ts'
import { countRecords } from '#src/service/usage-recount.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { attributes, body, owner } from '../service/cell.ts'
import {
  bucketId,
  bucketName,
  type Cell,
  conflictMilliseconds,
  drain,
  nextPage,
  openPeer,
  peerOf,
  replicatedRows,
  setVersioning,
} from './merging-cells.ts'

type Local =
  | { readonly kind: 'put'; readonly size: number }
  | { readonly kind: 'delete' }
  | { readonly kind: 'deleteVersion'; readonly pick: number }
  | { readonly kind: 'tag'; readonly pick: number }
  | { readonly kind: 'hold'; readonly pick: number }
  | { readonly kind: 'copy'; readonly to: string }

type Step =
  | { readonly kind: 'write'; readonly at: number; readonly key: string; readonly local: Local }
  | { readonly kind: 'versioning'; readonly at: number; readonly to: 'enabled' | 'suspended' }
  | { readonly kind: 'clock'; readonly at: number; readonly by: number }
  | {
      readonly kind: 'page'
      readonly from: number
      readonly to: number
      readonly key: string
      readonly entries: number
    }
  | { readonly kind: 'stray'; readonly to: number; readonly pick: number }

const key = fc.constantFrom('a', 'b', 'c\0')
const at = fc.nat(3)
const pick = fc.nat(6)
const local: fc.Arbitrary<Local> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('put' as const), size: fc.constantFrom(0, 5, 5, 40) }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'delete' as const }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('deleteVersion' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('tag' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('copy' as const), to: key }) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('write' as const), at, key, local }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('versioning' as const),
      at,
      to: fc.constantFrom('enabled' as const, 'suspended' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('clock' as const), at, by: fc.integer({ min: -9, max: 9 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('page' as const),
      from: at,
      to: at,
      key,
      entries: fc.constantFrom(1, 2, 50),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('stray' as const), to: at, pick: fc.nat(50) }) },
)

const guard = () => {}

/** Every record that a write made, as it was then. */
class History {
  /** Of the `null` slot. */
  readonly nulls = new Map<string, Map<Stamp, Occupant>>()
  readonly versions = new Map<string, Map<Stamp, Version>>()
  readonly removed = new Map<string, Set<Stamp>>()
  /** The latest tags of each version. */
  readonly tags = new Map<string, { readonly stamp: Stamp; readonly value: string }>()
  readonly bytes = new Map<string, Buffer>()

  of<Value>(map: Map<string, Value>, name: string, make: () => Value): Value {
    const found = map.get(name) ?? make()
    map.set(name, found)
    return found
  }
}

async function entriesOf(cell: Cell, space: Parameters<typeof under>[0]) {
  const all = under(space, space === 'feed' ? [] : [bucketId])
  return await cell.store.snapshot((snapshot) => snapshot.range(all.from, all.to, { limit: 100_000 }))
}

/** What one cell wrote by itself: new stamps among its rows that nobody had before. */
async function note(cell: Cell, history: History): Promise<void> {
  for (const { value } of await entriesOf(cell, 'feed')) {
    const change = decodeChange(value)
    if (change.isConflict === true) continue
    const record = await cell.store.snapshot((snapshot) => readChanged(snapshot, change))
    assert.ok(record !== undefined && record.kind !== 'conflict', 'an entry names a record')
    const name = record.key
    if (record.kind === 'version') {
      const { version } = record
      const id = `${name} ${version.stamp}`
      const kept = version.isNull
        ? history.of<Map<Stamp, Version | Occupant>>(history.nulls as never, name, () => new Map())
        : history.of<Map<Stamp, Version | Occupant>>(history.versions as never, name, () => new Map())
      if (!kept.has(version.stamp)) kept.set(version.stamp, version)
      if (version.kind !== 'object') continue
      const value = JSON.stringify([...(version.tags?.value ?? [])])
      const stamp = version.tags?.stamp ?? 0n
      if (stamp >= (history.tags.get(id)?.stamp ?? 0n)) history.tags.set(id, { stamp, value })
    } else if (record.slot === 0n) {
      const nulls = history.of(history.nulls, name, () => new Map())
      if (!nulls.has(record.removal.stamp)) nulls.set(record.removal.stamp, record.removal)
    } else history.of(history.removed, name, () => new Set<Stamp>()).add(record.slot)
  }
}

let counter = 0

async function pickVersion(cell: Cell, key: string, pick: number): Promise<Version | undefined> {
  const versions = (await entriesOf(cell, 'version')).concat(await entriesOf(cell, 'current'))
  const own = versions.filter((row) => {
    const reader = new TupleReader(row.key, 1)
    reader.number()
    return reader.text() === key
  })
  const row = own[pick % Math.max(1, own.length)]
  return row === undefined ? undefined : decodeVersion(row.value)
}

async function write(cell: Cell, key: string, local: Local, history: History): Promise<void> {
  const name = { bucket: bucketName, key }
  const { objects } = cell
  const idOf = (version: Version) => (version.isNull ? 'null' : formatStamp(version.stamp))
  const common = { guard, conditions: {}, bypassGovernance: false, caller: owner }
  switch (local.kind) {
    case 'put': {
      const bytes = Buffer.alloc(local.size, `${counter++}.`)
      const written = await objects.put({ name, attributes, body: body(bytes), digests: {}, guard, conditions: {} })
      history.bytes.set(`${key} ${written.version.stamp}`, bytes)
      return
    }
    case 'delete':
      await objects.delete({ name, ...common })
      return
    case 'deleteVersion': {
      const version = await pickVersion(cell, key, local.pick)
      if (version === undefined || (version.kind === 'object' && version.hold?.value === true)) return
      await objects.delete({ name, ...common, versionId: idOf(version) })
      return
    }
    case 'tag':
    case 'hold': {
      const version = await pickVersion(cell, key, local.pick)
      if (version?.kind !== 'object') return
      const tags = new Map([['n', String(counter++)]])
      const change = local.kind === 'tag' ? { tags } : { hold: version.hold?.value !== true }
      await objects.update({ name, versionId: idOf(version), guard, change: () => change })
      return
    }
    case 'copy': {
      const source = await objects.find({ name, guard }).catch(() => undefined)
      if (source === undefined) return
      const target = { bucket: bucketName, key: local.to }
      const request = { source: { name, guard, conditions: {} }, name: target, guard, conditions: {} }
      const written = await objects.copy({ ...request, attributes: () => attributes })
      const bytes = history.bytes.get(`${key} ${source.version.stamp}`)
      assert.ok(bytes !== undefined)
      history.bytes.set(`${local.to} ${written.version.stamp}`, bytes)
    }
  }
}

async function perform(cells: readonly Cell[], step: Step, history: History, pages: Page[]): Promise<void> {
  const cellAt = (index: number): Cell => cells[index % cells.length] as Cell
  switch (step.kind) {
    case 'write': {
      const cell = cellAt(step.at)
      await write(cell, step.key, step.local, history)
      await note(cell, history)
      return
    }
    case 'versioning':
      await setVersioning(cellAt(step.at), step.to)
      return
    case 'clock':
      cellAt(step.at).clock.now += step.by
      return
    case 'page': {
      const [from, to] = [cellAt(step.from), cellAt(step.to)]
      if (from === to) return
      const page = await nextPage(from, to, partitionOf(bucketId, step.key), step.entries)
      await applyPage(to.target, peerOf(from), page)
      pages.push(page)
      return
    }
    case 'stray': {
      // Late, again, or through somebody else: whatever was ever told, in any order.
      const page = pages[step.pick % Math.max(1, pages.length)]
      const to = cellAt(step.to)
      if (page === undefined) return
      const records = page.items.map(({ record }) => record)
      const here = { region: to.foundation.region, cell: to.number }
      const receiving = { here, now: to.foundation.world.now(), conflictMilliseconds }
      await to.store.transact((transaction) => receive(transaction, records, receiving))
    }
  }
}

/** O1 to O4, and that nothing is there but what must be, and is counted. */
async function checkOwnRows(cell: Cell): Promise<void> {
  const recount = await countRecords(cell.store, bucketId)
  assert.deepEqual(recount?.kept, recount?.counted, 'V10: what is stored')
  const newest = new Map<string, Version>()
  const needed = new Set<string>()
  const inline = new Set<string>()
  const entries = new Map<string, string>()
  const nameOf = (row: { readonly key: Uint8Array }) => {
    const reader = new TupleReader(row.key, 1)
    reader.number()
    return reader.text()
  }
  const keep = (name: string, slot: Stamp, version: Version) => {
    const named = version.vector.map(([number]) => number)
    assert.deepEqual(named, [...named].sort(), 'vectors are in one order')
    if (version.kind === 'marker') return
    if (version.content.kind === 'inline') inline.add(`${name} ${slot}`)
    const blob = blobOf(version.content)
    if (blob !== undefined) needed.add(`${blob} ${name} ${slot}`)
  }
  const list = (bytes: Uint8Array, name: string, slot: Stamp, isConflict = false) => {
    const place = `${partitionOf(bucketId, name)} ${Buffer.from(entryOf(bytes)).toString('hex')}`
    entries.set(place, `${name} ${slot} ${isConflict}`)
  }
  for (const row of await entriesOf(cell, 'version')) {
    const version = decodeVersion(row.value)
    const name = nameOf(row)
    if (version.stamp > (newest.get(name)?.stamp ?? 0n)) newest.set(name, version)
    keep(name, slotOf(version), version)
    list(row.value, name, slotOf(version))
  }
  const current = new Map<string, Version>()
  for (const row of await entriesOf(cell, 'current')) {
    const version = decodeVersion(row.value)
    const name = nameOf(row)
    current.set(name, version)
    if (version.stamp > (newest.get(name)?.stamp ?? 0n)) newest.set(name, version)
    keep(name, slotOf(version), version)
    list(row.value, name, slotOf(version))
  }
  for (const [name, version] of newest) {
    const expected = version.kind === 'marker' ? undefined : version.stamp
    assert.equal(current.get(name)?.stamp, expected, `O1: what is current of ${name}`)
  }
  for (const row of await entriesOf(cell, 'tombstone')) {
    const reader = new TupleReader(row.key, 1)
    reader.number()
    list(row.value, reader.text(), reader.bigint())
  }
  for (const row of await entriesOf(cell, 'conflict')) {
    const { conflict } = decodeConflict(row.value)
    keep(nameOf(row), conflict.version.stamp, conflict.version)
    list(row.value, nameOf(row), conflict.version.stamp, true)
  }
  await checkSides(cell, needed, inline, entries)
}

async function checkSides(
  cell: Cell,
  needed: ReadonlySet<string>,
  inline: ReadonlySet<string>,
  entries: ReadonlyMap<string, string>,
): Promise<void> {
  const references = under('reference', [])
  const rows = await cell.store.snapshot((snapshot) =>
    snapshot.range(references.from, references.to, { limit: 10_000 }),
  )
  const held = rows.map(({ key }) => {
    const reader = new TupleReader(key, 1)
    const blob = Buffer.from(reader.bytes()).toString('hex')
    reader.number()
    return `${blob} ${reader.text()} ${reader.bigint()}`
  })
  assert.deepEqual(held.sort(), [...needed].sort(), 'O3: references')
  const beside = (await entriesOf(cell, 'inline')).map(({ key }) => {
    const reader = new TupleReader(key, 1)
    reader.number()
    return `${reader.text()} ${reader.bigint()}`
  })
  assert.deepEqual(beside.sort(), [...inline].sort(), 'bytes beside records')
  const feed = new Map<string, string>()
  for (const { key, value } of await entriesOf(cell, 'feed')) {
    const partition = new TupleReader(key, 1).number()
    const change = decodeChange(value)
    const place = `${partition} ${Buffer.from(key.subarray(key.length - 12)).toString('hex')}`
    feed.set(place, `${change.key} ${change.slot} ${change.isConflict === true}`)
  }
  assert.deepEqual(new Map([...feed].sort()), new Map([...entries].sort()), 'O2: one entry per record')
}

const seen = ({ vector }: Occupant, stamp: Stamp): boolean =>
  vector.some(([cell, last]) => BigInt(cell) === stamp % 1000n && last >= stamp)

/** What must be there, of all that was ever written, in whatever order it was told. */
async function checkAgainst(cell: Cell, history: History): Promise<void> {
  const versions = new Map<string, Set<Stamp>>()
  const nulls = new Map<string, Stamp>()
  const read = async (space: 'version' | 'current') => {
    for (const row of await entriesOf(cell, space)) {
      const reader = new TupleReader(row.key, 1)
      reader.number()
      const name = reader.text()
      const version = decodeVersion(row.value)
      if (version.isNull) nulls.set(name, version.stamp)
      else history.of(versions, name, () => new Set()).add(version.stamp)
      const expected = version.kind === 'object' ? history.tags.get(`${name} ${version.stamp}`) : undefined
      if (version.kind === 'object') {
        assert.equal(JSON.stringify([...(version.tags?.value ?? [])]), expected?.value, 'C11: the latest tags')
      }
      if (version.kind !== 'object' || version.content.kind !== 'inline' || space !== 'current') continue
      const found = await cell.objects.get({ name: { bucket: bucketName, key: name }, guard, conditions: {} })
      assert.deepEqual(Buffer.from(found.bytes as Uint8Array), history.bytes.get(`${name} ${version.stamp}`))
    }
  }
  await read('version')
  await read('current')
  for (const row of await entriesOf(cell, 'tombstone')) {
    const reader = new TupleReader(row.key, 1)
    reader.number()
    const name = reader.text()
    if (reader.bigint() === 0n) nulls.set(name, decodeTombstone(row.value).stamp)
  }
  for (const [name, written] of history.versions) {
    const removed = history.removed.get(name) ?? new Set()
    const expected = [...written.keys()].filter((stamp) => !removed.has(stamp))
    assert.deepEqual(
      [...(versions.get(name) ?? [])].sort(),
      expected.sort(),
      'C9: versions are a set without what was removed',
    )
  }
  const lost = await entriesOf(cell, 'conflict')
  const conflicts = new Map<string, Set<Stamp>>()
  for (const row of lost) {
    const reader = new TupleReader(row.key, 1)
    reader.number()
    history.of(conflicts, reader.text(), () => new Set()).add(reader.bigint())
  }
  for (const [name, written] of history.nulls) {
    const all = [...written.values()]
    const last = all.reduce((most, each) => (each.stamp > most.stamp ? each : most))
    assert.equal(nulls.get(name), last.stamp, 'I6: the latest null version stands')
    for (const each of all) {
      const isFound = conflicts.get(name)?.has(each.stamp) === true
      const isLost = each.kind === 'object' && each.stamp !== last.stamp
      if (isLost && !all.some((other) => other !== each && seen(other, each.stamp))) {
        assert.ok(isFound, 'C12: what nobody had seen is kept')
      }
      if (isFound)
        assert.ok(
          isLost && all.some((other) => other.stamp > each.stamp && !seen(other, each.stamp)),
          'C12: only what lost unseen',
        )
    }
  }
}

const run = { numRuns: Number(process.env['MERIDIAN_CONVERGENCE_RUNS'] ?? 60) }

test('V10 O5 O6 O7 I4 I6 C9 C11 C12 C13: cells that were told the same, in any order and again, have the same rows, and those that were written', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 2, max: 4 }),
      fc.constantFrom('off' as const, 'enabled' as const, 'suspended' as const),
      fc.array(step, { minLength: 1, maxLength: 80, size: 'max' }),
      async (count, versioning, steps) => {
        const cells: Cell[] = []
        try {
          for (let number = 0; number < count; number++)
            cells.push(await openPeer(number + 3, 1_767_225_600_000_000 + number))
          if (versioning !== 'off') for (const cell of cells) await setVersioning(cell, versioning)
          const history = new History()
          const pages: Page[] = []
          for (const each of steps) await perform(cells, each, history, pages)
          await drain(cells)
          const [first, ...others] = await Promise.all(cells.map(replicatedRows))
          for (const rows of others) assert.deepEqual(rows, first)
          for (const cell of cells) {
            await checkOwnRows(cell)
            await checkAgainst(cell, history)
          }
        } finally {
          for (const cell of cells) await cell.close()
        }
      },
    ),
    run,
  )
})

test('F2 F5 C10: a page that does not start at the cursor is not applied', async () => {
  const [one, other] = [await openPeer(1, 1_767_225_600_000_000), await openPeer(2, 1_767_225_600_000_000)]
  try {
    for (const key of ['x', 'x', 'y']) await write(one, key, { kind: 'put', size: 5 }, new History())
    const partition = partitionOf(bucketId, 'x')
    const page = await nextPage(one, other, partition)
    assert.ok((await applyPage(other.target, peerOf(one), page)).cursor !== undefined)
    const rows = await replicatedRows(other)
    assert.equal((await applyPage(other.target, peerOf(one), page)).cursor, undefined, 'the same page again')
    const reborn = { ...peerOf(one), incarnation: 'another' }
    assert.equal((await applyPage(other.target, reborn, page)).cursor, undefined, 'C15: of another incarnation')
    const otherLayout = { ...page, from: page.to, layout: partitions * 2 }
    assert.equal((await applyPage(other.target, peerOf(one), otherLayout)).cursor, undefined, 'C15: of another layout')
    assert.deepEqual(await replicatedRows(other), rows)
    const cursor = await other.store.snapshot((snapshot) => readCursor(snapshot, { ...peerOf(one), partition }))
    assert.deepEqual(Buffer.from(cursor), Buffer.from(page.to))
  } finally {
    await one.close()
    await other.close()
  }
})
