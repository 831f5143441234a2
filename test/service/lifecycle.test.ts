import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import type { Filter, LifecycleRule } from '#src/model/lifecycle.ts'
import { dueAction, withLifecycle } from '#src/model/lifecycle.ts'
import { LifecycleWorker } from '#src/service/lifecycle.ts'
import type { ListedVersion } from '#src/service/listing-services.ts'
import { CellListings } from '#src/service/listings.ts'
import { acl, attributes, body, openCell, owner, stoppedWorld } from './cell.ts'

/** A short day: the naive model counts milliseconds one by one. */
const day = 50
const start = 1_000_000
const guard = () => {}
const never = new AbortController().signal

/** A cell in a world whose clock stands still, and a worker that has met no failure. */
async function openRuled() {
  const { clock, world } = stoppedWorld(start)
  const cell = await openCell(world)
  after(() => cell.close())
  const failures: unknown[] = []
  const options = { dayMilliseconds: day, report: () => {}, failed: (error: unknown) => failures.push(error) }
  const worker = new LifecycleWorker(cell.foundation, options)
  const listings = new CellListings(cell.foundation)
  let count = 0
  return {
    ...cell,
    clock,
    options,
    async bucket(hasObjectLock = false) {
      const name = `box-${++count}`
      await cell.buckets.create({ name, owner, acl, location: '', hasObjectLock })
      return name
    },
    async versioning(bucket: string, versioning: 'off' | 'enabled' | 'suspended') {
      await cell.buckets.update(bucket, (before) => ({ ...before, versioning }))
    },
    async rules(bucket: string, ...rules: readonly LifecycleRule[]) {
      const lifecycle = { rules, transitionMinimum: 'varies_by_storage_class' } as const
      await cell.buckets.update(bucket, (before) => withLifecycle(before, lifecycle))
    },
    async put(bucket: string, key: string, size = 1, tags: readonly string[] = [], storageClass = 'STANDARD') {
      return await cell.objects.put({
        name: { bucket, key },
        attributes: { ...attributes, storageClass, tags: new Map(tags.map((tag) => [tag, 'yes'])) },
        body: body(Buffer.alloc(size)),
        digests: {},
        conditions: {},
        guard,
      })
    },
    async hide(bucket: string, key: string) {
      const name = { bucket, key }
      await cell.objects.delete({ name, guard, conditions: {}, bypassGovernance: false, caller: owner })
    },
    async pass(through: LifecycleWorker = worker) {
      await through.pass(never)
      assert.deepEqual(failures, [])
    },
    async list(bucket: string): Promise<readonly ListedVersion[]> {
      return (await listings.versions({ bucket, prefix: '', delimiter: '', limit: 1000, guard })).items
    },
  }
}

type Ruled = Awaited<ReturnType<typeof openRuled>>

const days = (count: number) => ({ kind: 'days', days: count }) as const
const rule = (actions: Partial<LifecycleRule>): LifecycleRule => ({
  id: 'rule',
  isEnabled: true,
  filter: {},
  ...actions,
})

/** One line for each version: what a test may care about. */
const shown = (all: readonly ListedVersion[]) =>
  all.map(({ key, version }) =>
    version.kind === 'marker' ? `${key} marker` : `${key} ${version.size} ${version.storageClass}`,
  )

interface Step {
  readonly key: string
  readonly kind: 'put' | 'delete' | 'enable' | 'suspend'
  readonly size: number
  readonly tags: readonly string[]
  readonly wait: number
  readonly storageClass: string
}

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b'),
    kind: fc.constantFrom('put', 'put', 'put', 'delete', 'enable', 'enable', 'suspend'),
    size: fc.constantFrom(1, 2, 3),
    tags: fc.subarray(['x', 'y']),
    wait: fc.constantFrom(0, 1, 10, day, 3 * day),
    storageClass: fc.constantFrom('STANDARD', 'STANDARD', 'GLACIER', 'DEEP_ARCHIVE'),
  }),
  { minLength: 1, maxLength: 10 },
)

