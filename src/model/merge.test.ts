import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Conflict,
  joinVectors,
  mergeConflicts,
  mergeCopies,
  mergeOccupants,
  mergeRemovals,
  type Occupant,
  type Removal,
} from './merge.ts'
import { changedRetention, isLocked, strongerRetention } from './retention.ts'
import type { Stamp } from './stamp.ts'
import type { ObjectVersion, Retention, Slot, Vector, Version } from './version.ts'

const cells = [1, 2, 3]
const stampOf = (time: number, cell: number): Stamp => BigInt(time) * 1000n + BigInt(cell)

const acl = { owner: 'o', grants: [] }

function object(stamp: Stamp, vector: Vector, more: Partial<ObjectVersion> = {}): ObjectVersion {
  return {
    kind: 'object',
    stamp,
    isNull: true,
    modified: Number(stamp),
    owner: 'o',
    vector,
    size: 1,
    etag: `e${stamp}`,
    content: { kind: 'inline' },
    storageClass: 'STANDARD',
    headers: {},
    metadata: new Map(),
    acl: { stamp, value: acl },
    ...more,
  }
}

/** Times are few, so that cells write at the same one. */
const time = fc.integer({ min: 1, max: 6 })
const vector = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...cells), time), { selector: ([cell]) => cell, maxLength: 3 })
  .map((list): Vector => list.sort(([one], [other]) => one - other).map(([cell, at]) => [cell, stampOf(at, cell)]))

/** A slot's value follows from its stamp, as it does where every stamp was drawn once. */
const slot = <Value>(make: (stamp: Stamp) => Value) =>
  fc.tuple(time, fc.constantFrom(...cells)).map(([at, cell]): Slot<Value> => {
    const stamp = stampOf(at + 10, cell)
    return { stamp, value: make(stamp) }
  })

const retentionValue: fc.Arbitrary<Retention | undefined> = fc.option(
  fc.record(
    { mode: fc.constantFrom('GOVERNANCE' as const, 'COMPLIANCE' as const), until: fc.integer({ min: 1, max: 6 }) },
    { noNullPrototype: true },
  ),
  { nil: undefined },
)
/** In milliseconds, as times of compliance are. */
const retentionSlot = fc
  .tuple(fc.integer({ min: 0, max: 6 }), retentionValue)
  .map(([at, value]): Slot<Retention | undefined> => ({ stamp: BigInt(at) * 1_000_000n, value }))

const copy = (stamp: Stamp) =>
  fc
    .record({
      vector,
      tags: fc.option(
        slot((at) => new Map([['t', String(at)]])),
        { nil: undefined },
      ),
      acl: slot((at) => ({ owner: String(at), grants: [] })),
      hold: fc.option(
        slot((at) => at % 2n === 0n),
        { nil: undefined },
      ),
      retention: fc.option(retentionSlot, { nil: undefined }),
      storageClass: fc.constantFrom('STANDARD', 'STANDARD_IA', 'GLACIER'),
    })
    .map(({ vector, tags, hold, retention, ...more }) =>
      object(stamp, vector, {
        ...more,
        ...(tags !== undefined && { tags }),
        ...(hold !== undefined && { hold }),
        ...(retention !== undefined && { retention }),
      }),
    )

const one = 5_005n
const copies = fc.tuple(copy(one), copy(one), copy(one))

const removal = fc
  .tuple(time, fc.constantFrom(...cells), vector)
  .map(([at, cell, seen]): Removal => ({ kind: 'removal', stamp: stampOf(at, cell), vector: seen }))

type Merge<Kind> = (ours: Kind, theirs: Kind) => Kind

/** Order of fields and of sets does not matter; what a record says does. */
function checkLaws<Kind>(merge: Merge<Kind>, [a, b, c]: readonly [Kind, Kind, Kind]): void {
  assert.deepEqual(merge(a, b), merge(b, a), 'commutative')
  assert.deepEqual(merge(merge(a, b), c), merge(a, merge(b, c)), 'associative')
  assert.equal(merge(a, a), a, 'idempotent, without a copy')
  const both = merge(a, b)
  assert.equal(merge(both, a), both, 'what is known adds nothing')
  assert.equal(merge(both, b), both)
}

