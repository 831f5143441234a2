import { decodeBlob } from '#src/metadata/blob-codec.ts'
import { blobOfRow, copyIn } from '#src/metadata/blob-records.ts'
import { keys, under } from '#src/metadata/keyspace.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { BlobId } from '#src/model/blob.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Vector } from '#src/model/version.ts'
import type { View } from '#src/store/overlay.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { type Birth, standing } from './births.ts'
import type { QuietCell } from './quiet-cell.ts'

const everything = Number.POSITIVE_INFINITY

/**
 * Whether a cell has what was born, as it stands there or is kept, or what stands there says that it had seen it: a removal that lost to
 * one that had not seen it leaves nothing else (C12), and what it had replaced was replaced all the same.
 */
export function holds(view: View, { bucket, key, slot, stamp, kind }: Birth): boolean {
  if (slot === 0n) {
    const stands = standing(view, bucket, key)
    const isSeen = stands !== undefined && (stands.stamp === stamp || covers(stands.vector, stamp))
    return isSeen || view.get(keys.conflict(bucket, key, stamp)) !== undefined
  }
  const row = kind === 'tombstone' ? keys.tombstone(bucket, key, slot) : keys.version(bucket, key, slot)
  return view.get(row) !== undefined
}

/** Whether what has a vector says that it had seen what was born under a stamp. */
export const covers = (vector: Vector, stamp: Stamp): boolean =>
  vector.some(([cell, last]) => BigInt(cell) === stamp % 1000n && last >= stamp)

/** What some have, and all that was seen by that. */
export function withSeen(births: ReadonlyMap<Stamp, Birth>, had: Iterable<Birth>): ReadonlySet<Birth> {
  const all = new Set<Birth>()
  for (const each of had) {
    let birth: Birth | undefined = each
    while (birth !== undefined && !all.has(birth)) {
      all.add(birth)
      // Of a version that was removed, its removal tells.
      const before: Stamp | undefined = birth.slot !== 0n && birth.kind === 'tombstone' ? birth.slot : birth.replaced
      birth = before === undefined ? undefined : births.get(before)
    }
  }
  return all
}

/** Of what stands in some cells: when the tags of a version were last changed, by bucket, key and content stamp. */
export function tagsIn(views: readonly View[], bucket: number): ReadonlyMap<string, Stamp> {
  const found = new Map<string, Stamp>()
  for (const view of views) {
    for (const space of ['current', 'version'] as const) {
      const all = under(space, [bucket])
      for (const { key: row, value } of view.range(all.from, all.to, everything, false)) {
        const version = decodeVersion(value)
        if (version.kind !== 'object' || version.tags === undefined) continue
        const reader = new TupleReader(row, 1)
        const place = `${reader.number()} ${reader.text()} ${version.stamp}`
        if (version.tags.stamp > (found.get(place) ?? 0n)) found.set(place, version.tags.stamp)
      }
    }
  }
  return found
}

/** What a region has on its disks. */
export type Disks = Pick<QuietCell, 'name' | 'view' | 'isWhole'>

/** Blobs of which a region has a copy that can be read. */
export function heldBy({ name, view, isWhole }: Disks): ReadonlySet<BlobId> {
  const all = under('blob', [])
  const held = view.range(all.from, all.to, everything, false).flatMap(({ key, value }) => {
    const record = decodeBlob(value)
    const copy = record.kind === 'bytes' ? copyIn(record, name) : undefined
    return copy !== undefined && isWhole(copy.extents) ? [blobOfRow(key)] : []
  })
  return new Set(held)
}
