/** Bytes at another S3 store, by name. */
export interface CloudEndpoint {
  /** Writes an object; one of the same name before is replaced. Its bucket is made where there is none. */
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
  readonly metadata: ReadonlyMap<string, string>
}
