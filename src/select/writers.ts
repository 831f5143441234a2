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
  const marks = needingQuotes(options)
  return (entries) => {
    const fields: string[] = []
    for (const [, value] of entries) {
      const text = toText(value)
      fields.push(quoteFields === 'ALWAYS' || marks.test(text) ? quoted(text, options) : text)
    }
    return fields.join(fieldDelimiter) + recordDelimiter
  }
}

/** Of a delimiter of two characters, each could become one beside what follows. */
function needingQuotes({ quote, fieldDelimiter, recordDelimiter }: CsvOutput): RegExp {
  const marks = [...`${quote}${fieldDelimiter}${recordDelimiter}\r\n`]
  return new RegExp(`[${marks.map((mark) => `\\u{${mark.codePointAt(0)?.toString(16)}}`).join('')}]`, 'u')
}

function quoted(text: string, { quote, quoteEscape }: CsvOutput): string {
  const unambiguous = quoteEscape === quote ? text : text.replaceAll(quoteEscape, quoteEscape + quoteEscape)
  return quote + unambiguous.replaceAll(quote, quoteEscape + quote) + quote
}

/** Objects are written member by member; other values under a name that tells their place. */
export const entriesOf = (value: Value): Entries => (isMap(value) ? value : value === undefined ? [] : [['_1', value]])
