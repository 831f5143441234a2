import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { Fault } from '#src/errors.ts'
import { bunzip } from './bunzip.ts'
import type { Compression, ScanRange, Source, Stats } from './request.ts'

/** What is read at once; what is worked on at once. */
const readBytes = 1_048_576

/** Bytes [from, to) of the source, one read ahead of what is asked for. */
export async function* bytesOf(source: Source, from: number, to: number, stats: Stats): AsyncGenerator<Uint8Array> {
  const readAt = (at: number): Promise<Uint8Array> | undefined => {
    const reading = at < to ? source.read(at, Math.min(to, at + readBytes)) : undefined
    // Whether it failed shows where it is awaited, if it ever is.
    reading?.catch(() => undefined)
    return reading
  }
  let at = from
  let reading = readAt(at)
  while (reading !== undefined) {
    const bytes = await reading
    at += readBytes
    reading = readAt(at)
    stats.scanned += bytes.length
    yield bytes
  }
}

export function decompressed(bytes: AsyncIterable<Uint8Array>, compression: Compression): AsyncIterable<Uint8Array> {
  if (compression === 'NONE') return bytes
  return compression === 'GZIP' ? gunzip(bytes) : bunzip(bytes)
}

async function* gunzip(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const unzip = createGunzip({ chunkSize: 262_144 })
  const input = Readable.from(bytes)
  let inputError: unknown
  input.on('error', (error) => {
    inputError = error
    unzip.destroy(error)
  })
  input.pipe(unzip)
  try {
    for await (const chunk of unzip) yield chunk
  } catch (error) {
    if (inputError !== undefined) throw inputError
    const isShort = error instanceof Error && 'code' in error && error.code === 'Z_BUF_ERROR'
    throw new Fault(isShort ? 'TruncatedInput' : 'InvalidCompressionFormat', {}, { cause: error })
  } finally {
    input.destroy()
    unzip.destroy()
  }
}

/** UTF-8, and nothing else. */
export async function* textOf(bytes: AsyncIterable<Uint8Array>, stats: Stats): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const decode = (piece?: Uint8Array): string => {
    try {
      return decoder.decode(piece, { stream: piece !== undefined })
    } catch (cause) {
      throw new Fault('InvalidTextEncoding', {}, { cause })
    }
  }
  for await (const piece of bytes) {
    stats.processed += piece.length
    yield decode(piece)
  }
  yield decode()
}

export interface Span {
  readonly from: number
  readonly to: number
}

/** Of an object of `size` bytes. https://docs.aws.amazon.com/AmazonS3/latest/API/API_ScanRange.html */
export function resolveScanRange({ start, end }: ScanRange, size: number): Span {
  if (start === undefined && end === undefined) throw new Fault('InvalidScanRange')
  if (start === undefined) return { from: Math.max(0, size - (end ?? 0)), to: size }
  if (end !== undefined && end < start) throw new Fault('InvalidScanRange')
  if (start >= size && size > 0) throw new Fault('InvalidScanRange')
  return { from: start, to: end === undefined ? size : Math.min(size, end + 1) }
}

/** What a scan range gives is searched for its first record no further than a record can be long. */
const searchMax = 8_388_608

async function findAfter(source: Source, mark: Uint8Array, from: number): Promise<number> {
  for (let at = from; at < source.size; at += readBytes) {
    if (at - from > searchMax) throw new Fault('OverMaxRecordSize')
    const bytes = await source.read(at, Math.min(source.size, at + readBytes + mark.length - 1))
    const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(mark)
    if (found >= 0) return at + found + mark.length
  }
  return source.size
}

/**
 * The records that start within the range, whole: a record belongs to the range in which its first byte lies, so that ranges
 * side by side meet each record once.
 */
export async function recordsWithin(source: Source, { from, to }: Span, delimiter: string): Promise<Span> {
  const mark = Buffer.from(delimiter)
  const startOf = async (at: number): Promise<number> =>
    at === 0 ? 0 : await findAfter(source, mark, Math.max(0, at - mark.length))
  const start = await startOf(from)
  if (start >= to) return { from: start, to: start }
  return { from: start, to: await startOf(to) }
}
