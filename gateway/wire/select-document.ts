import { child, optionalChild, optionalText, type XmlNode } from '#gateway/xml/parse.ts'
import { Fault, type FaultCode } from '#src/errors.ts'
import type {
  Compression,
  CsvInput,
  CsvOutput,
  InputFormat,
  OutputFormat,
  ScanRange,
  SelectRequest,
} from '#src/select/request.ts'

/** A query, and whether its client wants to hear how far it is. */
export interface WantedSelect {
  readonly query: Omit<SelectRequest, 'now'>
  readonly wantsProgress: boolean
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_SelectObjectContent.html */
export function parseSelect(document: XmlNode): WantedSelect {
  const expression = wanted(document, 'Expression')
  if (wanted(document, 'ExpressionType').toUpperCase() !== 'SQL') throw new Fault('InvalidExpressionType')
  const input = optionalChild(document, 'InputSerialization')
  const output = optionalChild(document, 'OutputSerialization')
  if (input === undefined || output === undefined) throw new Fault('MissingRequiredParameter')
  const scanRange = optionalChild(document, 'ScanRange')
  const progress = optionalChild(document, 'RequestProgress')
  return {
    query: {
      expression,
      input: readInput(input),
      compression: oneOf(input, 'CompressionType', compressions, 'InvalidCompressionFormat'),
      output: readOutput(output),
      ...(scanRange !== undefined && { scanRange: readScanRange(scanRange) }),
    },
    wantsProgress: progress !== undefined && isTrue(progress, 'Enabled'),
  }
}

function wanted(node: XmlNode, name: string): string {
  const written = optionalText(node, name)
  if (written === undefined) throw new Fault('MissingRequiredParameter', { ParameterName: name })
  return written
}

const compressions: readonly Compression[] = ['NONE', 'GZIP', 'BZIP2']

/** The first is meant where nothing is said. */
function oneOf<Choice extends string>(
  node: XmlNode,
  name: string,
  choices: readonly [Choice, ...Choice[]] | readonly Choice[],
  code: FaultCode,
): Choice {
  const written = optionalText(node, name)?.trim().toUpperCase()
  const found = written === undefined ? choices[0] : choices.find((each) => each === written)
  if (found === undefined) throw new Fault(code)
  return found
}

function isTrue(node: XmlNode, name: string): boolean {
  const written = optionalText(node, name)?.trim().toLowerCase()
  if (written !== undefined && written !== 'true' && written !== 'false') throw new Fault('InvalidRequestParameter')
  return written === 'true'
}

/** The one format of those that a serialization may name. */
function formatOf(node: XmlNode, names: readonly string[]): XmlNode {
  const [found, ...more] = names.filter((name) => optionalChild(node, name) !== undefined)
  if (found === undefined) throw new Fault('MissingRequiredParameter')
  if (more.length > 0) throw new Fault('ObjectSerializationConflict')
  return child(node, found)
}

function readInput(node: XmlNode): InputFormat {
  const format = formatOf(node, ['CSV', 'JSON', 'Parquet'])
  if (format.name === 'Parquet') return { kind: 'parquet' }
  if (format.name === 'CSV') return { kind: 'csv', csv: readCsvInput(format) }
  if (optionalText(format, 'Type') === undefined) throw new Fault('InvalidJsonType')
  return { kind: 'json', isLines: oneOf(format, 'Type', ['DOCUMENT', 'LINES'], 'InvalidJsonType') === 'LINES' }
}

/** One character, or two where a record may end in two. */
function mark(node: XmlNode, name: string, otherwise: string, lengthMax: number): string {
  const written = optionalText(node, name) ?? otherwise
  if (written.length > lengthMax) throw new Fault('InvalidRequestParameter', { ParameterName: name })
  return written
}

function delimiter(node: XmlNode, name: string, otherwise: string): string {
  return mark(node, name, otherwise, 2) || otherwise
}

function readCsvInput(node: XmlNode): CsvInput {
  const csv: CsvInput = {
    header: oneOf(node, 'FileHeaderInfo', ['NONE', 'USE', 'IGNORE'], 'InvalidFileHeaderInfo'),
    comments: mark(node, 'Comments', '#', 1),
    quote: mark(node, 'QuoteCharacter', '"', 1),
    quoteEscape: mark(node, 'QuoteEscapeCharacter', '"', 1),
    fieldDelimiter: delimiter(node, 'FieldDelimiter', ','),
    recordDelimiter: delimiter(node, 'RecordDelimiter', '\n'),
    allowsQuotedRecordDelimiter: isTrue(node, 'AllowQuotedRecordDelimiter'),
  }
  if (csv.fieldDelimiter === csv.recordDelimiter) throw new Fault('InvalidRequestParameter')
  return csv
}

function readOutput(node: XmlNode): OutputFormat {
  const format = formatOf(node, ['CSV', 'JSON'])
  const recordDelimiter = delimiter(format, 'RecordDelimiter', '\n')
  return format.name === 'JSON' ? { kind: 'json', recordDelimiter } : { kind: 'csv', csv: readCsvOutput(format) }
}

function readCsvOutput(node: XmlNode): CsvOutput {
  return {
    quoteFields: oneOf(node, 'QuoteFields', ['ASNEEDED', 'ALWAYS'], 'InvalidQuoteFields'),
    quote: mark(node, 'QuoteCharacter', '"', 1) || '"',
    quoteEscape: mark(node, 'QuoteEscapeCharacter', '"', 1) || '"',
    fieldDelimiter: delimiter(node, 'FieldDelimiter', ','),
    recordDelimiter: delimiter(node, 'RecordDelimiter', '\n'),
  }
}

function readScanRange(node: XmlNode): ScanRange {
  const [start, end] = [place(node, 'Start'), place(node, 'End')]
  return { ...(start !== undefined && { start }), ...(end !== undefined && { end }) }
}

function place(node: XmlNode, name: string): number | undefined {
  const written = optionalText(node, name)?.trim()
  if (written === undefined) return undefined
  if (!/^\d{1,15}$/.test(written)) throw new Fault('InvalidScanRange')
  return Number(written)
}
