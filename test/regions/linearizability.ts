/**
 * Whether what clients saw of one key can have happened one request at a time, each between its beginning and its end: the search of Wing
 * and Gong as Lowe has it (https://www.cs.ox.ac.uk/people/gavin.lowe/LinearizabiltyTesting/paper.pdf), which remembers where it has been.
 *
 * A request that nobody knows the outcome of may have been carried out at any time after its beginning, or never.
 */
export type Value = string | undefined

export type Request =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string }
  | { readonly kind: 'remove' }
  /** Only where nothing stands. */
  | { readonly kind: 'create'; readonly value: string }
  /** Only where this very value stands. */
  | { readonly kind: 'swap'; readonly expected: string; readonly value: string }

export type Answer =
  | { readonly kind: 'seen'; readonly value: Value }
  | { readonly kind: 'done' }
  /** Nothing was changed, for the condition did not hold. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'unknown' }

export interface Operation {
  readonly request: Request
  readonly answer: Answer
  readonly began: number
  /** By the same clock; of no meaning where the answer is unknown. */
  readonly ended: number
}

export type Verdict =
  | { readonly kind: 'linearisable' }
  /** `stuck`: the earliest end that no order gets past. */
  | { readonly kind: 'broken'; readonly stuck: Operation }
  /** It took more than was allowed. */
  | { readonly kind: 'undecided' }

/** What stands after the request; undefined: it cannot have been answered so. */
export function step(before: Value, { request, answer }: Operation): { readonly value: Value } | undefined {
  const { kind } = answer
  if (request.kind === 'read') {
    return kind === 'unknown' || (kind === 'seen' && answer.value === before) ? { value: before } : undefined
  }
  const isAllowed =
    request.kind === 'create' ? before === undefined : request.kind === 'swap' ? before === request.expected : true
  if (kind === 'seen') return undefined
  if (kind === 'refused') return isAllowed ? undefined : { value: before }
  if (!isAllowed) return kind === 'unknown' ? { value: before } : undefined
  return { value: request.kind === 'remove' ? undefined : request.value }
}

/** Beginnings and ends in their order; what has been put in order is taken out, and put back where that led nowhere. */
interface Entry {
  readonly index: number
  readonly isEnd: boolean
  before: Entry | undefined
  after: Entry | undefined
}

function take(entry: Entry): void {
  if (entry.before !== undefined) entry.before.after = entry.after
  if (entry.after !== undefined) entry.after.before = entry.before
}

function putBack(entry: Entry): void {
  if (entry.before !== undefined) entry.before.after = entry
  if (entry.after !== undefined) entry.after.before = entry
}

const isKnown = ({ answer }: Operation): boolean => answer.kind !== 'unknown'

interface Timeline {
  readonly head: Entry
  readonly beginnings: readonly Entry[]
  readonly ends: readonly (Entry | undefined)[]
}

function timelineOf(operations: readonly Operation[]): Timeline {
  const events = operations.flatMap((operation, index) => [
    { at: operation.began, index, isEnd: false },
    ...(isKnown(operation) ? [{ at: operation.ended, index, isEnd: true }] : []),
  ])
  // Of the same time, beginnings come first: that refuses less.
  events.sort((one, other) => one.at - other.at || Number(one.isEnd) - Number(other.isEnd))
  const head: Entry = { index: -1, isEnd: false, before: undefined, after: undefined }
  const beginnings: Entry[] = []
  const ends: Entry[] = []
  let last = head
  for (const { index, isEnd } of events) {
    const entry: Entry = { index, isEnd, before: last, after: undefined }
    last.after = entry
    last = entry
    if (isEnd) ends[index] = entry
    else beginnings[index] = entry
  }
  return { head, beginnings, ends }
}

/** Which operations have been put in order, and what stands then. */
class Visited {
  readonly #words: Uint16Array
  readonly #seen = new Set<string>()
  readonly #numbers = new Map<Value, number>()

  constructor(operations: number) {
    this.#words = new Uint16Array(Math.ceil(operations / 16))
  }

  get size(): number {
    return this.#seen.size
  }

  flip(index: number): void {
    this.#words[index >> 4] = (this.#words[index >> 4] ?? 0) ^ (1 << (index & 15))
  }

  /** Whether it is new, which it is not afterwards. */
  add(value: Value): boolean {
    const number = this.#numbers.get(value) ?? this.#numbers.size
    this.#numbers.set(value, number)
    const key = String.fromCharCode(number, ...this.#words)
    if (this.#seen.has(key)) return false
    this.#seen.add(key)
    return true
  }
}

/**
 * Nothing stands before the first. `statesMost` bounds memory and time: some 100 bytes and a microsecond for each. A history has at
 * most 60,000 operations.
 */
export function judge(operations: readonly Operation[], statesMost = 1_000_000): Verdict {
  const { head, beginnings, ends } = timelineOf(operations)
  const visited = new Visited(operations.length)
  const ordered: { readonly index: number; readonly value: Value }[] = []
  let left = operations.filter(isKnown).length
  let value: Value
  let stuck: { readonly depth: number; readonly index: number } | undefined
  let entry = head.after
  while (left > 0) {
    if (entry === undefined) throw new Error('what is known to have ended has an end')
    const operation = operations[entry.index]
    if (operation === undefined) throw new Error('an entry is of an operation')
    if (entry.isEnd) {
      // Everything that had begun by then was tried as the next one.
      if (stuck === undefined || ordered.length > stuck.depth) stuck = { depth: ordered.length, index: entry.index }
      const last = ordered.pop()
      if (last === undefined) return { kind: 'broken', stuck: operationAt(operations, stuck.index) }
      const [beginning, end] = [beginnings[last.index], ends[last.index]]
      if (end !== undefined) putBack(end)
      if (beginning !== undefined) putBack(beginning)
      if (end !== undefined) left++
      visited.flip(last.index)
      value = last.value
      entry = beginning?.after
      continue
    }
    const next = step(value, operation)
    // One of unknown outcome that changes nothing may as well never have been.
    const isWorthwhile = next !== undefined && (isKnown(operation) || next.value !== value)
    visited.flip(entry.index)
    if (!isWorthwhile || !visited.add(next.value)) {
      visited.flip(entry.index)
      entry = entry.after
      continue
    }
    if (visited.size > statesMost) return { kind: 'undecided' }
    ordered.push({ index: entry.index, value })
    value = next.value
    const end = ends[entry.index]
    take(entry)
    if (end !== undefined) {
      take(end)
      left--
    }
    entry = head.after
  }
  return { kind: 'linearisable' }
}

function operationAt(operations: readonly Operation[], index: number): Operation {
  const operation = operations[index]
  if (operation === undefined) throw new Error('an end is of an operation')
  return operation
}