const some = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 2 })

const someRule: fc.Arbitrary<LifecycleRule> = fc
  .record({
    isEnabled: fc.constantFrom(true, true, true, false),
    prefix: some(fc.constantFrom('', 'a', 'b', 'c')),
    tags: some(fc.subarray(['x', 'y'], { minLength: 1 })),
    sizeAbove: some(fc.constantFrom(1, 2)),
    sizeBelow: some(fc.constantFrom(2, 3)),
    expiration: some(
      fc.oneof(
        fc.constant({ kind: 'marker' as const }),
        fc.integer({ min: 1, max: 4 }).map(days),
        fc.integer({ min: 0, max: 20 }).map((at) => ({ kind: 'date' as const, date: start + at * day })),
      ),
    ),
    noncurrentExpiration: some(
      fc.record({ days: fc.integer({ min: 1, max: 4 }), newer: some(fc.integer({ min: 1, max: 2 })) }),
    ),
    noncurrentTransitions: some(
      fc.tuple(fc.record({ days: fc.nat(3), storageClass: fc.constantFrom('GLACIER', 'DEEP_ARCHIVE') })),
    ),
    transitions: some(
      fc.tuple(
        fc.record({
          when: fc.nat(4).map(days),
          storageClass: fc.constantFrom('STANDARD_IA', 'GLACIER', 'DEEP_ARCHIVE'),
        }),
      ),
    ),
  })
  .map(({ isEnabled, prefix, tags, sizeAbove, sizeBelow, ...actions }) => {
    const filter = { prefix, tags: tags?.map((tag) => [tag, 'yes']), sizeAbove, sizeBelow }
    // As it is kept: what is undefined is left out.
    return JSON.parse(JSON.stringify({ id: 'rule', isEnabled, filter, ...actions })) as LifecycleRule
  })

/** A version as the model remembers it. */
interface Kept {
  readonly key: string
  readonly size: number | undefined
  readonly tags: readonly string[]
  readonly modified: number
  readonly isNull: boolean
  storageClass: string
}

/** By stepping through time, and by nothing that the worker shares. */
function isOver(since: number, count: number, now: number): boolean {
  let end = since + count * day
  while (end % day !== 0) end++
  return end <= now
}

function fits({ prefix = '', tags = [], sizeAbove, sizeBelow }: Filter, { key, size, tags: own }: Kept): boolean {
  if (!key.startsWith(prefix)) return false
  if (size === undefined) return tags.length === 0 && sizeAbove === undefined && sizeBelow === undefined
  return (
    tags.every(([tag]) => own.includes(tag)) &&
    (sizeAbove === undefined || size > sizeAbove) &&
    (sizeBelow === undefined || size < sizeBelow)
  )
}

const warmth = ['STANDARD', 'STANDARD_IA', 'GLACIER', 'DEEP_ARCHIVE']

function moved(kept: Kept, steps: readonly { at: boolean; to: string; since: number; bounded: boolean }[]): string {
  let found = { to: kept.storageClass, since: -1 }
  for (const { at, to, since, bounded } of steps) {
    if (!at || warmth.indexOf(to) <= warmth.indexOf(kept.storageClass)) continue
    if (!bounded && to === 'STANDARD_IA') continue
    if (since > found.since || (since === found.since && warmth.indexOf(to) > warmth.indexOf(found.to))) {
      found = { to, since }
    }
  }
  return found.to
}

