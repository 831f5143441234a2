import { Fault } from '#src/errors.ts'
import { parseDecimal } from './decimal.ts'
import { integerMax, integerMin } from './operators.ts'
import type { Step } from './syntax.ts'
import type { Value } from './value.ts'

/** Of one record, in characters and in values. */
const recordMax = 8_388_608
const valuesMax = 500_000
const depthMax = 200

const broken = (): Fault => new Fault('JSONParsingError')

const isSpace = (code: number): boolean => code === 32 || code === 10 || code === 13 || code === 9

const number = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
/** Whatever could be part of a number, to know whether one may go on in the next piece. */
const isNumeric = (code: number): boolean =>
  (code >= 48 && code <= 57) || code === 45 || code === 46 || code === 43 || code === 69 || code === 101

const literals: ReadonlyMap<string, Value> = new Map<string, Value>([
  ['true', true],
  ['false', false],
  ['null', null],
])

/** An array or object that is open. */
interface Frame {
  readonly kind: 'array' | 'object'
  /** How many steps of the path lead here; -1: none, so that nothing in it is wanted. */
  readonly position: number
  /** Where it is, or is part of, a record. */
  readonly list?: Value[]
  readonly map?: Map<string, Value>
  key: string
  count: number
  wasFound: boolean
}

type Expected = 'value' | 'first value' | 'key' | 'first key' | 'colon' | 'comma'

/**
 * Reads JSON values, one after the other, piece by piece, and gives what a path leads to in each.
 *
 * J1  what the path does not lead to is checked but never kept: memory is one piece and one record, at most.
 * J2  the pieces in which the text comes make no difference.
 */
export class JsonReader {
  readonly #steps: readonly Step[]
  readonly #frames: Frame[] = []
  #rest = ''
  #expected: Expected = 'value'
  #records: Value[] = []
  #values = 0
  #recordLength = 0

  /** `steps`: of FROM; the first `[*]` stands for the documents themselves. */
  constructor(steps: readonly Step[]) {
    this.#steps = steps[0]?.kind === 'each' ? steps.slice(1) : steps
  }

  push(piece: string, isLast = false): Value[] {
    const text = this.#rest + piece
    let at = 0
    for (;;) {
      while (isSpace(text.charCodeAt(at))) at++
      if (at >= text.length) break
      const next = this.#step(text, at, isLast)
      if (next === undefined) break
      if (this.#isInRecord()) this.#grow(next - at)
      at = next
    }
    this.#rest = text.slice(at)
    if (this.#rest.length > recordMax) throw new Fault('OverMaxRecordSize')
    if (isLast && (this.#rest !== '' || this.#frames.length > 0)) throw broken()
    const records = this.#records
    this.#records = []
    return records
  }

  #isInRecord(): boolean {
    const frame = this.#frames.at(-1)
    return frame?.list !== undefined || frame?.map !== undefined
  }

  #grow(length: number): void {
    this.#recordLength += length
    if (this.#recordLength > recordMax || this.#values > valuesMax) throw new Fault('OverMaxRecordSize')
  }

  /** Takes one token; gives where the next may start, or undefined where this one does not end here. */
  #step(text: string, at: number, isLast: boolean): number | undefined {
    const character = text.charAt(at)
    const expected = this.#expected
    if (expected === 'colon') {
      if (character !== ':') throw broken()
      this.#expected = 'value'
      return at + 1
    }
    if (expected === 'comma') return this.#afterValue(character, at)
    if (character === ']' && expected === 'first value') return this.#close('array', at)
    if (character === '}' && expected === 'first key') return this.#close('object', at)
    if (expected === 'key' || expected === 'first key') return this.#key(text, at)
    if (character === '{' || character === '[') return this.#open(character === '{' ? 'object' : 'array', at)
    return this.#scalar(text, at, isLast)
  }

  #afterValue(character: string, at: number): number {
    const frame = this.#frames.at(-1)
    if (frame === undefined) throw broken()
    if (character === ',') {
      this.#expected = frame.kind === 'array' ? 'value' : 'key'
      return at + 1
    }
    if (character !== (frame.kind === 'array' ? ']' : '}')) throw broken()
    return this.#close(frame.kind, at)
  }

  #key(text: string, at: number): number | undefined {
    if (text.charAt(at) !== '"') throw broken()
    const read = readString(text, at)
    const frame = this.#frames.at(-1)
    if (read === undefined || frame === undefined) return undefined
    frame.key = read[0]
    this.#expected = 'colon'
    return read[1]
  }

