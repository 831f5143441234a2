import type { Checksum } from '#src/model/checksum.ts'
import type { Found, Read } from '#src/service/services.ts'
import { encodeChecksumHeaders } from './checksums.ts'
import { encodeContentHeaders, type Overrides } from './content-headers.ts'
import { encodeEncryption } from './encryption-headers.ts'
import { quoteEtag } from './etag.ts'
import { formatHttpDate } from './http-date.ts'
import { encodeExpiry, encodeRestore } from './lifecycle-headers.ts'
import { encodeMetadata } from './metadata-headers.ts'
import { encodeObjectLock } from './object-lock-headers.ts'
import { formatContentRange } from './range.ts'
import { encodeStorageClass } from './storage-class.ts'

export interface ReadOptions {
  readonly overrides: Overrides
  /** x-amz-checksum-mode: ENABLED. */
  readonly wantsChecksum: boolean
  /** Whether a range or a part was asked for. */
  readonly isPartial: boolean
}

/** Status and headers of GET and HEAD; `sent` are the request's. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
export function encodeRead(
  read: Read,
  { overrides, wantsChecksum, isPartial }: ReadOptions,
  sent: Readonly<Record<string, string | undefined>> = {},
): { readonly status: number; readonly headers: Record<string, string> } {
  const { version, from, to, partsCount } = read
  const headers = objectHeaders(read)
  encodeEncryption(version.encryption, sent, headers)
  Object.assign(headers, overrideHeaders(overrides))
  headers['content-length'] = String(to - from)
  if (wantsChecksum) encodeChecksumHeaders(checksumOf(read), headers)
  // An empty object has one part, and no range that could be named.
  const hasRange = isPartial && to > from
  if (hasRange) headers['content-range'] = formatContentRange(from, to, version.size)
  if (isPartial && partsCount !== undefined) headers['x-amz-mp-parts-count'] = String(partsCount)
  return { status: hasRange ? 206 : 200, headers }
}

/** Of the bytes sent, or none: clients compare what they get with it. */
function checksumOf({ version, from, to, partChecksum }: Read): Checksum | undefined {
  // The value is the part's, and the type says how the object's own came about.
  if (partChecksum !== undefined) return { ...partChecksum, type: version.checksum?.type ?? partChecksum.type }
  return from === 0 && to === version.size ? version.checksum : undefined
}

export function objectHeaders({ version, versionId, expiry, isElsewhere }: Found): Record<string, string> {
  const headers: Record<string, string> = {
    'accept-ranges': 'bytes',
    etag: quoteEtag(version.etag),
    'last-modified': formatHttpDate(version.modified),
  }
  encodeContentHeaders(version.headers, headers)
  encodeMetadata(version.metadata, headers)
  encodeStorageClass(version.storageClass, headers)
  encodeObjectLock(version, headers)
  encodeVersionId(versionId, headers)
  encodeExpiry(expiry, headers)
  encodeRestore(version, headers)
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html
  if (version.replication !== undefined) headers['x-amz-replication-status'] = version.replication
  // The regions that keep it; of any other, all of its bucket may.
  if (version.regions !== undefined) headers['x-tigris-regions'] = version.regions.join(',')
  // As Tigris tells whoever waits for a migration.
  if (isElsewhere === true) headers['x-tigris-read-source'] = 'block_shadow'
  const tags = version.tags?.value.size ?? 0
  if (tags > 0) headers['x-amz-tagging-count'] = String(tags)
  return headers
}

export function encodeVersionId(versionId: string | undefined, to: Record<string, string>): void {
  if (versionId !== undefined) to['x-amz-version-id'] = versionId
}

function overrideHeaders(overrides: Overrides): Record<string, string> {
  const headers: Record<string, string> = {}
  encodeContentHeaders(overrides, headers)
  if (overrides.contentType === undefined) delete headers['content-type']
  return headers
}
