import { Fault } from '#src/errors.ts'

type Item =
  | { readonly kind: 'any' | 'one' }
  | { readonly kind: 'unit'; readonly text: string }
  | { readonly kind: 'class'; readonly ranges: readonly (readonly [string, string])[]; readonly isNegated: boolean }

export interface LikeOptions {
  /** The character behind which others stand for themselves. */
  readonly escapes?: string | undefined
  /** Ceph's patterns know `[a-z]` and `[^a-z]`; SQL's do not. */
  readonly hasClasses?: boolean
}

const lengthMax = 16_384

export type Like = (text: string) => boolean

export function compileLike(pattern: string, options: LikeOptions): Like {
  const { escapes } = options
  if (pattern.length > lengthMax || (escapes !== undefined && [...escapes].length !== 1)) {
    throw new Fault('LikeInvalidInputs')
  }
  const items: Item[] = []
  const units = [...pattern]
  for (let at = 0; at < units.length; ) {
    const [item, length] = readItem(units, at, options)
    if (item.kind !== 'any' || items.at(-1)?.kind !== 'any') items.push(item)
    at += length
  }
  return (text) => matches(items, text)
}

/** The item that starts here, and how many units it takes. */
function readItem(units: readonly string[], at: number, options: LikeOptions): readonly [Item, number] {
  const { escapes, hasClasses = false } = options
  const unit = units[at] ?? ''
  if (unit === escapes) {
    const next = units[at + 1]
    if (next === undefined) throw new Fault('EvaluatorLikePatternInvalidEscapeSequence')
    return [{ kind: 'unit', text: next }, 2]
  }
  if (unit === '%') return [{ kind: 'any' }, 1]
  if (unit === '_') return [{ kind: 'one' }, 1]
  const close = hasClasses && unit === '[' ? units.indexOf(']', at + 2) : -1
  return close < 0 ? [{ kind: 'unit', text: unit }, 1] : [readClass(units.slice(at + 1, close)), close + 1 - at]
}

function readClass(units: readonly string[]): Item {
  const isNegated = units[0] === '^'
  const ranges: (readonly [string, string])[] = []
  for (let at = isNegated ? 1 : 0; at < units.length; at++) {
    const from = units[at] ?? ''
    const isRange = units[at + 1] === '-' && at + 2 < units.length
    ranges.push([from, isRange ? (units[at + 2] ?? from) : from])
    if (isRange) at += 2
  }
  return { kind: 'class', ranges, isNegated }
}

/** The length of what an item takes at a place; 0: it does not match there. */
function taken(item: Item, text: string, at: number): number {
  if (item.kind === 'unit') return text.startsWith(item.text, at) ? item.text.length : 0
  const code = text.codePointAt(at)
  if (code === undefined) return 0
  const length = code > 0xffff ? 2 : 1
  if (item.kind !== 'class') return length
  const unit = text.slice(at, at + length)
  return item.ranges.some(([from, to]) => unit >= from && unit <= to) === item.isNegated ? 0 : length
}

/** When a piece fails, only the last `%` need take more: what stands before it matched as early as it could. */
function matches(items: readonly Item[], text: string): boolean {
  let [item, at] = [0, 0]
  let [resume, resumeAt] = [-1, 0]
  while (at < text.length || item < items.length) {
    const current = items[item]
    if (current?.kind === 'any') {
      item++
      if (item === items.length) return true
      ;[resume, resumeAt] = [item, at]
      continue
    }
    const length = current === undefined ? 0 : taken(current, text, at)
    if (length > 0) {
      item++
      at += length
      continue
    }
    if (resume < 0 || resumeAt >= text.length) return false
    resumeAt += (text.codePointAt(resumeAt) ?? 0) > 0xffff ? 2 : 1
    ;[item, at] = [resume, resumeAt]
  }
  return true
}
