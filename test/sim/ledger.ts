import assert from 'node:assert/strict'
import { keys, subspace } from '#src/metadata/keyspace.ts'
import { decodeTombstone } from '#src/metadata/object-records.ts'
import { decodeVersion } from '#src/metadata/version-codec.ts'
import type { Stamp } from '#src/model/stamp.ts'
import type { Version } from '#src/model/version.ts'
import type { View } from '#src/store/overlay.ts'
import { TupleReader } from '#src/store/tuple.ts'
import type { Write } from '#src/store/writes.ts'

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
  /** Of an object whose bytes lie beside its record. */
  readonly bytes: Uint8Array | undefined
}

/** What stands in the `null` slot of a key. */
export interface Standing {
  readonly stamp: Stamp
  readonly kind: Birth['kind']
}

export class Violation extends Error {}

/**
 * Keeps books of every commit of every cell, from outside: what was born where, and what stood before. Nothing of the code
 * that is tested decides here what is right.
 */
export class Ledger {
  /** By slot, and by stamp. */
  readonly births = new Map<string, Map<Stamp, Birth>>()
  readonly #fail: (error: Violation) => void

  constructor(fail: (error: Violation) => void) {
    this.#fail = fail
  }

  committed(cell: number, writes: readonly Write[], before: View, after: View): void {
    try {
      for (const write of writes) {
        if (write.kind === 'set' || write.kind === 'setStamped' || write.kind === 'clear') {
          this.#row(cell, write.key, before, after)
        }
      }
    } catch (error) {
      this.#fail(
        error instanceof Violation ? error : new Violation('the ledger cannot read a commit', { cause: error }),
      )
    }
  }

  birthsOf(bucket: number, key: string, slot: Stamp): ReadonlyMap<Stamp, Birth> {
    return this.births.get(nameOf(bucket, key, slot)) ?? new Map()
  }

  #row(cell: number, key: Uint8Array, before: View, after: View): void {
    const space = key[0]
    if (space !== subspace.current && space !== subspace.version && space !== subspace.tombstone) return
    const reader = new TupleReader(key, 1)
    const place = { bucket: reader.number(), key: reader.text() }
    this.#checkStanding(cell, place, before, after)
    const value = after.get(key)
    if (value === undefined) return
    if (space === subspace.tombstone) {
      const slot = BigInt(reader.integer())
      const { stamp } = decodeTombstone(value)
      this.#maybeBorn(cell, { ...place, slot, stamp, kind: 'tombstone', bytes: undefined }, before)
      return
    }
    const version = decodeVersion(value)
    const slot = version.isNull ? 0n : version.stamp
    this.#maybeBorn(
      cell,
      { ...place, slot, stamp: version.stamp, kind: version.kind, bytes: bytesOf(version, place, after) },
      before,
    )
  }

  /** I8, C7: what stands in a slot is never followed by what is older. */
  #checkStanding(cell: number, place: { bucket: number; key: string }, before: View, after: View): void {
    const was = standing(before, place.bucket, place.key)
    const is = standing(after, place.bucket, place.key)
    if (was === undefined || (is !== undefined && is.stamp >= was.stamp)) return
    // A tombstone may be collected; the floor of its partition stands for it then.
    if (is === undefined && was.kind === 'tombstone') return
    throw new Violation(`in cell ${cell}, ${place.key} went from ${was.kind} ${was.stamp} to ${is?.kind} ${is?.stamp}`)
  }

  #maybeBorn(cell: number, found: Omit<Birth, 'cell' | 'replaced'>, before: View): void {
    if (Number(found.stamp % 1000n) !== cell) return
    const name = nameOf(found.bucket, found.key, found.slot)
    const all = this.births.get(name) ?? new Map<Stamp, Birth>()
    if (all.has(found.stamp)) return
    const replaced = found.slot === 0n ? standing(before, found.bucket, found.key) : undefined
    // I5: what a write has seen in its cell is older than it.
    if (replaced !== undefined && replaced.stamp >= found.stamp) {
      throw new Violation(`cell ${cell} wrote ${found.key} at ${found.stamp} over ${replaced.stamp}`)
    }
    all.set(found.stamp, { ...found, cell, replaced: replaced?.stamp })
    this.births.set(name, all)
  }
}

const nameOf = (bucket: number, key: string, slot: Stamp): string => `${bucket} ${slot} ${key}`

function bytesOf(
  version: Version,
  { bucket, key }: { bucket: number; key: string },
  view: View,
): Uint8Array | undefined {
  if (version.kind !== 'object' || version.content.kind !== 'inline') return undefined
  const bytes = view.get(keys.inline(bucket, key, version.isNull ? 0n : version.stamp))
  assert.ok(bytes !== undefined, 'the bytes of a small object')
  return bytes
}

export function standing(view: View, bucket: number, key: string): Standing | undefined {
  const current = view.get(keys.current(bucket, key))
  const version = current === undefined ? undefined : decodeVersion(current)
  if (version?.isNull === true) return { stamp: version.stamp, kind: version.kind }
  const pointer = view.get(keys.nullVersion(bucket, key))
  if (pointer !== undefined) {
    const stamp = Buffer.from(pointer).readBigUInt64BE(1)
    const stowed = view.get(keys.version(bucket, key, stamp))
    if (stowed === undefined) throw new Violation(`${key} has a pointer to a null version that is not there`)
    return { stamp, kind: decodeVersion(stowed).kind }
  }
  const tombstone = view.get(keys.tombstone(bucket, key, 0n))
  return tombstone === undefined ? undefined : { stamp: decodeTombstone(tombstone).stamp, kind: 'tombstone' }
}
