import { Fault } from '#src/errors.ts'
import type { CsvInput } from './request.ts'
import { recordLengthMax } from './value.ts'

const columnsMax = 16_384

interface Field {
  readonly value: string
  readonly next: number
  readonly endsRecord: boolean
}

const broken = (message: string): Fault => new Fault('CSVParsingError', { message })

/**
 * Cuts text into the records of CSV, piece by piece.
 *
 * Q1  what the CSV writer wrote is read as it was, whatever the delimiters, quotes and pieces.
 * Q2  it holds one piece and one record, at most; a longer record is an error.
 */
export class CsvReader {
  readonly #options: CsvInput
  readonly #isNewline: boolean
  #rest = ''
  /** Where the next quote stands in the text; records before it need no looking at their characters. */
  #quoteAt = -1

  constructor(options: CsvInput) {
    this.#options = options
    this.#isNewline = options.recordDelimiter === '\n'
  }

  /** The records that end in this piece; with `isLast`, also one that has no delimiter after it. */
  push(piece: string, isLast = false): string[][] {
    const text = this.#rest + piece
    const { recordDelimiter, comments, quote } = this.#options
    const records: string[][] = []
    this.#quoteAt = quote === '' ? Number.POSITIVE_INFINITY : -1
    let at = 0
    while (at < text.length) {
      const end = this.#plainEnd(text, at, comments !== '' && text.startsWith(comments, at))
      if (end === undefined) {
        const next = this.#quoted(text, at, records, isLast)
        if (next === undefined) break
        at = next
        continue
      }
      if (end < 0) {
        if (isLast) this.#plain(text, at, text.length, records)
        if (isLast) at = text.length
        break
      }
      this.#plain(text, at, end, records)
      at = end + recordDelimiter.length
    }
    this.#rest = text.slice(at)
    if (this.#rest.length > recordLengthMax) throw new Fault('OverMaxRecordSize')
    return records
  }

  /** Where the record that starts here ends; -1: not in this text; undefined: there is a quote before. */
  #plainEnd(text: string, at: number, isComment: boolean): number | undefined {
    const end = text.indexOf(this.#options.recordDelimiter, at)
    if (isComment) return end
    if (this.#quoteAt < at) {
      const found = text.indexOf(this.#options.quote, at)
      this.#quoteAt = found < 0 ? Number.POSITIVE_INFINITY : found
    }
    return this.#quoteAt < (end < 0 ? text.length : end) ? undefined : end
  }

  /** A record without quotes, or a comment. */
  #plain(text: string, at: number, end: number, records: string[][]): void {
    const { comments, fieldDelimiter } = this.#options
    if (comments !== '' && text.startsWith(comments, at)) return
    const last = this.#isNewline && text.charCodeAt(end - 1) === 13 ? end - 1 : end
    if (last <= at) return
    if (last - at > recordLengthMax) throw new Fault('OverMaxRecordSize')
    this.#add(text.slice(at, last).split(fieldDelimiter), records)
  }

  #add(fields: string[], records: string[][]): void {
    if (fields.length > columnsMax) throw new Fault('OverMaxColumn')
    records.push(fields)
  }

  /** A record with quotes; gives where the next one starts, or undefined where this one does not end here. */
  #quoted(text: string, start: number, records: string[][], isLast: boolean): number | undefined {
    const fields: string[] = []
    for (let at = start; ; ) {
      const read = this.#field(text, at, isLast)
      if (read === undefined) return undefined
      fields.push(read.value)
      at = read.next
      if (!read.endsRecord) continue
      if (at - start > recordLengthMax) throw new Fault('OverMaxRecordSize')
      this.#add(fields, records)
      return at
    }
  }

  /** One field; `next` is where it goes on behind its delimiter. */
  #field(text: string, start: number, isLast: boolean): Field | undefined {
    const { quote, fieldDelimiter, recordDelimiter } = this.#options
    const isQuoted = text.startsWith(quote, start)
    const [value, at] = (isQuoted ? this.#quotedField(text, start + quote.length, isLast) : ['', start]) ?? ['', -1]
    if (at < 0) return undefined
    const [fieldEnd, recordEnd] = [text.indexOf(fieldDelimiter, at), text.indexOf(recordDelimiter, at)]
    if (fieldEnd >= 0 && (recordEnd < 0 || fieldEnd < recordEnd)) {
      return { value: value + text.slice(at, fieldEnd), next: fieldEnd + fieldDelimiter.length, endsRecord: false }
    }
    if (recordEnd < 0 && !isLast) return undefined
    const tail = text.slice(at, recordEnd < 0 ? text.length : recordEnd)
    const next = recordEnd < 0 ? text.length : recordEnd + recordDelimiter.length
    return {
      value: value + (this.#isNewline && tail.endsWith('\r') ? tail.slice(0, -1) : tail),
      next,
      endsRecord: true,
    }
  }

  /** From behind the opening quote; gives the value, and where it stands behind the closing one. */
  #quotedField(text: string, from: number, isLast: boolean): readonly [string, number] | undefined {
    const { quote, quoteEscape, recordDelimiter, allowsQuotedRecordDelimiter } = this.#options
    let value = ''
    let [at, copied] = [from, from]
    for (; at < text.length; at++) {
      const character = text.charAt(at)
      if (character === quoteEscape) {
        // At the end of a piece, the record is not over either way, and is read again with the next.
        const next = text.charAt(at + 1)
        if (next !== '' && (next === quote || next === quoteEscape)) {
          value += text.slice(copied, at) + next
          copied = ++at + 1
          continue
        }
      }
      if (character === quote) return [value + text.slice(copied, at), at + 1]
      if (!allowsQuotedRecordDelimiter && text.startsWith(recordDelimiter, at)) {
        throw broken('A record delimiter stands inside of quotes, and AllowQuotedRecordDelimiter is FALSE.')
      }
    }
    if (isLast) throw broken('A quote is not closed.')
    return undefined
  }
}
