import type { BlobId } from '#src/model/blob.ts'
import { formatStamp } from '#src/model/stamp.ts'
import type { Snapshot } from '#src/store/store.ts'
import { TupleReader } from '#src/store/tuple.ts'
import { decodePage } from './blob-records.ts'
import { RecordReader } from './codec.ts'
import { under } from './keyspace.ts'
import { decodePart } from './part-codec.ts'
import { uploadOfRow } from './upload-records.ts'

/** Who names a blob: read backwards, for people. What serves requests goes from the name to the blob. */
export interface BlobName {
  /** The bucket's number. */
  readonly bucket: number
  readonly key: string
  /** `null`, or a version id. */
  readonly version: string
}

/** The versions that use a blob, the first `limit` of them. */
export async function readNames(from: Snapshot, blob: BlobId, limit: number): Promise<readonly BlobName[]> {
  const all = under('reference', [Buffer.from(blob, 'hex')])
  const rows = await from.range(all.from, all.to, { limit })
  return rows.map(({ key }) => {
    const reader = new TupleReader(key, 1)
    reader.bytes()
    const bucket = Number(reader.integer())
    const name = reader.text()
    const slot = BigInt(reader.integer())
    return { bucket, key: name, version: slot === 0n ? 'null' : formatStamp(slot) }
  })
}

/** Which object's bytes a row under `inline` holds. */
export function nameOfInlineRow(key: Uint8Array): BlobName {
  const reader = new TupleReader(key, 1)
  const bucket = Number(reader.integer())
  const name = reader.text()
  const slot = BigInt(reader.integer())
  return { bucket, key: name, version: slot === 0n ? 'null' : formatStamp(slot) }
}

/** The blobs of parts that a row under `manifest` lists, and the blob that stands for all of them. */
export function partsOfManifestRow(key: Uint8Array, value: Uint8Array): { whole: BlobId; parts: readonly BlobId[] } {
  const whole = Buffer.from(new TupleReader(key, 1).bytes()).toString('hex')
  return { whole, parts: decodePage(value).map((part) => part.blob) }
}

/** The blob of a row under `part`, and the upload that it belongs to. */
export function blobOfPartRow(key: Uint8Array, value: Uint8Array): { upload: string; blob: BlobId } {
  return { upload: new TupleReader(key, 1).text(), blob: decodePart(new RecordReader(value, 1)).blob }
}

/** Which object an upload in progress is for, by its row. */
export function uploadNameOfRow(row: Uint8Array): { bucket: number; key: string; upload: string } {
  const bucket = Number(new TupleReader(row, 1).integer())
  const { key, id } = uploadOfRow(row)
  return { bucket, key, upload: id }
}
