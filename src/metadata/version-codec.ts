import assert from 'node:assert/strict'
import type { Acl, Grant, Permission } from '#src/model/access.ts'
import type { Checksum, ChecksumAlgorithm } from '#src/model/checksum.ts'
import {
  blobOf,
  type Content,
  type ContentHeaders,
  type DeleteMarker,
  manifestOf,
  type ObjectSummary,
  type ObjectVersion,
  type Retention,
  type Slot,
  type Tags,
  type Vector,
  type Version,
} from '#src/model/version.ts'
import { RecordReader, RecordWriter } from './codec.ts'
import { readEncryption, writeEncryption } from './encryption-codec.ts'
import { entryBytes } from './feed.ts'
import { hasExtras, readExtras, writeExtras } from './version-extras.ts'

/**
 * Version records: format (1 byte), the record's feed entry (12 bytes, at offset 1, so that a commit can stamp it),
 * what a listing needs, and then the rest: a listing stops reading half-way.
 *
 * Format 2 is format 1 with the encryption at its end: a build that knows no encryption must not take such bytes for an object's.
 * Format 3 has at its end what version-extras.ts says, the encryption among it.
 *
 * V1  decoding gives back what was encoded.
 */
const formats = { plain: 1, encrypted: 2, extended: 3 } as const
export const entryOffset = 1

const flag = { marker: 1, isNull: 2, checksum: 4, tags: 8, hold: 16, retention: 32, grants: 64 } as const
const contents = ['inline', 'blob', 'manifest', 'remote'] as const
const algorithms: readonly ChecksumAlgorithm[] = ['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256']
const permissions: readonly Permission[] = ['FULL_CONTROL', 'READ', 'READ_ACP', 'WRITE', 'WRITE_ACP']
const headerNames = [
  'contentType',
  'cacheControl',
  'contentDisposition',
  'contentEncoding',
  'contentLanguage',
  'expires',
  'websiteRedirectLocation',
] as const satisfies readonly (keyof ContentHeaders)[]

/** A plain MD5 as ETag takes 17 bytes instead of 33. */
const md5Digits = /^[0-9a-f]{32}$/

const writer = new RecordWriter()

export function encodeVersion(version: Version): Uint8Array {
  const isObject = version.kind === 'object'
  let flags = (isObject ? 0 : flag.marker) | (version.isNull ? flag.isNull : 0)
  if (isObject) flags |= objectFlags(version)
  const format = isObject ? formatOf(version) : formats.plain
  writer.byte(format).raw(emptyEntry).byte(flags).stamp(version.stamp).integer(version.modified).text(version.owner)
  if (isObject) writeSummary(version)
  writeVector(version.vector)
  if (isObject) writeDetails(version)
  return writer.take()
}

/** What no version before needed is written as it was. */
function formatOf(version: ObjectVersion): number {
  if (hasExtras(version)) return formats.extended
  return version.encryption === undefined ? formats.plain : formats.encrypted
}

const emptyEntry = new Uint8Array(entryBytes)

function objectFlags(version: ObjectVersion): number {
  let flags = version.checksum === undefined ? 0 : flag.checksum
  if (version.tags !== undefined) flags |= flag.tags
  if (version.hold !== undefined) flags |= flag.hold
  if (version.retention !== undefined) flags |= flag.retention
  if (!isPrivate(version)) flags |= flag.grants
  return flags
}

/** Whether nobody but the owner, by the name that its account has, is granted anything: not written out. */
function isPrivate({ acl, owner }: ObjectVersion): boolean {
  const [only, ...others] = acl.value.grants
  if (acl.value.owner !== owner || others.length > 0 || only?.permission !== 'FULL_CONTROL') return false
  return only.grantee.kind === 'account' && only.grantee.id === owner && only.grantee.displayName === ''
}

function writeSummary(version: ObjectVersion): void {
  writer.integer(version.size)
  writeEtag(version.etag)
  writer.text(version.storageClass === 'STANDARD' ? '' : version.storageClass)
  if (version.checksum !== undefined) writeChecksum(writer, version.checksum)
}

