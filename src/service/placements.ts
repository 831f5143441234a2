import { readBlob, readManifest } from '#src/metadata/blob-records.ts'
import type { BlobId } from '#src/model/blob.ts'
import { type Content, manifestOf } from '#src/model/version.ts'
import type { Snapshot, Store } from '#src/store/store.ts'
import type { FindObject, Found, Objects } from './services.ts'

/** Of an object in more parts, only so many are looked at. */
const countedMost = 500
const cells = 1_000n

/** Where the bytes of one version are, as its cell knows it. */
export interface Placement {
  readonly versionId: string | undefined
  readonly size: number
  /** Milliseconds since the epoch. */
  readonly modified: number
  readonly storageClass: string
  /** The regions that are to keep its bytes; absent: all of its bucket may. */
  readonly regions?: readonly string[]
  /** `shadow`: only where the bucket's shadow has it. */
  readonly kind: Content['kind'] | 'shadow'
  /** The cell that drew its stamp. */
  readonly writtenIn: number
  /** Blobs that it is made of, and how many of them were looked at. */
  readonly blobs: number
  readonly counted: number
  /** How many of those each region holds durably; the first hold the most. */
  readonly holders: readonly { readonly region: string; readonly blobs: number }[]
  /** By which cell's leave copies go. */
  readonly keepers: readonly { readonly cell: number; readonly blobs: number }[]
}

interface Parts {
  readonly store: Store
  readonly objects: Pick<Objects, 'find'>
}

/** Tells where copies are. Regions other than a blob's keeper may know of fewer than there are. */
export class Placements {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** As `Objects.find`, which decides who may know. */
  async find(request: FindObject): Promise<Placement> {
    const { store, objects } = this.#parts
    const found = await objects.find(request)
    return await store.snapshot((snapshot) => placementOf(snapshot, found))
  }
}

async function placementOf(
  snapshot: Snapshot,
  { version, versionId, isElsewhere }: Pick<Found, 'version' | 'versionId' | 'isElsewhere'>,
): Promise<Placement> {
  const { content, size, modified, storageClass, stamp, regions } = version
  const blobs = isElsewhere === true ? [] : await blobsOf(snapshot, content)
  const counted = blobs.slice(0, countedMost)
  const holders = new Map<string, number>()
  const keepers = new Map<number, number>()
  for (const record of await Promise.all(counted.map((blob) => readBlob(snapshot, blob)))) {
    if (record?.kind !== 'bytes') continue
    for (const { region } of record.holders) holders.set(region, (holders.get(region) ?? 0) + 1)
    keepers.set(record.keeper, (keepers.get(record.keeper) ?? 0) + 1)
  }
  return {
    versionId,
    size,
    modified,
    storageClass,
    ...(regions !== undefined && { regions }),
    kind: isElsewhere === true ? 'shadow' : content.kind,
    writtenIn: Number(stamp % cells),
    blobs: blobs.length,
    counted: counted.length,
    holders: byCount(holders).map(([region, count]) => ({ region, blobs: count })),
    keepers: byCount(keepers).map(([cell, count]) => ({ cell, blobs: count })),
  }
}

const byCount = <Name>(counts: ReadonlyMap<Name, number>): readonly (readonly [Name, number])[] =>
  [...counts].sort(([, one], [, other]) => other - one)

async function blobsOf(snapshot: Snapshot, content: Content): Promise<readonly BlobId[]> {
  if (content.kind === 'blob') return [content.blob]
  const listed = content.kind === 'manifest' ? manifestOf(content) : undefined
  return listed === undefined ? [] : (await readManifest(snapshot, listed.blob)).map(({ blob }) => blob)
}
