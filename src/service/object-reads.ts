import { Fault } from '#src/errors.ts'
import { readBlob, readManifest } from '#src/metadata/blob-records.ts'
import { keys, slotOf } from '#src/metadata/keyspace.ts'
import { type Row, readCurrent, readLatest, readVersion } from '#src/metadata/object-records.ts'
import type { Bucket } from '#src/model/bucket.ts'
import { type Conditions, checkRead } from '#src/model/conditions.ts'
import { expiryOf } from '#src/model/lifecycle.ts'
import { resolveSpan, type Span } from '#src/model/range.ts'
import { formatStamp, parseStamp, type Stamp } from '#src/model/stamp.ts'
import { isHere } from '#src/model/tier.ts'
import { manifestOf, type ObjectVersion, type Part } from '#src/model/version.ts'
import type { Snapshot } from '#src/store/store.ts'
import { checkIsHere as checkBucketIsHere } from './bucket-places.ts'
import type { Foundation } from './foundation.ts'
import { versionIdOf } from './object-writes.ts'
import type { FindObject, Found, Wanted } from './services.ts'
import type { Source } from './source.ts'

export function parseVersionId(text: string): Stamp | 'null' {
  if (text === 'null') return 'null'
  const stamp = parseStamp(text)
  if (stamp === undefined) {
    throw new Fault('InvalidArgument', {
      message: 'Invalid version id specified',
      ArgumentName: 'versionId',
      ArgumentValue: text,
    })
  }
  return stamp
}

/** An object's record, and the row it came from. */
export interface FoundRow extends Found {
  readonly bucket: Bucket
  readonly row: Row<ObjectVersion>
}

/** The version asked for; shown to the guard before anything of it is told. See services.ts for what it throws. */
export async function findRow(foundation: Foundation, from: Snapshot, request: FindObject): Promise<FoundRow> {
  const { name, versionId, guard } = request
  const bucket = await foundation.namespace.existingBucket(from, name.bucket)
  checkBucketIsHere(foundation, bucket)
  const place = { bucket: bucket.id, key: name.key }
  if (versionId === undefined) {
    const current = await readCurrent(from, place)
    guard(current?.version, bucket)
    if (current === undefined) throw await missing(from, bucket, name.key)
    const expiry = expiryOf(bucket, name.key, current.version)
    const found = { bucket, row: current, version: current.version, versionId: versionIdOf(bucket, current.version) }
    return expiry === undefined ? found : { ...found, expiry }
  }
  const found = await readVersion(from, place, parseVersionId(versionId))
  const version = found?.version
  guard(version?.kind === 'object' ? version : undefined, bucket)
  if (found === undefined || version === undefined) {
    throw new Fault('NoSuchVersion', { Key: name.key, VersionId: versionId })
  }
  if (version.kind === 'marker') {
    throw new Fault('MethodNotAllowed', {
      ResourceType: 'DeleteMarker',
      Method: 'GET',
      isMarker: 1,
      modified: version.modified,
      versionId,
    })
  }
  return { bucket, row: { version, bytes: found.bytes }, version, versionId }
}

/** 404, saying whether a delete marker is why. */
async function missing(from: Snapshot, bucket: Bucket, key: string): Promise<Fault> {
  if (bucket.versioning === 'off') return new Fault('NoSuchKey', { Key: key })
  const latest = await readLatest(from, { bucket: bucket.id, key })
  if (latest === undefined) return new Fault('NoSuchKey', { Key: key })
  const versionId = latest.version.isNull ? 'null' : formatStamp(latest.version.stamp)
  return new Fault('NoSuchKey', { Key: key, isMarker: 1, versionId })
}

export function checkReadConditions(conditions: Conditions, version: ObjectVersion): void {
  const outcome = checkRead(conditions, version)
  if (outcome === 'passed') return
  const { etag, modified } = version
  if (outcome === 'unmodified') throw new Fault('NotModified', { etag, modified })
  const isMatch = conditions.ifMatch !== undefined
  throw new Fault('PreconditionFailed', { Condition: isMatch ? 'If-Match' : 'If-Unmodified-Since' })
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html: of an archived object. */
export function checkIsHere(version: ObjectVersion, now: number): void {
  if (!isHere(version, now)) throw notHere(version)
}

const notHere = ({ storageClass }: ObjectVersion): Fault =>
  new Fault('InvalidObjectState', { StorageClass: storageClass })

export async function readSource(from: Snapshot, { bucket, version }: FoundRow, key: string): Promise<Source> {
  const { content } = version
  if (content.kind === 'inline') {
    const bytes = await from.get(keys.inline(bucket.id, key, slotOf(version)))
    if (bytes === undefined) throw new Error('the bytes of a small object are not beside its record')
    return { kind: 'inline', bytes }
  }
  if (content.kind === 'manifest') return { kind: 'manifest', parts: await readManifest(from, content.blob) }
  if (content.kind === 'remote') throw notHere(version)
  const record = await readBlob(from, content.blob)
  if (record?.kind !== 'bytes') throw new Error('an object without the record of its blob')
  return { kind: 'blob', blob: content.blob, record }
}

/** Which bytes of the object a read gives, and which part that was, if one was asked for. */
export interface Selection extends Span {
  readonly part?: Part
}

/** `parts` are asked for only where a part is wanted. */
export async function select(
  version: ObjectVersion,
  wanted: Wanted | undefined,
  parts: () => Promise<readonly Part[]>,
): Promise<Selection> {
  if (wanted === undefined) return { from: 0, to: version.size }
  if (wanted.kind !== 'part') return resolveSpan(wanted, version.size)
  if (manifestOf(version.content) === undefined) {
    if (wanted.number !== 1) throw noSuchPart(wanted.number, 1)
    return { from: 0, to: version.size }
  }
  let from = 0
  const all = await parts()
  // Numbers may have gaps in an upload; a read counts the parts that are there.
  for (const [index, part] of all.entries()) {
    if (index + 1 === wanted.number) return { from, to: from + part.size, part }
    from += part.size
  }
  throw noSuchPart(wanted.number, all.length)
}

const noSuchPart = (number: number, count: number): Fault =>
  new Fault('InvalidPart', {
    message: 'The requested partnumber is not satisfiable',
    PartNumberRequested: number,
    ActualPartCount: count,
  })
