import { Fault } from '#src/errors.ts'
import { type Fields, formatOffset, fromFields, type Precision, pad, parseOffset, type Timestamp } from './timestamp.ts'

/**
 * The patterns of TO_STRING and TO_TIMESTAMP.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-select-sql-reference-date.html
 */
const months = [
  ...['January', 'February', 'March', 'April', 'May', 'June', 'July'],
  ...['August', 'September', 'October', 'November', 'December'],
]

interface Piece {
  readonly kind: 'symbol' | 'literal'
  readonly text: string
}

const lengthMax = 256
const symbols = /^(?:y{1,4}|M{1,5}|d{1,2}|a|h{1,2}|H{1,2}|m{1,2}|s{1,2}|S{1,9}|n|X{1,5}|x{1,5})$/

/** Patterns are written once and used for every record. */
export function parsePattern(pattern: string): readonly Piece[] {
  if (pattern.length > lengthMax) throw new Fault('EvaluatorInvalidTimestampFormatPattern')
  const pieces: Piece[] = []
  for (let at = 0; at < pattern.length; ) {
    const [piece, length] = readPiece(pattern, at)
    pieces.push(piece)
    at += length
  }
  return pieces
}

/** The piece that starts here, and how long it is written. */
function readPiece(pattern: string, at: number): readonly [Piece, number] {
  const character = pattern.charAt(at)
  if (character === "'") {
    const end = pattern.indexOf("'", at + 1)
    if (end < 0) throw new Fault('EvaluatorUnterminatedTimestampFormatPatternToken')
    return [{ kind: 'literal', text: end === at + 1 ? "'" : pattern.slice(at + 1, end) }, end + 1 - at]
  }
  if (!/[A-Za-z]/.test(character)) return [{ kind: 'literal', text: character }, 1]
  let end = at + 1
  while (pattern.charAt(end) === character) end++
  const text = pattern.slice(at, end)
  if (!symbols.test(text)) {
    const isKnown = 'yMdahHmsSnXx'.includes(character)
    throw new Fault(`EvaluatorInvalidTimestampFormatPattern${isKnown ? 'Token' : 'Symbol'}`)
  }
  return [{ kind: 'symbol', text }, text.length]
}

function monthText(month: number, length: number): string {
  const name = months[month - 1] ?? ''
  if (length === 5) return name.slice(0, 1)
  return length === 4 ? name : length === 3 ? name.slice(0, 3) : pad(month, length)
}

/** `X`: with Z for no offset. One: hours; two and four: without a colon; three and five: with one. */
function zoneText(offset: number, symbol: string): string {
  if (offset === 0 && symbol.startsWith('X')) return 'Z'
  if (symbol.length === 1 && offset % 60 === 0) return formatOffset(offset, '').slice(0, 3)
  return formatOffset(offset, symbol.length === 3 || symbol.length === 5 ? ':' : '')
}

function symbolText(symbol: string, timestamp: Timestamp, date: Date): string {
  const { length } = symbol
  switch (symbol.charAt(0)) {
    case 'y':
      return length === 2 ? pad(date.getUTCFullYear() % 100) : pad(date.getUTCFullYear(), length)
    case 'M':
      return monthText(date.getUTCMonth() + 1, length)
    case 'd':
      return pad(date.getUTCDate(), length)
    case 'a':
      return date.getUTCHours() < 12 ? 'AM' : 'PM'
    case 'h':
      return pad(date.getUTCHours() % 12 || 12, length)
    case 'H':
      return pad(date.getUTCHours(), length)
    case 'm':
      return pad(date.getUTCMinutes(), length)
    case 's':
      return pad(date.getUTCSeconds(), length)
    case 'S':
      return pad(date.getUTCMilliseconds(), 3).padEnd(9, '0').slice(0, length)
    case 'n':
      return String(date.getUTCMilliseconds() * 1_000_000)
    default:
      return zoneText(timestamp.offset, symbol)
  }
}