  /** How many steps lead to the next value in the innermost frame; its own position where that is a record. */
  #position(): number {
    const frame = this.#frames.at(-1)
    if (frame === undefined) return 0
    const { position, kind } = frame
    const step = position < 0 ? undefined : this.#steps[position]
    if (step === undefined) return position
    const isMet =
      step.kind === 'name'
        ? kind === 'object' && !frame.wasFound && isNamed(frame.key, step.name, step.isQuoted)
        : kind === 'array' && (step.kind === 'each' || step.index === frame.count)
    if (!isMet) return -1
    frame.wasFound = true
    return position + 1
  }

  /** `[*]` of what is no array is that itself. */
  #entered(position: number, kind: 'array' | 'object' | 'scalar'): number {
    let at = position
    while (at >= 0 && kind !== 'array' && this.#steps[at]?.kind === 'each') at++
    return at
  }

  #open(kind: Frame['kind'], at: number): number {
    if (this.#frames.length >= depthMax) throw new Fault('OverMaxRecordSize')
    const inside = this.#isInRecord()
    const position = inside ? this.#steps.length : this.#entered(this.#position(), kind)
    const isKept = inside || position === this.#steps.length
    if (isKept && !inside) this.#recordLength = 0
    if (isKept && !inside) this.#values = 0
    this.#frames.push({
      kind,
      position,
      key: '',
      count: 0,
      wasFound: false,
      ...(isKept && (kind === 'array' ? { list: [] } : { map: new Map<string, Value>() })),
    })
    this.#expected = kind === 'array' ? 'first value' : 'first key'
    return at + 1
  }

  #close(kind: Frame['kind'], at: number): number {
    const frame = this.#frames.pop()
    if (frame?.kind !== kind) throw broken()
    const value = frame.list ?? frame.map
    if (value !== undefined) this.#finish(value, frame.position)
    else {
      const step = this.#steps[frame.position]
      // What FROM names is not there: that too is a row, of nothing.
      if (frame.position >= 0 && step?.kind !== 'each' && !frame.wasFound) this.#records.push(undefined)
      this.#finish(undefined, -1)
    }
    return at + 1
  }

  #scalar(text: string, at: number, isLast: boolean): number | undefined {
    const read = readScalar(text, at, isLast)
    if (read === undefined) return undefined
    const inside = this.#isInRecord()
    const position = inside ? this.#steps.length : this.#entered(this.#position(), 'scalar')
    if (!inside && position >= 0 && position < this.#steps.length) {
      this.#records.push(undefined)
      this.#finish(undefined, -1)
    } else this.#finish(read[0], position)
    return read[1]
  }

  /** Puts a value where it belongs: into what is open, or among the records. */
  #finish(value: Value, position: number): void {
    const frame = this.#frames.at(-1)
    if (frame !== undefined) frame.count++
    this.#expected = frame === undefined ? 'value' : 'comma'
    this.#values++
    if (frame?.list !== undefined) frame.list.push(value)
    else if (frame?.map !== undefined) frame.map.set(frame.key, value)
    else if (position === this.#steps.length) this.#records.push(value)
  }
}

const isNamed = (key: string, name: string, isQuoted: boolean): boolean =>
  key === name || (!isQuoted && key.toLowerCase() === name.toLowerCase())

/** What only JSON's own rules can read, or refuse. */
const unplain = /[\\\p{Cc}]/u

/** A string from its opening quote; undefined where it does not end in this text. */
function readString(text: string, at: number): readonly [string, number] | undefined {
  let end = at
  for (;;) {
    end = text.indexOf('"', end + 1)
    if (end < 0) return undefined
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === 92) backslashes++
    if (backslashes % 2 === 0) break
  }
  const plain = text.slice(at + 1, end)
  if (!unplain.test(plain)) return [plain, end + 1]
  try {
    return [JSON.parse(text.slice(at, end + 1)), end + 1]
  } catch {
    throw broken()
  }
}

function readScalar(text: string, at: number, isLast: boolean): readonly [Value, number] | undefined {
  const character = text.charAt(at)
  if (character === '"') return readString(text, at)
  if (character === '-' || (character >= '0' && character <= '9')) return readNumber(text, at, isLast)
  for (const [word, value] of literals) {
    if (text.startsWith(word, at)) return [value, at + word.length]
    if (!isLast && word.startsWith(text.slice(at, at + word.length))) return undefined
  }
  throw broken()
}

function readNumber(text: string, at: number, isLast: boolean): readonly [Value, number] | undefined {
  let end = at
  while (isNumeric(text.charCodeAt(end))) end++
  const all = text.slice(at, end)
  if (at + all.length === text.length && !isLast) return undefined
  if (!number.test(all)) throw broken()
  return [numberValue(all), at + all.length]
}

function numberValue(written: string): Value {
  if (/^-?\d{1,19}$/.test(written)) {
    const value = BigInt(written)
    if (value <= integerMax && value >= integerMin) return value
  }
  return parseDecimal(written) ?? Number(written)
}
