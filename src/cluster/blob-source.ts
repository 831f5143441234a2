import type { BlobCache } from '#src/blobs/blob-cache.ts'
import { type Blobs, BlobUnreadable, type ChunkChecksums } from '#src/blobs/blobs.ts'
import { chunkBytes, chunkLength } from '#src/blobs/frame.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { readHere } from '#src/service/copy-here.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { type ChunksRequest, decodeChunksRequest, isAbsent, isHere } from './blob-wire.ts'
import type { Method } from './transport.ts'

export interface BlobSourceOptions {
  readonly foundation: Foundation
  /** The volumes of this node, where others share its cell: to those it gives nothing else. */
  readonly own?: Blobs
  readonly cache?: BlobCache
  /** The checksums of a blob that is only cached here, where they are known. */
  readonly knownChecksums: (blob: BlobId) => ChunkChecksums | undefined
  readonly repair: (blob: BlobId) => void
}

/** `blob`: gives others the chunks of what this region holds, or has cached. Verified here, and again where they arrive (I3). */
export function blobMethod(options: BlobSourceOptions): Method {
  const { foundation, own = foundation.blobs } = options
  // A node that asks another of its cell asks for what is there: it is not sent on, to one that would ask here.
  const forNodes = { ...options, foundation: { ...foundation, blobs: own } }
  return {
    name: 'blob',
    answer: (request, { cell }) => chunks(cell === foundation.cell ? forNodes : options, decodeChunksRequest(request)),
  }
}

async function* chunks(options: BlobSourceOptions, request: ChunksRequest): AsyncGenerator<Uint8Array> {
  const { foundation } = options
  const record = await foundation.store.snapshot((snapshot) => readBlob(snapshot, request.blob))
  if (record?.kind !== 'bytes') yield Uint8Array.of(isAbsent)
  else if (copyIn(record, foundation.region) === undefined) yield* cachedChunks(options, request, record)
  else yield* heldChunks(options, request, record)
}

async function* heldChunks(
  { foundation, repair }: BlobSourceOptions,
  { blob, first, last, wantsChecksums }: ChunksRequest,
  record: BlobRecord,
): AsyncGenerator<Uint8Array> {
  try {
    const checksums = wantsChecksums ? await checksumsHere(foundation, blob, record) : new Uint8Array(0)
    yield Buffer.concat([Uint8Array.of(isHere), checksums])
    const to = Math.min(record.size, (last + 1) * chunkBytes)
    yield* readHere(foundation, blob, record, first * chunkBytes, to)
  } catch (error) {
    // Who asked goes elsewhere; so does this region.
    if (error instanceof BlobUnreadable && error.reason !== 'away') repair(blob)
    throw error
  }
}

async function checksumsHere(
  { blobs, store, region }: Foundation,
  blob: BlobId,
  record: BlobRecord,
): Promise<ChunkChecksums> {
  const before = copyIn(record, region)?.extents ?? []
  try {
    return await blobs.checksums(blob, before)
  } catch (error) {
    if (!(error instanceof BlobUnreadable)) throw error
    // Compaction may have moved it since the record was read (C2).
    const now = await store.snapshot((snapshot) => readBlob(snapshot, blob))
    const moved = now?.kind === 'bytes' ? copyIn(now, region)?.extents : undefined
    if (moved === undefined) throw error
    return await blobs.checksums(blob, moved)
  }
}

/** Gives what is cached, up to what is not: then it breaks off. */
async function* cachedChunks(
  { cache, knownChecksums }: BlobSourceOptions,
  { blob, first, last, wantsChecksums }: ChunksRequest,
  { size }: BlobRecord,
): AsyncGenerator<Uint8Array> {
  const checksums = wantsChecksums ? knownChecksums(blob) : new Uint8Array(0)
  let bytes = checksums === undefined ? undefined : await cache?.read(blob, first, chunkLength(size, first))
  if (checksums === undefined || bytes === undefined) {
    yield Uint8Array.of(isAbsent)
    return
  }
  yield Buffer.concat([Uint8Array.of(isHere), checksums])
  for (let chunk = first + 1; bytes !== undefined; chunk++) {
    yield bytes
    if (chunk > last) return
    bytes = await cache?.read(blob, chunk, chunkLength(size, chunk))
  }
}
