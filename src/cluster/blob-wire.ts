import assert from 'node:assert/strict'
import { RecordReader, RecordWriter } from '#src/metadata/codec.ts'
import type { BlobId } from '#src/model/blob.ts'

/**
 * How cells ask each other about blobs.
 *
 * `blob` asks for chunks [first, last] of a blob. Its answer is a stream: a byte that says whether the blob is there, the
 * checksums of all its chunks if they were asked for, then the chunks, whole. `holders` asks a blob's keeper which regions hold it.
 */
export interface ChunksRequest {
  readonly blob: BlobId
  readonly first: number
  readonly last: number
  readonly wantsChecksums: boolean
}

const format = 1
const writer = new RecordWriter()

export const isHere = 1
export const isAbsent = 0

export function encodeChunksRequest({ blob, first, last, wantsChecksums }: ChunksRequest): Uint8Array {
  writer.byte(format).hex(blob).integer(first).integer(last)
  return writer.byte(wantsChecksums ? 1 : 0).take()
}

export function decodeChunksRequest(bytes: Uint8Array): ChunksRequest {
  const from = readerOf(bytes)
  return { blob: from.hex(16), first: from.integer(), last: from.integer(), wantsChecksums: from.byte() === 1 }
}

export const encodeBlobId = (blob: BlobId): Uint8Array => writer.byte(format).hex(blob).take()

export const decodeBlobId = (bytes: Uint8Array): BlobId => readerOf(bytes).hex(16)

export function encodeRegions(regions: readonly string[]): Uint8Array {
  writer.byte(format).integer(regions.length)
  for (const region of regions) writer.text(region)
  return writer.take()
}

export function decodeRegions(bytes: Uint8Array): readonly string[] {
  const from = readerOf(bytes)
  return from.list(() => from.text())
}

function readerOf(bytes: Uint8Array): RecordReader {
  assert.equal(bytes[0], format, 'a message about blobs in a known format')
  return new RecordReader(bytes, 1)
}