test('M2 C11: copies of one version merge in any order, slot by slot', () => {
  fc.assert(
    fc.property(copies, (three) => checkLaws<ObjectVersion>((ours, theirs) => mergeCopies(ours, theirs), three)),
  )
})

test('M2 C9: removals of one version merge in any order', () => {
  const three = fc
    .tuple(removal, removal, removal)
    .filter((all) => new Set(all.map(({ stamp }) => stamp)).size === all.length)
  fc.assert(fc.property(three, (all) => checkLaws(mergeRemovals, all)))
})

test('M2 C12: records of one conflict merge in any order', () => {
  const conflict = fc.record(
    { version: copy(one), expires: fc.nat(5), isSettled: fc.boolean() },
    { noNullPrototype: true },
  )
  fc.assert(fc.property(fc.tuple(conflict, conflict, conflict), (all) => checkLaws<Conflict>(mergeConflicts, all)))
})

/** Writes of the `null` slot: each has seen some of those before it, and what those had seen. */
const history = fc
  .array(
    fc.record({
      cell: fc.constantFrom(...cells),
      kind: fc.constantFrom('object' as const, 'object' as const, 'marker' as const, 'removal' as const),
      sees: fc.nat(),
      gap: fc.integer({ min: 0, max: 2 }),
    }),
    { minLength: 2, maxLength: 7 },
  )
  .map((writes) => {
    const made: Occupant[] = []
    let clock = 1
    for (const { cell, kind, sees, gap } of writes) {
      clock += gap
      const seen = made.filter((_, index) => (sees >> index) % 2 === 1)
      // A cell has seen what it wrote itself.
      const own = made.filter(({ stamp }) => stamp % 1000n === BigInt(cell))
      const all = [...seen, ...own]
      const largest = all.reduce<Stamp>((most, { stamp }) => (stamp > most ? stamp : most), 0n)
      const stamp = stampOf(Math.max(clock, Number(largest / 1000n) + 1), cell)
      const joined = all.reduce<Vector>((sum, each) => joinVectors(sum, each.vector), [])
      const vector = joinVectors(joined, [[cell, stamp]])
      const { kind: _, ...base } = object(stamp, vector)
      if (kind === 'object') made.push({ kind, ...base })
      else if (kind === 'removal') made.push({ kind, stamp, vector })
      else made.push({ kind, stamp, vector, isNull: true, modified: 0, owner: 'o' })
    }
    return made
  })

interface Told {
  readonly standing: Occupant
  readonly conflicts: ReadonlySet<Stamp>
}

function tell(writes: readonly Occupant[]): Told {
  const [first, ...others] = writes
  assert.ok(first !== undefined)
  let standing = first
  const conflicts = new Set<Stamp>()
  for (const each of others) {
    const outcome = mergeOccupants(standing, each)
    standing = outcome.standing
    if (outcome.conflict !== undefined) conflicts.add(outcome.conflict.stamp)
  }
  return { standing, conflicts }
}

const sees = ({ vector }: Occupant, stamp: Stamp): boolean =>
  vector.some(([cell, last]) => BigInt(cell) === stamp % 1000n && last >= stamp)

const heard = history.chain((all) => {
  const twice = [...all, ...all]
  return fc.tuple(fc.constant(all), fc.shuffledSubarray(twice, { minLength: twice.length }))
})

test('M2 M3 I4 I6: whatever the order, the latest write of the null slot stands, and has then seen all', () => {
  fc.assert(
    fc.property(heard, ([all, order]) => {
      const { standing } = tell(order)
      assert.deepEqual(standing, tell(all).standing)
      const written = all.find(({ stamp }) => stamp === standing.stamp)
      assert.ok(written !== undefined, 'it was written')
      assert.deepEqual({ ...standing, vector: [] }, { ...written, vector: [] })
      for (const each of all) {
        assert.ok(each.stamp <= standing.stamp, 'none is later')
        assert.ok(sees(standing, each.stamp), 'what was told counts as seen')
      }
    }),
    { numRuns: 1000 },
  )
})

