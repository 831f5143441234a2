import { keys } from '#src/metadata/keyspace.ts'
import { decodeTombstone } from '#src/metadata/object-records.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Vector } from '#src/model/version.ts'
import type { View } from '#src/store/overlay.ts'

/** One change that a cell made by itself, as it stood in its commit. */
export interface Birth {
  readonly cell: number
  readonly bucket: number
  readonly key: string
  /** 0: the `null` slot. */
  readonly slot: Stamp
  readonly stamp: Stamp
  readonly kind: 'object' | 'marker' | 'tombstone'
  /** What stood in the slot in that cell, of whatever kind. */
  readonly replaced: Stamp | undefined
  /** Of an object: of its content. */
  readonly etag: string | undefined
}

/** What stands in the `null` slot of a key. */
export interface Standing {
  readonly stamp: Stamp
  readonly kind: Birth['kind']
  readonly vector: Vector
}

export class Violation extends Error {}

export function standing(view: View, bucket: number, key: string): Standing | undefined {
  const current = view.get(keys.current(bucket, key))
  const version = current === undefined ? undefined : decodeVersion(current)
  if (version?.isNull === true) return version
  const pointer = view.get(keys.nullVersion(bucket, key))
  if (pointer !== undefined) {
    const stamp = Buffer.from(pointer).readBigUInt64BE(1)
    const stowed = view.get(keys.version(bucket, key, stamp))
    if (stowed === undefined) throw new Violation(`${key} has a pointer to a null version that is not there`)
    const { kind, vector } = decodeVersion(stowed)
    return { stamp, kind, vector }
  }
  const tombstone = view.get(keys.tombstone(bucket, key, 0n))
  if (tombstone === undefined) return undefined
  const { stamp, vector } = decodeTombstone(tombstone)
  return { stamp, vector, kind: 'tombstone' }
}
