import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import type { BlobId, Extent } from '#src/model/blob.ts'
import type { Span } from '#src/model/range.ts'
import { BlobUnreadable, type ChunkChecksums } from './blobs.ts'
import { errorCode } from './files.ts'
import { chunkBytes, chunksOf, frameBytes, headerBytes, isIntact, laidOutBytes, parseHeader } from './frame.ts'
import type { Volume } from './volume.ts'

/** One read takes at most so many chunks (512 KiB: larger ones were not faster). Two reads are held at most: one that is being consumed, the next one ahead. */
const chunksPerRead = 4

export interface Chunk {
  readonly number: number
  readonly checksum: number
  readonly bytes: Uint8Array
}

/** Consecutive frames of one extent that are read in one go. */
interface Step {
  readonly extent: Extent
  readonly offset: number
  readonly firstChunk: number
  /** Of the bytes that the frames carry. */
  readonly size: number
}

/**
 * Memory of whole steps that readers have given back: fresh memory for each costs as much as the read itself. 32 MiB at most.
 */
const idle: Buffer[] = []
const idleMost = 64
const stepBytes = laidOutBytes(chunksPerRead * chunkBytes)

function giveBack({ buffer }: Filled): void {
  if (buffer.length === stepBytes && idle.length < idleMost) idle.push(buffer)
}

/** A step that was read: its chunks, and the memory that they lie in. */
interface Filled {
  readonly chunks: readonly Chunk[]
  readonly buffer: Buffer
}

/**
 * Chunks [first, last] of a blob, each checked (B2). Where it `lends`, a chunk's memory is used again once the chunk after the
 * next one is asked for; that of the last step, which nothing is asked for after, never.
 */
export async function* readChunks(
  volumes: ReadonlyMap<string, Volume>,
  id: BlobId,
  extents: readonly Extent[],
  first: number,
  last: number,
  lends = false,
): AsyncGenerator<Chunk> {
  let ahead: Promise<Filled> | undefined
  let before: Filled | undefined
  try {
    for (const step of steps(extents, first, last)) {
      const reading = ahead
      ahead = readStep(volumes, id, step)
      // Its failure is told when it is its turn; until then it must not count as unhandled.
      ahead.catch(() => {})
      if (reading === undefined) continue
      const filled = await reading
      for (const chunk of filled.chunks) {
        yield chunk
        if (lends && before !== undefined) giveBack(before)
        before = undefined
      }
      before = filled
    }
    if (ahead !== undefined) yield* (await ahead).chunks
  } finally {
    // A reader that leaves early leaves nothing running behind it.
    await ahead?.catch(() => {})
  }
}

function* steps(extents: readonly Extent[], first: number, last: number): Generator<Step> {
  let extentChunk = 0
  for (const extent of extents) {
    const end = extentChunk + Math.ceil(extent.size / chunkBytes)
    for (let chunk = Math.max(first, extentChunk); chunk < end && chunk <= last; ) {
      const count = Math.min(chunksPerRead, end - chunk, last - chunk + 1)
      const before = chunk - extentChunk
      yield {
        extent,
        offset: extent.offset + before * frameBytes(chunkBytes),
        firstChunk: chunk,
        size: Math.min(count * chunkBytes, extent.size - before * chunkBytes),
      }
      chunk += count
    }
    extentChunk = end
  }
}

async function readStep(volumes: ReadonlyMap<string, Volume>, id: BlobId, step: Step): Promise<Filled> {
  const { extent, offset, size } = step
  const volume = volumes.get(extent.volume)
  if (volume === undefined) throw new BlobUnreadable('missing', id, extent)
  const laidOut = laidOutBytes(size)
  const buffer = (laidOut === stepBytes ? idle.pop() : undefined) ?? Buffer.allocUnsafeSlow(laidOut)
  try {
    const filled = await volume.handles.use(extent.segment, (file) => volume.directory.files.read(file, buffer, offset))
    return { buffer, chunks: parseStep(volume, id, step, buffer.subarray(0, filled)) }
  } catch (error) {
    throw explain(error, volume, id, extent)
  }
}

