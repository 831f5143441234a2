/**
 * Patterns of `*` (anything, also nothing) and `?` (one UTF-16 unit), without regular expressions, which a hostile pattern
 * could make run for ever.
 *
 * W1  a match costs time linear in the text: some steps for each of its units, and for each 32 units of a run with `?`.
 * W2  what a policy variable brings in is literal: a star in it matches a star only.
 */
export interface Pattern {
  /** What stands between the stars; one run: no star at all. */
  readonly runs: readonly Run[]
}

interface Run {
  readonly text: string
  /** Where in the text any unit will do; ascending. */
  readonly open: readonly number[]
}

/** A piece of a pattern: text that is matched as it is, or a wildcard. */
export type Piece = { readonly literal: string } | '*' | '?'

export function compilePattern(source: string): Pattern {
  return joinPattern(split(source))
}

export function joinPattern(pieces: readonly Piece[]): Pattern {
  const runs: { text: string; open: number[] }[] = [{ text: '', open: [] }]
  for (const piece of pieces) {
    const last = runs.at(-1)
    if (piece === '*') {
      runs.push({ text: '', open: [] })
    } else if (last !== undefined && piece === '?') {
      last.open.push(last.text.length)
      last.text += '?'
    } else if (last !== undefined && piece !== '?') {
      last.text += piece.literal
    }
  }
  return { runs }
}

/** The pieces of a pattern without variables. */
export function split(source: string): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  for (let at = 0; at < source.length; at++) {
    const character = source[at]
    if (character !== '*' && character !== '?') continue
    if (at > from) pieces.push({ literal: source.slice(from, at) })
    pieces.push(character)
    from = at + 1
  }
  if (from < source.length) pieces.push({ literal: source.slice(from) })
  return pieces
}

export const hasWildcard = (source: string): boolean => source.includes('*') || source.includes('?')

export function matches(pattern: Pattern, text: string): boolean {
  const { runs } = pattern
  const first = runs[0]
  const last = runs.at(-1)
  if (first === undefined || last === undefined) return text === ''
  if (runs.length === 1) return text.length === first.text.length && standsAt(first, text, 0)
  const end = text.length - last.text.length
  if (end < first.text.length || !standsAt(first, text, 0) || !standsAt(last, text, end)) return false
  // Leftmost is best: it leaves the most room for the runs that follow, so there is nothing to try again.
  let at = first.text.length
  for (let index = 1; index < runs.length - 1; index++) {
    const run = runs[index]
    if (run === undefined) continue
    const found = find(run, text, at, end)
    if (found < 0) return false
    at = found + run.text.length
  }
  return true
}

function standsAt(run: Run, text: string, at: number): boolean {
  if (run.open.length === 0) return text.startsWith(run.text, at)
  let nextOpen = 0
  for (let index = 0; index < run.text.length; index++) {
    if (run.open[nextOpen] === index) nextOpen++
    else if (text.charCodeAt(at + index) !== run.text.charCodeAt(index)) return false
  }
  return true
}

/** Where the run stands first in [from, to), or -1. */
function find(run: Run, text: string, from: number, to: number): number {
  if (run.open.length > 0) return findOpen(run, text, from, to)
  const last = to - run.text.length
  // The engine's own search is fast, but takes length times length in the worst case: short runs only.
  if (run.text.length <= shortRun) {
    const found = text.indexOf(run.text, from)
    return found > last ? -1 : found
  }
  return findLong(run.text, text, from, to)
}

const shortRun = 8

/** Knuth, Morris and Pratt's search. */
function findLong(wanted: string, text: string, from: number, to: number): number {
  const borders = bordersOf(wanted)
  let matched = 0
  for (let at = from; at < to; at++) {
    const unit = text.charCodeAt(at)
    while (matched > 0 && unit !== wanted.charCodeAt(matched)) matched = borders[matched - 1] ?? 0
    if (unit === wanted.charCodeAt(matched)) matched++
    if (matched === wanted.length) return at + 1 - matched
  }
  return -1
}

/** For each prefix of the text, the length of the longest shorter prefix that also ends it. */
function bordersOf(text: string): Int32Array {
  const borders = new Int32Array(text.length)
  let border = 0
  for (let at = 1; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    while (border > 0 && unit !== text.charCodeAt(border)) border = borders[border - 1] ?? 0
    if (unit === text.charCodeAt(border)) border++
    borders[at] = border
  }
  return borders
}

/**
 * Baeza-Yates and Gonnet's search, since borders say nothing of a run with `?`: bit n of the state is set while the last n + 1
 * units of the text match the first n + 1 of the run.
 */
function findOpen(run: Run, text: string, from: number, to: number): number {
  const size = run.text.length
  const { masks, others } = masksOf(run)
  const state = new Uint32Array(others.length)
  const lastWord = others.length - 1
  const lastBit = 1 << ((size - 1) & 31)
  for (let at = from; at < to; at++) {
    const mask = masks.get(text.charCodeAt(at)) ?? others
    let carry = 1
    for (let word = 0; word <= lastWord; word++) {
      const before = state[word] ?? 0
      state[word] = ((before << 1) | carry) & (mask[word] ?? 0)
      carry = before >>> 31
    }
    if (((state[lastWord] ?? 0) & lastBit) !== 0) return at + 1 - size
  }
  return -1
}

/** For each unit of the run where it may stand, as bits; `others`: where any other unit may stand. */
function masksOf(run: Run): { masks: Map<number, Uint32Array>; others: Uint32Array } {
  const others = new Uint32Array(Math.ceil(run.text.length / 32))
  for (const at of run.open) others[at >> 5] = (others[at >> 5] ?? 0) | (1 << (at & 31))
  const open = new Set(run.open)
  const masks = new Map<number, Uint32Array>()
  for (let at = 0; at < run.text.length; at++) {
    if (open.has(at)) continue
    const unit = run.text.charCodeAt(at)
    const mask = masks.get(unit) ?? others.slice()
    mask[at >> 5] = (mask[at >> 5] ?? 0) | (1 << (at & 31))
    masks.set(unit, mask)
  }
  return { masks, others }
}
