import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Answer, judge, type Operation, type Request, step, type Value } from './linearizability.ts'

const read: Request = { kind: 'read' }
const remove: Request = { kind: 'remove' }
const write = (value: string): Request => ({ kind: 'write', value })
const create = (value: string): Request => ({ kind: 'create', value })
const swap = (expected: string, value: string): Request => ({ kind: 'swap', expected, value })
const seen = (value: Value): Answer => ({ kind: 'seen', value })
const done: Answer = { kind: 'done' }
const refused: Answer = { kind: 'refused' }
const unknown: Answer = { kind: 'unknown' }

const history = (...rows: readonly (readonly [number, number, Request, Answer])[]): readonly Operation[] =>
  rows.map(([began, ended, request, answer]) => ({ began, ended, request, answer }))

const never = Number.POSITIVE_INFINITY

test('histories that one object can have had are linearisable', () => {
  const good: Record<string, readonly Operation[]> = {
    'nothing at all': [],
    'a read of nothing': history([0, 1, read, seen(undefined)]),
    'a write, and a read of it': history([0, 1, write('a'), done], [2, 3, read, seen('a')]),
    'a read during a write sees either': history(
      [0, 9, write('a'), done],
      [1, 2, read, seen(undefined)],
      [3, 4, read, seen('a')],
    ),
    'two writes at once, in either order': history(
      [0, 5, write('a'), done],
      [0, 5, write('b'), done],
      [6, 7, read, seen('a')],
      [8, 9, read, seen('a')],
    ),
    'a write that nobody knows of, seen later': history(
      [0, never, write('a'), unknown],
      [5, 6, read, seen(undefined)],
      [7, 8, read, seen('a')],
    ),
    'a write that nobody knows of, never seen': history([0, never, write('a'), unknown], [5, 6, read, seen(undefined)]),
    'a removal': history([0, 1, write('a'), done], [2, 3, remove, done], [4, 5, read, seen(undefined)]),
    'of two that create, one is refused': history(
      [0, 5, create('a'), done],
      [1, 6, create('b'), refused],
      [7, 8, read, seen('a')],
    ),
    'a swap of what stands, and one of what stood': history(
      [0, 1, write('a'), done],
      [2, 5, swap('a', 'b'), done],
      [2, 5, swap('a', 'c'), refused],
      [6, 7, read, seen('b')],
    ),
    'one that creates is refused because of a write that nobody knows of': history(
      [0, never, write('a'), unknown],
      [2, 3, create('b'), refused],
      [4, 5, read, seen('a')],
    ),
  }
  for (const [name, operations] of Object.entries(good)) assert.equal(judge(operations).kind, 'linearisable', name)
})

test('histories that no object can have had are broken', () => {
  const bad: Record<string, readonly Operation[]> = {
    'a read of what nobody wrote': history([0, 1, read, seen('a')]),
    'a read that does not see a write before it': history([0, 1, write('a'), done], [2, 3, read, seen(undefined)]),
    'a read of what comes later': history([0, 1, read, seen('a')], [2, 3, write('a'), done]),
    'a read that goes back': history([0, 9, write('a'), done], [1, 2, read, seen('a')], [3, 4, read, seen(undefined)]),
    'two readers that see two writes in different orders': history(
      [0, 9, write('a'), done],
      [0, 9, write('b'), done],
      [1, 2, read, seen('a')],
      [3, 4, read, seen('b')],
      [5, 6, read, seen('a')],
    ),
    'a write that nobody knows of is seen and unseen': history(
      [0, never, write('a'), unknown],
      [5, 6, read, seen('a')],
      [7, 8, read, seen(undefined)],
    ),
    'two that create, and no removal': history([0, 5, create('a'), done], [0, 5, create('b'), done]),
    'two swaps of one value: a lost update': history(
      [0, 1, write('a'), done],
      [2, 5, swap('a', 'b'), done],
      [2, 5, swap('a', 'c'), done],
    ),
    'a swap is refused for no reason': history([0, 1, write('a'), done], [2, 3, swap('a', 'b'), refused]),
    'what was removed is back': history(
      [0, 1, write('a'), done],
      [2, 3, remove, done],
      [4, 5, read, seen(undefined)],
      [6, 7, read, seen('a')],
    ),
  }
  for (const [name, operations] of Object.entries(bad)) assert.equal(judge(operations).kind, 'broken', name)
})

test('a broken history names the request that no order gets past', () => {
  const operations = history(
    [0, 1, write('a'), done],
    [2, 3, read, seen('a')],
    [4, 5, read, seen('x')],
    [6, 7, read, seen('a')],
  )
  assert.deepEqual(judge(operations), { kind: 'broken', stuck: operations[2] })
})

test('a search that grows beyond its bound is undecided, and neither good nor broken', () => {
  const many = Array.from({ length: 20 }, (_, index) => history([0, 100, write(`v${index}`), done])).flat()
  assert.equal(judge([...many, ...history([200, 201, read, seen('x')])], 1_000).kind, 'undecided')
})

/** What clients of a real object see: it does each request at one moment within its time. */
const shape = fc.record({
  client: fc.nat({ max: 3 }),
  kind: fc.constantFrom('read', 'write', 'remove', 'create', 'swap'),
  pause: fc.nat({ max: 3 }),
  until: fc.integer({ min: 1, max: 5 }),
  after: fc.integer({ min: 1, max: 5 }),
  /** Whether the answer gets lost, and whether the request did. */
  luck: fc.constantFrom('known', 'known', 'known', 'known', 'known', 'known', 'unanswered', 'unheard'),
  guess: fc.nat({ max: 9 }),
})
type Shape = typeof shape extends fc.Arbitrary<infer T> ? T : never