function parseStep(volume: Volume, id: BlobId, step: Step, buffer: Buffer): readonly Chunk[] {
  const place = volume.directory.place(step.extent.segment)
  const chunks: Chunk[] = []
  let at = 0
  for (let left = step.size; left > 0; left -= chunkBytes) {
    const length = Math.min(left, chunkBytes)
    const header = buffer.subarray(at, at + headerBytes)
    const bytes = buffer.subarray(at + headerBytes, at + headerBytes + length)
    const frame = parseHeader(header, place, step.offset + at)
    const number = step.firstChunk + chunks.length
    const isRight = frame?.id === id && frame.chunk === number && isIntact(header, frame, bytes)
    if (!isRight) throw new BlobUnreadable('corrupt', id, step.extent)
    chunks.push({ number, checksum: frame.checksum, bytes })
    at += frameBytes(length)
  }
  return chunks
}

function explain(error: unknown, volume: Volume, id: BlobId, extent: Extent): unknown {
  if (error instanceof BlobUnreadable) {
    volume.reportUnreadable(error.message)
    return error
  }
  const code = errorCode(error)
  if (code === 'ENOENT') return new BlobUnreadable('missing', id, extent, { cause: error })
  // Descriptors that ran out, or a bug, say nothing about the blob.
  if (code === undefined || code === 'EMFILE' || code === 'ENFILE') return error
  volume.reportUnreadable(code)
  return new BlobUnreadable('failed', id, extent, { cause: error })
}

/** Bytes [from, to) of a blob; lent or given, as readChunks says. */
export async function* readRange(
  volumes: ReadonlyMap<string, Volume>,
  id: BlobId,
  extents: readonly Extent[],
  { from, to }: Span,
  lends: boolean,
): AsyncGenerator<Uint8Array> {
  const size = extents.reduce((sum, each) => sum + each.size, 0)
  assert.ok(0 <= from && from <= to && to <= size, 'a range lies within its blob')
  if (from === to) return
  for await (const { number, bytes } of readChunks(
    volumes,
    id,
    extents,
    Math.floor(from / chunkBytes),
    Math.floor((to - 1) / chunkBytes),
    lends,
  )) {
    const start = number * chunkBytes
    const isWhole = from <= start && start + bytes.length <= to
    yield isWhole ? bytes : bytes.subarray(Math.max(0, from - start), Math.min(bytes.length, to - start))
  }
}

/** Headers read at the same time while a blob's checksums are gathered. */
const headersAtOnce = 16

/** What the headers of a blob's frames say their checksums are; their bytes are not read. */
export async function readChecksums(
  volumes: ReadonlyMap<string, Volume>,
  id: BlobId,
  extents: readonly Extent[],
): Promise<ChunkChecksums> {
  const frames = [...framesOf(extents)]
  const checksums = Buffer.allocUnsafe(4 * frames.length)
  for (let first = 0; first < frames.length; first += headersAtOnce) {
    const batch = frames.slice(first, first + headersAtOnce)
    const read = await Promise.all(batch.map((frame) => readChecksum(volumes, id, frame)))
    for (const [index, checksum] of read.entries()) checksums.writeUInt32BE(checksum, 4 * (first + index))
  }
  return checksums
}

interface PlacedFrame {
  readonly extent: Extent
  readonly offset: number
  readonly chunk: number
}

function* framesOf(extents: readonly Extent[]): Generator<PlacedFrame> {
  let chunk = 0
  for (const extent of extents) {
    for (let index = 0; index < chunksOf(extent.size); index++, chunk++) {
      yield { extent, offset: extent.offset + index * frameBytes(chunkBytes), chunk }
    }
  }
}

async function readChecksum(
  volumes: ReadonlyMap<string, Volume>,
  id: BlobId,
  { extent, offset, chunk }: PlacedFrame,
): Promise<number> {
  const volume = volumes.get(extent.volume)
  if (volume === undefined) throw new BlobUnreadable('missing', id, extent)
  try {
    const header = Buffer.allocUnsafe(headerBytes)
    const { files } = volume.directory
    const filled = await volume.handles.use(extent.segment, (file) => files.read(file, header, offset))
    const frame = parseHeader(header.subarray(0, filled), volume.directory.place(extent.segment), offset)
    if (frame?.id !== id || frame.chunk !== chunk) throw new BlobUnreadable('corrupt', id, extent)
    return frame.checksum
  } catch (error) {
    throw explain(error, volume, id, extent)
  }
}

/** What StoredBlob calls its digest. */
export function digestOf(checksums: readonly number[]): string {
  const bytes = Buffer.allocUnsafe(4 * checksums.length)
  for (const [index, checksum] of checksums.entries()) bytes.writeUInt32BE(checksum, 4 * index)
  return digestOfChecksums(bytes)
}

export const digestOfChecksums = (checksums: ChunkChecksums): string => hash('sha256', checksums, 'hex')
