import { Fault } from '#src/errors.ts'
import type { BlobRecord } from '#src/metadata/blob-codec.ts'
import { decodePage } from '#src/metadata/blob-records.ts'
import { RecordReader, RecordWriter } from '#src/metadata/codec.ts'
import { slotOf } from '#src/metadata/keyspace.ts'
import { type BlobNote, type ReceivedContent, readContentOf } from '#src/metadata/received.ts'
import { readReceived, writeReceived } from '#src/metadata/received-codec.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { cellsOf, type Membership, memberOf } from '#src/model/region.ts'
import type { ForeignObjects, ForeignVersion } from '#src/service/foreign-objects.ts'
import type { Foundation } from '#src/service/foundation.ts'
import { findRow } from '#src/service/object-reads.ts'
import type { RemoteBlobs } from '#src/service/remote-blobs.ts'
import type { Source } from '#src/service/source.ts'
import { decodeMessage, encodeMessage } from './messages.ts'
import { within } from './patience.ts'
import { type Method, PeerUnreachable, type Transport } from './transport.ts'

export interface ForeignObjectsParts {
  readonly foundation: Pick<Foundation, 'world'>
  readonly transport: Transport
  readonly membership: () => Membership
  /** Of some cells the nearest first. */
  readonly nearest: (cells: readonly number[]) => readonly number[]
  /** Without a cache. */
  readonly blobs: RemoteBlobs
}

interface VersionRequest {
  readonly bucket: string
  readonly key: string
  readonly versionId?: string
}

const askMilliseconds = 10_000
const writer = new RecordWriter()

/** Asks the cells that have a bucket for what is to be copied from it. */
export class ClusterForeignObjects implements ForeignObjects {
  readonly blobs: RemoteBlobs
  readonly #parts: ForeignObjectsParts

  constructor(parts: ForeignObjectsParts) {
    this.#parts = parts
    this.blobs = parts.blobs
  }

  async find({ name, location }: Bucket, key: string, versionId: string | undefined): Promise<ForeignVersion> {
    const { foundation, transport, membership, nearest } = this.#parts
    const request: VersionRequest = { bucket: name, key, ...(versionId !== undefined && { versionId }) }
    const cells = cellsOf(location, membership()).filter((cell) => memberOf(membership(), cell)?.state === 'active')
    let cause: unknown
    for (const cell of nearest(cells)) {
      try {
        const ask = (signal: AbortSignal) => transport.ask(cell, 'object-version', encodeMessage(request), signal)
        return decodeVersion(await within(foundation.world, askMilliseconds, ask))
      } catch (error) {
        if (error instanceof Fault && error.code !== 'ServiceUnavailable') throw error
        cause = error
      }
    }
    const message = 'No region that has the source of the copy can be reached.'
    throw new Fault('ServiceUnavailable', { message, BucketName: name }, { cause })
  }
}

/** `object-version`: a version and what reading its bytes takes, as of one snapshot; members only ask on behalf of those who may know. */
export const foreignObjectsMethod = (foundation: Foundation): Method => ({
  name: 'object-version',
  answer: async (bytes) => {
    const { bucket, key, versionId } = decodeMessage<VersionRequest>(bytes)
    return await foundation.store.snapshot(async (snapshot) => {
      const request = { name: { bucket, key }, guard: () => {}, ...(versionId !== undefined && { versionId }) }
      const found = await findRow(foundation, snapshot, request)
      const { version } = found
      const place = { bucket: found.bucket.id, key }
      const content = await readContentOf(snapshot, place, slotOf(version), version)
      writer.text(found.versionId ?? '')
      writeReceived(writer, { ...place, kind: 'version', version, content })
      return writer.take()
    })
  },
})

function decodeVersion(bytes: Uint8Array): ForeignVersion {
  const from = new RecordReader(bytes)
  const versionId = from.text()
  const record = readReceived(from)
  if (record.kind !== 'version' || record.version.kind !== 'object' || record.content === undefined) {
    // Its bytes are lost there.
    throw new PeerUnreachable(0)
  }
  const { version, content } = record
  return { version, versionId: versionId === '' ? undefined : versionId, source: sourceOf(content) }
}

function sourceOf(content: ReceivedContent): Source {
  if (content.kind === 'inline') return content
  if (content.kind === 'blob') return { kind: 'blob', blob: content.blob.id, record: recordOf(content.blob) }
  const parts = content.pages.flatMap(decodePage)
  return { kind: 'manifest', parts, records: new Map(content.blobs.map((note) => [note.id, recordOf(note)])) }
}

const recordOf = ({ size, digest, keeper, regions }: BlobNote): BlobRecord => ({
  kind: 'bytes',
  size,
  digest,
  keeper,
  holders: regions.map((region) => ({ region, extents: [] })),
})
