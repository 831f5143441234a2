import type { CsvOutput, OutputFormat } from './request.ts'
import { isMap, objectJson, toText, type Value } from './value.ts'

/** A record of the answer: names and values, in order. */
export type Entries = Iterable<readonly [string, Value]>

export type WriteRecord = (entries: Entries) => string

export function recordWriter(format: OutputFormat): WriteRecord {
  if (format.kind === 'json') return (entries) => objectJson(entries) + format.recordDelimiter
  return csvWriter(format.csv)
}

export function csvWriter(options: CsvOutput): WriteRecord {
  const { fieldDelimiter, recordDelimiter, quoteFields } = options
  return (entries) => {
    const fields: string[] = []
    for (const [, value] of entries) {
      const text = toText(value)
      fields.push(quoteFields === 'ALWAYS' || needsQuotes(text, options) ? quoted(text, options) : text)
    }
    return fields.join(fieldDelimiter) + recordDelimiter
  }
}

function needsQuotes(text: string, { quote, fieldDelimiter, recordDelimiter }: CsvOutput): boolean {
  // Of a delimiter of two characters, each could become one beside what follows.
  for (const mark of `${quote}${fieldDelimiter}${recordDelimiter}\r\n`) if (text.includes(mark)) return true
  return false
}

function quoted(text: string, { quote, quoteEscape }: CsvOutput): string {
  const unambiguous = quoteEscape === quote ? text : text.replaceAll(quoteEscape, quoteEscape + quoteEscape)
  return quote + unambiguous.replaceAll(quote, quoteEscape + quote) + quote
}

/** Objects are written member by member; other values under a name that tells their place. */
export const entriesOf = (value: Value): Entries => (isMap(value) ? value : value === undefined ? [] : [['_1', value]])