function requestOf({ kind, guess }: Shape, number: number, standing: Value): Request {
  if (kind === 'read') return read
  if (kind === 'remove') return remove
  if (kind === 'write') return write(`v${number}`)
  if (kind === 'create') return create(`v${number}`)
  return swap(guess < 6 && standing !== undefined ? standing : `v${guess}`, `v${number}`)
}

function answerOf(request: Request, standing: Value): Answer {
  if (request.kind === 'read') return seen(standing)
  return step(standing, { request, answer: done, began: 0, ended: 0 }) === undefined ? refused : done
}

function played(shapes: readonly Shape[], isSequential: boolean): readonly Operation[] {
  const free = new Map<number, number>()
  const planned = shapes.map((each, number) => {
    const client = isSequential ? 0 : each.client
    const began = (free.get(client) ?? 0) + each.pause
    const moment = began + each.until
    free.set(client, moment + each.after + 1)
    return { each, number, began, moment, ended: moment + each.after }
  })
  planned.sort((one, other) => one.moment - other.moment)
  let standing: Value
  return planned.map(({ each, number, began, ended }) => {
    const request = requestOf(each, number, standing)
    const answer = answerOf(request, standing)
    const isHeard = isSequential || each.luck !== 'unheard'
    if (isHeard) standing = step(standing, { request, answer, began, ended })?.value
    const isAnswered = isSequential || each.luck === 'known'
    return { request, answer: isAnswered ? answer : unknown, began, ended: isAnswered ? ended : never }
  })
}

test('what clients see of a real object is always linearisable', () => {
  fc.assert(
    fc.property(fc.array(shape, { maxLength: 40 }), (shapes) => {
      assert.equal(judge(played(shapes, false)).kind, 'linearisable')
    }),
    { numRuns: 500 },
  )
})

test('a read of what nobody wrote is noticed wherever it is', () => {
  fc.assert(
    fc.property(fc.array(shape, { minLength: 1, maxLength: 30 }), fc.nat(), (shapes, at) => {
      const operations = [...played(shapes, false)]
      const index = at % operations.length
      const changed = operations[index]
      if (changed === undefined) return
      operations[index] = { ...changed, request: read, answer: seen('nobody wrote this'), ended: changed.began + 1 }
      assert.equal(judge(operations).kind, 'broken')
    }),
    { numRuns: 300 },
  )
})

test('where requests follow each other, any answer that is changed is noticed', () => {
  fc.assert(
    fc.property(fc.array(shape, { minLength: 1, maxLength: 30 }), fc.nat(), (shapes, at) => {
      const operations = [...played(shapes, true)]
      const index = at % operations.length
      const changed = operations[index]
      // That these are always done is no answer that could be otherwise.
      if (changed === undefined || changed.request.kind === 'write' || changed.request.kind === 'remove') return
      const { answer } = changed
      const other: Answer =
        answer.kind === 'seen'
          ? seen(answer.value === undefined ? 'v0' : undefined)
          : answer.kind === 'done'
            ? refused
            : done
      operations[index] = { ...changed, answer: other }
      assert.equal(judge(operations).kind, 'broken')
    }),
    { numRuns: 300 },
  )
})

/** Tries every order. */
function isPossible(left: readonly Operation[], value: Value): boolean {
  const ends = left.filter(({ answer }) => answer.kind !== 'unknown').map(({ ended }) => ended)
  if (ends.length === 0) return true
  const first = Math.min(...ends)
  return left.some((operation, index) => {
    if (operation.began > first) return false
    const next = step(value, operation)
    return next !== undefined && isPossible(left.toSpliced(index, 1), next.value)
  })
}

test('what it says of small histories of any kind is what trying every order says', () => {
  const values = fc.constantFrom('a', 'b')
  const request = fc.oneof(
    fc.constant(read),
    fc.constant(remove),
    values.map(write),
    values.map(create),
    fc.tuple(values, values).map(([expected, value]) => swap(expected, value)),
  )
  const operation = fc
    .record({
      request,
      began: fc.nat({ max: 12 }),
      lasts: fc.integer({ min: 0, max: 8 }),
      answer: fc.nat({ max: 5 }),
    })
    .map(({ request: asked, began, lasts, answer }): Operation => {
      const ended = began + lasts
      if (answer === 5) return { request: asked, answer: unknown, began, ended: never }
      if (asked.kind === 'read')
        return { request: asked, answer: seen([undefined, 'a', 'b'][answer % 3]), began, ended }
      const mayRefuse = asked.kind === 'create' || asked.kind === 'swap'
      return { request: asked, answer: mayRefuse && answer % 2 === 0 ? refused : done, began, ended }
    })
  const counted = { linearisable: 0, broken: 0, undecided: 0 }
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 7 }), (operations) => {
      const { kind } = judge(operations)
      counted[kind]++
      assert.equal(kind, isPossible(operations, undefined) ? 'linearisable' : 'broken')
    }),
    { numRuns: 3_000 },
  )
  assert.ok(counted.linearisable > 300 && counted.broken > 300, JSON.stringify(counted))
})