/** What rules leave of the versions of one key, newest first. */
function afterRules(all: readonly Kept[], rules: readonly LifecycleRule[], state: string, now: number): Kept[] {
  const isDue = ({ expiration }: LifecycleRule, { modified }: Kept) =>
    expiration?.kind === 'days'
      ? isOver(modified, expiration.days, now)
      : expiration?.kind === 'date' && expiration.date <= now
  const left: Kept[] = []
  let hides = false
  for (const [index, kept] of all.entries()) {
    const mine = rules.filter((each) => each.isEnabled && fits(each.filter ?? {}, kept))
    const bounded = ({ filter }: LifecycleRule) => filter?.sizeAbove !== undefined || filter?.sizeBelow !== undefined
    const above = all[index - 1]
    if (above === undefined && kept.size === undefined) {
      const goes = all.length === 1 && mine.some((each) => each.expiration?.kind === 'marker' || isDue(each, kept))
      if (!goes) left.push(kept)
    } else if (above === undefined) {
      if (mine.some((each) => isDue(each, kept))) {
        hides = state !== 'off'
        if (hides) left.push(kept)
        continue
      }
      const steps = mine.flatMap((each) =>
        (each.transitions ?? []).map(({ when, storageClass }) => ({
          at: when.kind === 'days' && isOver(kept.modified, when.days, now),
          to: storageClass,
          since: when.kind === 'days' ? Math.ceil((kept.modified + when.days * day) / day) : 0,
          bounded: bounded(each),
        })),
      )
      left.push({ ...kept, storageClass: moved(kept, steps) })
    } else {
      const newer = all.slice(1, index).filter(({ size }) => size !== undefined).length
      const goes = mine.some(
        ({ noncurrentExpiration: end }) =>
          end !== undefined && newer >= (end.newer ?? 0) && isOver(above.modified, end.days, now),
      )
      const steps = mine.flatMap((each) =>
        (each.noncurrentTransitions ?? []).map((transition) => ({
          at: isOver(above.modified, transition.days, now),
          to: transition.storageClass,
          since: Math.ceil((above.modified + transition.days * day) / day),
          bounded: bounded(each),
        })),
      )
      if (!goes) left.push(kept.size === undefined ? kept : { ...kept, storageClass: moved(kept, steps) })
    }
  }
  if (!hides) return left
  const others = state === 'suspended' ? left.filter(({ isNull }) => !isNull) : left
  const key = others[0]?.key ?? all[0]?.key ?? ''
  const isNull = state === 'suspended'
  return [{ key, size: undefined, tags: [], modified: now, isNull, storageClass: '' }, ...others]
}

const modelLine = ({ key, size, storageClass }: Kept) =>
  size === undefined ? `${key} marker` : `${key} ${size} ${storageClass}`

/** Takes the steps in the cell and in the model; gives what the model knows of each key. */
async function take(ruled: Ruled, bucket: string, all: readonly Step[]) {
  const known = new Map<string, Kept[]>([
    ['a', []],
    ['b', []],
  ])
  let state = 'off'
  for (const { key, kind, size, tags, wait, storageClass } of all) {
    ruled.clock.now += wait
    if (kind === 'enable' || kind === 'suspend') {
      if (state === 'off' && kind === 'suspend') continue
      state = kind === 'enable' ? 'enabled' : 'suspended'
      await ruled.versioning(bucket, kind === 'enable' ? 'enabled' : 'suspended')
      continue
    }
    if (kind === 'put') await ruled.put(bucket, key, size, tags, storageClass)
    else await ruled.hide(bucket, key)
    const isNull = state !== 'enabled'
    const before = (known.get(key) ?? []).filter((each) => !(isNull && each.isNull))
    const made = { key, tags, modified: ruled.clock.now, isNull, storageClass }
    if (kind === 'put') known.set(key, [{ ...made, size }, ...before])
    else known.set(key, state === 'off' ? before : [{ ...made, tags: [], size: undefined }, ...before])
  }
  return { known, state }
}

