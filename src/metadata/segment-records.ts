import assert from 'node:assert/strict'
import type { BlobId, Extent } from '#src/model/blob.ts'
import type { Snapshot, Transaction } from '#src/store/store.ts'
import { type BlobRecord, encodeBlob } from './blob-codec.ts'
import { checkGenerations, readBlob } from './blob-records.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { keys } from './keyspace.ts'

/**
 * What metadata knows of segments.
 *
 * R2  no commit names a segment under another generation than the one the bytes were written under (C2).
 */
export interface SegmentRecord {
  /** 1 until it is raised; the row stays when the segment goes, so that no late commit can name it. */
  readonly generation: number
  /** Size of the file when the bytes in it that nothing names were last counted; 0: never. */
  readonly sweptBytes: number
}

const format = 1
const writer = new RecordWriter()
const unraised: SegmentRecord = { generation: 1, sweptBytes: 0 }

export async function readSegment(from: Snapshot, volume: string, segment: number): Promise<SegmentRecord> {
  const bytes = await from.get(keys.segment(volume, segment))
  if (bytes === undefined) return unraised
  assert.equal(bytes[0], format, 'a known format of a segment record')
  const reader = new RecordReader(bytes, 1)
  return { generation: reader.integer(), sweptBytes: reader.integer() }
}

export function setSegment(to: Transaction, volume: string, segment: number, record: SegmentRecord): void {
  writer.byte(format).integer(record.generation).integer(record.sweptBytes)
  to.set(keys.segment(volume, segment), writer.take())
}

/** From now on, no commit can name this segment under an older generation. */
export async function raiseGeneration(to: Transaction, volume: string, segment: number): Promise<void> {
  const record = await readSegment(to, volume, segment)
  setSegment(to, volume, segment, { ...record, generation: record.generation + 1 })
}

/** Bytes in a segment that were freed, as far as is known. */
export async function readDead(from: Snapshot, volume: string, segment: number): Promise<number> {
  const bytes = await from.get(keys.dead(volume, segment))
  return bytes === undefined ? 0 : Number(Buffer.from(bytes).readBigInt64LE())
}

export function setDead(to: Transaction, volume: string, segment: number, bytes: number): void {
  const value = Buffer.alloc(8)
  value.writeBigInt64LE(BigInt(bytes))
  to.set(keys.dead(volume, segment), value)
}

/**
 * Names new extents where a holder still names the old one; false if none does any more, and then the copy is dead.
 */
export async function moveExtent(
  to: Transaction,
  blob: BlobId,
  before: Extent,
  after: readonly Extent[],
): Promise<boolean> {
  const record = await readBlob(to, blob)
  if (record?.kind !== 'bytes') return false
  let isMoved = false
  const holders = record.holders.map((holder) => {
    const index = holder.extents.findIndex((extent) => isSame(extent, before))
    if (index < 0) return holder
    isMoved = true
    return { ...holder, extents: holder.extents.toSpliced(index, 1, ...after) }
  })
  if (!isMoved) return false
  await checkGenerations(to, after)
  to.set(keys.blob(blob), encodeBlob({ ...record, holders }))
  return true
}

const isSame = (one: Extent, other: Extent): boolean =>
  one.volume === other.volume && one.segment === other.segment && one.offset === other.offset

/** The extents of a blob that lie in a segment, with all of its extents in order and the index of each. */
export function extentsIn(record: BlobRecord, volume: string, segment: number) {
  return record.holders.flatMap(({ extents }) =>
    extents
      .map((extent, index) => ({ extent, extents, index }))
      .filter(({ extent }) => extent.volume === volume && extent.segment === segment),
  )
}
