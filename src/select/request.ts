/** What SelectObjectContent asks for, beyond the object. */
export interface SelectRequest {
  readonly expression: string
  readonly input: InputFormat
  readonly compression: Compression
  readonly output: OutputFormat
  readonly scanRange?: ScanRange
  /** Milliseconds since the Unix epoch, for UTCNOW. */
  readonly now: number
}

export type Compression = 'NONE' | 'GZIP' | 'BZIP2'

export type InputFormat =
  | { readonly kind: 'csv'; readonly csv: CsvInput }
  | { readonly kind: 'json'; readonly isLines: boolean }
  | { readonly kind: 'parquet' }

export interface CsvInput {
  readonly header: 'NONE' | 'USE' | 'IGNORE'
  /** Empty: none. */
  readonly comments: string
  readonly quote: string
  readonly quoteEscape: string
  readonly fieldDelimiter: string
  readonly recordDelimiter: string
  readonly allowsQuotedRecordDelimiter: boolean
}

export type OutputFormat =
  | { readonly kind: 'csv'; readonly csv: CsvOutput }
  | { readonly kind: 'json'; readonly recordDelimiter: string }

export interface CsvOutput {
  readonly quoteFields: 'ALWAYS' | 'ASNEEDED'
  readonly quote: string
  readonly quoteEscape: string
  readonly fieldDelimiter: string
  readonly recordDelimiter: string
}

/** Bytes, both inclusive; without `start`, the last `end` bytes. */
export interface ScanRange {
  readonly start?: number
  readonly end?: number
}

/** The object's bytes, as far as they are asked for. */
export interface Source {
  readonly size: number
  /** Bytes [from, to). */
  read(from: number, to: number): Promise<Uint8Array>
}

export interface Stats {
  /** Bytes of the object that were read. */
  scanned: number
  /** The same, decompressed. */
  processed: number
  /** Bytes of the answer's records. */
  returned: number
}
