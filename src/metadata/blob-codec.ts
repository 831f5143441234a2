import assert from 'node:assert/strict'
import type { Extent, Restriction } from '#src/model/blob.ts'
import { RecordReader, RecordWriter } from './codec.ts'

/** One blob of bytes. */
export interface BlobRecord {
  readonly kind: 'bytes'
  readonly size: number
  readonly digest: string
  /** Number of the cell that decides when a copy may go (C19). */
  readonly keeper: number
  /** At the keeper, those that count; elsewhere, this region's own, and hints. */
  readonly holders: readonly Holder[]
  /** Nothing names it in this cell any more: it stays until its keeper lets go of the copy here. */
  readonly isUnreferenced?: true
  /** At the keeper: copies that regions gave up, by the number of the last one. */
  readonly released?: readonly Released[]
  /** Absent: all regions of its bucket may keep it. */
  readonly restriction?: Restriction
}

/** A durable copy. Of another region's only the name is known: its extents are empty here. */
export interface Holder {
  readonly region: string
  readonly extents: readonly Extent[]
  /** Grows with each copy that a region takes: a message about an earlier one, that comes late, is not about this one. */
  readonly copy?: number
}

export interface Released {
  readonly region: string
  readonly copy: number
}

/** Stands for the parts that its manifest lists. */
export interface ManifestRecord {
  readonly kind: 'manifest'
  readonly size: number
  readonly parts: number
}

/** What most blobs need; what those of regions may need besides; and of what is restricted to some regions, at the end, to which. */
const formats = { plain: 1, kept: 2, restricted: 3 } as const
const kinds = { bytes: 0, manifest: 1 } as const
const writer = new RecordWriter()

const isPlain = ({ isUnreferenced, released, holders }: BlobRecord): boolean =>
  isUnreferenced === undefined && released === undefined && holders.every(({ copy }) => copy === undefined)

export function encodeBlob(record: BlobRecord | ManifestRecord): Uint8Array {
  if (record.kind === 'manifest') {
    return writer.byte(formats.plain).byte(kinds.manifest).integer(record.size).integer(record.parts).take()
  }
  const { size, digest, keeper, holders, isUnreferenced, released = [], restriction } = record
  const format = restriction !== undefined ? formats.restricted : isPlain(record) ? formats.plain : formats.kept
  writer.byte(format).byte(kinds.bytes).integer(size).hex(digest).integer(keeper).integer(holders.length)
  for (const { region, extents, copy = 0 } of holders) {
    writer.text(region)
    if (format !== formats.plain) writer.integer(copy)
    writer.integer(extents.length)
    for (const { volume, segment, generation, offset, size: bytes } of extents) {
      writer.text(volume).integer(segment).integer(generation).integer(offset).integer(bytes)
    }
  }
  if (format === formats.plain) return writer.take()
  writer.byte(isUnreferenced === true ? 1 : 0).integer(released.length)
  for (const { region, copy } of released) writer.text(region).integer(copy)
  if (restriction !== undefined) writer.integer(restriction.bucket).text(restriction.regions.join(','))
  return writer.take()
}

export function decodeBlob(bytes: Uint8Array): BlobRecord | ManifestRecord {
  const from = new RecordReader(bytes)
  const format = from.byte()
  assert.ok(Object.values<number>(formats).includes(format), 'a known format of a blob record')
  const kind = from.byte()
  const size = from.integer()
  if (kind === kinds.manifest) return { kind: 'manifest', size, parts: from.integer() }
  const digest = from.hex(32)
  const keeper = from.integer()
  const holders = from.list(() => readHolder(from, format !== formats.plain))
  const record = { kind: 'bytes', size, digest, keeper, holders } as const
  if (format === formats.plain) return record
  const isUnreferenced = from.byte() === 1
  const released = from.list(() => ({ region: from.text(), copy: from.integer() }))
  return {
    ...record,
    ...(isUnreferenced && { isUnreferenced }),
    ...(released.length > 0 && { released }),
    ...(format === formats.restricted && { restriction: readRestriction(from) }),
  }
}

function readRestriction(from: RecordReader): Restriction {
  return { bucket: from.integer(), regions: from.text().split(',') }
}

function readHolder(from: RecordReader, hasCopy: boolean): Holder {
  const region = from.text()
  const copy = hasCopy ? from.integer() : 0
  const extents = from.list(() => readExtent(from))
  return copy === 0 ? { region, extents } : { region, extents, copy }
}

function readExtent(from: RecordReader): Extent {
  return {
    volume: from.text(),
    segment: from.integer(),
    generation: from.integer(),
    offset: from.integer(),
    size: from.integer(),
  }
}