export function formatByPattern(timestamp: Timestamp, pieces: readonly Piece[]): string {
  const date = timestamp.local()
  return pieces.map(({ kind, text }) => (kind === 'literal' ? text : symbolText(text, timestamp, date))).join('')
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

function symbolPattern(symbol: string): string {
  const { length } = symbol
  const letter = symbol.charAt(0)
  if (letter === 'y') return length === 2 ? '(\\d\\d)' : '(\\d{4})'
  if (letter === 'M' && length >= 3) return '([A-Za-z]{3,9})'
  if (letter === 'a') return '([AaPp][Mm])'
  if (letter === 'S') return `(\\d{${length}})`
  if (letter === 'n') return '(\\d{1,9})'
  if (letter === 'X' || letter === 'x') return '(Z|[+-]\\d\\d(?::?\\d\\d)?)'
  return length === 1 ? '(\\d{1,2})' : '(\\d\\d)'
}

type Writable = { -readonly [Name in keyof Fields]: Fields[Name] } & { isAfternoon?: boolean; isTwelve?: boolean }

function readYear(text: string): number {
  const number = Number(text)
  if (text.length !== 2) return number
  return number < 70 ? 2000 + number : 1900 + number
}

function readSymbol(symbol: string, text: string, into: Writable): Precision | undefined {
  const number = Number(text)
  switch (symbol.charAt(0)) {
    case 'y':
      into.year = readYear(text)
      return 'year'
    case 'M':
      into.month =
        symbol.length < 3
          ? number
          : months.findIndex((name) => name.toLowerCase().startsWith(text.toLowerCase().slice(0, 9))) + 1
      return 'month'
    case 'd':
      into.day = number
      return 'day'
    case 'a':
      into.isAfternoon = text.toLowerCase() === 'pm'
      return undefined
    case 'h':
    case 'H':
      into.hour = number
      into.isTwelve = symbol.startsWith('h')
      return 'minute'
    case 'm':
      into.minute = number
      return 'minute'
    case 's':
      into.second = number
      return 'second'
    case 'S':
      into.millisecond = Number(text.padEnd(3, '0').slice(0, 3))
      return 'second'
    case 'n':
      into.millisecond = Math.floor(number / 1_000_000)
      return 'second'
    default:
      into.offset = parseOffset(text)
      return undefined
  }
}

const order: readonly Precision[] = ['year', 'month', 'day', 'minute', 'second']

/** Letters that write the same field. */
const sameFields: Readonly<Record<string, string>> = { h: 'H', x: 'X', n: 'S' }

/** A function that reads texts of a pattern; each piece has a fixed or small length, so that no text takes long. */
export function patternReader(pattern: string): (text: string) => Timestamp | undefined {
  const pieces = parsePattern(pattern)
  const found = pieces.filter(({ kind }) => kind === 'symbol')
  const letters = found.map(({ text }) => sameFields[text.charAt(0)] ?? text.charAt(0))
  if (new Set(letters).size < letters.length) throw new Fault('EvaluatorTimestampFormatPatternDuplicateFields')
  const hasHalf = found.some(({ text }) => text === 'a')
  if (hasHalf !== found.some(({ text }) => text.startsWith('h'))) {
    throw new Fault('EvaluatorTimestampFormatPatternHourClockAmPmMismatch')
  }
  if (found.some(({ text }) => text === 'MMMMM')) {
    throw new Fault('EvaluatorInvalidTimestampFormatPatternSymbolForParsing')
  }
  const form = new RegExp(
    `^${pieces.map(({ kind, text }) => (kind === 'literal' ? escaped(text) : symbolPattern(text))).join('')}$`,
  )
  return (text) => {
    const parts = text.length > 2 * lengthMax ? null : form.exec(text)
    if (parts === null) return undefined
    const fields: Writable = { year: 1970 }
    let precision: Precision = 'year'
    for (const [index, piece] of found.entries()) {
      const read = readSymbol(piece.text, parts[index + 1] ?? '', fields)
      if (read !== undefined && order.indexOf(read) > order.indexOf(precision)) precision = read
    }
    const { isAfternoon = false, isTwelve = false, ...rest } = fields
    const hour = isTwelve ? ((rest.hour ?? 0) % 12) + (isAfternoon ? 12 : 0) : rest.hour
    return fromFields({ ...rest, ...(hour !== undefined && { hour }) }, precision)
  }
}
