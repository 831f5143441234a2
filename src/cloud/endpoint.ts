import type { ContentHeaders } from '#src/model/version.ts'

/** Bytes at another S3 store, by name. */
export interface CloudEndpoint {
  /** Writes an object; one of the same name before is replaced. Its bucket is made where there is none, if that was asked for. */
  write(name: CloudName, bytes: AsyncIterable<Uint8Array>, described: Described, signal: AbortSignal): Promise<void>
  /** All of an object; rejects where it is not there, or comes to less than it says. */
  read(name: CloudName, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>
  /** What is not there is no error. */
  delete(name: CloudName, signal: AbortSignal): Promise<void>
  close(): void
}

export interface CloudName {
  readonly bucket: string
  readonly key: string
}

/** What an object is to say of itself there. */
export interface Described {
  readonly size: number
  readonly contentType?: string
  readonly headers?: ContentHeaders
  readonly metadata: ReadonlyMap<string, string>
}

/** What an object there says of itself. */
export interface SourceObject {
  readonly size: number
  /** Without quotes. */
  readonly etag: string
  /** Whether the ETag should be the MD5 of the bytes. */
  readonly hasMd5: boolean
  /** Milliseconds since the epoch. */
  readonly modified: number
  readonly headers: ContentHeaders
  readonly metadata: ReadonlyMap<string, string>
}

export interface SourceItem {
  readonly key: string
  readonly size: number
  readonly etag: string
  readonly modified: number
}

export interface SourcePage {
  readonly items: readonly SourceItem[]
  readonly prefixes: readonly string[]
  readonly isTruncated: boolean
}

export interface SourceQuery {
  readonly prefix: string
  readonly delimiter: string
  /** Keys and prefixes behind this. */
  readonly after: string | undefined
  readonly limit: number
}

export interface SourceRead {
  readonly object: SourceObject
  readonly bytes: AsyncIterable<Uint8Array>
}

/** A bucket of another S3 store that is read as it stands. What is not there is undefined; all else rejects. */
export interface CloudSource {
  head(key: string, signal: AbortSignal): Promise<SourceObject | undefined>
  get(key: string, signal: AbortSignal): Promise<SourceRead | undefined>
  /** Bytes [from, to) of the object that has that ETag. */
  range(
    key: string,
    span: { readonly from: number; readonly to: number; readonly etag: string },
    signal: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array>>
  list(query: SourceQuery, signal: AbortSignal): Promise<SourcePage>
  write(key: string, bytes: AsyncIterable<Uint8Array>, described: Described, signal: AbortSignal): Promise<void>
  delete(key: string, signal: AbortSignal): Promise<void>
  close(): void
}