export function writeChecksum(to: RecordWriter, { algorithm, type, value }: Checksum): void {
  to.byte(algorithms.indexOf(algorithm) * 2 + (type === 'COMPOSITE' ? 1 : 0)).text(value)
}

export function readChecksum(from: RecordReader): Checksum {
  const code = from.byte()
  const algorithm = algorithms[code >> 1]
  assert.ok(algorithm !== undefined, 'a checksum algorithm of a record')
  return { algorithm, type: code % 2 === 1 ? 'COMPOSITE' : 'FULL_OBJECT', value: from.text() }
}

function writeEtag(etag: string): void {
  if (md5Digits.test(etag)) writer.byte(0).hex(etag)
  else writer.byte(1).text(etag)
}

const readEtag = (from: RecordReader): string => (from.byte() === 0 ? from.hex(16) : from.text())

function writeVector(vector: Vector): void {
  writer.integer(vector.length)
  for (const [cell, stamp] of vector) writer.integer(cell).stamp(stamp)
}

function writeDetails(version: ObjectVersion): void {
  const { content, headers, metadata, acl, tags, hold, retention } = version
  writer.byte(contents.indexOf(content.kind))
  const [blob, manifest] = [blobOf(content), manifestOf(content)]
  if (content.kind === 'remote') writer.byte(manifest === undefined ? 0 : 1)
  if (blob !== undefined) writer.hex(blob)
  if (manifest !== undefined) writer.integer(manifest.parts)
  writeHeaders(headers)
  writePairs(metadata)
  writer.stamp(acl.stamp)
  if (!isPrivate(version)) writeAcl(writer, acl.value)
  if (tags !== undefined) {
    writer.stamp(tags.stamp)
    writePairs(tags.value)
  }
  if (hold !== undefined) writer.stamp(hold.stamp).byte(hold.value ? 1 : 0)
  if (retention !== undefined) {
    const { stamp, value } = retention
    writer.stamp(stamp).byte(value === undefined ? 0 : value.mode === 'GOVERNANCE' ? 1 : 2)
    if (value !== undefined) writer.integer(value.until)
  }
  if (hasExtras(version)) writeExtras(writer, version)
  else if (version.encryption !== undefined) writeEncryption(writer, version.encryption)
}

function writeHeaders(headers: ContentHeaders): void {
  let present = 0
  let bit = 1
  for (const name of headerNames) {
    if (headers[name] !== undefined) present |= bit
    bit <<= 1
  }
  writer.byte(present)
  for (const name of headerNames) {
    const value = headers[name]
    if (value !== undefined) writer.text(value)
  }
}

function writePairs(pairs: ReadonlyMap<string, string>): void {
  writer.integer(pairs.size)
  for (const [name, value] of pairs) writer.text(name).text(value)
}

export function writeAcl(to: RecordWriter, { owner, grants }: Acl): void {
  to.text(owner).integer(grants.length)
  for (const { grantee, permission } of grants) {
    to.byte(permissions.indexOf(permission) * 2 + (grantee.kind === 'group' ? 1 : 0))
    if (grantee.kind === 'group') to.text(grantee.uri)
    else to.text(grantee.id).text(grantee.displayName)
  }
}

export function readAcl(from: RecordReader): Acl {
  const owner = from.text()
  const grants = from.list((): Grant => {
    const code = from.byte()
    const permission = permissions[code >> 1]
    assert.ok(permission !== undefined, 'a permission of a record')
    if (code % 2 === 1) return { permission, grantee: { kind: 'group', uri: from.text() } }
    return { permission, grantee: { kind: 'account', id: from.text(), displayName: from.text() } }
  })
  return { owner, grants }
}

interface Head {
  readonly from: RecordReader
  readonly format: number
  readonly flags: number
  readonly stamp: bigint
  readonly isNull: boolean
  readonly modified: number
  readonly owner: string
}