test('Z1, Z3, Z4, Z7: what a round leaves is what a naive reading of the rules leaves', async () => {
  const ruled = await openRuled()
  let changed = 0
  await fc.assert(
    fc.asyncProperty(
      steps,
      fc.array(someRule, { minLength: 1, maxLength: 3 }),
      fc.nat(6 * day),
      async (all, rules, wait) => {
        const bucket = await ruled.bucket()
        const { known, state } = await take(ruled, bucket, all)
        assert.deepEqual(shown(await ruled.list(bucket)), [...known.values()].flat().map(modelLine))
        ruled.clock.now += wait
        await ruled.rules(bucket, ...rules)
        await ruled.pass()
        const wanted = [...known.values()].flatMap((each) => afterRules(each, rules, state, ruled.clock.now))
        const before = [...known.values()].flat().map(modelLine)
        if (before.join() !== wanted.map(modelLine).join()) changed++
        assert.deepEqual(shown(await ruled.list(bucket)), wanted.map(modelLine))
        await ruled.buckets.update(bucket, (each) => withLifecycle(each, undefined))
      },
    ),
    { numRuns: 400 },
  )
  assert.ok(changed > 50, `only ${changed} of 400 rounds had something to do`)
})

test('Z2: what is locked stays, and its marker too, until the lock ends', async () => {
  const ruled = await openRuled()
  const bucket = await ruled.bucket(true)
  const name = { bucket, key: 'a' }
  await ruled.put(bucket, 'a', 1)
  const until = start + 20 * day
  const change = () => ({ retention: { mode: 'GOVERNANCE' as const, until } })
  await ruled.objects.update({ name, guard, change })
  await ruled.put(bucket, 'a', 2)
  await ruled.objects.update({ name, guard, change: () => ({ hold: true }) })
  await ruled.put(bucket, 'a', 3)
  await ruled.rules(bucket, rule({ expiration: days(1), noncurrentExpiration: { days: 1 } }))
  ruled.clock.now = start + 10 * day
  await ruled.pass()
  assert.deepEqual(shown(await ruled.list(bucket)), ['a marker', 'a 3 STANDARD', 'a 2 STANDARD', 'a 1 STANDARD'])
  ruled.clock.now = start + 19 * day + 1
  await ruled.pass()
  assert.deepEqual(shown(await ruled.list(bucket)), ['a marker', 'a 2 STANDARD', 'a 1 STANDARD'])
  ruled.clock.now = until
  await ruled.pass()
  assert.deepEqual(shown(await ruled.list(bucket)), ['a marker', 'a 2 STANDARD'])
})

test('Z3: where any way is open, a rule leads up too, once, and the last step that is due counts', async () => {
  const ruled = await openRuled()
  const bucket = await ruled.bucket()
  await ruled.put(bucket, 'a', 1, [], 'DEEP_ARCHIVE')
  await ruled.put(bucket, 'b', 1)
  const transitions = [
    { when: days(1), storageClass: 'STANDARD' },
    { when: days(3), storageClass: 'GLACIER' },
  ]
  const lifecycle = { rules: [rule({ transitions })], transitionMinimum: 'varies_by_storage_class' } as const
  const put = async (way: 'down' | 'any') =>
    await ruled.buckets.update(bucket, (before) => withLifecycle(before, { ...lifecycle, way }))
  await put('down')
  ruled.clock.now = start + 2 * day
  await ruled.pass()
  assert.deepEqual(shown(await ruled.list(bucket)), ['a 1 DEEP_ARCHIVE', 'b 1 STANDARD'])
  await put('any')
  await ruled.pass()
  assert.deepEqual(shown(await ruled.list(bucket)), ['a 1 STANDARD', 'b 1 STANDARD'])
  ruled.clock.now = start + 4 * day
  await ruled.pass()
  assert.deepEqual(shown(await ruled.list(bucket)), ['a 1 GLACIER', 'b 1 GLACIER'])
  const { version } = await ruled.objects.find({ name: { bucket, key: 'a' }, guard })
  const candidate = { key: 'a', version, place: { kind: 'current', isSole: true } } as const
  const standing = await ruled.buckets.get(bucket)
  assert.equal(dueAction({ ...lifecycle, way: 'any' }, standing, candidate, { now: ruled.clock.now, day }), undefined)
})

