import { BlobUnreadable } from '#src/blobs/blobs.ts'
import type { BlobRecord, Holder } from '#src/metadata/blob-codec.ts'
import { copyIn, readBlob } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Foundation } from './foundation.ts'

/** How often a read looks up where a blob's bytes went, before it gives up. */
const lookups = 4

/**
 * Bytes [from, to) of the copy that this region holds; lent as Blobs.read says. Follows them where compaction moved them: a
 * copy is looked up again before a read gives up (C2). Throws BlobUnreadable.
 */
export async function* readHere(
  { store, blobs, region }: Foundation,
  blob: BlobId,
  record: BlobRecord,
  from: number,
  to: number,
  lends = false,
): AsyncGenerator<Uint8Array> {
  let at = from
  let copy = copyIn(record, region)
  for (let attempt = 1; copy !== undefined; attempt++) {
    try {
      for await (const chunk of blobs.read(blob, copy.extents, at, to, lends)) {
        at += chunk.length
        yield chunk
      }
      return
    } catch (error) {
      if (!(error instanceof BlobUnreadable) || attempt === lookups) throw error
      const now = await store.snapshot((snapshot) => readBlob(snapshot, blob))
      const moved: Holder | undefined = now?.kind === 'bytes' ? copyIn(now, region) : undefined
      if (moved === undefined) throw error
      // A node that is away now is away a moment later too.
      if (error.reason === 'away' && JSON.stringify(moved.extents) === JSON.stringify(copy.extents)) throw error
      copy = moved
    }
  }
}

/** Whether every byte of the copy that this region holds can be read. Rejects where that cannot be told, since a node is away. */
export async function isWholeHere(foundation: Foundation, blob: BlobId, record: BlobRecord): Promise<boolean> {
  try {
    for await (const _ of readHere(foundation, blob, record, 0, record.size, true));
    return true
  } catch (error) {
    if (!(error instanceof BlobUnreadable) || error.reason === 'away') throw error
    return false
  }
}