function readHead(bytes: Uint8Array): Head {
  const [format = 0] = bytes
  assert.ok(Object.values<number>(formats).includes(format), 'a known format of a version record')
  const from = new RecordReader(bytes, entryOffset + entryBytes)
  const flags = from.byte()
  const stamp = from.stamp()
  const isNull = (flags & flag.isNull) !== 0
  return { from, format, flags, stamp, isNull, modified: from.integer(), owner: from.text() }
}

function readSummary({ from, flags, stamp, isNull, modified, owner }: Head): ObjectSummary {
  const size = from.integer()
  const etag = readEtag(from)
  const storageClass = from.text() || 'STANDARD'
  const base = { kind: 'object', stamp, isNull, modified, owner, size, etag, storageClass } as const
  return (flags & flag.checksum) === 0 ? base : { ...base, checksum: readChecksum(from) }
}

const readVector = (from: RecordReader): Vector => from.list(() => [from.integer(), from.stamp()] as const)

function decodeMarker({ from, stamp, isNull, modified, owner }: Head): DeleteMarker {
  return { kind: 'marker', stamp, isNull, modified, owner, vector: readVector(from) }
}

/** What a listing tells of a record; for a delete marker all there is. */
export function decodeSummary(bytes: Uint8Array): ObjectSummary | DeleteMarker {
  const head = readHead(bytes)
  return (head.flags & flag.marker) === 0 ? readSummary(head) : decodeMarker(head)
}

export function decodeVersion(bytes: Uint8Array): Version {
  const head = readHead(bytes)
  if ((head.flags & flag.marker) !== 0) return decodeMarker(head)
  const { from, flags } = head
  const summary = readSummary(head)
  const vector = readVector(from)
  const content = readContent(from)
  const headers = readHeaders(from)
  const metadata = readPairs(from)
  const acl = readAclSlot(head)
  return {
    ...summary,
    vector,
    content,
    headers,
    metadata,
    acl,
    ...((flags & flag.tags) !== 0 && { tags: { stamp: from.stamp(), value: readPairs(from) } }),
    ...((flags & flag.hold) !== 0 && { hold: { stamp: from.stamp(), value: from.byte() === 1 } }),
    ...((flags & flag.retention) !== 0 && { retention: readRetention(from) }),
    ...(head.format === formats.encrypted && { encryption: readEncryption(from) }),
    ...(head.format === formats.extended && readExtras(from)),
  }
}

function readContent(from: RecordReader): Content {
  const kind = contents[from.byte()]
  assert.ok(kind !== undefined, 'a kind of content of a record')
  if (kind === 'inline' || (kind === 'remote' && from.byte() === 0)) return { kind }
  const blob = from.hex(16)
  if (kind === 'blob') return { kind, blob }
  const listed = { blob, parts: from.integer() }
  return kind === 'manifest' ? { kind, ...listed } : { kind, manifest: listed }
}

function readHeaders(from: RecordReader): ContentHeaders {
  const present = from.byte()
  const headers: Partial<Record<keyof ContentHeaders, string>> = {}
  for (const [index, name] of headerNames.entries()) if ((present & (1 << index)) !== 0) headers[name] = from.text()
  return headers
}

const none: Tags = new Map()

function readPairs(from: RecordReader): Tags {
  const count = from.integer()
  if (count === 0) return none
  const pairs = new Map<string, string>()
  for (let index = 0; index < count; index++) pairs.set(from.text(), from.text())
  return pairs
}

function readAclSlot({ from, flags, owner }: Head): Slot<Acl> {
  const stamp = from.stamp()
  if ((flags & flag.grants) !== 0) return { stamp, value: readAcl(from) }
  const grantee = { kind: 'account', id: owner, displayName: '' } as const
  return { stamp, value: { owner, grants: [{ grantee, permission: 'FULL_CONTROL' }] } }
}

function readRetention(from: RecordReader): Slot<Retention | undefined> {
  const stamp = from.stamp()
  const mode = from.byte()
  if (mode === 0) return { stamp, value: undefined }
  return { stamp, value: { mode: mode === 1 ? 'GOVERNANCE' : 'COMPLIANCE', until: from.integer() } }
}
