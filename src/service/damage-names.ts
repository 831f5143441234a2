import {
  type BlobName,
  blobOfPartRow,
  partsOfManifestRow,
  readNames,
  uploadNameOfRow,
} from '#src/metadata/blob-names.ts'
import { type Subspace, under } from '#src/metadata/keyspace.ts'
import type { BlobId } from '#src/model/blob.ts'
import { type Entry, type Snapshot, StoreError } from '#src/store/store.ts'
import { afterKey } from '#src/store/tuple.ts'
import type { Foundation } from './foundation.ts'

/** An object that what is damaged belongs to. */
export interface DamagedObject {
  readonly bucket: string
  readonly key: string
  /** `null`, a version id, or `upload …` for a part of an upload in progress. */
  readonly version: string
}

/** Names told of one blob: copies within a bucket share it, and there may be very many. */
const namesMost = 20
const rowsPerPage = 500

/** Finds the objects that blobs belong to. Parts are found by reading all manifests: so ask for many blobs at once. */
export async function nameBlobs(
  foundation: Foundation,
  blobs: ReadonlySet<BlobId>,
): Promise<ReadonlyMap<BlobId, readonly DamagedObject[]>> {
  const { store } = foundation
  const names = new Map<BlobId, BlobName[]>()
  const add = (blob: BlobId, more: readonly BlobName[]): void => {
    names.set(blob, [...(names.get(blob) ?? []), ...more].slice(0, namesMost))
  }
  for (const blob of blobs) add(blob, await store.snapshot((snapshot) => readNames(snapshot, blob, namesMost)))
  const unnamed = new Set([...blobs].filter((blob) => names.get(blob)?.length === 0))
  if (unnamed.size > 0) {
    for await (const { key, value } of rows(foundation, 'manifest')) {
      const { whole, parts } = partsOfManifestRow(key, value)
      for (const part of parts) {
        if (unnamed.has(part)) add(part, await store.snapshot((snapshot) => readNames(snapshot, whole, namesMost)))
      }
    }
    for (const [blob, name] of await uploadsOf(foundation, unnamed)) add(blob, [name])
  }
  const buckets = await store.snapshot((snapshot) => bucketNames(foundation, snapshot))
  const named = (name: BlobName): DamagedObject => ({ ...name, bucket: buckets.get(name.bucket) ?? `#${name.bucket}` })
  return new Map([...names].map(([blob, each]) => [blob, each.map(named)]))
}

/** Of all buckets, by their number. */
export async function bucketNames({ namespace }: Foundation, snapshot: Snapshot): Promise<ReadonlyMap<number, string>> {
  return new Map((await namespace.buckets(snapshot)).map(({ id, name }) => [id, name]))
}

async function uploadsOf(
  foundation: Foundation,
  unnamed: ReadonlySet<BlobId>,
): Promise<readonly (readonly [BlobId, BlobName])[]> {
  const found: { readonly upload: string; readonly blob: BlobId }[] = []
  for await (const { key, value } of rows(foundation, 'part')) {
    const part = blobOfPartRow(key, value)
    if (unnamed.has(part.blob)) found.push(part)
  }
  if (found.length === 0) return []
  const named: (readonly [BlobId, BlobName])[] = []
  for await (const row of rows(foundation, 'upload')) {
    const { bucket, key, upload } = uploadNameOfRow(row.key)
    for (const part of found) {
      if (part.upload === upload) named.push([part.blob, { bucket, key, version: `upload ${upload}` }])
    }
  }
  return named
}

/** All rows of a subspace, up to one that cannot be read: naming is for people, and does without what is broken too. */
async function* rows({ store }: Foundation, space: Subspace): AsyncGenerator<Entry> {
  const all = under(space, [])
  let { from } = all
  try {
    for (;;) {
      const page = await store.snapshot((snapshot) => snapshot.range(from, all.to, { limit: rowsPerPage }))
      yield* page
      const last = page.at(-1)
      if (last === undefined) return
      from = afterKey(last.key)
    }
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'corrupt') throw error
  }
}