test('M5 C12 I6: what was overwritten by nobody who had seen it is a conflict in any order; what was not lost unseen, in none', () => {
  let must = 0
  fc.assert(
    fc.property(heard, ([all, order]) => {
      const { standing, conflicts } = tell(order)
      for (const each of all) {
        const isLost = each.kind === 'object' && each.stamp !== standing.stamp
        const others = all.filter((other) => other !== each)
        if (isLost && !others.some((other) => sees(other, each.stamp))) {
          must++
          assert.ok(conflicts.has(each.stamp), 'nobody had seen it')
        }
        if (!conflicts.has(each.stamp)) continue
        assert.ok(isLost)
        assert.ok(others.some((other) => other.stamp > each.stamp && !sees(other, each.stamp)))
      }
    }),
    { numRuns: 1000 },
  )
  assert.ok(must > 100, `only ${must} conflicts were tried`)
})

test('M5 C12: what a loser had seen, the winner has then seen too', () => {
  const first = object(1001n, [[1, 1001n]])
  const second = object(2002n, [
    [1, 1001n],
    [2, 2002n],
  ])
  const third = object(3003n, [[3, 3003n]])
  const met = mergeOccupants(third, second)
  assert.equal(met.conflict, second)
  assert.equal(mergeOccupants(met.standing, first).conflict, undefined)
})

test('M4 C11: slots do not move between versions', () => {
  const early = object(1001n, [[1, 1001n]], { acl: { stamp: 9001n, value: { owner: 'public', grants: [] } } })
  const late = object(2002n, [[2, 2002n]])
  const { standing } = mergeOccupants(early, late)
  assert.ok(standing.kind === 'object')
  assert.equal(standing.acl, late.acl)
  const numbered: Version = { ...late, isNull: false }
  assert.throws(() => mergeCopies(numbered, early), /two versions/)
})

test('M2: of retentions one stands, in any order', () => {
  const three = fc.tuple(retentionSlot, retentionSlot, retentionSlot)
  fc.assert(
    fc.property(three, ([a, b, c]) => {
      const merge = (ours: Slot<Retention | undefined>, theirs: Slot<Retention | undefined>) =>
        strongerRetention(ours, theirs) ?? ours
      assert.deepEqual(merge(a, b), merge(b, a))
      assert.deepEqual(merge(merge(a, b), c), merge(a, merge(b, c)))
    }),
    { numRuns: 20_000 },
  )
})

test('M2: a change of retention that is allowed stands over what it changed', () => {
  const change = fc.tuple(retentionSlot, retentionValue, fc.integer({ min: 0, max: 8 }))
  fc.assert(
    fc.property(change, ([before, after, now]) => {
      const isBound = before.value?.mode === 'COMPLIANCE' && before.value.until > now
      const grows = after?.mode === 'COMPLIANCE' && after.until >= (before.value?.until ?? 0)
      fc.pre(BigInt(now) * 1_000_000n > before.stamp && (!isBound || grows))
      const version = object(0n, [], { retention: before })
      // Drawn by a clock that lags a millisecond behind.
      const drawn = BigInt(now) * 1_000_000n - 999_999n
      const stamp = drawn > before.stamp ? drawn : before.stamp + 1n
      const changed = changedRetention(version, after, stamp)
      assert.deepEqual(changed.value, after)
      assert.deepEqual(strongerRetention(before, changed), changed)
      assert.deepEqual(strongerRetention(changed, before), changed)
    }),
    { numRuns: 20_000 },
  )
})

test('M2: no merge loosens compliance before its end', () => {
  fc.assert(
    fc.property(fc.tuple(retentionSlot, retentionSlot), fc.integer({ min: 0, max: 8 }), ([ours, theirs], now) => {
      const bound = [ours, theirs].find(({ value }) => value?.mode === 'COMPLIANCE' && value.until > now)
      const stamps = [ours.stamp, theirs.stamp].every((stamp) => stamp <= BigInt(now) * 1_000_000n)
      fc.pre(bound !== undefined && stamps)
      const retention = strongerRetention(ours, theirs)
      assert.ok(retention !== undefined)
      assert.ok(isLocked(object(0n, [], { retention }), now, true))
    }),
    { numRuns: 20_000 },
  )
})