/** What comes between the look at a version and the transaction that acts. */
const between: Readonly<Record<string, (ruled: Ruled, bucket: string) => Promise<unknown>>> = {
  'an overwrite': (ruled, bucket) => ruled.put(bucket, 'a', 2),
  'a tag': async ({ objects }, bucket) =>
    await objects.update({ name: { bucket, key: 'a' }, guard, change: () => ({ tags: new Map() }) }),
  'another rule': (ruled, bucket) => ruled.rules(bucket, rule({ expiration: days(50) })),
  'no rule': ({ buckets }, bucket) => buckets.update(bucket, (each) => withLifecycle(each, undefined)),
}

for (const [what, happens] of Object.entries(between)) {
  test(`Z5: ${what} that comes before the deletion is honoured`, async () => {
    const ruled = await openRuled()
    const bucket = await ruled.bucket()
    await ruled.put(bucket, 'a', 1, ['x'])
    ruled.clock.now += 3 * day
    await ruled.rules(bucket, rule({ filter: { tags: [['x', 'yes']] }, expiration: days(1) }))
    const { store } = ruled.foundation
    let looked = false
    let acted = false
    // The first transaction after the look at the versions is the one that acts.
    const slow: typeof store = Object.assign(Object.create(store) as typeof store, {
      snapshot: async (body: Parameters<typeof store.snapshot>[0]) => {
        const seen = await store.snapshot(body)
        looked ||= Array.isArray(seen) && isPage(seen)
        return seen
      },
      transact: async (body: Parameters<typeof store.transact>[0]) => {
        if (looked && !acted) {
          acted = true
          await happens(ruled, bucket)
        }
        return await store.transact(body)
      },
    })
    await ruled.pass(new LifecycleWorker({ ...ruled.foundation, store: slow }, ruled.options))
    assert.ok(acted)
    assert.equal((await ruled.list(bucket)).length, 1)
  })
}

const isPage = (seen: readonly unknown[]): boolean => seen.some((each) => Object.hasOwn(Object(each), 'version'))

test('Z6: a round that was interrupted goes on, and is not begun again on the same day', async () => {
  const ruled = await openRuled()
  const bucket = await ruled.bucket()
  for (let index = 0; index < 600; index++) await ruled.put(bucket, `k${String(index).padStart(4, '0')}`, 1)
  await ruled.rules(bucket, rule({ expiration: { kind: 'date', date: start + day } }))
  ruled.clock.now = start + 3 * day
  const stop = new AbortController()
  const { world } = ruled.foundation
  const sleep = async () => stop.abort()
  await new LifecycleWorker({ ...ruled.foundation, world: { ...world, sleep } }, ruled.options).pass(stop.signal)
  const left = (await ruled.list(bucket)).length
  assert.ok(left > 0 && left < 600, `${left} left`)
  await ruled.pass()
  assert.equal((await ruled.list(bucket)).length, 0)
  // It is over at once, but not before the next day does anybody look.
  await ruled.put(bucket, 'old', 1)
  await ruled.pass()
  assert.equal((await ruled.list(bucket)).length, 1)
  ruled.clock.now += day
  await ruled.pass()
  assert.equal((await ruled.list(bucket)).length, 0)
})

test('uploads are given up in their time, and no others', async () => {
  const ruled = await openRuled()
  const bucket = await ruled.bucket()
  const begin = async (key: string) =>
    await ruled.uploads.create({ name: { bucket, key }, attributes, initiator: owner })
  const [old, other] = [await begin('a/old'), await begin('b/old')]
  ruled.clock.now += 2 * day
  const young = await begin('a/young')
  await ruled.rules(bucket, rule({ filter: { prefix: 'a/' }, abortDays: 2 }))
  await ruled.pass()
  const find = async ({ name, id }: typeof old) => await ruled.uploads.get({ name, uploadId: id })
  await assert.rejects(find(old), { code: 'NoSuchUpload' })
  assert.equal((await find(other)).id, other.id)
  assert.equal((await find(young)).id, young.id)
})
